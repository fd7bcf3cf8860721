/**
 * What could be kept instead: per axis the nearest bound that holds with all the others as asked.
 *
 * Owns:      counter-offers in the optimizer's terms.
 * Does not:  word them, or round their numbers (a caller that rounds must round up).
 */
import { SLO_AXES, type SloAxis } from "@murakkab/model";
import type { ChoiceGoal } from "./evaluate.ts";
import { upperOf } from "./frontier.ts";
import type { ChoiceProblem, ChoiceResult, Relaxation, SolveOptions } from "./problem.ts";
import { LIMIT_OF, solveGoal, withoutLimit } from "./solve.ts";

const UPPER_OF: Readonly<Record<SloAxis, ChoiceGoal>> = {
  latency: "latency-upper",
  cost: "cost-upper",
  energy: "energy-upper",
  quality: "quality",
};

/**
 * For each axis that is bounded, in the order of `SLO_AXES`; none where no value of it would do.
 *
 * `bound` itself can be asked for: the choice keeps it to the last bit. Exact where the choice's
 * `gapRatio` is 0: nothing tighter can be kept.
 */
export function relaxations(problem: ChoiceProblem, options: SolveOptions = {}): Relaxation[] {
  return boundedAxes(problem).flatMap((axis) => {
    const choice = relaxAxis(problem, axis, options);
    if (choice.kind !== "solved") return [];
    return [{ axis, bound: upperOf(choice.totals, axis), choice }];
  });
}

export function boundedAxes({ limits }: ChoiceProblem): SloAxis[] {
  return SLO_AXES.filter((axis) => limits[LIMIT_OF[axis]] !== undefined);
}

/** The least upper value of the axis that the other bounds allow. */
export function relaxAxis(
  problem: ChoiceProblem,
  axis: SloAxis,
  options: SolveOptions,
): ChoiceResult {
  const relaxed = { ...problem, limits: withoutLimit(problem.limits, axis) };
  return solveGoal(relaxed, UPPER_OF[axis], { ...options, isReasonWanted: false });
}
