/**
 * Goal: the latency that is promised is not passed by a schedule that wastes nothing on purpose.
 *
 * Method: the unit cases by hand; random DAGs are run greedily, in any order of precedence, on
 * whole cores, with steps that take a core while they run and steps that take none.
 */
import { type ChoiceProblem, evaluateChoice, type OptionPoint } from "@murakkab/core";
import { referenceTotals } from "@murakkab/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { smallProblems } from "./choice-arbitrary.ts";

const free: OptionPoint = {
  id: "only",
  runMs: 0,
  workMs: 0,
  costUsd: 0,
  energyWh: 0,
  gpuSec: 0,
  runMsUpper: 0,
  workMsUpper: 0,
  costUsdUpper: 0,
  energyWhUpper: 0,
  logLoss: 0,
};

interface Task {
  readonly runMs: number;
  readonly takesCore: boolean;
  readonly after: readonly number[];
  readonly rank: number;
}

function problemOf(tasks: readonly Task[], cores: number): ChoiceProblem {
  const steps = tasks.map((task, at) => {
    const workMs = task.takesCore ? task.runMs : 0;
    return {
      step: `s${at}`,
      after: task.after.map((source) => `s${source}`),
      probability: 1,
      options: [
        { ...free, runMs: task.runMs, workMs, runMsUpper: task.runMs, workMsUpper: workMs },
      ],
    };
  });
  return {
    steps,
    scenarios: [{ probability: 1, steps: steps.map((step) => step.step) }],
    cores,
    queueMs: 0,
    baseLogLoss: 0,
    limits: {},
    objective: "latency",
  };
}

function latencyOf(tasks: readonly Task[], cores: number): number {
  return evaluateChoice(
    problemOf(tasks, cores),
    tasks.map(() => "only"),
  ).latencyMs.upper;
}

/** Starts what can start, of several the lowest rank first; the time at which all has ended. */
function runGreedily(tasks: readonly Task[], cores: number): number {
  const end = new Map<number, number>();
  let now = 0;
  for (;;) {
    const isDone = (task: number) => (end.get(task) ?? Number.POSITIVE_INFINITY) <= now;
    const busy = () =>
      [...end].filter(([task, until]) => until > now && tasks[task]?.takesCore === true).length;
    const ready = tasks
      .map((task, at) => ({ ...task, at }))
      .filter((task) => !end.has(task.at) && task.after.every(isDone))
      .sort((a, b) => a.rank - b.rank || a.at - b.at);
    for (const task of ready) {
      if (task.takesCore && busy() >= cores) continue;
      end.set(task.at, now + task.runMs);
    }
    const waiting = [...end.values()].filter((until) => until > now);
    if (waiting.length > 0) now = Math.min(...waiting);
    else if (end.size === tasks.length) return now;
  }
}

const task = (runMs: number, after: number[], takesCore = true): Task => ({
  runMs,
  takesCore,
  after,
  rank: 0,
});

test.each([
  ["a chain is its length", [task(5, []), task(7, [0])], 1, 12],
  ["two parallel steps on one core are not parallel", [task(5, []), task(5, [])], 1, 10],
  ["a chain on many cores keeps the others' share", [task(8, []), task(8, [0])], 4, 16],
  ["a fork is bounded by work and path", [task(4, []), task(8, [0]), task(4, [0])], 2, 14],
  ["calls that take no core run beside the work", [task(9, [], false), task(5, [])], 1, 14],
  ["a chain of calls is its length", [task(9, [], false), task(5, [0], false)], 1, 14],
])("%s", (_, tasks, cores, expected) => {
  expect(latencyOf(tasks, cores)).toBeCloseTo(expected, 9);
});

test("no greedy schedule takes longer than the model says, and none is faster than path or work", () => {
  const tasks = fc.integer({ min: 1, max: 7 }).chain((count) =>
    fc.tuple(
      ...Array.from({ length: count }, (_, at) =>
        fc.record({
          runMs: fc.integer({ min: 1, max: 9 }),
          takesCore: fc.boolean(),
          after: fc.subarray(Array.from({ length: at }, (_unused, source) => source)),
          rank: fc.nat({ max: 9 }),
        }),
      ),
    ),
  );
  fc.assert(
    fc.property(tasks, fc.integer({ min: 1, max: 4 }), (all, cores) => {
      const promised = latencyOf(all, cores);
      expect(runGreedily(all, cores)).toBeLessThanOrEqual(promised + 1e-9);
      const work = all.reduce((sum, it) => sum + (it.takesCore ? it.runMs : 0), 0);
      expect(promised).toBeGreaterThanOrEqual(work / cores - 1e-9);
      const alone = all.map((it) => ({ ...it, takesCore: false }));
      expect(promised).toBeGreaterThanOrEqual(runGreedily(alone, cores) - 1e-9);
    }),
    { numRuns: 500 },
  );
});

test("what a choice takes is as written down a second time", () => {
  fc.assert(
    fc.property(smallProblems(), fc.nat(), (problem, seed) => {
      const choice = problem.steps.flatMap(
        (step, at) => step.options[(seed + at) % step.options.length] ?? [],
      );
      const totals = evaluateChoice(
        problem,
        choice.map((option) => option.id),
      );
      const plain = referenceTotals(problem, choice);
      expect(totals.latencyMs.expected).toBeCloseTo(plain.latencyMs, 9);
      expect(totals.latencyMs.upper).toBeCloseTo(plain.latencyMsUpper, 9);
      expect(totals.costUsd.expected).toBeCloseTo(plain.costUsd, 9);
      expect(totals.costUsd.upper).toBeCloseTo(plain.costUsdUpper, 9);
      expect(totals.energyWh.upper).toBeCloseTo(plain.energyWhUpper, 9);
      expect(totals.logLoss).toBeCloseTo(plain.logLoss, 9);
      expect(totals.gpuSec).toBeCloseTo(plain.gpuSec, 9);
      expect(totals.coreSec).toBeCloseTo(plain.workMs / 1_000, 9);
    }),
    { numRuns: 200 },
  );
});

test.each([
  [
    "a cycle",
    [
      { step: "a", after: ["b"] },
      { step: "b", after: ["a"] },
    ],
    /cycle/,
  ],
  ["an unknown step", [{ step: "a", after: ["x"] }], /step "x" is not known/],
])("refuses %s", (_, shapes, message) => {
  const problem = {
    ...problemOf([], 1),
    steps: shapes.map((shape) => ({ ...shape, probability: 1, options: [free] })),
    scenarios: [{ probability: 1, steps: shapes.map((shape) => shape.step) }],
  };
  expect(() => evaluateChoice(problem, ["only"])).toThrow(message);
});

test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("refuses %d as a cost", (costUsd) => {
  const problem = problemOf([task(1, [])], 1);
  const steps = problem.steps.map((step) => ({ ...step, options: [{ ...free, costUsd }] }));
  expect(() => evaluateChoice({ ...problem, steps }, ["only"])).toThrow(
    /costUsd of option "only" of step "s0" is .*expected a finite number >= 0/,
  );
});
