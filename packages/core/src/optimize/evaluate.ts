/**
 * What one whole configuration takes: the model that the solver is exact with respect to.
 *
 * Owns:      the latency model, the values that an objective compares, whether bounds hold.
 * Does not:  search.
 *
 * Latency, of the steps that run in a scenario, with m = max(1, cores):
 *
 *     L = queueMs + max over paths of sum(runMs - min(runMs, workMs) / m) + sum(workMs) / m
 *
 * Source: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17 (1969).
 * No schedule that leaves no core idle while a step could start takes longer: whenever the path
 * that ends last does not advance, all cores are busy with other work. Where every step keeps a
 * core busy (workMs >= runMs) this is his CP (1 - 1/m) + W/m. Steps that take no core, such as a
 * call to a service, give nothing back. Parallel steps on one core are so not counted as parallel,
 * and L is never below the longest path or below sum(workMs) / m.
 *
 * Invariants:
 *   E1. Bounds are held by the upper values, over the last scenario (all steps).
 *   E2. Objectives take expected values: weighted with the steps' or the scenarios' probabilities.
 *   E3. Sums are taken in the problem's order, so that a configuration has one value to the last bit.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Objective } from "@murakkab/model";
import type { ChoiceProblem, ChoiceTotals, OptionPoint } from "./problem.ts";

/** Weights of expected values, per unit of each: all > 0, so that the least sum is undominated. */
export interface GoalMix {
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
  readonly logLoss: number;
}

/** What a solve makes least: an objective, the upper value that a bound is held by, or a mix. */
export type ChoiceGoal = Objective | "latency-upper" | "cost-upper" | "energy-upper" | GoalMix;

/** Values nearer than this share of one another count as equal, in every comparison of choices. */
export const TIE_RATIO = 1e-9;

/** Negative: `left` is better. Same length, of one goal. */
export function compareLevels(left: readonly number[], right: readonly number[]): number {
  for (let index = 0; index < left.length; index += 1) {
    const a = left[index] ?? 0;
    const b = right[index] ?? 0;
    if (Math.abs(a - b) > TIE_RATIO * Math.max(Math.abs(a), Math.abs(b))) return a - b;
  }
  return 0;
}

export const OPTION_COLUMNS = [
  "runMs",
  "workMs",
  "costUsd",
  "energyWh",
  "gpuSec",
  "runMsUpper",
  "workMsUpper",
  "costUsdUpper",
  "energyWhUpper",
  "logLoss",
] as const satisfies readonly (keyof OptionPoint)[];
export type OptionColumn = (typeof OPTION_COLUMNS)[number];

/** A problem as columns of numbers: option `index` of step `v` is at `offset[v] + index`. */
export class Evaluator {
  readonly problem: ChoiceProblem;
  readonly goal: ChoiceGoal;
  readonly stepCount: number;
  readonly offset: Int32Array;
  readonly columns: Readonly<Record<OptionColumn, Float64Array>>;
  /** What an option adds to a path that it lies on, expected and upper. */
  readonly path: Float64Array;
  readonly pathUpper: Float64Array;
  readonly cores: number;
  readonly probability: Float64Array;
  /** Steps in an order in which each comes after those that it needs. */
  readonly order: Int32Array;
  readonly before: readonly Int32Array[];
  /** By scenario: 1 where the step runs. */
  readonly runs: readonly Uint8Array[];
  readonly scenarioProbability: Float64Array;
  private readonly finish: Float64Array;

  /** Errors: `INVALID_ARGUMENT` for a cycle, an unknown step, a step without options, a NaN. */
  constructor(problem: ChoiceProblem, goal: ChoiceGoal = problem.objective) {
    this.problem = problem;
    this.goal = goal;
    const { steps, scenarios } = problem;
    this.stepCount = steps.length;
    this.cores = Math.max(1, problem.cores);
    this.offset = new Int32Array(steps.length + 1);
    steps.forEach((step, index) => {
      if (step.options.length === 0) {
        throw new InvalidArgumentError(
          `step "${step.step}" has no options, expected one at least`,
          {
            field: `steps.${step.step}.options`,
          },
        );
      }
      this.offset[index + 1] = (this.offset[index] ?? 0) + step.options.length;
    });
    const columns = Object.fromEntries(
      OPTION_COLUMNS.map((name) => [name, fillColumn(problem, name)]),
    ) as Record<OptionColumn, Float64Array>;
    this.columns = columns;
    this.path = pathTerms(columns.runMs, columns.workMs, this.cores);
    this.pathUpper = pathTerms(columns.runMsUpper, columns.workMsUpper, this.cores);
    this.probability = Float64Array.from(steps, (step) => step.probability);
    const index = new Map(steps.map((step, at) => [step.step, at]));
    this.before = steps.map((step) =>
      Int32Array.from(step.after, (name) => indexOf(index, name, `steps.${step.step}.after`)),
    );
    this.order = topologicalOrder(problem, this.before);
    this.runs = scenarios.map((scenario) => {
      const mask = new Uint8Array(steps.length);
      for (const name of scenario.steps) mask[indexOf(index, name, "scenarios")] = 1;
      return mask;
    });
    checkScenarios(problem, this.runs);
    this.scenarioProbability = Float64Array.from(scenarios, (it) => it.probability);
    this.finish = new Float64Array(steps.length);
  }

  /** `flat`: per step the position of its option in the columns. No allocation. */
  sum(flat: Int32Array, column: Float64Array, weights: Float64Array | null): number {
    let total = 0;
    for (let step = 0; step < this.stepCount; step += 1) {
      const value = column[flat[step] as number] as number;
      total += weights === null ? value : value * (weights[step] as number);
    }
    return total;
  }

  private latency(flat: Int32Array, scenario: number, isUpper: boolean): number {
    const { order, before, finish } = this;
    const path = isUpper ? this.pathUpper : this.path;
    const work = isUpper ? this.columns.workMsUpper : this.columns.workMs;
    const mask = this.runs[scenario] as Uint8Array;
    let longest = 0;
    for (let at = 0; at < order.length; at += 1) {
      const step = order[at] as number;
      const sources = before[step] as Int32Array;
      let start = 0;
      for (let source = 0; source < sources.length; source += 1) {
        const ready = finish[sources[source] as number] as number;
        if (ready > start) start = ready;
      }
      const end = mask[step] === 1 ? start + (path[flat[step] as number] as number) : start;
      finish[step] = end;
      if (end > longest) longest = end;
    }
    let total = 0;
    for (let step = 0; step < this.stepCount; step += 1) {
      if (mask[step] === 1) total += work[flat[step] as number] as number;
    }
    return this.problem.queueMs + longest + total / this.cores;
  }

  latencyUpper(flat: Int32Array): number {
    return this.latency(flat, this.runs.length - 1, true);
  }

  latencyExpected(flat: Int32Array): number {
    let total = 0;
    for (let scenario = 0; scenario < this.runs.length; scenario += 1) {
      total += (this.scenarioProbability[scenario] as number) * this.latency(flat, scenario, false);
    }
    return total;
  }

  logLoss(flat: Int32Array): number {
    return this.problem.baseLogLoss + this.sum(flat, this.columns.logLoss, null);
  }

  /** E1. */
  keepsLimits(flat: Int32Array): boolean {
    const { latencyMsMax, costUsdMax, energyWhMax, logLossMax } = this.problem.limits;
    const { costUsdUpper, energyWhUpper } = this.columns;
    return (
      (costUsdMax === undefined || this.sum(flat, costUsdUpper, null) <= costUsdMax) &&
      (energyWhMax === undefined || this.sum(flat, energyWhUpper, null) <= energyWhMax) &&
      (logLossMax === undefined || this.logLoss(flat) <= logLossMax) &&
      (latencyMsMax === undefined || this.latencyUpper(flat) <= latencyMsMax)
    );
  }

  isBanned(flat: Int32Array): boolean {
    return this.problem.isBanned?.(this.idsOf(flat)) ?? false;
  }

  idsOf(flat: Int32Array): string[] {
    return this.problem.steps.map(
      (step, at) => step.options[(flat[at] ?? 0) - (this.offset[at] ?? 0)]?.id ?? "",
    );
  }

  /** Errors: `INVALID_ARGUMENT` for an id that the step has no option of. */
  flatOf(optionIds: readonly string[]): Int32Array {
    return Int32Array.from(this.problem.steps, (step, at) => {
      const index = step.options.findIndex((option) => option.id === optionIds[at]);
      if (index >= 0) return (this.offset[at] ?? 0) + index;
      throw new InvalidArgumentError(
        `step "${step.step}" has no option "${optionIds[at] ?? ""}", expected one of its ${step.options.length}`,
        { field: `optionIds.${at}` },
      );
    });
  }

  /** What decides, in turn; see `ChoiceTotals.levels`. E2. */
  levels(flat: Int32Array): number[] {
    const { columns, probability } = this;
    const cost = this.sum(flat, columns.costUsd, probability);
    const energy = this.sum(flat, columns.energyWh, probability);
    const latency = this.latencyExpected(flat);
    const ties = [cost, energy, latency];
    const { goal } = this;
    if (typeof goal === "object") {
      const loss = goal.logLoss * this.logLoss(flat);
      const mixed = goal.latencyMs * latency + goal.costUsd * cost + goal.energyWh * energy + loss;
      return [mixed, ...ties];
    }
    switch (goal) {
      case "cost":
        return ties;
      case "energy":
        return [energy, ...ties];
      case "latency":
        return [latency, ...ties];
      case "quality":
        return [this.logLoss(flat), ...ties];
      case "resources":
        return [
          this.sum(flat, columns.gpuSec, probability),
          this.sum(flat, columns.workMs, probability),
          ...ties,
        ];
      case "latency-upper":
        return [this.latencyUpper(flat), ...ties];
      case "cost-upper":
        return [this.sum(flat, columns.costUsdUpper, null), ...ties];
      case "energy-upper":
        return [this.sum(flat, columns.energyWhUpper, null), ...ties];
    }
  }

  totals(flat: Int32Array): ChoiceTotals {
    const { columns, probability } = this;
    const levels = this.levels(flat);
    const both = (expected: Float64Array, upper: Float64Array) => ({
      expected: this.sum(flat, expected, probability),
      upper: this.sum(flat, upper, null),
    });
    return {
      latencyMs: { expected: this.latencyExpected(flat), upper: this.latencyUpper(flat) },
      costUsd: both(columns.costUsd, columns.costUsdUpper),
      energyWh: both(columns.energyWh, columns.energyWhUpper),
      logLoss: this.logLoss(flat),
      gpuSec: this.sum(flat, columns.gpuSec, probability),
      coreSec: this.sum(flat, columns.workMs, probability) / 1_000,
      objective: levels[0] ?? 0,
      levels,
    };
  }
}

/** Errors: `INVALID_ARGUMENT` as the `Evaluator`. */
export function evaluateChoice(
  problem: ChoiceProblem,
  optionIds: readonly string[],
): ChoiceTotals & { readonly keepsLimits: boolean } {
  const evaluator = new Evaluator(problem);
  const flat = evaluator.flatOf(optionIds);
  return { ...evaluator.totals(flat), keepsLimits: evaluator.keepsLimits(flat) };
}

function fillColumn(problem: ChoiceProblem, name: OptionColumn): Float64Array {
  const values: number[] = [];
  for (const step of problem.steps) {
    for (const option of step.options) {
      const value = option[name];
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
        throw new InvalidArgumentError(
          `${name} of option "${option.id}" of step "${step.step}" is ${value}, expected a finite number >= 0`,
          { field: `steps.${step.step}.options.${option.id}.${name}` },
        );
      }
      values.push(value);
    }
  }
  return Float64Array.from(values);
}

function pathTerms(run: Float64Array, work: Float64Array, cores: number): Float64Array {
  return run.map((runMs, at) => runMs - Math.min(runMs, work[at] ?? 0) / cores);
}

function indexOf(index: ReadonlyMap<string, number>, name: string, field: string): number {
  const at = index.get(name);
  if (at !== undefined) return at;
  throw new InvalidArgumentError(`step "${name}" is not known, expected one of the problem's`, {
    field,
  });
}

function topologicalOrder(problem: ChoiceProblem, before: readonly Int32Array[]): Int32Array {
  const waiting = before.map((sources) => sources.length);
  const order: number[] = [];
  const ready = waiting.flatMap((count, step) => (count === 0 ? [step] : []));
  for (let step = ready.shift(); step !== undefined; step = ready.shift()) {
    order.push(step);
    before.forEach((sources, next) => {
      for (const source of sources) {
        if (source !== step) continue;
        waiting[next] = (waiting[next] ?? 0) - 1;
        if (waiting[next] === 0) ready.push(next);
      }
    });
  }
  if (order.length === before.length) return Int32Array.from(order);
  const stuck = problem.steps.find((_, at) => (waiting[at] ?? 0) > 0)?.step ?? "";
  throw new InvalidArgumentError(`steps form a cycle through "${stuck}", expected a DAG`, {
    field: "steps",
  });
}

function checkScenarios(problem: ChoiceProblem, runs: readonly Uint8Array[]): void {
  const last = runs.at(-1);
  if (last !== undefined && !last.includes(0)) return;
  const missing = problem.steps.find((_, at) => last?.[at] !== 1)?.step ?? "";
  throw new InvalidArgumentError(
    `the last scenario lacks the step "${missing}", expected all steps`,
    { field: "scenarios" },
  );
}
