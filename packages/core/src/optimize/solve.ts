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
import { type Bound, boundAt, climbBound, type Multipliers, zeroMultipliers } from "./bound.ts";
import { type ChoiceGoal, compareLevels, Evaluator } from "./evaluate.ts";
import {
  buildKernel,
  buildScale,
  compactKernel,
  type Kernel,
  type Scale,
  scalarOf,
} from "./kernel.ts";
import { LocalSearch } from "./local-search.ts";
import type {
  ChoiceLimits,
  ChoiceProblem,
  ChoiceResult,
  SolvedChoice,
  SolveOptions,
} from "./problem.ts";
import { dropDominated, dropUnfit } from "./reduce.ts";
import { TreeSearch } from "./search.ts";

/** Options looked at: some seconds on one core. What is reached is told by `gapRatio`. */
export const CHOICE_NODES_MAX = 20_000_000;
const CLIMB_ITERATIONS_MAX = 300;
const CLIMB_AGAIN_ITERATIONS_MAX = 80;
const ROUNDS_MAX = 3;

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
    if (full.rowMax.some((max) => max < 0)) return this.finish(true);
    const pruned = this.hasBans ? full : dropDominated(full, this.evaluator);
    let kernel = dropUnfit(pruned);
    if (kernel === null) return this.finish(true);
    let bound = this.climb(kernel, zeroMultipliers(kernel), CLIMB_ITERATIONS_MAX);
    this.seed(kernel, bound);
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (this.isDone()) return this.finish(true);
      const smaller = this.fix(kernel, bound, this.upper);
      if (smaller === null) return this.finish(true);
      const isWorthIt = smaller.linear.length < 0.9 * kernel.linear.length;
      kernel = smaller;
      bound = isWorthIt
        ? this.climb(kernel, bound.multipliers, CLIMB_AGAIN_ITERATIONS_MAX)
        : boundAt(kernel, bound.multipliers);
      if (isWorthIt) this.seed(kernel, bound);
      else break;
    }
    return this.finish(this.search(kernel, bound));
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

  private isDone(): boolean {
    return (this.isAnyEnough && this.best !== null) || this.lower > this.upper;
  }

  private climb(kernel: Kernel, from: Multipliers, iterationsMax: number): Bound {
    const bound = climbBound(kernel, {
      from,
      iterationsMax,
      upper: () => this.upper,
      onChoice: (choice) => void this.offer(kernel, choice),
    });
    this.lower = Math.max(this.lower, bound.value);
    return bound;
  }

  private seed(kernel: Kernel, bound: Bound): void {
    const search = new LocalSearch(kernel, bound.reduced);
    const choice = new Int32Array(kernel.stepCount);
    for (const key of [bound.reduced, kernel.linear]) {
      for (let step = 0; step < kernel.stepCount; step += 1)
        choice[step] = leastOf(kernel, step, key);
      if (search.improve(choice, key === bound.reduced)) this.offer(kernel, choice);
    }
  }

  /** Options whose least relaxed sum is above `limit` are in no better choice. */
  private fix(kernel: Kernel, bound: Bound, limit: number): Kernel | null {
    if (!(limit < Number.POSITIVE_INFINITY)) return kernel;
    const keep = new Uint8Array(kernel.linear.length);
    for (let step = 0; step < kernel.stepCount; step += 1) {
      const least = bound.reduced[leastOf(kernel, step, bound.reduced)] ?? 0;
      const end = kernel.start[step + 1] ?? 0;
      for (let at = kernel.start[step] ?? 0; at < end; at += 1) {
        if (bound.value - least + (bound.reduced[at] ?? 0) <= limit) keep[at] = 1;
      }
    }
    return dropUnfit(compactKernel(kernel, keep).kernel);
  }

  /** True: what is not seen is proven not to be better. */
  private search(kernel: Kernel, bound: Bound): boolean {
    const { value, reduced, constant } = bound;
    const spans = this.spans(value);
    for (const span of spans) {
      const limit = Math.min(value + span, this.upper);
      const small = this.fix(kernel, bound, limit);
      if (small !== null) {
        const order = branchingOrder(small);
        const again = boundAt(small, bound.multipliers);
        const sorted = compactKernel(small, new Uint8Array(small.linear.length).fill(1), {
          key: again.reduced,
          order,
        });
        const tree = new TreeSearch(sorted.kernel, {
          reduced: Float64Array.from(sorted.picked, (at) => again.reduced[at] ?? 0),
          constant,
          threshold: () =>
            this.isAnyEnough && this.best !== null ? -Infinity : Math.min(value + span, this.upper),
          onLeaf: (choice) => this.offer(sorted.kernel, choice),
          nodesMax: this.nodesMax - this.nodeCount,
        });
        tree.run();
        this.nodeCount += tree.nodeCount;
        if (tree.isCut) {
          this.lower = Math.max(this.lower, Math.min(tree.openBound, this.upper));
          return false;
        }
      }
      this.lower = Math.max(this.lower, Math.min(value + span, this.upper));
      if (this.upper <= value + span || this.isDone()) return true;
    }
    void reduced;
    return true;
  }

  /** Growing shares of the gap: an optimum is mostly near the bound, and trees grow fast. */
  private spans(value: number): number[] {
    if (this.upper < Number.POSITIVE_INFINITY) {
      const gap = this.upper - value;
      return [gap / 4, gap / 2, Number.POSITIVE_INFINITY];
    }
    const unit = Math.abs(value) + 1e-6;
    return [0.02, 0.05, 0.12, 0.3, 1].map((share) => share * unit).concat(Number.POSITIVE_INFINITY);
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

function leastOf(kernel: Kernel, step: number, key: Float64Array): number {
  let best = kernel.start[step] as number;
  const end = kernel.start[step + 1] as number;
  for (let at = best + 1; at < end; at += 1) {
    if ((key[at] as number) < (key[best] as number)) best = at;
  }
  return best;
}

/** Steps with few options left first: the tree stays narrow where it is cut most. */
function branchingOrder(kernel: Kernel): Int32Array {
  const sizes = Array.from(
    { length: kernel.stepCount },
    (_, step) => (kernel.start[step + 1] ?? 0) - (kernel.start[step] ?? 0),
  );
  return Int32Array.from(sizes.keys()).sort((a, b) => (sizes[a] ?? 0) - (sizes[b] ?? 0) || a - b);
}
