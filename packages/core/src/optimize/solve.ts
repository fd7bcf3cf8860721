/**
 * The best whole configuration under all bounds together: exact branch and bound.
 *
 * Owns:      the incumbent and its comparison, bans, cut-offs, what is told where nothing fits.
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
import { type ChoiceGoal, compareLevels, Evaluator, TIE_RATIO } from "./evaluate.ts";
import {
  buildKernel,
  buildScale,
  type Kernel,
  type LevelCap,
  type Scale,
  SECOND_LEVEL_WEIGHT,
  scalarOf,
} from "./kernel.ts";
import type {
  ChoiceLimits,
  ChoiceProblem,
  ChoiceResult,
  SolvedChoice,
  SolveOptions,
} from "./problem.ts";
import { dropUnfit, undominated } from "./reduce.ts";

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

/** As `solveChoice`, with what is made least. */
export function solveGoal(
  problem: ChoiceProblem,
  goal: ChoiceGoal,
  options: SolveOptions = {},
): ChoiceResult {
  const { choice, isProved, nodeCount } = search(problem, goal, options, false);
  if (choice !== null) return choice;
  if (options.cutoff !== undefined) return { kind: "beaten", isProved, nodeCount };
  return {
    kind: "infeasible",
    binding: isProved && options.isReasonWanted !== false ? bindingAxes(problem, options) : [],
    isProved,
    nodeCount,
  };
}

/** V4: bans cost the leaving out of dominated options, so first without; mostly none is met. */
function search(
  problem: ChoiceProblem,
  goal: ChoiceGoal,
  options: SolveOptions,
  isAnyEnough: boolean,
): Outcome {
  const { isBanned, ...free } = problem;
  const outcome = new Solver(free, goal, options, isAnyEnough).solve();
  if (isBanned === undefined) return outcome;
  if (outcome.choice === null ? outcome.isProved : !isBanned(outcome.choice.optionIds))
    return outcome;
  const again = new Solver(problem, goal, options, isAnyEnough).solve();
  const nodeCount = outcome.nodeCount + again.nodeCount;
  return { ...again, nodeCount, choice: again.choice && { ...again.choice, nodeCount } };
}

export const LIMIT_OF: Readonly<Record<SloAxis, keyof ChoiceLimits>> = {
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
    const relaxed = { ...problem, limits: rest };
    const { choice, isProved } = search(relaxed, problem.objective, options, true);
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
  private readonly nodesMax: number;
  private readonly isAnyEnough: boolean;
  private readonly hasBans: boolean;
  private best: Int32Array | null = null;
  private bestLevels: readonly number[] | null;
  private scale: Scale;
  /** S of the incumbent or cutoff, with room for rounding; infinite without one. */
  private upper = Number.POSITIVE_INFINITY;
  private hasSettled = false;
  private nodeCount = 0;
  private readonly trial: Int32Array;

  /** `isAnyEnough`: the first choice that keeps the bounds ends the search. */
  constructor(
    problem: ChoiceProblem,
    goal: ChoiceGoal,
    options: SolveOptions,
    isAnyEnough: boolean,
  ) {
    this.evaluator = new Evaluator(problem, goal);
    this.scale = buildScale(this.evaluator, 0);
    this.nodesMax = options.nodesMax ?? CHOICE_NODES_MAX;
    this.isAnyEnough = isAnyEnough;
    this.hasBans = problem.isBanned !== undefined;
    this.bestLevels = options.cutoff ?? null;
    this.trial = new Int32Array(problem.steps.length);
  }

  /** One level after the other where many choices share the best value of the first one. */
  solve(): Outcome {
    if (!this.isBelowCutoff()) return this.finish(0);
    const caps: LevelCap[] = [];
    for (;;) {
      this.setUpper();
      const gap = this.searchAll(buildKernel(this.evaluator, this.scale, caps));
      const { first, second, hasTies } = this.scale;
      const settled = this.bestLevels?.[first];
      if (gap > 0 || !hasTies || settled === undefined || this.isAnyEnough) return this.finish(gap);
      this.hasSettled = true;
      caps.push({ level: first, max: settled + TIE_RATIO * Math.abs(settled) });
      this.scale = buildScale(this.evaluator, second);
    }
  }

  /** Searches for what is better in the present scale; the gap that is left, in shares. */
  private searchAll(full: Kernel): number {
    const kernel = dropUnfit(full);
    if (kernel === null) return 0;
    const search = new BranchAndBound({
      upper: () => (this.isAnyEnough && this.best !== null ? -Infinity : this.upper),
      offer: (part, choice) => this.offer(part, choice),
      undominated: this.hasBans ? null : (part) => undominated(part, this.evaluator),
      nodesMax: this.nodesMax - this.nodeCount,
    });
    search.run(kernel);
    this.nodeCount += search.nodeCount;
    return search.isCut ? gapOf(search.openBound, this.upper) : 0;
  }

  /**
   * False: the cutoff is better in a level in which all choices are the same. Where it is worse
   * in such a level it is forgotten: whatever keeps the bounds beats it.
   */
  private isBelowCutoff(): boolean {
    if (this.bestLevels === null) return true;
    const { evaluator } = this;
    const { first } = this.scale;
    const any = evaluator.levels(evaluator.offset.slice(0, -1)).slice(0, first);
    const order = compareLevels(any, this.bestLevels.slice(0, first));
    if (order < 0) this.bestLevels = null;
    return order <= 0;
  }

  /** Rounding must not cut off an equal choice: ties are decided by the evaluator. */
  private setUpper(): void {
    if (this.bestLevels === null) return;
    const { first, firstWeight, hasTies } = this.scale;
    if (this.best === null) {
      // Levels between, the same for all choices, may tell a cutoff apart: its first level only.
      const leading = (this.bestLevels[first] ?? 0) * firstWeight;
      this.upper = this.hasSettled
        ? Number.POSITIVE_INFINITY
        : leading + TIE_RATIO * Math.abs(leading) + 2 * SECOND_LEVEL_WEIGHT;
      return;
    }
    const scalar = scalarOf(this.bestLevels, this.scale);
    const room = 1e-13 * Math.max(1, Math.abs(scalar));
    // Equals of this level are for the next one to find.
    this.upper = hasTies ? scalar - Math.max(TIE_RATIO * Math.abs(scalar), room) : scalar + room;
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
    this.setUpper();
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

  private finish(gapRatio: number): Outcome {
    const { best, nodeCount } = this;
    const isProved = gapRatio === 0;
    if (best === null) return { choice: null, isProved, nodeCount };
    return {
      isProved,
      nodeCount,
      choice: {
        kind: "solved",
        optionIds: this.evaluator.idsOf(best),
        totals: this.evaluator.totals(best),
        gapRatio,
        nodeCount,
      },
    };
  }
}

/** In shares of the value, or of the scale's unit where the value is next to nothing. */
function gapOf(lower: number, upper: number): number {
  if (upper === Number.POSITIVE_INFINITY) return 1;
  const ratio = (upper - lower) / Math.max(Math.abs(upper), 1);
  return ratio <= TIE_RATIO ? 0 : Math.min(1, ratio);
}
