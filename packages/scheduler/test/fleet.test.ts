/** Goal: the ledger of nodes and instances stays right over restarts and losses (F1, F2). */
import { buildExecutor, VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { Fleet } from "../src/fleet.ts";
import { instanceOf, registrationOf } from "./fleet-builder.ts";

const EXECUTOR = {
  ...buildExecutor("e", "e", { inputs: {}, outputs: {} }),
  resources: { cores: 1, memoryMib: 64 },
};
const find = (id: string) => (id === "e" ? EXECUTOR : undefined);

describe("fleet", () => {
  test("a restarted agent keeps the instances that it names, with what is in flight on them", () => {
    const fleet = new Fleet(new VirtualClock());
    const instances = [instanceOf("i1", "e"), instanceOf("i2", "e")];
    expect(fleet.register(registrationOf("n1", { instances }), find)).toEqual([]);
    fleet.reserve(fleet.instance("i1")!);
    fleet.reserve(fleet.instance("i2")!);
    const again = { incarnation: "second", instances: [instanceOf("i1", "e", "busy")] };
    const lost = fleet.register(registrationOf("n1", again), find);
    expect(lost.map((it) => it.instance)).toEqual(["i2"]);
    expect(fleet.instance("i1")?.inFlightCount).toBe(1);
    expect(fleet.node("n1")?.cpusReserved).toBe(1);
    fleet.release(fleet.instance("i1")!);
    expect(fleet.node("n1")?.cpusReserved).toBe(0);
  });

  test("instances of unknown executors, and those that do not serve yet, are not adopted", () => {
    const fleet = new Fleet(new VirtualClock());
    const instances = [instanceOf("i1", "other"), instanceOf("i2", "e", "starting")];
    fleet.register(registrationOf("n1", { instances }), find);
    expect(fleet.listInstances()).toEqual([]);
  });

  test("without its agent a node offers nothing, and with its next beat all again", () => {
    const fleet = new Fleet(new VirtualClock());
    fleet.register(registrationOf("n1"), find);
    fleet.node("n1")!.isAgentGone = true;
    expect(fleet.snapshot().nodes[0]).toMatchObject({ cpusFree: 0, memoryFreeMib: 0 });
    expect(fleet.heartbeat("n1", "other")).toBe(false);
    expect(fleet.heartbeat("n1", "first")).toBe(true);
    expect(fleet.snapshot().nodes[0]).toMatchObject({ cpusFree: 2, memoryFreeMib: 1_024 });
  });

  test("F1: two agents of one host are refused when they offer more than it has, by name", () => {
    const fleet = new Fleet(new VirtualClock());
    const machineId = "one";
    fleet.register(registrationOf("n1", { machineId, offer: { cpus: 3, memoryMib: 512 } }));
    const second = registrationOf("n2", { machineId, offer: { cpus: 2, memoryMib: 512 } });
    expect(() => fleet.register(second)).toThrow(/n1 and n2.*5 cores.*4/);
    const large = registrationOf("n2", { machineId, offer: { cpus: 1, memoryMib: 4_000 } });
    expect(() => fleet.register(large)).toThrow(/n1 and n2.*4512 MiB.*4096/);
    expect(fleet.nodeCount).toBe(1);
    // Its own former offer does not count against it.
    fleet.register(registrationOf("n1", { machineId, offer: { cpus: 4, memoryMib: 512 } }));
  });

  test("F2: an instance that is gone takes its cores with it, once", () => {
    const fleet = new Fleet(new VirtualClock());
    const instances = [instanceOf("i1", "e"), instanceOf("i2", "e")];
    fleet.register(registrationOf("n1", { instances }), find);
    fleet.reserve(fleet.instance("i2")!);
    const instance = fleet.instance("i1")!;
    fleet.reserve(instance);
    fleet.reserve(instance);
    expect(fleet.node("n1")?.cpusReserved).toBe(3);
    fleet.removeInstance("i1");
    fleet.release(instance);
    fleet.release(instance);
    expect(fleet.node("n1")?.cpusReserved).toBe(1);
    expect(fleet.countOf("e")).toBe(1);
  });
});
