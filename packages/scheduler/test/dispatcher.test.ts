/** Goal: Q1 to Q3 hold with a fleet of fakes. Method: asks that the test answers by hand. */
import type { ActorSystemPort } from "@murakkab/actor";
import { deadlineAfter, NoRespondersError, SILENT_LOGGER, TerminalError } from "@murakkab/kit";
import type { AttemptReply } from "@murakkab/protocol";
import { buildExecutor, VirtualClock } from "@murakkab/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AttemptWork, Dispatcher } from "../src/dispatcher.ts";
import { Fleet } from "../src/fleet.ts";
import { registrationOf } from "./fleet-builder.ts";

const EXECUTOR = {
  ...buildExecutor("e", "e", { inputs: {}, outputs: {} }),
  resources: { cores: 1, memoryMib: 64 },
};
const MEASURE = { runMs: 1, cpuSec: 0, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 1 };
const DONE: AttemptReply = { outputs: {}, measure: MEASURE };

interface Ask {
  readonly instance: string;
  readonly name: string;
  readonly resolve: (reply: AttemptReply) => void;
  readonly reject: (error: Error) => void;
}

class Bench {
  readonly clock = new VirtualClock();
  readonly fleet = new Fleet(this.clock);
  readonly asks: Ask[] = [];
  readonly told: string[] = [];
  wantCount = 0;
  readonly dispatcher: Dispatcher;

  constructor(cpus = 1) {
    const offer = { cpus, memoryMib: 1_024 };
    this.fleet.register(registrationOf("n1", { offer }));
    this.dispatcher = new Dispatcher({
      fleet: this.fleet,
      clock: this.clock,
      log: SILENT_LOGGER,
      starter: { want: () => void (this.wantCount += 1) },
      actors: {
        ask: (...args: Parameters<ActorSystemPort["ask"]>) => this.ask(...args),
      } as ActorSystemPort,
    });
  }

  private ask(
    ...[address, message, options]: Parameters<ActorSystemPort["ask"]>
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const name = String((message as { jobId: string }).jobId);
      this.asks.push({ instance: address.key, name, resolve, reject });
      options.giveUp?.addEventListener("abort", () => reject(options.giveUp?.reason as Error));
      options.signal?.addEventListener("abort", () =>
        resolve({
          failure: { code: "CANCELLED", message: "x", retryable: false },
          measure: null,
        }),
      );
    });
  }

  instance(id: string): void {
    this.fleet.addInstance({ instance: id, node: "n1", executor: EXECUTOR }).state = "ready";
    this.dispatcher.pump();
  }

  submit(name: string, changes: Partial<AttemptWork> = {}) {
    return this.dispatcher.submit({
      tenant: "t",
      executor: EXECUTOR,
      where: { labels: {} },
      avoidInstances: new Set(),
      localBytes: new Map(),
      deadline: deadlineAfter(this.clock, 60_000),
      dueAtMs: 0,
      resumeAt: null,
      makeRequest: async () => ({
        ...{ jobId: name, step: "s", item: 0, attempt: 1, key: name },
        ...{ inputs: {}, knobs: {}, artifacts: [] },
      }),
      onStarted: async () => void this.told.push(`${name} started`),
      onFinished: () => this.told.push(`${name} finished`),
      onFailed: (_place, error) => this.told.push(`${name} failed ${error.code}`),
      ...changes,
    });
  }

  pass(ms: number): Promise<void> {
    let isDue = false;
    this.clock.after(ms, () => {
      isDue = true;
    });
    return this.clock.runUntil(() => isDue);
  }
}

const ends = (told: readonly string[], name: string) =>
  told.filter((line) => line.startsWith(`${name} `) && !line.endsWith("started"));

describe("dispatcher", () => {
  test("Q3: one core: tenants take turns, each in its own order", async () => {
    const bench = new Bench();
    for (const name of ["a1", "a2", "a3"]) bench.submit(name, { tenant: "a" });
    for (const name of ["b1", "b2"]) bench.submit(name, { tenant: "b" });
    bench.instance("i1");
    for (let turn = 0; turn < 5; turn += 1) {
      await bench.pass(1);
      bench.asks.at(-1)?.resolve(DONE);
    }
    await bench.pass(1);
    expect(bench.asks.map((it) => it.name)).toEqual(["a1", "b1", "a2", "b2", "a3"]);
  });

  test("Q3: within a tenant what is due first goes first, whenever it came", async () => {
    const bench = new Bench();
    const dueAt = { a1: 300, a2: 100, a3: 200, a4: 100, b1: 900, b2: 800 };
    for (const [name, dueAtMs] of Object.entries(dueAt)) {
      bench.submit(name, { tenant: name.slice(0, 1), dueAtMs });
    }
    bench.instance("i1");
    for (let turn = 0; turn < 6; turn += 1) {
      await bench.pass(1);
      bench.asks.at(-1)?.resolve(DONE);
    }
    expect(bench.asks.map((it) => it.name)).toEqual(["a2", "b2", "a4", "b1", "a3", "a1"]);
  });

  test("Q4: a core that becomes free goes to the executor whose attempt is due first", async () => {
    const bench = new Bench();
    const other = { ...EXECUTOR, id: "f" };
    bench.instance("i1");
    const add = { instance: "i2", node: "n1", executor: other };
    bench.fleet.addInstance(add).state = "ready";
    bench.submit("first");
    for (const [name, executor, dueAtMs] of [
      ["e500", EXECUTOR, 500],
      ["e700", EXECUTOR, 700],
      ["f400", other, 400],
      ["f600", other, 600],
    ] as const) {
      bench.submit(name, { executor, dueAtMs });
    }
    for (let turn = 0; turn < 5; turn += 1) {
      await bench.pass(1);
      bench.asks.at(-1)?.resolve(DONE);
    }
    await bench.pass(1);
    expect(bench.asks.map((it) => it.name)).toEqual(["first", "f400", "e500", "f600", "e700"]);
  });

  test("Q4: of two free cores the second one goes to the next due attempt, too", async () => {
    const bench = new Bench(2);
    const other = { ...EXECUTOR, id: "f" };
    for (const [name, dueAtMs] of Object.entries({ e1: 10, e2: 300 }))
      bench.submit(name, { dueAtMs });
    bench.submit("f1", { executor: other, dueAtMs: 200 });
    for (const [instance, executor] of [
      ["i1", EXECUTOR],
      ["i2", EXECUTOR],
      ["i3", other],
    ] as const) {
      bench.fleet.addInstance({ instance, node: "n1", executor }).state = "ready";
    }
    bench.dispatcher.pump();
    await bench.pass(1);
    expect(bench.asks.map((it) => it.name)).toEqual(["e1", "f1"]);
  });

  test("work of a kind of node waits for one, and does not hold up what runs anywhere", async () => {
    const bench = new Bench(2);
    bench.instance("i1");
    bench.submit("fast", { where: { labels: {}, nodeKind: "fast" } });
    bench.submit("any");
    await bench.pass(1);
    expect(bench.asks.map((it) => it.name)).toEqual(["any"]);
    const host = { ...registrationOf("n2").host, kind: "fast" };
    bench.fleet.register(registrationOf("n2", { host }));
    const add = { instance: "i2", node: "n2", executor: EXECUTOR };
    bench.fleet.addInstance(add).state = "ready";
    bench.dispatcher.pump();
    await bench.pass(1);
    expect(bench.asks.map((it) => [it.name, it.instance])).toEqual([
      ["any", "i1"],
      ["fast", "i2"],
    ]);
  });

  test("Q2: a lost instance fails what runs on it at once, also what it answers late", async () => {
    const bench = new Bench(2);
    bench.instance("i1");
    bench.submit("a");
    await bench.pass(1);
    const sinceMs = bench.clock.monotonicMs();
    const lost = bench.fleet.removeInstance("i1");
    bench.dispatcher.onInstanceLost(lost!, "test");
    bench.asks[0]?.resolve(DONE);
    await bench.pass(1);
    expect(ends(bench.told, "a")).toEqual(["a failed INSTANCE_LOST"]);
    expect(bench.clock.monotonicMs() - sinceMs).toBeLessThan(5);
    expect(bench.fleet.node("n1")?.cpusReserved).toBe(0);
  });

  test("nobody listens on an instance: it is gone, and so is all that it was sent", async () => {
    const bench = new Bench(2);
    const entry = { ...EXECUTOR, resources: { ...EXECUTOR.resources, concurrency: 2 } };
    bench.fleet.addInstance({ instance: "i1", node: "n1", executor: entry }).state = "ready";
    bench.submit("a", { executor: entry });
    bench.submit("b", { executor: entry });
    await bench.pass(1);
    bench.asks[0]?.reject(new NoRespondersError("worker.i1"));
    await bench.pass(1);
    expect(ends(bench.told, bench.asks[0]!.name)).toEqual([
      `${bench.asks[0]!.name} failed INSTANCE_LOST`,
    ]);
    expect(bench.fleet.instance("i1")).toBeUndefined();
  });

  test("forget leaves the attempt to its worker and tells nothing more", async () => {
    const bench = new Bench();
    bench.instance("i1");
    const running = bench.submit("a");
    const waiting = bench.submit("b");
    await bench.pass(1);
    running.forget();
    waiting.forget();
    await bench.pass(10);
    expect(bench.told).toEqual(["a started"]);
    expect(bench.fleet.node("n1")?.cpusReserved).toBe(0);
  });

  test("deliver settles a running attempt once, and frees its core", async () => {
    const bench = new Bench();
    bench.instance("i1");
    const handle = bench.submit("a");
    await bench.pass(1);
    expect(handle.deliver(DONE)).toBe(true);
    for (let count = 0; count < 100; count += 1) expect(handle.deliver(DONE)).toBe(false);
    await bench.pass(1);
    expect(ends(bench.told, "a")).toEqual(["a finished"]);
    expect(bench.fleet.node("n1")?.cpusReserved).toBe(0);
  });

  test("an aborted attempt is told by its worker, or after a bound when it does not answer", async () => {
    const bench = new Bench();
    const waiting = bench.submit("w");
    waiting.abort({ code: "CANCELLED", message: "x", retryable: false });
    expect(ends(bench.told, "w")).toEqual(["w failed CANCELLED"]);
    bench.instance("i1");
    const running = bench.submit("a");
    await bench.pass(1);
    running.abort({ code: "CANCELLED", message: "x", retryable: false });
    await bench.pass(1);
    expect(ends(bench.told, "a")).toEqual(["a failed CANCELLED"]);
  });

  test("an instance that failed the work is used again only when no other one comes", async () => {
    const bench = new Bench(2);
    bench.instance("i1");
    bench.submit("a", { avoidInstances: new Set(["i1"]) });
    expect(bench.asks).toHaveLength(0);
    await bench.pass(250);
    expect(bench.wantCount).toBeGreaterThan(0);
    expect(bench.asks.map((it) => it.instance)).toEqual(["i1"]);
    bench.instance("i2");
    bench.submit("b", { avoidInstances: new Set(["i1"]) });
    await bench.pass(1);
    expect(bench.asks.at(-1)?.instance).toBe("i2");
  });

  test("what a former owner sent is asked for where it runs, also on an unknown instance", async () => {
    const bench = new Bench();
    bench.submit("a", { resumeAt: { instance: "elsewhere", node: "n9" } });
    await bench.pass(1);
    expect(bench.asks.map((it) => it.instance)).toEqual(["elsewhere"]);
    expect(bench.told).toEqual([]);
    bench.asks[0]?.resolve(DONE);
    await bench.pass(1);
    expect(bench.told).toEqual(["a finished"]);
  });

  test("an answer that was lost with the bus is asked for again under the same key", async () => {
    const bench = new Bench();
    bench.instance("i1");
    bench.submit("a");
    await bench.pass(1);
    bench.dispatcher.onBus(false);
    bench.dispatcher.onBus(true);
    await bench.pass(1);
    expect(bench.asks.map((it) => it.name)).toEqual(["a", "a"]);
    bench.asks[1]?.resolve(DONE);
    await bench.pass(1);
    expect(bench.told).toEqual(["a started", "a finished"]);
  });

  test("Q1, F2 under random events: each attempt has one end, and no core stays booked", async () => {
    const step = fc.tuple(
      fc.constantFrom("submit", "answer", "refuse", "abort", "forget", "lose", "bus", "deliver"),
      fc.nat(20),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bench = new Bench(2);
        const handles: [string, ReturnType<Bench["submit"]>][] = [];
        const forgotten = new Set<string>();
        bench.instance("i0");
        for (const [index, [what, pick]] of steps.entries()) {
          const [name, handle] = handles[pick % Math.max(1, handles.length)] ?? [];
          const ask = bench.asks[pick % Math.max(1, bench.asks.length)];
          if (what === "submit") handles.push([`j${index}`, bench.submit(`j${index}`)]);
          else if (what === "answer") ask?.resolve(DONE);
          else if (what === "refuse") ask?.reject(new TerminalError("X", "x"));
          else if (what === "abort") handle?.abort({ code: "C", message: "x", retryable: false });
          else if (what === "deliver") handle?.deliver(DONE);
          else if (what === "forget" && name !== undefined) {
            if (handle?.isSettled === false) forgotten.add(name);
            handle?.forget();
          } else if (what === "bus") {
            bench.dispatcher.onBus(false);
            bench.dispatcher.onBus(true);
          } else if (what === "lose") {
            for (const it of bench.fleet.listInstances()) {
              bench.fleet.removeInstance(it.instance);
              bench.dispatcher.onInstanceLost(it, "test");
            }
            bench.instance(`i${index + 1}`);
          }
          await bench.pass(1);
        }
        for (let round = 0; round < 100 && handles.some(([, it]) => !it.isSettled); round += 1) {
          for (const ask of bench.asks) ask.resolve(DONE);
          await bench.pass(1);
        }
        await bench.pass(6_000);
        for (const [name] of handles) {
          expect(ends(bench.told, name), name).toHaveLength(forgotten.has(name) ? 0 : 1);
        }
        expect(bench.fleet.node("n1")?.cpusReserved).toBe(0);
        expect(bench.dispatcher.waitingCount).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
