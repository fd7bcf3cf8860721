/** Goal: what a run makes of the machine's effects: bills, stopped attempts, observations. */
import type { AttemptObservation } from "@murakkab/model";
import { buildExecutor } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { eventsOf, inline, JobRunBench, MEASURE, planOf, stepOf } from "./job-run-bench.ts";

const ports = { inputs: { a: "x?", b: "x?" }, outputs: { out: "x" } };
const wide = { resources: { cores: 1, memoryMib: 64, concurrency: 8 } };
const EXECUTORS = ["draft", "slow", "answer", "list", "each"].map((id) =>
  buildExecutor(id, id, ports, { ...wide, batchMax: 4 }),
);
const STAGED = planOf(
  [
    stepOf("draft", { a: "in" }),
    stepOf("slow", { a: "in" }),
    stepOf("answer", { a: "draft.out", b: "slow.out" }),
  ],
  {
    stages: [
      {
        ...{ draft: "draft", output: "out", confidencePort: "out", confidenceField: "confidence" },
        ...{ atLeast: 0.7, deferred: ["answer"] },
      },
    ],
  },
);

describe("a job with a draft", () => {
  test("a sure one ends it; the stopped attempt is billed by what it tells", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(STAGED);
    await bench.answer("draft", { confidence: 0.834 });
    expect(bench.asked("slow").isAborted).toBe(true);
    expect(job.receipt).toBeNull();
    bench.asked("slow").fail("CANCELLED");
    await bench.pass(1);
    expect(job.receipt).toMatchObject({
      state: "succeeded",
      output: { confidence: 0.834 },
      notes: ["slow and answer were not needed: the draft was sure enough (0.83 of 0.7)"],
    });
    expect(job.receipt?.costUsd).toBeCloseTo(0.002, 9);
    expect(job.receipt?.steps.map((it) => it.step)).toEqual(["draft", "slow"]);
    expect(eventsOf(job.run).slice(-4)).toEqual([
      ...["step-finished draft", "stage-settled", "attempt-stopped slow", "succeeded"],
    ]);
  });

  test("one that does not answer delays the end by 750 ms at most, and is billed until then", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(STAGED);
    await bench.pass(998);
    await bench.answer("draft", { confidence: 0.9 });
    await bench.pass(740);
    expect(job.receipt).toBeNull();
    await bench.pass(20);
    expect(job.receipt?.state).toBe("succeeded");
    // A core for 1.75 s, at a dollar per hour.
    const slow = job.receipt?.steps.find((it) => it.step === "slow");
    expect(slow?.costUsd).toBeCloseTo(1.75 / 3_600, 5);
    expect(slow?.cpuSec).toBeNull();
  });

  test("an unsure one: everything runs", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(STAGED);
    await bench.answer("draft", { confidence: 0.5 });
    await bench.answer("slow", "s");
    await bench.answer("answer", "a");
    expect(job.receipt).toMatchObject({ state: "succeeded", output: "a", notes: [] });
  });

  test("resumed after it was sure: it ends with the draft, and nothing is sent", async () => {
    const first = new JobRunBench(EXECUTORS);
    const job = await first.start(STAGED);
    await first.answer("draft", { confidence: 0.9 });
    const bench = new JobRunBench(EXECUTORS);
    const resumed = await bench.start(STAGED, {}, { past: job.run.past.events });
    expect(resumed.receipt).toMatchObject({ state: "succeeded", output: { confidence: 0.9 } });
    expect(bench.asks).toEqual([]);
  });
});

test("of jobs that wait the one with the nearest latency SLO goes first", async () => {
  const single = { resources: { cores: 1, memoryMib: 64, concurrency: 1 } };
  const bench = new JobRunBench([buildExecutor("answer", "answer", ports, single)]);
  const plan = planOf([stepOf("answer", { a: "in" })]);
  const slos = {
    running: {},
    patient: {},
    soon: { latencyMsMax: 5_000 },
    now: { latencyMsMax: 10 },
  };
  for (const [jobId, slo] of Object.entries(slos)) await bench.start(plan, { jobId, slo });
  for (const _job of Object.keys(slos)) await bench.answer("answer", 1);
  expect(bench.asks.map((it) => it.request.jobId)).toEqual(["running", "now", "soon", "patient"]);
});

describe("observations", () => {
  const sized = (id: string, changes: object) =>
    buildExecutor(id, id, ports, { ...wide, batchMax: 4, ...changes });
  const observe = async (executors: typeof EXECUTORS, inputSizes = {}) => {
    const seen: AttemptObservation[] = [];
    const bench = new JobRunBench(executors, { observe: (it) => void seen.push(it) });
    const plan = planOf([
      stepOf("list", { a: "in" }, { outputs: { out: "list<x>" } }),
      stepOf(
        "each",
        { a: "list.out" },
        { fanOut: "a", batchItems: 3, outputs: { out: "list<x>" } },
      ),
    ]);
    bench.auto = (request) =>
      request.step === "list"
        ? { out: inline([1, 2, 3, 4].map((endSec) => ({ startSec: 0, endSec }))) }
        : { out: inline(Array.from({ length: request.batchItems ?? 0 }, () => "four")) };
    await bench.start(plan, {}, { inputSizes });
    return seen;
  };

  test("each attempt tells its size, its measure and the kind of its node", async () => {
    const seen = await observe([
      sized("list", { sizedBy: ["a"], outputs: { out: { type: "list<x>", sizeUnit: "sec" } } }),
      sized("each", { sizedBy: ["b", "a"] }),
    ]);
    expect(seen.map((it) => [it.executor, it.size, it.outputSizes])).toEqual([
      ["list", '"input"'.length, { out: 10 }],
      ["each", 6, { out: 18 }], // the seconds of its three items
      ["each", 4, { out: 6 }],
    ]);
    expect(seen[0]).toMatchObject({
      ...{ version: "1", node: "n1", nodeKind: "cpu-a", knobs: {} },
      ...{ runMs: MEASURE.runMs, cpuSec: MEASURE.cpuSec, memoryBytesMax: 100 },
    });
  });

  test("an input of the job is sized by its media's duration, or else by its bytes", async () => {
    const executors = [sized("list", { sizedBy: ["a"] }), sized("each", {})];
    expect((await observe(executors, { in: { bytes: 10, sec: 60.5 } }))[0]?.size).toBe(60.5);
    expect((await observe(executors, { in: { bytes: 10 } }))[0]?.size).toBe(10);
  });

  test("a fan-out over a list is sized by its items, and what names no input by 1", async () => {
    const seen = await observe([
      sized("list", { outputs: { out: { type: "list<x>" } } }),
      sized("each", { sizedBy: ["a"] }),
    ]);
    expect(seen.map((it) => it.size)).toEqual([1, 3, 1]);
  });
});
