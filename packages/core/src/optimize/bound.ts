/**
 * A lower bound on S that adds up over the steps: bounds of the job become prices.
 *
 * Owns:      the multipliers (one per row, and one per path of a latency that is minimised) and
 *            the climb to good ones.
 * Does not:  search.
 *
 * Lagrangian relaxation: for any multipliers >= 0 (those of a latency group summing to its
 * weight, since a maximum is never below a weighted mean) the sum over the steps of the least
 * `linear + multipliers * rows` is a lower bound, and the excess of each option over its step's
 * least tells what choosing it costs at least. The climb is a subgradient one with Polyak's steps.
 * Source: M. Held, P. Wolfe, H. Crowder, "Validation of subgradient optimization" (1974).
 *
 * Invariants:
 *   B1. `bound` is valid whatever the multipliers are: a poor climb costs time, never exactness.
 */
import type { Kernel } from "./kernel.ts";

export interface Multipliers {
  readonly row: Float64Array;
  readonly path: Float64Array;
}

export interface Bound {
  readonly multipliers: Multipliers;
  readonly value: number;
  /** Per option: its part of the relaxed sum. The bound is `constant` plus each step's least. */
  readonly reduced: Float64Array;
  readonly constant: number;
}

interface ClimbOptions {
  readonly from: Multipliers;
  readonly iterationsMax: number;
  /** The best S at hand, for the size of steps; may shrink while climbing. */
  readonly upper: () => number;
  /** Called with each relaxed choice (positions in the kernel) that keeps all rows. */
  readonly onChoice: (choice: Int32Array) => void;
}

export function zeroMultipliers(kernel: Kernel): Multipliers {
  const path = new Float64Array(kernel.pathCount);
  const sizes = new Float64Array(kernel.groupWeight.length);
  for (const group of kernel.groupOf) sizes[group] = (sizes[group] ?? 0) + 1;
  kernel.groupOf.forEach((group, at) => {
    path[at] = (kernel.groupWeight[group] ?? 0) / (sizes[group] ?? 1);
  });
  return { row: new Float64Array(kernel.rowCount), path };
}

/** B1: the bound at given multipliers. */
export function boundAt(kernel: Kernel, multipliers: Multipliers): Bound {
  const reduced = new Float64Array(kernel.linear.length);
  reduce(kernel, multipliers, reduced);
  const constant = constantAt(kernel, multipliers);
  let value = constant;
  for (let step = 0; step < kernel.stepCount; step += 1) {
    let least = Number.POSITIVE_INFINITY;
    const end = kernel.start[step + 1] as number;
    for (let at = kernel.start[step] as number; at < end; at += 1) {
      if ((reduced[at] as number) < least) least = reduced[at] as number;
    }
    value += least;
  }
  return { multipliers, value, reduced, constant };
}

function constantAt(kernel: Kernel, multipliers: Multipliers): number {
  let value = kernel.constant;
  for (let k = 0; k < kernel.rowCount; k += 1) {
    value -= (multipliers.row[k] as number) * (kernel.rowMax[k] as number);
  }
  return value;
}

function reduce(kernel: Kernel, multipliers: Multipliers, reduced: Float64Array): void {
  const { linear, row, rowCount, path, pathCount } = kernel;
  const { row: rowPrice, path: pathPrice } = multipliers;
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
}

/** Steps without a better bound before the steps get shorter. */
const PATIENCE = 8;
const STEP_SCALE_MIN = 0.01;

/** Climbs from `from`; keeps the best. Cost: iterations times options times rows. */
export function climbBound(kernel: Kernel, options: ClimbOptions): Bound {
  const { rowCount, pathCount, stepCount, start } = kernel;
  const row = options.from.row.slice();
  const path = options.from.path.slice();
  const bestRow = row.slice();
  const bestPath = path.slice();
  const reduced = new Float64Array(kernel.linear.length);
  const choice = new Int32Array(stepCount);
  const rowSlope = new Float64Array(rowCount);
  const pathSlope = new Float64Array(pathCount);
  const multipliers = { row, path };
  let best = Number.NEGATIVE_INFINITY;
  let scale = 1;
  let stale = 0;
  for (let iteration = 0; iteration < options.iterationsMax; iteration += 1) {
    reduce(kernel, multipliers, reduced);
    let value = constantAt(kernel, multipliers);
    for (let step = 0; step < stepCount; step += 1) {
      let least = Number.POSITIVE_INFINITY;
      const end = start[step + 1] as number;
      for (let at = start[step] as number; at < end; at += 1) {
        if ((reduced[at] as number) < least) {
          least = reduced[at] as number;
          choice[step] = at;
        }
      }
      value += least;
    }
    if (value > best + 1e-7 * Math.abs(best)) stale = 0;
    else stale += 1;
    if (value > best) {
      best = value;
      bestRow.set(row);
      bestPath.set(path);
    }
    const isFeasible = slopes(kernel, choice, rowSlope, pathSlope);
    if (isFeasible) options.onChoice(choice);
    const upper = options.upper();
    if (upper - best <= 1e-12 * Math.abs(upper)) break;
    if (stale >= PATIENCE) {
      scale /= 2;
      stale = 0;
      row.set(bestRow);
      path.set(bestPath);
      if (scale < STEP_SCALE_MIN) break;
    }
    const target = upper < Number.POSITIVE_INFINITY ? upper : best + 0.1 * Math.abs(best) + 1e-3;
    if (!moveBy(kernel, multipliers, { rowSlope, pathSlope, rise: scale * (target - value) }))
      break;
  }
  return boundAt(kernel, { row: bestRow, path: bestPath });
}

/** Fills the slopes of the relaxed sum at `choice`; true where the choice keeps all rows. */
function slopes(
  kernel: Kernel,
  choice: Int32Array,
  rowSlope: Float64Array,
  pathSlope: Float64Array,
): boolean {
  const { rowCount, pathCount, row, path, rowMax } = kernel;
  let isFeasible = true;
  for (let k = 0; k < rowCount; k += 1) {
    let sum = -(rowMax[k] as number);
    for (let step = 0; step < choice.length; step += 1) {
      sum += row[(choice[step] as number) * rowCount + k] as number;
    }
    rowSlope[k] = sum;
    if (sum > 0) isFeasible = false;
  }
  for (let k = 0; k < pathCount; k += 1) {
    let sum = 0;
    for (let step = 0; step < choice.length; step += 1) {
      sum += path[(choice[step] as number) * pathCount + k] as number;
    }
    pathSlope[k] = sum;
  }
  return isFeasible;
}

interface Move {
  readonly rowSlope: Float64Array;
  readonly pathSlope: Float64Array;
  readonly rise: number;
}

/** False where there is no way up. */
function moveBy(kernel: Kernel, { row, path }: Multipliers, move: Move): boolean {
  const { rowSlope, pathSlope } = move;
  const { groupOf, groupWeight } = kernel;
  centre(kernel, path, pathSlope);
  let norm = 0;
  for (let k = 0; k < row.length; k += 1) {
    // Downhill at zero leads nowhere.
    if ((row[k] as number) === 0 && (rowSlope[k] as number) < 0) rowSlope[k] = 0;
    norm += (rowSlope[k] as number) ** 2;
  }
  for (let k = 0; k < path.length; k += 1) norm += (pathSlope[k] as number) ** 2;
  if (norm < 1e-24) return false;
  const length = move.rise / norm;
  for (let k = 0; k < row.length; k += 1) {
    row[k] = Math.max(0, (row[k] as number) + length * (rowSlope[k] as number));
  }
  for (let k = 0; k < path.length; k += 1) {
    path[k] = Math.max(0, (path[k] as number) + length * (pathSlope[k] as number));
  }
  for (let group = 0; group < groupWeight.length; group += 1) {
    let sum = 0;
    for (let k = 0; k < path.length; k += 1) if (groupOf[k] === group) sum += path[k] as number;
    const factor = sum > 0 ? (groupWeight[group] as number) / sum : 0;
    for (let k = 0; k < path.length; k += 1) {
      if (groupOf[k] === group) path[k] = (path[k] as number) * factor;
    }
    if (sum === 0) resetGroup(kernel, path, group);
  }
  return true;
}

/** Shares of a group sum to its weight: only differences from the mean slope move them. */
function centre({ groupOf, groupWeight }: Kernel, path: Float64Array, slope: Float64Array): void {
  for (let group = 0; group < groupWeight.length; group += 1) {
    let sum = 0;
    let count = 0;
    let top = 0;
    for (let k = 0; k < path.length; k += 1) {
      if (groupOf[k] !== group) continue;
      top = Math.max(top, slope[k] as number);
    }
    for (let k = 0; k < path.length; k += 1) {
      if (groupOf[k] !== group || ((path[k] as number) === 0 && (slope[k] as number) < top))
        continue;
      sum += slope[k] as number;
      count += 1;
    }
    for (let k = 0; k < path.length; k += 1) {
      if (groupOf[k] !== group) continue;
      const isHeld = (path[k] as number) === 0 && (slope[k] as number) < sum / count;
      slope[k] = isHeld ? 0 : (slope[k] as number) - sum / count;
    }
  }
}

function resetGroup({ groupOf, groupWeight }: Kernel, path: Float64Array, group: number): void {
  let count = 0;
  for (const other of groupOf) if (other === group) count += 1;
  for (let k = 0; k < path.length; k += 1) {
    if (groupOf[k] === group) path[k] = (groupWeight[group] as number) / count;
  }
}
