/**
 * The best whole configuration under all bounds together: exact branch and bound.
 *
 * Owns:      the order of the means: leave out what can't be in an optimum, climb to a bound, find
 *            a good choice, leave out more, search the rest.
 * Does not:  know what steps and options stand for.
 *
 * Pure and bounded by counts: the same problem gives the same answer to the last bit.
 *
 * Invariants:
 *   V1. A choice that is returned keeps all bounds by the evaluator's sums, and is not banned.
 *   V2. `gapRatio` 0: no choice that keeps the bounds is better by more than TIE_RATIO.
 *   V3. `infeasible` with `isProved`: there is no choice that keeps the bounds.
 *   V4. With bans nothing is left out as dominated: a ban may leave over just that.
 */
import type { SloAxis } from "@murakkab/model";
import { BranchAndBound } from "./branch.ts";
import { type ChoiceGoal, compareLevels, Evaluator } from "./evaluate.ts";
import { buildKernel, buildScale, type Kernel, type Scale, scalarOf } from "./kernel.ts";
import type {
  ChoiceLimits,
  ChoiceProblem,
  ChoiceResult,
  SolvedChoice,
  SolveOptions,
} from "./problem.ts";
import { dropDominated, dropUnfit } from "./reduce.ts";

/** Options looked at: some seconds on one core. What is reached is told by `gapRatio`. */
export const CHOICE_NODES_MAX = 20_000_000;

/** Errors: `INVALID_ARGUMENT` for a problem that is none (see `Evaluator`). */
export function solveChoice(problem: ChoiceProblem, options: SolveOptions = {}): ChoiceResult {
  return solveGoal(problem, problem.objective, options);
}

/** The best over several problems of one objective (execution paths of one job). */
export function solveCases(
  problems: readonly ChoiceProblem[],
  options: SolveOptions = {},
): {
  readonly best: { readonly index: number; readonly choice: SolvedChoice } | null;
  readonly results: readonly ChoiceResult[];
} {
  let best: { index: number; choice: SolvedChoice } | null = null;
  const results: ChoiceResult[] = [];
  let cutoff = options.cutoff;
  problems.forEach((problem, index) => {
    const result = solveChoice(problem, {
      ...options,
      ...(cutoff === undefined ? {} : { cutoff }),
    });
    results.push(result);
    if (result.kind !== "solved") return;
    best = { index, choice: result };
    cutoff = result.totals.levels;
  });
  return { best, results };
}

export function solveGoal(
  problem: ChoiceProblem,
  goal: ChoiceGoal,
  options: SolveOptions = {},
): ChoiceResult {
  const outcome = new Solver(problem, goal, options).solve();
  if (outcome.choice !== null) return outcome.choice;
  const { isProved, nodeCount } = outcome;
  if (options.cutoff !== undefined) return { kind: "beaten", isProved, nodeCount };
  return {
    kind: "infeasible",
    binding: isProved ? bindingAxes(problem, options) : [],
    isProved,
    nodeCount,
  };
}

const LIMIT_OF: Readonly<Record<SloAxis, keyof ChoiceLimits>> = {
  latency: "latencyMsMax",
  cost: "costUsdMax",
  energy: "energyWhMax",
  quality: "logLossMax",
};

export function withoutLimit(limits: ChoiceLimits, axis: SloAxis): ChoiceLimits {
  const rest: { -readonly [K in keyof ChoiceLimits]: ChoiceLimits[K] } = { ...limits };
  delete rest[LIMIT_OF[axis]];
  return rest;
}

/** Leaves out bounds one by one as long as nothing fits: what is left can't hold together. */
function bindingAxes(problem: ChoiceProblem, options: SolveOptions): SloAxis[] {
  let { limits } = problem;
  const binding: SloAxis[] = [];
  for (const axis of ["latency", "cost", "energy", "quality"] as const) {
    if (limits[LIMIT_OF[axis]] === undefined) continue;
    const rest = withoutLimit(limits, axis);
    const solver = new Solver({ ...problem, limits: rest }, problem.objective, options, true);
    const { choice, isProved } = solver.solve();
    if (choice !== null || !isProved) binding.push(axis);
    else limits = rest;
  }
  return binding;
}

interface Outcome {
  readonly choice: SolvedChoice | null;
  readonly isProved: boolean;
  readonly nodeCount: number;
}

class Solver {
  private readonly evaluator: Evaluator;
  private readonly scale: Scale;
  private readonly nodesMax: number;
  private readonly isAnyEnough: boolean;
  private readonly hasBans: boolean;
  private best: Int32Array | null = null;
  private bestLevels: readonly number[] | null;
  /** S of the incumbent or cutoff, with room for rounding; infinite without one. */
  private upper = Number.POSITIVE_INFINITY;
  /** Proven: no choice has a lower S. */
  private lower = Number.NEGATIVE_INFINITY;
  private nodeCount = 0;
  private readonly trial: Int32Array;

  /** `isAnyEnough`: the first choice that keeps the bounds ends the search. */
  constructor(
    problem: ChoiceProblem,
    goal: ChoiceGoal,
    options: SolveOptions,
    isAnyEnough = false,
  ) {
    this.evaluator = new Evaluator(problem, goal);
    this.scale = buildScale(this.evaluator);
    this.nodesMax = options.nodesMax ?? CHOICE_NODES_MAX;
    this.isAnyEnough = isAnyEnough;
    this.hasBans = problem.isBanned !== undefined;
    this.bestLevels = options.cutoff ?? null;
    this.trial = new Int32Array(problem.steps.length);
  }

  solve(): Outcome {
    if (!this.takeCutoff()) return this.finish(true);
    const full = buildKernel(this.evaluator, this.scale);
    const pruned = this.hasBans ? full : dropDominated(full, this.evaluator);
    const kernel = dropUnfit(pruned);
    if (kernel === null) return this.finish(true);
    const search = new BranchAndBound({
      upper: () => (this.isAnyEnough && this.best !== null ? -Infinity : this.upper),
      offer: (part, choice) => this.offer(part, choice),
      nodesMax: this.nodesMax,
    });
    search.run(kernel);
    this.nodeCount = search.nodeCount;
    this.lower = search.openBound;
    return this.finish(!search.isCut || this.lower >= this.upper);
  }

  /** False: the cutoff is better in a level in which all choices are the same. */
  private takeCutoff(): boolean {
    const cutoff = this.bestLevels;
    if (cutoff === null) return true;
    const { fixed } = this.scale;
    const order = compareLevels(fixed, cutoff.slice(0, fixed.length));
    if (order > 0) return false;
    // Better already in a level that all choices share: whatever is feasible beats the cutoff.
    if (order === 0) this.upper = withRoom(scalarOf(cutoff, this.scale));
    return true;
  }

  /** Takes `choice` (positions in `kernel`) where it is allowed and better. */
  private offer(kernel: Kernel, choice: Int32Array): boolean {
    const { evaluator, trial } = this;
    for (let at = 0; at < choice.length; at += 1) {
      trial[kernel.stepOf[at] as number] = kernel.flat[choice[at] as number] as number;
    }
    if (!evaluator.keepsLimits(trial)) return false;
    const levels = evaluator.levels(trial);
    if (this.bestLevels !== null) {
      const order = compareLevels(levels, this.bestLevels);
      if (order > 0 || (order === 0 && !this.isFirstById(trial))) return false;
    }
    if (evaluator.isBanned(trial)) return false;
    this.best = trial.slice();
    this.bestLevels = levels;
    this.upper = withRoom(scalarOf(levels, this.scale));
    return true;
  }

  /** Of equals the one with the smaller ids; a cutoff that is only equalled is not beaten. */
  private isFirstById(flat: Int32Array): boolean {
    if (this.best === null) return false;
    const left = this.evaluator.idsOf(flat);
    const right = this.evaluator.idsOf(this.best);
    for (let at = 0; at < left.length; at += 1) {
      const a = left[at] ?? "";
      const b = right[at] ?? "";
      if (a !== b) return a < b;
    }
    return false;
  }

  private finish(isProved: boolean): Outcome {
    const { best, nodeCount } = this;
    if (best === null) return { choice: null, isProved, nodeCount };
    return {
      isProved,
      nodeCount,
      choice: {
        kind: "solved",
        optionIds: this.evaluator.idsOf(best),
        totals: this.evaluator.totals(best),
        gapRatio: isProved ? 0 : gapOf(this.lower, this.upper),
        nodeCount,
      },
    };
  }
}

/** Rounding must not cut off an equal choice: ties are decided by the evaluator. */
function withRoom(scalar: number): number {
  return scalar + 1e-13 * Math.max(1, Math.abs(scalar));
}

function gapOf(lower: number, upper: number): number {
  if (lower >= upper) return 0;
  return Math.min(1, (upper - lower) / Math.max(Math.abs(upper), 1e-300));
}
