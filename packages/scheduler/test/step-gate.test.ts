/** Goal: remaining steps are chosen again, and budgets are hard. Method: a fake Rechooser. */
import type { Estimate, JobPlan, PlannedStep, Prediction } from "@murakkab/model";
import { buildExecutor } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import type { RechooseInput, Rechooser } from "../src/ports.ts";
import { eventsOf, inline, JobRunBench, planOf, stepOf } from "./job-run-bench.ts";

const wide = { resources: { cores: 1, memoryMib: 64, concurrency: 8 } };
const EXECUTORS = ["look", "listen", "cheap", "answer", "list", "each"].map((id) =>
  buildExecutor(id, id, { inputs: { a: "x", b: "x?" }, outputs: { out: "x" } }, wide),
);
const sure = (value: number): Estimate => ({ p50: value, p95: value });
const NOW = { kind: "prior", note: "test" } as const;

/** An attempt of the bench costs a tenth of a cent, and 0.001 Wh. */
const predicted = (costUsd: number, items = 1): Pick<PlannedStep, "predicted"> => ({
  predicted: {
    ...{ runMs: sure(1), cpuSec: sure(1), costUsd: sure(costUsd), energyWh: sure(costUsd) },
    ...{ items, probability: 1, provenance: NOW },
  },
});
const PREDICTION: Prediction = {
  ...{ latencyMs: sure(1), costUsd: sure(1), energyWh: sure(1), quality: null },
  ...{ gpuSec: 0, coreSec: 1, queueMs: 0 },
};
const planned = (steps: readonly PlannedStep[], changes: Partial<JobPlan> = {}): JobPlan =>
  planOf(steps, { predicted: PREDICTION, ...changes });

/** look -> answer, and listen for it, too, but without it answer does as well. */
const PLAN = planned([
  stepOf("look", { a: "in" }, predicted(0.001)),
  stepOf("listen", { a: "look.out" }, predicted(0.002)),
  stepOf("answer", { a: "look.out", b: "listen.out" }, predicted(0.001)),
]);

class FakeRechooser implements Rechooser {
  readonly inputs: RechooseInput[] = [];
  private readonly answer: (input: RechooseInput) => ReturnType<Rechooser["rechoose"]>;

  constructor(answer: FakeRechooser["answer"]) {
    this.answer = answer;
  }

  rechoose(input: RechooseInput): ReturnType<Rechooser["rechoose"]> {
    this.inputs.push(input);
    return this.answer(input);
  }
}

/** `listen` on an executor that takes less. */
const cheaper = (plan: JobPlan): JobPlan => ({
  ...plan,
  steps: plan.steps.map((step) =>
    step.step === "listen" ? { ...step, executor: "cheap", ...predicted(0.0005) } : step,
  ),
});
const COST = { slo: { costUsdMax: 0.0035 } };

describe("choosing remaining steps again", () => {
  test("the Rechooser is asked before steps start, with what happened so far", async () => {
    const rechooser = new FakeRechooser(() => null);
    const bench = new JobRunBench(EXECUTORS, { rechooser });
    const job = await bench.start(PLAN, { objective: "cost" });
    expect(rechooser.inputs).toEqual([]); // the plan is as fresh as can be
    await bench.pass(41);
    await bench.answer("look", [1, 2, 3]);
    expect(rechooser.inputs).toHaveLength(1);
    expect(rechooser.inputs[0]).toMatchObject({
      ...{ at: "step", plan: { steps: PLAN.steps }, running: [], stages: [], spentUsd: 0.001 },
      done: [{ step: "look", itemCount: 1, costUsd: 0.001, outputs: { out: { count: 3 } } }],
    });
    expect(rechooser.inputs[0]?.elapsedMs).toBeGreaterThanOrEqual(42);
    expect(rechooser.inputs[0]?.record).toBe(job.record);
    bench.asked("listen").fail("X", { retryable: true });
    await bench.pass(200);
    expect(rechooser.inputs[1]).toMatchObject({ at: "retry", running: [{ step: "listen" }] });
  });

  test("its plan is taken, journaled, told on the receipt, and survives a takeover", async () => {
    const reason = "cheap is enough for the 3 ms that are left";
    const rechooser = new FakeRechooser((input) => ({ plan: cheaper(input.plan), reason }));
    const bench = new JobRunBench(EXECUTORS, { rechooser });
    const job = await bench.start(PLAN, COST);
    await bench.answer("look", 1);
    expect(bench.asked("listen").instance).toBe("cheap-1");
    expect(job.run.status.plan?.steps[1]).toMatchObject({ step: "listen", executor: "cheap" });

    const second = new JobRunBench(EXECUTORS); // nobody to ask: the journal says it
    const resumed = await second.start(PLAN, COST, { past: job.run.past.events });
    expect(second.asked("listen").instance).toBe("cheap-1");
    await second.answer("listen", 2);
    await second.answer("answer", 3);
    expect(resumed.receipt).toMatchObject({ state: "succeeded", replans: [reason] });

    await bench.answer("listen", 2);
    await bench.answer("answer", 3);
    expect(job.receipt).toMatchObject({ state: "succeeded", output: 3, replans: [reason] });
    expect(job.receipt?.steps[1]).toMatchObject({ executor: "cheap", predicted: {} });
    expect(job.receipt?.predicted).toEqual(PREDICTION);
  });

  test("a plan that changes what has started is not taken", async () => {
    const rechooser = new FakeRechooser((input) => ({
      plan: { ...input.plan, steps: input.plan.steps.slice(1) },
      reason: "wrong",
    }));
    const bench = new JobRunBench(EXECUTORS, { rechooser });
    const job = await bench.start(PLAN, { objective: "cost" });
    for (const step of ["look", "listen", "answer"]) await bench.answer(step, 1);
    expect(job.receipt).toMatchObject({ state: "succeeded" });
    expect(job.receipt?.replans).toBeUndefined();
  });

  test("without an SLO, an objective or a prediction nobody is asked", async () => {
    const rechooser = new FakeRechooser(() => null);
    const bench = new JobRunBench(EXECUTORS, { rechooser });
    bench.auto = () => ({ out: inline(1) });
    const { predicted: _none, ...unpredicted } = PLAN;
    await bench.start(PLAN);
    await bench.start(unpredicted, { objective: "cost" });
    expect(rechooser.inputs).toEqual([]);
  });
});

describe("hard budgets", () => {
  test("what fits runs; the sum of upper bounds is never more than the budget", async () => {
    const bench = new JobRunBench(EXECUTORS);
    bench.auto = () => ({ out: inline(1) });
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.004 } });
    expect(job.receipt).toMatchObject({ state: "succeeded", sloMet: { cost: true } });
  });

  test("short: a cheaper option is asked for", async () => {
    const rechooser = new FakeRechooser(({ at, plan }) =>
      at === "budget" ? { plan: cheaper(plan), reason: "$0.0015 is left" } : null,
    );
    const bench = new JobRunBench(EXECUTORS, { rechooser });
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.0025 } });
    await bench.answer("look", 1);
    expect(rechooser.inputs.map((it) => it.at)).toEqual(["step", "budget"]);
    expect(bench.asked("listen").instance).toBe("cheap-1");
    expect(job.receipt).toBeNull();
  });

  test("short and nothing cheaper: the output step runs with what there is, and says so", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.0025 } });
    await bench.answer("look", 1);
    expect(Object.keys(bench.asked("answer").request.inputs)).toEqual(["a"]);
    await bench.answer("answer", "less");
    expect(job.receipt).toMatchObject({ state: "succeeded", output: "less" });
    expect(job.receipt?.steps.map((it) => it.step)).toEqual(["look", "answer"]);
    expect(job.receipt?.notes.join()).toBe(
      'listen was left out: step "listen" needs up to $0.002 (predicted), and of the budget of $0.0025 $0.0015 is left, $0.001 is spent',
    );
    expect(job.receipt?.configuration).toBeUndefined();
    expect(job.receipt?.costUsd).toBeLessThanOrEqual(0.0025);
  });

  test("short and not even that: it fails with what was needed, left and spent", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.0015, energyWhMax: 0.0015 } });
    await bench.answer("look", 1);
    expect(job.receipt).toMatchObject({
      state: "failed",
      error: {
        code: "BUDGET_EXCEEDED",
        message:
          'step "listen" needs up to $0.002 (predicted), and of the budget of $0.0015 $0.0005 is left, $0.001 is spent; it needs up to 0.002 Wh (predicted), and of the budget of 0.0015 Wh 0.0005 Wh is left, 0.001 Wh is spent',
      },
      steps: [{ step: "look", costUsd: 0.001 }],
    });
  });

  test("nothing fits from the beginning: nothing is sent", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.0005 } });
    expect(job.receipt?.error?.code).toBe("BUDGET_EXCEEDED");
    expect(bench.asks).toEqual([]);
  });

  test("a draft that was not sure is the answer when the rest is too dear", async () => {
    const staged = planned(
      [
        stepOf("look", { a: "in" }, predicted(0.001)),
        stepOf("listen", { a: "in" }, predicted(0.002)),
        stepOf("answer", { a: "listen.out" }, predicted(0.001)),
      ],
      {
        stages: [
          {
            ...{ draft: "look", output: "out", confidencePort: "out", confidenceField: "sure" },
            ...{ atLeast: 0.7, deferred: ["listen"] },
          },
        ],
      },
    );
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(staged, { slo: { costUsdMax: 0.002 } });
    await bench.answer("look", { sure: 0.5 });
    expect(job.receipt).toMatchObject({ state: "succeeded", output: { sure: 0.5 } });
    expect(job.receipt?.notes.at(-1)).toContain("not sure enough (0.5 of 0.7)");
  });

  test("a step that does not fit beside what runs waits for what that leaves", async () => {
    const beside = planned([
      stepOf("look", { a: "in" }, predicted(0.002)),
      stepOf("listen", { a: "in" }, predicted(0.002)),
      stepOf("answer", { a: "look.out", b: "listen.out" }),
    ]);
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(beside, { slo: { costUsdMax: 0.003 } });
    expect(bench.asks.map((it) => it.request.step)).toEqual(["look"]);
    await bench.answer("look", 1); // took half of its bound
    await bench.answer("listen", 1);
    await bench.answer("answer", 1);
    expect(job.receipt).toMatchObject({ state: "succeeded", costUsd: 0.003 });
  });

  test("items are bounded by their share; a repeat that does not fit ends the job", async () => {
    const fanned = planned([
      stepOf("list", { a: "in" }, { outputs: { out: "list<x>" } }),
      stepOf(
        "each",
        { a: "list.out" },
        { fanOut: "a", outputs: { out: "list<x>" }, ...predicted(0.002, 2) },
      ),
    ]);
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(fanned, { slo: { costUsdMax: 0.003 } });
    await bench.answer("list", [1, 2]);
    const [, first, second] = bench.asks;
    first?.fail("X", { retryable: true });
    await bench.pass(1_000);
    expect(bench.asks).toHaveLength(3); // the repeat waits for the other item
    expect(job.receipt).toBeNull();
    second?.finish({ out: inline(1) });
    await bench.pass(1_000);
    expect(job.receipt).toMatchObject({
      state: "failed",
      error: { code: "BUDGET_EXCEEDED", step: "each" },
    });
  });

  test("an overrun is told, and nothing more starts", async () => {
    const bench = new JobRunBench(EXECUTORS);
    const job = await bench.start(PLAN, { slo: { costUsdMax: 0.004 } });
    await bench.answer("look", 1, { runMs: 18_000 }); // five times as long as predicted
    expect(job.receipt).toMatchObject({ state: "failed", error: { code: "BUDGET_EXCEEDED" } });
    expect(job.receipt?.overrun?.costUsd).toBeCloseTo(0.004, 9);
    expect(job.receipt?.notes.join()).toContain(
      "attempts took $0.004 more than was reserved for them",
    );
  });

  test("a job that goes on elsewhere has spent what its journal says", async () => {
    const first = new JobRunBench(EXECUTORS);
    const slo = { costUsdMax: 0.004 };
    const job = await first.start(PLAN, { slo });
    await first.answer("look", 1, { runMs: 7_200 });
    expect(eventsOf(job.run)).toContain("attempt-finished look");
    const bench = new JobRunBench(EXECUTORS);
    const resumed = await bench.start(PLAN, { slo }, { past: job.run.past.events });
    await bench.answer("listen", 1);
    await bench.answer("answer", 1);
    expect(resumed.receipt?.state).toBe("succeeded"); // 0.002 + 0.001 + 0.001
    expect(resumed.receipt?.overrun?.costUsd).toBeCloseTo(0.001, 9);
  });

  test("a latency SLO is no budget, and a plan without predictions reserves nothing", async () => {
    const bench = new JobRunBench(EXECUTORS);
    bench.auto = () => ({ out: inline(1) });
    const bare = planOf([stepOf("look", { a: "in" }), stepOf("listen", { a: "look.out" })]);
    const late = await bench.start(bare, { slo: { latencyMsMax: 0.001 } });
    expect(late.receipt?.state).toBe("succeeded");
    const paid = await bench.start(bare, { slo: { costUsdMax: 0.002 } });
    expect(paid.receipt?.state).toBe("succeeded");
    const over = await bench.start(bare, { slo: { costUsdMax: 0.0009 } });
    expect(over.receipt?.error?.message).toBe(
      'step "listen" can\'t start: of the budget of $0.0009 nothing is left, $0.001 is spent',
    );
  });
});
