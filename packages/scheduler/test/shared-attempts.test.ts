/** Goal: jobs use each other's results, and are billed, pinned and replayed accordingly. */
import { SILENT_LOGGER } from "@murakkab/kit";
import type { AttemptObservation } from "@murakkab/model";
import { buildExecutor } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { SharedResults } from "../src/shared-results.ts";
import { inline, JobRunBench, planOf, stepOf } from "./job-run-bench.ts";

const wide = { resources: { cores: 1, memoryMib: 64, concurrency: 8 } };
const ports = { inputs: { a: "x", b: "x?" }, outputs: { out: "x" } };
const EXECUTORS = [
  ...["look", "answer", "list", "each"].map((id) => buildExecutor(id, id, ports, wide)),
  buildExecutor("dice", "dice", ports, { ...wide, isDeterministic: false }),
  buildExecutor("act", "act", ports, { ...wide, isPure: false }),
];
const ONE = planOf([stepOf("look", { a: "in" })]);
const TWO = planOf([stepOf("look", { a: "in" }), stepOf("answer", { a: "look.out" })]);
const ref = (digit: string) => ({
  artifact: `artifact://sha256/${digit.repeat(64)}`,
  ...{ bytes: 1, mediaType: "x/y" },
});

class SharingBench extends JobRunBench {
  readonly seen: AttemptObservation[];

  constructor() {
    const seen: AttemptObservation[] = [];
    super(EXECUTORS, { observe: (it) => void seen.push(it) });
    this.seen = seen;
    const { clock, fleet } = this;
    Object.assign(this.components, {
      shared: new SharedResults({ clock, fleet, log: SILENT_LOGGER }),
    });
  }
}

describe("attempts that equal ones have made", () => {
  test("a later job takes the result: no run, no cost, no observation, and its receipt says so", async () => {
    const bench = new SharingBench();
    const first = await bench.start(ONE);
    await bench.answer("look", "r");
    const second = await bench.start(ONE);
    expect(bench.asks).toHaveLength(1);
    expect(second.receipt).toMatchObject({ state: "succeeded", output: "r", costUsd: 0 });
    expect(second.receipt?.steps[0]).toMatchObject({
      ...{ node: null, nodes: [], runMs: 0, cpuSec: 0, attempts: 1 },
      shared: { items: 1, fromJobs: ["job-1"] },
    });
    expect(first.receipt?.costUsd).toBeCloseTo(0.001, 9);
    expect(first.receipt?.steps[0]?.shared).toBeUndefined();
    expect(bench.seen).toHaveLength(1);
    const finished = second.run.past.events.find(({ event }) => event.event === "attempt-finished");
    expect(finished?.event.data).toMatchObject({ shared: { jobId: "job-1" }, runMs: 0 });
  });

  test("jobs at the same time: one runs, and the bill is the first one's", async () => {
    const bench = new SharingBench();
    const jobs = [await bench.start(ONE), await bench.start(ONE), await bench.start(ONE)];
    expect(bench.asks).toHaveLength(1);
    await bench.answer("look", "r");
    expect(jobs.map((it) => it.receipt?.output)).toEqual(["r", "r", "r"]);
    expect(jobs.reduce((sum, it) => sum + (it.receipt?.costUsd ?? 0), 0)).toBeCloseTo(0.001, 9);
  });

  test.each(["fails", "is cancelled", "goes elsewhere"])(
    "the first one %s: the next one runs itself",
    async (what) => {
      const bench = new SharingBench();
      const first = await bench.start(ONE);
      const second = await bench.start(ONE);
      const third = await bench.start(ONE);
      if (what === "fails") bench.asked("look").fail("X");
      else if (what === "is cancelled") first.run.cancel("test");
      else first.run.detach();
      await bench.pass(1);
      expect(bench.asks.map((it) => it.request.jobId)).toEqual(["job-1", "job-2"]);
      await bench.answer("look", "r");
      expect([second, third].map((it) => it.receipt?.output)).toEqual(["r", "r"]);
      expect(third.receipt?.steps[0]?.shared?.fromJobs).toEqual(["job-2"]);
    },
  );

  test("one that waits is cancelled: the others don't notice", async () => {
    const bench = new SharingBench();
    const first = await bench.start(ONE);
    const second = await bench.start(ONE);
    const third = await bench.start(ONE);
    second.run.cancel("test");
    await bench.answer("look", "r");
    expect([first, second, third].map((it) => it.receipt?.state)).toEqual([
      ...["succeeded", "cancelled", "succeeded"],
    ]);
  });

  test.each([
    ["fresh", ONE, { fresh: true }],
    ["another tenant", ONE, { tenant: "u" }],
    ["another place", ONE, { constraints: { labels: {}, staysOnHost: true } }],
    ["no deterministic executor", planOf([stepOf("dice", { a: "in" })]), {}],
    ["an executor with effects", planOf([stepOf("act", { a: "in" })]), {}],
  ])("%s: it runs", async (_name, plan, submission) => {
    const bench = new SharingBench();
    await bench.start(plan);
    await bench.answer(plan.steps[0]!.step, "r");
    await bench.start(plan, submission);
    expect(bench.asks).toHaveLength(2);
  });

  test("equal items of a fan-out run once, batches by their items", async () => {
    const list = stepOf("list", { a: "in" }, { outputs: { out: "list<x>" } });
    const each = { fanOut: "a", outputs: { out: "list<x>" } };
    const bench = new SharingBench();
    const job = await bench.start(planOf([list, stepOf("each", { a: "list.out" }, each)]));
    await bench.answer("list", [1, 2, 1, 1]);
    expect(bench.asks.slice(1).map((it) => it.request.item)).toEqual([0, 1]);
    for (const ask of bench.asks.slice(1)) ask.finish({ out: inline(`r${ask.request.item}`) });
    await bench.pass(1);
    expect(job.receipt).toMatchObject({ output: ["r0", "r1", "r0", "r0"] });
    expect(job.receipt?.steps[1]?.shared).toEqual({ items: 2, fromJobs: ["job-1"] });

    const batched = planOf([list, stepOf("each", { a: "list.out" }, { ...each, batchItems: 2 })]);
    const other = await bench.start(batched, { description: "other" });
    const batches = bench.asks.slice(3);
    expect(batches.map((it) => [it.request.item, it.request.batchItems])).toEqual([
      [0, 2],
      [2, 2],
    ]);
    for (const ask of batches) ask.finish({ out: inline([1, 2]) });
    await bench.pass(1);
    expect(other.receipt?.output).toEqual([1, 2, 1, 2]);
  });

  test("the result's artifacts are pinned at once, and made again when they are lost", async () => {
    const bench = new SharingBench();
    const first = await bench.start(TWO);
    await bench.answer("look", ref("a"));
    await bench.answer("answer", "r");
    expect(first.receipt?.state).toBe("succeeded");
    const from = bench.published.length;
    const second = await bench.start({
      ...TWO,
      steps: [TWO.steps[0]!, { ...TWO.steps[1]!, knobs: { k: 1 } }],
    });
    await bench.pass(5);
    const pins = bench.published.slice(from).filter(([subject]) => subject.includes("pin"));
    expect(pins).toContainEqual([
      expect.stringContaining("n1"),
      expect.objectContaining({ jobId: "job-2", artifacts: [ref("a").artifact] }),
    ]);
    expect(bench.asked("answer").request.artifacts[0]).toMatchObject({
      ...ref("a"),
      holders: [{ node: "n1" }],
    });
    const context = { artifact: ref("a").artifact };
    bench.asked("answer").fail("ARTIFACT_LOST", { retryable: true, context });
    await bench.pass(1);
    expect(bench.asked("look").request).toMatchObject({ jobId: "job-2", attempt: 2 });
    await bench.answer("look", ref("b"));
    await bench.answer("answer", "s");
    expect(second.receipt).toMatchObject({ state: "succeeded", output: "s" });
    expect(second.receipt?.steps[0]?.shared).toBeUndefined(); // it made its own
  });

  test("a job that goes on elsewhere keeps what it took, and says so", async () => {
    const bench = new SharingBench();
    await bench.start(TWO);
    await bench.answer("look", ref("a"));
    const job = await bench.start({
      ...TWO,
      steps: [TWO.steps[0]!, { ...TWO.steps[1]!, knobs: { k: 1 } }],
    });
    const plan = job.record.status.plan!;
    const elsewhere = new JobRunBench(EXECUTORS);
    const resumed = await elsewhere.start(plan, { jobId: "job-2" }, { past: job.run.past.events });
    expect(elsewhere.asked("answer").request.artifacts[0]?.holders).toMatchObject([{ node: "n1" }]);
    await elsewhere.answer("answer", "r");
    expect(resumed.receipt?.steps[0]).toMatchObject({
      costUsd: 0,
      shared: { items: 1, fromJobs: ["job-1"] },
    });
  });
});
