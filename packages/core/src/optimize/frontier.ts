/**
 * Whole configurations that no other found one beats on every axis, for people to look at.
 *
 * Owns:      which points are looked for, and the sieve.
 * Does not:  list all undominated configurations: there may be millions.
 *
 * Epsilon-constraint sweeps: first the best of each axis, then each axis under a bound on another
 * one that is drawn in step by step. In every solve the other axes count a little, so that of
 * equals the better all-rounder is taken.
 * Source: Y. Haimes, L. Lasdon, D. Wismer (1971); the small weights as in the augmented form of
 * G. Mavrotas (2009).
 *
 * Invariants:
 *   F1. Every point keeps the problem's bounds and is not banned.
 *   F2. No point is as good as another one in all four expected values and better in one.
 *   F3. At most `pointsMax` points, from at most `pointsMax` solves.
 */
import { type GoalMix, TIE_RATIO } from "./evaluate.ts";
import type { ChoiceLimits, ChoiceProblem, ChoiceTotals, SolvedChoice } from "./problem.ts";
import { LIMIT_OF, solveGoal } from "./solve.ts";

const AXES = ["latency", "cost", "energy", "quality"] as const;
type Axis = (typeof AXES)[number];

/** Weight of an axis that is not the one that is minimised, in shares of its range. */
const MINOR_WEIGHT = 0.02;
/** The same for the ends of the frontier: to tell equals apart, no more. */
const TIE_WEIGHT = 1e-6;
/** Half a second at worst; a point is as good to look at when it is not proved optimal. */
const NODES_MAX = 500_000;

export interface FrontierOptions {
  readonly pointsMax: number;
  /** Of each solve. */
  readonly nodesMax?: number;
}

/** Latency ascending. Empty where nothing keeps the bounds, or nothing was found within them. */
export function frontier(problem: ChoiceProblem, options: FrontierOptions): SolvedChoice[] {
  const sweep = new Sweep(problem, options);
  sweep.run();
  return sweep.points();
}

class Sweep {
  private readonly problem: ChoiceProblem;
  private readonly options: FrontierOptions;
  private readonly found: SolvedChoice[] = [];
  private solveCount = 0;

  constructor(problem: ChoiceProblem, options: FrontierOptions) {
    this.problem = problem;
    this.options = options;
  }

  run(): void {
    // Ranges are not known yet: each axis in shares of what one configuration takes.
    const start = this.solve(mixOf(null, meanOption(this.problem), 1), {});
    if (start === null) return;
    const units = byAxis((axis) => expectedOf(start.totals, axis));
    for (const axis of AXES) this.solve(mixOf(axis, units, TIE_WEIGHT), {});
    const ranges = rangesOf(this.found);
    const pairs = AXES.flatMap((axis) =>
      AXES.filter((other) => other !== axis && ranges[other] > 0).map((other) => ({ axis, other })),
    );
    if (pairs.length === 0) return;
    const uppers = (axis: Axis) => this.found.map((it) => upperOf(it.totals, axis));
    const best = byAxis((axis) => Math.min(...uppers(axis)));
    const most = byAxis((axis) => Math.max(...uppers(axis)));
    const levels = Math.ceil((this.options.pointsMax - this.solveCount) / pairs.length);
    for (let level = 1; level <= levels; level += 1) {
      for (const { axis, other } of pairs) {
        // Halves first, then finer: wherever the bound on solves falls, points are spread.
        const share = radicalInverse(level);
        const bound = best[other] + (most[other] - best[other]) * share;
        this.solve(mixOf(axis, ranges, MINOR_WEIGHT), { [LIMIT_OF[other]]: bound });
      }
    }
  }

  points(): SolvedChoice[] {
    const kept = this.found.filter(
      (point, at) =>
        !this.found.some((other, index) => index !== at && beats(other, point, index < at)),
    );
    return kept.sort(
      (left, right) =>
        left.totals.latencyMs.expected - right.totals.latencyMs.expected ||
        left.totals.costUsd.expected - right.totals.costUsd.expected,
    );
  }

  private solve(goal: GoalMix, tighter: ChoiceLimits): SolvedChoice | null {
    if (this.solveCount >= this.options.pointsMax) return null;
    this.solveCount += 1;
    const { limits } = this.problem;
    const merged: { -readonly [K in keyof ChoiceLimits]: ChoiceLimits[K] } = { ...limits };
    for (const axis of AXES) {
      const key = LIMIT_OF[axis];
      const value = Math.min(limits[key] ?? Infinity, tighter[key] ?? Infinity);
      if (value < Infinity) merged[key] = value;
    }
    const result = solveGoal({ ...this.problem, limits: merged }, goal, {
      nodesMax: this.options.nodesMax ?? NODES_MAX,
      // A sweep's dead end needs no reasons.
      isReasonWanted: false,
    });
    if (result.kind !== "solved") return null;
    this.found.push(result);
    return result;
  }
}

/** What an option takes on average. */
function meanOption(problem: ChoiceProblem): Record<Axis, number> {
  const options = problem.steps.flatMap((step) => step.options);
  const mean = (value: (option: (typeof options)[number]) => number) =>
    options.reduce((sum, option) => sum + value(option), 0) / Math.max(1, options.length);
  return {
    latency: mean((option) => option.runMs),
    cost: mean((option) => option.costUsd),
    energy: mean((option) => option.energyWh),
    quality: mean((option) => option.logLoss),
  };
}

function byAxis(value: (axis: Axis) => number): Record<Axis, number> {
  return {
    latency: value("latency"),
    cost: value("cost"),
    energy: value("energy"),
    quality: value("quality"),
  };
}

/** Of the expected values; 0 where all are as good as equal. */
function rangesOf(found: readonly SolvedChoice[]): Record<Axis, number> {
  return byAxis((axis) => {
    const values = found.map((it) => expectedOf(it.totals, axis));
    const low = Math.min(...values);
    const high = Math.max(...values);
    return high - low > TIE_RATIO * high ? high - low : 0;
  });
}

/** `minor`: weight of the axes beside `major`, in shares of their units. */
function mixOf(major: Axis | null, units: Record<Axis, number>, minor: number): GoalMix {
  const weight = (axis: Axis) => (axis === major ? 1 : minor) / (units[axis] > 0 ? units[axis] : 1);
  return {
    latencyMs: weight("latency"),
    costUsd: weight("cost"),
    energyWh: weight("energy"),
    logLoss: weight("quality"),
  };
}

function expectedOf(totals: ChoiceTotals, axis: Axis): number {
  if (axis === "latency") return totals.latencyMs.expected;
  if (axis === "cost") return totals.costUsd.expected;
  if (axis === "energy") return totals.energyWh.expected;
  return totals.logLoss;
}

export function upperOf(totals: ChoiceTotals, axis: Axis): number {
  if (axis === "latency") return totals.latencyMs.upper;
  if (axis === "cost") return totals.costUsd.upper;
  if (axis === "energy") return totals.energyWh.upper;
  return totals.logLoss;
}

/** As good on every axis; equals beat one another only where `winsTies`. */
function beats(left: SolvedChoice, right: SolvedChoice, winsTies: boolean): boolean {
  let isBetter = false;
  for (const axis of AXES) {
    const a = expectedOf(left.totals, axis);
    const b = expectedOf(right.totals, axis);
    if (a > b) return false;
    if (a < b) isBetter = true;
  }
  return isBetter || winsTies;
}

/** 1/2, 1/4, 3/4, 1/8, 5/8, … */
function radicalInverse(index: number): number {
  let value = 0;
  let share = 0.5;
  for (let rest = index; rest > 0; rest >>= 1) {
    value += share * (rest & 1);
    share /= 2;
  }
  return value;
}
