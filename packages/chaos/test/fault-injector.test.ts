/** Goal: faults hit at their moment, and everything is mended, under a virtual clock. */
import { VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import type { Breakable } from "../src/breakable.ts";
import { FaultInjector, type FaultLine } from "../src/fault-injector.ts";
import type { PlannedFault } from "../src/fault-plan.ts";
import { MomentFeed } from "../src/moment-feed.ts";

const FAULT: PlannedFault = {
  ...{ number: 1, kind: "agent", atMs: 1_000, latestMs: 5_000, trigger: null },
  ...{ pick: 0, isLeaderPreferred: true, paused: "scheduler", outageMs: 700 },
};

function bed({ failingStarts = 0 } = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const down = new Set<string>();
  let failuresLeft = failingStarts;
  const note = (what: string): void => void log.push(`${clock.monotonicMs()} ${what}`);
  const up = (names: readonly string[]) =>
    names.filter((name) => !down.has(name)).map((name) => ({ name, pid: name.length }));
  const cluster: Breakable = {
    natsUrl: "",
    agentNames: ["n1", "n2"],
    schedulers: () => up(["s1", "s2"]),
    agents: () => up(["n1", "n2"]),
    natsServer: () => up(["nats-server"])[0] ?? null,
    workers: async () => [
      { pid: 5, startTicks: 1, instance: "i2" },
      { pid: 4, startTicks: 1, instance: "i1" },
    ],
    kill: async (name) => {
      note(`kill ${name}`);
      down.add(name);
    },
    killWorker: ({ instance }) => note(`kill worker ${instance}`),
    start: async (name) => {
      if (failuresLeft > 0) {
        failuresLeft -= 1;
        throw new Error("the bus is away");
      }
      note(`start ${name}`);
      down.delete(name);
    },
    pause: (pid) => note(`stop ${pid}`),
    resume: (pid) => note(`continue ${pid}`),
    artifactCount: async (agent) => (agent === "n2" ? 2 : 0),
    wipeArtifacts: async (agent) => {
      note(`wipe ${agent}`);
      return 2;
    },
  };
  const moments = new MomentFeed();
  const lines: FaultLine[] = [];
  const injector = new FaultInjector({
    ...{ clock, cluster, moments },
    findLeader: async () => ({ name: "s2", pid: 2 }),
    tell: (line) => lines.push(line),
  });
  const controller = new AbortController();
  const run = (plan: readonly PlannedFault[]) => injector.run(plan, controller.signal);
  /** What was due up to then has happened. */
  const advance = async (byMs: number): Promise<void> => {
    const untilMs = clock.monotonicMs() + byMs;
    let isOver = false;
    clock.after(byMs, () => {
      isOver = true;
    });
    await clock.runUntil(() => isOver, untilMs);
  };
  return { advance, log, lines, moments, injector, run, controller };
}

describe("the injector", () => {
  test("kills at its time and starts again after the outage", async () => {
    const { advance, log, lines, injector, run } = bed();
    const done = run([FAULT]);
    await advance(2_000);
    await done;
    expect(log).toEqual(["1000 kill n1", "1700 start n1"]);
    expect(lines.map(({ phase }) => phase)).toEqual(["injected", "mended"]);
    expect(injector.byKind).toEqual({ agent: 1 });
  });

  test("a trigger waits for the n-th moment and hits what it is about", async () => {
    const { advance, log, moments, run } = bed();
    const trigger = { moment: "attempt-started", nth: 2 } as const;
    const done = run([{ ...FAULT, kind: "worker", trigger }]);
    moments.note({ moment: "attempt-started", instance: "i1" }); // before it is armed
    await advance(1_200);
    moments.note({ moment: "attempt-started", instance: "i1" });
    moments.note({ moment: "accepted" });
    await advance(100);
    expect(log).toEqual([]);
    moments.note({ moment: "attempt-started", instance: "i2" });
    await advance(100);
    await done;
    expect(log).toEqual(["1300 kill worker i2"]);
  });

  test("a moment that does not come is not waited for beyond the latest time", async () => {
    const { advance, log, run } = bed();
    const trigger = { moment: "accepted", nth: 1 } as const;
    const done = run([{ ...FAULT, kind: "nats", trigger }]);
    await advance(10_000);
    await done;
    expect(log).toEqual(["5000 kill nats-server", "5700 start nats-server"]);
  });

  test("the leader is preferred where the plan says so, else another one", async () => {
    const { advance, log, run } = bed();
    const done = run([
      { ...FAULT, kind: "scheduler" },
      { ...FAULT, number: 2, kind: "scheduler", atMs: 5_000, isLeaderPreferred: false },
    ]);
    await advance(10_000);
    await done;
    expect(log.filter((line) => line.includes("kill"))).toEqual(["1000 kill s2", "5000 kill s1"]);
  });

  test("a start that fails is tried again", async () => {
    const { advance, log, lines, run } = bed({ failingStarts: 2 });
    const done = run([FAULT]);
    await advance(5_000);
    await done;
    expect(log).toEqual(["1000 kill n1", "2700 start n1"]);
    expect(lines.filter(({ phase }) => phase === "restart-failed")).toHaveLength(2);
  });

  test("a fault without a target is skipped and does not count", async () => {
    const { advance, lines, injector, run } = bed();
    const agent = { ...FAULT, outageMs: 3_000 };
    const done = run([1, 2, 3].map((number) => ({ ...agent, number })));
    await advance(10_000);
    await done;
    expect(lines.filter(({ phase }) => phase === "skipped")).toHaveLength(1);
    expect(injector.byKind).toEqual({ agent: 2 });
  });

  test("disk loss hits an agent that holds something", async () => {
    const { advance, log, run } = bed();
    const done = run([{ ...FAULT, kind: "disk" }]);
    await advance(2_000);
    await done;
    expect(log).toEqual(["1000 wipe n2"]);
  });

  test("an interrupt continues what was paused and starts nothing", async () => {
    const { advance, log, run, controller } = bed();
    const done = run([
      { ...FAULT, kind: "pause", atMs: 900, outageMs: 10_000 },
      { ...FAULT, number: 2, outageMs: 10_000 },
    ]);
    await advance(2_000);
    controller.abort(new Error("interrupted"));
    await advance(100);
    await done;
    expect(log).toEqual(["900 stop 2", "1000 kill n1", "2000 continue 2"]);
  });
});
