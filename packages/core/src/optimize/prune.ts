/**
 * Leave out options that another one of the same step beats or equals in every number.
 *
 * Owns:      dominance within one step.
 * Does not:  look at bounds or objectives (the solver also leaves out what those two allow).
 *
 * Invariants:
 *   U1. What is left out has a kept option that is as good or better in every number; of equals
 *       the one with the smaller id stays. So no optimum gets worse, whatever bounds and objective.
 *   U2. Not where configurations are banned: the beaten option may be what a ban leaves over.
 */
import { OPTION_COLUMNS } from "./evaluate.ts";
import type { DominatedOption, OptionPoint, StepOptions } from "./problem.ts";

export interface PrunedStep {
  /** In the step's own order. */
  readonly kept: readonly OptionPoint[];
  readonly dominated: readonly DominatedOption[];
}

/** Cost: options squared times ten numbers; 200 options take below a millisecond. */
export function pruneOptions(step: StepOptions): PrunedStep {
  const kept: OptionPoint[] = [];
  const dominated: DominatedOption[] = [];
  // A beaten option comes after one that beats it: their sums are in this order.
  const sorted = [...step.options].sort(
    (left, right) => sumOf(left) - sumOf(right) || compareIds(left, right),
  );
  const first = new Set<OptionPoint>();
  for (const option of sorted) {
    const by = [...first].find((other) => isAsGood(other, option));
    if (by === undefined) first.add(option);
    else dominated.push({ id: option.id, by: by.id });
  }
  for (const option of step.options) if (first.has(option)) kept.push(option);
  return { kept, dominated };
}

function sumOf(option: OptionPoint): number {
  let total = 0;
  for (const name of OPTION_COLUMNS) total += option[name];
  return total;
}

function isAsGood(left: OptionPoint, right: OptionPoint): boolean {
  for (const name of OPTION_COLUMNS) if (left[name] > right[name]) return false;
  return true;
}

export function compareIds(left: { readonly id: string }, right: { readonly id: string }): number {
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}
