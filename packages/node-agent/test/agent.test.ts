/** The agent as the scheduler and the workers see it, over a fake bus and virtual time. */
import { RetryableError, TerminalError } from "@murakkab/kit";
import { instanceExitedSchema, nodeSampleSchema, subjects } from "@murakkab/protocol";
import { describe, expect, it } from "vitest";
import { settle } from "../../testkit/src/virtual-clock.ts";
import { executorOf, fleetOfOne, NODE } from "./fakes/fleet-of-one.ts";

async function running() {
  const fleet = fleetOfOne();
  fleet.listen();
  await fleet.settled(fleet.agent.start());
  return fleet;
}

function startRequest(instance: string, changes = {}) {
  return { instance, executor: executorOf(changes), remainingMs: 5_000 };
}

describe("membership", () => {
  it("keeps trying while nobody listens, then registers, beats and samples", async () => {
    const { agent, clock, listen, messaging, registrations, pass } = fleetOfOne();
    let isReady = false;
    void agent.start().then(() => {
      isReady = true;
    });
    await pass(30_000);
    expect(isReady).toBe(false);
    expect(messaging.valuesOn(subjects.nodeHeartbeat(NODE))).toEqual([]);
    listen();
    await clock.runUntil(() => isReady);
    expect(registrations[0]).toMatchObject({
      node: NODE,
      offer: { cpus: 4, memoryMib: 250 },
      programs: { ffmpeg: "ffmpeg version 6" },
      labels: { zone: "a" },
    });
    await pass(3_500);
    expect(messaging.valuesOn(subjects.nodeHeartbeat(NODE))).toHaveLength(4);
    const samples = messaging.valuesOn(subjects.nodeSampled(NODE));
    expect(samples.length).toBeGreaterThanOrEqual(4);
    expect(nodeSampleSchema.parse(samples[0])).toMatchObject({ node: NODE, seq: 1 });
    expect(messaging.valuesOn(subjects.opsOf(subjects.nodeSampled(NODE)))).toEqual(samples);
  });

  it("asks again soon while nobody leads, and at once when a leader is new (R4)", async () => {
    const { agent, clock, listen, messaging, registrations, pass } = fleetOfOne();
    let tries = 0;
    const request = messaging.request.bind(messaging);
    messaging.request = (...args) => {
      tries += 1;
      return request(...args);
    };
    let isReady = false;
    void agent.start().then(() => {
      isReady = true;
    });
    await pass(100);
    expect(tries).toBeGreaterThanOrEqual(2);
    await pass(10_000);
    expect(tries).toBeGreaterThanOrEqual(20); // never more than 500 ms apart
    listen();
    const nowMs = clock.monotonicMs();
    messaging.publish(subjects.fleetReport, new Uint8Array());
    await clock.runUntil(() => isReady);
    expect(clock.monotonicMs()).toBe(nowMs);
    expect(registrations).toHaveLength(1);
  });

  it("does not wait for a leader that took the registration and was lost (R4)", async () => {
    const { agent, clock, listen, messaging, registrations } = fleetOfOne();
    const mute = messaging.subscribe(subjects.nodeRegister, () => undefined);
    let isReady = false;
    void agent.start().then(() => {
      isReady = true;
    });
    await settle();
    mute.unsubscribe();
    listen();
    messaging.publish(subjects.fleetReport, new Uint8Array());
    await clock.runUntil(() => isReady);
    expect(clock.monotonicMs()).toBe(0);
    expect(registrations).toHaveLength(1);
  });

  it("answers its own probe before it is taken, and nothing else (N4)", async () => {
    const { agent, ask, messaging, refuse, listen, pass } = fleetOfOne();
    listen();
    refuse(new RetryableError("OVERLOADED", "not now"));
    void agent.start().catch(() => undefined);
    await pass(100);
    const probe = messaging.subjectsWith("mk.v1.node.probe.n1.")[0] ?? "";
    await expect(ask(probe, null, 10)).resolves.toEqual({ ok: true });
    let answer: unknown = null;
    void ask(subjects.instanceStart(NODE), startRequest("i1"), 1_000).catch((error) => {
      answer = error;
    });
    await pass(1_100);
    expect(answer).toMatchObject({ code: "TIMEOUT" });
    await agent.stop();
    expect(messaging.valuesOn(subjects.nodeLeft(NODE))).toEqual([]); // not ours to leave
  });

  it("ends with the scheduler's refusal", async () => {
    const { agent, listen, refuse, settled } = fleetOfOne();
    listen();
    refuse(new TerminalError("OFFER_EXCEEDS_HOST", "8 cores offered on a host with 4"));
    await expect(settled(agent.start())).rejects.toMatchObject({ code: "OFFER_EXCEEDS_HOST" });
  });

  it("registers again when asked and after a reconnect, with what runs", async () => {
    const { messaging, registrations, ask, settled, clock } = await running();
    await settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    messaging.publish(subjects.nodeReregister(NODE), new Uint8Array());
    await clock.runUntil(() => registrations.length === 2);
    expect(registrations[1]?.instances).toMatchObject([{ instance: "i1", state: "ready" }]);
    expect(registrations[1]?.incarnation).toBe(registrations[0]?.incarnation);
    messaging.setStatus("disconnected");
    messaging.setStatus("connected");
    await clock.runUntil(() => registrations.length === 3);
  });

  it("tells the process when a later registration is refused", async () => {
    const { messaging, refuse, refusals, clock } = await running();
    refuse(new TerminalError("OFFER_EXCEEDS_HOST", "too much"));
    messaging.publish(subjects.nodeReregister(NODE), new Uint8Array());
    await clock.runUntil(() => refusals.length === 1);
    expect(refusals[0]).toMatchObject({ code: "OFFER_EXCEEDS_HOST" });
  });

  it("leaves: says so, stops its instances, and listens and sends no more", async () => {
    const { agent, messaging, processes, ask, settled, pass } = await running();
    await settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    const subscriptionCount = messaging.subscriptionCount;
    await settled(agent.stop());
    expect(messaging.valuesOn(subjects.nodeLeft(NODE))).toMatchObject([{ node: NODE }]);
    expect(processes.last.signals).toEqual(["SIGTERM"]);
    expect(subscriptionCount).toBeGreaterThan(5);
    expect(messaging.subscriptionCount).toBe(1); // the scheduler's
    const sentCount = messaging.published.length;
    await pass(10_000).catch(() => undefined);
    expect(messaging.published.length).toBe(sentCount);
  });
});

describe("adoption", () => {
  async function adopting(executors: readonly Parameters<typeof executorOf>[0][]) {
    const fleet = fleetOfOne();
    for (const [index, changes] of executors.entries()) {
      fleet.processes.left.push({ instance: `old${index}`, executor: executorOf(changes) });
    }
    return fleet;
  }

  it("takes over what runs: reported, counted, stoppable, its end told", async () => {
    const fleet = await adopting([{ resources: { cores: 1, memoryMib: 200 } }]);
    fleet.listen();
    await fleet.settled(fleet.agent.start());
    expect(fleet.registrations[0]?.instances).toMatchObject([{ instance: "old0", state: "ready" }]);
    const start = fleet.ask(
      subjects.instanceStart(NODE),
      startRequest("i1", { resources: { cores: 1, memoryMib: 51 } }),
    );
    await expect(fleet.settled(start)).rejects.toMatchObject({ code: "NODE_FULL" });
    const hello = { instance: "old0", holds: [], queuedCount: 1, inFlightCount: 2 };
    await fleet.settled(fleet.ask(subjects.instanceHello(NODE), hello));
    await fleet.pass(1_100);
    expect(fleet.messaging.valuesOn(subjects.nodeSampled(NODE)).at(-1)).toMatchObject({
      instances: [{ instance: "old0", state: "busy", queuedCount: 1, inFlightCount: 2 }],
    });
    const stop = { instance: "old0", graceMs: 100 };
    await fleet.settled(fleet.ask(subjects.instanceStop(NODE), stop));
    expect(fleet.processes.last.signals).toEqual(["SIGTERM"]);
    expect(fleet.messaging.valuesOn(subjects.instanceExited(NODE))).toMatchObject([
      { instance: "old0", reason: "stopped", wasExpected: true },
    ]);
  });

  it("ends what no longer fits the offer (I1, I4)", async () => {
    const fleet = await adopting([
      { resources: { cores: 1, memoryMib: 200 } },
      { resources: { cores: 1, memoryMib: 100 } },
      { resources: { cores: 5, memoryMib: 1 } },
    ]);
    fleet.listen();
    await fleet.settled(fleet.agent.start());
    expect(fleet.registrations[0]?.instances).toMatchObject([{ instance: "old0" }]);
    expect(fleet.processes.all.map(({ signals }) => signals)).toEqual([
      [],
      ["SIGKILL"],
      ["SIGKILL"],
    ]);
    expect(fleet.processes.all.map(({ reapCount }) => reapCount)).toEqual([0, 1, 1]);
  });

  it("promises no core twice: an adopted worker tells what it holds, asked until it does", async () => {
    const fleet = await adopting([{ resources: { cores: 4, memoryMib: 100 } }]);
    fleet.listen();
    await fleet.settled(fleet.agent.start());
    expect(fleet.agent.heldCores).toBe(4);
    await fleet.pass(2_500);
    const musters = fleet.messaging.valuesOn(subjects.instanceMuster(NODE));
    expect(musters).toEqual(Array(3).fill({ incarnation: fleet.registrations[0]?.incarnation }));
    const hello = { instance: "old0", queuedCount: 0, inFlightCount: 1 };
    const holds = [{ attempt: "old0.7", cores: 2 }];
    const reply = fleet.ask(subjects.instanceHello(NODE), { ...hello, holds });
    expect(await fleet.settled(reply)).toEqual({
      incarnation: fleet.registrations[0]?.incarnation,
    });
    expect(fleet.agent.heldCores).toBe(2);
    await fleet.pass(2_500);
    expect(fleet.messaging.valuesOn(subjects.instanceMuster(NODE)).length).toBeLessThanOrEqual(4);
    await fleet.settled(fleet.ask(subjects.coresRelease(NODE), { attempt: "old0.7" }));
    expect(fleet.agent.heldCores).toBe(0);
  });

  it("tells a worker that it does not have that it is nobody's", async () => {
    const fleet = await running();
    const hello = { instance: "stranger", holds: [], queuedCount: 0, inFlightCount: 0 };
    const reply = fleet.settled(fleet.ask(subjects.instanceHello(NODE), hello));
    await expect(reply).rejects.toMatchObject({ code: "INSTANCE_ENDED" });
  });

  it("serves its adopted workers while nobody leads", async () => {
    const fleet = await adopting([{}]);
    void fleet.agent.start();
    await fleet.pass(1_000);
    const hello = { instance: "old0", holds: [], queuedCount: 0, inFlightCount: 0 };
    await fleet.settled(fleet.ask(subjects.instanceHello(NODE), hello));
    const acquire = { instance: "old0", attempt: "a", cores: 1, remainingMs: 100 };
    expect(await fleet.settled(fleet.ask(subjects.coresAcquire(NODE), acquire))).toEqual({
      ok: true,
    });
    await fleet.agent.stop();
  });
});

describe("instances", () => {
  it("starts once for a repeated start and answers both", async () => {
    const { ask, processes, settled, messaging } = await running();
    const start = () => ask(subjects.instanceStart(NODE), startRequest("i1"));
    const answers = await settled(Promise.all([start(), start()]));
    expect(answers).toEqual(Array(2).fill({ instance: "i1", state: "ready" }));
    expect(processes.all).toHaveLength(1);
    expect(messaging.valuesOn(subjects.instanceReady(NODE))).toHaveLength(1);
  });

  it("refuses what does not fit, with the sums", async () => {
    const { ask, settled } = await running();
    const start = (id: string, resources: object) =>
      settled(ask(subjects.instanceStart(NODE), startRequest(id, { resources })));
    await start("i1", { cores: 1, memoryMib: 200 });
    await expect(start("i2", { cores: 1, memoryMib: 51 })).rejects.toMatchObject({
      code: "NODE_FULL",
      kind: "retryable",
      context: { usedMib: 200, neededMib: 51, offeredMib: 250 },
    });
    await expect(start("i3", { cores: 5, memoryMib: 1 })).rejects.toMatchObject({
      code: "NODE_FULL",
      context: { neededCores: 5, offeredCores: 4 },
    });
    await settled(ask(subjects.instanceStop(NODE), { instance: "i1", graceMs: 100 }));
    await start("i4", { cores: 1, memoryMib: 250 });
  });

  it("names the program that is missing", async () => {
    const { ask, settled } = await running();
    const request = startRequest("i1", { programs: ["ffmpeg", "tesseract"] });
    await expect(settled(ask(subjects.instanceStart(NODE), request))).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
      kind: "terminal",
      message: expect.stringContaining("program tesseract is not on the PATH of node n1"),
    });
  });

  it("ends one that does not become ready in time", async () => {
    const { ask, processes, settled, messaging } = await running();
    processes.isReadyAtOnce = false;
    const start = settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    await expect(start).rejects.toMatchObject({ code: "START_TIMEOUT", kind: "retryable" });
    expect(processes.last.signals).toEqual(["SIGTERM"]);
    expect(messaging.valuesOn(subjects.instanceExited(NODE))).toMatchObject([
      { reason: "did not become ready within 5.0 s", wasExpected: false },
    ]);
  });

  it("tells of an unexpected end, frees its cores, and never revives its id", async () => {
    const { agent, ask, processes, settled, messaging } = await running();
    await settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    const acquire = { instance: "i1", attempt: "a1", cores: 3, remainingMs: 100 };
    await settled(ask(subjects.coresAcquire(NODE), acquire));
    expect(agent.heldCores).toBe(3);
    await processes.last.exit({ signal: "SIGSEGV", stderrTail: "boom" });
    expect(agent.heldCores).toBe(0);
    expect(processes.last.reapCount).toBe(1);
    const [event] = messaging.valuesOn(subjects.instanceExited(NODE));
    expect(instanceExitedSchema.parse(event)).toMatchObject({
      instance: "i1",
      reason: "signal SIGSEGV",
      wasExpected: false,
      stderrTail: "boom",
    });
    const again = settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    await expect(again).rejects.toMatchObject({ code: "INSTANCE_ENDED" });
    const late = settled(ask(subjects.coresAcquire(NODE), { ...acquire, attempt: "a2" }));
    await expect(late).rejects.toMatchObject({ code: "INSTANCE_ENDED" });
  });

  it("answers a start with why the worker ended, stderr included", async () => {
    const { ask, processes, settled } = await running();
    processes.isReadyAtOnce = false;
    const start = ask(subjects.instanceStart(NODE), startRequest("i1"));
    start.catch(() => undefined);
    await settle();
    await processes.last.exit({ code: 1, stderrTail: "cannot load engine" });
    await expect(settled(start)).rejects.toMatchObject({
      code: "START_FAILED",
      message: "instance i1 of tool ended before it was ready: exit code 1",
      detail: "cannot load engine",
    });
  });

  it("kills what ignores SIGTERM after the grace, and says that it was expected", async () => {
    const { ask, clock, processes, settled, messaging } = await running();
    await settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    processes.last.isDeaf = true;
    const startedAtMs = clock.monotonicMs();
    await settled(ask(subjects.instanceStop(NODE), { instance: "i1", graceMs: 2_000 }));
    expect(clock.monotonicMs() - startedAtMs).toBe(2_000);
    expect(processes.last.signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(messaging.valuesOn(subjects.instanceExited(NODE))).toMatchObject([
      { reason: "stopped", wasExpected: true },
    ]);
    await settled(ask(subjects.instanceStop(NODE), { instance: "i1", graceMs: 0 })); // harmless
  });

  it("shows what an instance does in the samples", async () => {
    const { ask, processes, settled, messaging, pass } = await running();
    await settled(ask(subjects.instanceStart(NODE), startRequest("i1")));
    processes.last.status(2);
    await pass(1_100);
    expect(messaging.valuesOn(subjects.nodeSampled(NODE)).at(-1)).toMatchObject({
      instances: [
        { instance: "i1", state: "busy", inFlightCount: 2, cpuSec: 1.5, memoryBytes: 1_000 },
      ],
    });
  });
});
