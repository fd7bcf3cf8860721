/** Goal: a step's node kind, and the host of a job's inputs, decide where its attempts go. */
import type { JobConstraints } from "@murakkab/model";
import type { JobRecord } from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { Fleet } from "../src/fleet.ts";
import { whereabouts } from "../src/job-run/whereabouts.ts";
import { registrationOf } from "./fleet-builder.ts";
import { stepOf } from "./job-run-bench.ts";

/** n1 and n2 on one host, n3 and n4 on hosts of their own. */
function makeFleet(): Fleet {
  const fleet = new Fleet(new VirtualClock());
  const offer = { cpus: 1, memoryMib: 64 };
  for (const [node, machineId] of [
    ["n1", "m1"],
    ["n2", "m1"],
    ["n3", "m3"],
    ["n4", "m4"],
  ] as const) {
    fleet.register(registrationOf(node, { machineId, offer }));
  }
  return fleet;
}

const where = (
  holders: JobRecord["holders"],
  constraints: JobConstraints,
  fleet = makeFleet(),
  nodeKind?: string,
) => {
  const record = { submission: { constraints }, holders } as unknown as JobRecord;
  const step = stepOf("s", {}, nodeKind === undefined ? {} : { nodeKind });
  return whereabouts(record, step, fleet);
};

describe("whereabouts", () => {
  test("labels and kind of node; any kind is none", () => {
    const labels = { zone: "a" };
    expect(where({}, { labels })).toEqual({ labels });
    expect(where({}, {}, makeFleet(), "cpu-a")).toEqual({ labels: {}, nodeKind: "cpu-a" });
    expect(where({}, {}, makeFleet(), "any")).toEqual({ labels: {} });
  });

  test("what stays on its host runs on all nodes of the one host that holds all inputs", () => {
    const bound = { staysOnHost: true };
    expect(where({ a: ["n2"], b: ["n1", "n3"] }, bound).nodes).toEqual(["n1", "n2"]);
    expect(where({ a: ["n3", "n2"], b: ["n1", "n3"] }, bound).nodes).toEqual(["n1", "n2"]);
    expect(where({ a: ["n2"], b: ["n3"] }, bound).nodes).toEqual([]);
    expect(where({ a: ["gone"] }, bound).nodes).toEqual([]);
    expect(where({}, bound).nodes).toBeUndefined();
    expect(where({ a: ["n2"] }, {}).nodes).toBeUndefined();
  });

  test("while its host is away it goes to another one that holds all, or to none", () => {
    const fleet = makeFleet();
    fleet.removeNode("n1");
    fleet.removeNode("n2");
    expect(where({ a: ["n2", "n4"] }, { staysOnHost: true }, fleet).nodes).toEqual(["n4"]);
    expect(where({ a: ["n2"] }, { staysOnHost: true }, fleet).nodes).toEqual([]);
  });
});
