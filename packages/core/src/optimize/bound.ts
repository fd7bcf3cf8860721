/**
 * A lower bound on S that adds up over the steps: bounds of the job become prices.
 *
 * Owns:      what multipliers (one per row, one per path of a latency that is minimised) prove.
 * Does not:  find good ones: they are the duals of the linear relaxation (see relaxation.ts).
 *
 * Lagrangian relaxation: for any multipliers >= 0 (those of a latency group summing to its
 * weight, since a maximum is never below a weighted mean) the sum over the steps of the least
 * `linear + multipliers * rows` is a lower bound, and the excess of each option over its step's
 * least tells what choosing it costs at least.
 *
 * Invariants:
 *   B1. `value` is valid whatever the multipliers are: rounding in the simplex method costs time,
 *       never exactness.
 */
import type { Kernel } from "./kernel.ts";

export interface Multipliers {
  readonly row: Float64Array;
  readonly path: Float64Array;
}

export interface Bound {
  readonly value: number;
  /** Per option: its part of the relaxed sum. The bound is `constant` plus each step's least. */
  readonly reduced: Float64Array;
  readonly constant: number;
}

/** B1. Cost: options times rows. */
export function boundAt(kernel: Kernel, multipliers: Multipliers): Bound {
  const { stepCount, start, rowCount, rowMax } = kernel;
  const reduced = reducedAt(kernel, multipliers);
  let constant = kernel.constant;
  for (let k = 0; k < rowCount; k += 1) {
    constant -= (multipliers.row[k] as number) * (rowMax[k] as number);
  }
  let value = constant;
  for (let step = 0; step < stepCount; step += 1) {
    value += leastIn(reduced, start[step] as number, start[step + 1] as number);
  }
  return { value, reduced, constant };
}

/**
 * Whether no choice keeps all rows, because none keeps their sum with these weights >= 0.
 *
 * Requires: a margin for rounding, in the rows' own scale (their greatest sums are 1).
 */
export function isProvedUnfit(kernel: Kernel, weights: Float64Array): boolean {
  const { stepCount, start, rowCount, row, rowMax } = kernel;
  let excess = 0;
  let size = 0;
  for (let k = 0; k < rowCount; k += 1) {
    excess -= (weights[k] as number) * (rowMax[k] as number);
    size += (weights[k] as number) * Math.abs(rowMax[k] as number);
  }
  for (let step = 0; step < stepCount; step += 1) {
    let least = Number.POSITIVE_INFINITY;
    for (let at = start[step] as number; at < (start[step + 1] as number); at += 1) {
      let sum = 0;
      for (let k = 0; k < rowCount; k += 1) {
        sum += (weights[k] as number) * (row[at * rowCount + k] as number);
      }
      if (sum < least) least = sum;
    }
    excess += least;
  }
  return excess > 1e-12 * size;
}

function reducedAt(kernel: Kernel, { row: rowPrice, path: pathPrice }: Multipliers): Float64Array {
  const { linear, row, rowCount, path, pathCount } = kernel;
  const reduced = new Float64Array(linear.length);
  for (let option = 0; option < linear.length; option += 1) {
    let value = linear[option] as number;
    const base = option * rowCount;
    for (let k = 0; k < rowCount; k += 1) {
      value += (rowPrice[k] as number) * (row[base + k] as number);
    }
    const pathBase = option * pathCount;
    for (let k = 0; k < pathCount; k += 1) {
      value += (pathPrice[k] as number) * (path[pathBase + k] as number);
    }
    reduced[option] = value;
  }
  return reduced;
}

function leastIn(values: Float64Array, from: number, to: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let at = from; at < to; at += 1) {
    if ((values[at] as number) < least) least = values[at] as number;
  }
  return least;
}
