/**
 * The linear relaxation: steps may mix their options. Its prices give the best additive bound.
 *
 * Owns:      a dense tableau and the dual simplex method on it.
 * Does not:  decide anything alone: `bound.ts` proves what the prices say (B1).
 *
 * The dual method fits: each step at its least reduced option is dual feasible from the start, the
 * bound only rises, and leaving out options (branching) needs a few more pivots, not a new solve.
 * Rows are one per step (its shares sum to 1), one per bound, one per path of a minimised latency;
 * that is some 15 to 35, so that a dense tableau is faster than anything clever.
 * Source: C. E. Lemke, "The dual method of solving the linear programming problem" (1954).
 *
 * Invariants:
 *   L1. Work is bounded: PIVOTS_MAX per call; prices are usable after any pivot.
 */
import type { Multipliers } from "./bound.ts";
import type { Kernel } from "./kernel.ts";

const PIVOTS_MAX = 400;
const TOLERANCE = 1e-10;
const PIVOT_MIN = 1e-9;

export type RelaxationOutcome =
  | { readonly kind: "solved" | "stopped"; readonly multipliers: Multipliers }
  /** Weights of the rows that show it. */
  | { readonly kind: "unfit"; readonly weights: Float64Array };

export class Relaxation {
  private readonly kernel: Kernel;
  /** Rows: steps, bounds, paths, then reduced costs. Columns: options, slacks of bounds, of paths, lengths of groups, right side. */
  private readonly table: Float64Array;
  private readonly width: number;
  private readonly height: number;
  /** Column that is basic in each row; -1: an option that was left out, so its value must be 0. */
  private readonly basis: Int32Array;
  pivotCount = 0;

  private constructor(kernel: Kernel, table: Float64Array, basis: Int32Array) {
    this.kernel = kernel;
    this.table = table;
    this.basis = basis;
    this.height = basis.length;
    this.width = table.length / (basis.length + 1);
  }

  /** Dual feasible: each step at its least option by the first path of each group. */
  static start(kernel: Kernel): Relaxation {
    const { stepCount, rowCount, pathCount, groupWeight } = kernel;
    const optionCount = kernel.linear.length;
    const height = stepCount + rowCount + pathCount;
    const width = optionCount + rowCount + pathCount + groupWeight.length + 1;
    const table = new Float64Array((height + 1) * width);
    const basis = new Int32Array(height);
    const relaxation = new Relaxation(kernel, table, basis);
    relaxation.fill();
    return relaxation;
  }

  private fill(): void {
    const { kernel, table, width, height, basis } = this;
    const { stepCount, rowCount, pathCount, groupOf, groupWeight, start } = kernel;
    const optionCount = kernel.linear.length;
    const firstPath = Int32Array.from(groupWeight, (_, group) => groupOf.indexOf(group));
    for (let step = 0; step < stepCount; step += 1) {
      for (let at = start[step] as number; at < (start[step + 1] as number); at += 1) {
        table[step * width + at] = 1;
        for (let k = 0; k < rowCount; k += 1)
          table[(stepCount + k) * width + at] = kernel.row[at * rowCount + k] as number;
        for (let k = 0; k < pathCount; k += 1)
          table[(stepCount + rowCount + k) * width + at] = kernel.path[
            at * pathCount + k
          ] as number;
        table[height * width + at] = kernel.linear[at] as number;
      }
      table[step * width + width - 1] = 1;
    }
    for (let k = 0; k < rowCount; k += 1) {
      const row = stepCount + k;
      table[row * width + optionCount + k] = 1;
      table[row * width + width - 1] = kernel.rowMax[k] as number;
      basis[row] = optionCount + k;
    }
    for (let k = 0; k < pathCount; k += 1) {
      const row = stepCount + rowCount + k;
      table[row * width + optionCount + rowCount + k] = 1;
      table[row * width + optionCount + rowCount + pathCount + (groupOf[k] as number)] = -1;
      basis[row] = optionCount + rowCount + k;
    }
    groupWeight.forEach((weight, group) => {
      const column = optionCount + rowCount + pathCount + group;
      table[height * width + column] = weight;
      this.pivot(stepCount + rowCount + (firstPath[group] as number), column);
    });
    for (let step = 0; step < stepCount; step += 1) {
      let least = start[step] as number;
      for (let at = least; at < (start[step + 1] as number); at += 1) {
        if ((table[height * width + at] as number) < (table[height * width + least] as number))
          least = at;
      }
      this.pivot(step, least);
    }
    this.pivotCount = 0;
  }

  /** Raises the bound as far as it goes; "stopped" at the bound on pivots. */
  solve(): RelaxationOutcome {
    for (let count = 0; count < PIVOTS_MAX; count += 1) {
      const row = this.leavingRow();
      if (row < 0) return { kind: "solved", multipliers: this.multipliers() };
      const isFlipped = (this.table[row * this.width + this.width - 1] as number) > 0;
      const column = this.enteringColumn(row, isFlipped ? -1 : 1);
      if (column < 0) return { kind: "unfit", weights: this.weightsOf(row, isFlipped ? -1 : 1) };
      this.pivot(row, column);
    }
    return { kind: "stopped", multipliers: this.multipliers() };
  }

  /** The share of each option in the relaxed optimum. */
  shares(): Float64Array {
    const shares = new Float64Array(this.kernel.linear.length);
    this.basis.forEach((column, row) => {
      if (column >= 0 && column < shares.length)
        shares[column] = this.table[row * this.width + this.width - 1] as number;
    });
    return shares;
  }

  /** The same with only the options of `picked` (positions in this kernel), which `kernel` has. */
  narrow(kernel: Kernel, picked: Int32Array): Relaxation {
    const optionCount = this.kernel.linear.length;
    const { table, width, height, basis } = this;
    const position = new Int32Array(optionCount).fill(-1);
    picked.forEach((option, at) => {
      position[option] = at;
    });
    const others = width - optionCount;
    const narrowWidth = picked.length + others;
    const narrowTable = new Float64Array((height + 1) * narrowWidth);
    for (let row = 0; row <= height; row += 1) {
      const from = row * width;
      const to = row * narrowWidth;
      for (let at = 0; at < picked.length; at += 1) {
        narrowTable[to + at] = table[from + (picked[at] as number)] as number;
      }
      for (let at = 0; at < others; at += 1) {
        narrowTable[to + picked.length + at] = table[from + optionCount + at] as number;
      }
    }
    const narrowBasis = basis.map((column) => {
      if (column >= optionCount) return column - optionCount + picked.length;
      return position[column] as number;
    });
    return new Relaxation(kernel, narrowTable, narrowBasis);
  }

  /**
   * The row that is broken most: a value below 0, or one above 0 of an option that is left out
   * (its column is gone: basis -1).
   */
  private leavingRow(): number {
    const { table, width, height, basis } = this;
    let worst = TOLERANCE;
    let found = -1;
    for (let row = 0; row < height; row += 1) {
      const value = table[row * width + width - 1] as number;
      const broken = value < 0 ? -value : basis[row] === -1 ? value : 0;
      if (broken > worst) {
        worst = broken;
        found = row;
      }
    }
    return found;
  }

  private enteringColumn(row: number, sign: number): number {
    const { table, width, height } = this;
    const base = row * width;
    const cost = height * width;
    let best = Number.POSITIVE_INFINITY;
    let size = 0;
    let found = -1;
    for (let column = 0; column < width - 1; column += 1) {
      const slope = -sign * (table[base + column] as number);
      if (slope <= PIVOT_MIN) continue;
      const price = table[cost + column] as number;
      const ratio = price > 0 ? price / slope : 0;
      if (ratio > best + 1e-14 || (ratio >= best - 1e-14 && slope <= size)) continue;
      best = Math.min(ratio, best);
      size = slope;
      found = column;
    }
    return found;
  }

  private pivot(row: number, column: number): void {
    const { table, width, height } = this;
    const base = row * width;
    const factor = 1 / (table[base + column] as number);
    for (let at = 0; at < width; at += 1) table[base + at] = (table[base + at] as number) * factor;
    table[base + column] = 1;
    for (let other = 0; other <= height; other += 1) {
      if (other === row) continue;
      const start = other * width;
      const share = table[start + column] as number;
      if (share === 0) continue;
      for (let at = 0; at < width; at += 1) {
        table[start + at] = (table[start + at] as number) - share * (table[base + at] as number);
      }
      table[start + column] = 0;
    }
    this.basis[row] = column;
    this.pivotCount += 1;
  }

  private multipliers(): Multipliers {
    const { kernel, table, width, height } = this;
    const { rowCount, pathCount, groupOf, groupWeight } = kernel;
    const cost = height * width + kernel.linear.length;
    const row = new Float64Array(rowCount);
    const path = new Float64Array(pathCount);
    for (let k = 0; k < rowCount; k += 1) row[k] = Math.max(0, table[cost + k] as number);
    const sums = new Float64Array(groupWeight.length);
    for (let k = 0; k < pathCount; k += 1) {
      path[k] = Math.max(0, table[cost + rowCount + k] as number);
      sums[groupOf[k] as number] = (sums[groupOf[k] as number] as number) + (path[k] as number);
    }
    for (let k = 0; k < pathCount; k += 1) {
      const group = groupOf[k] as number;
      const sum = sums[group] as number;
      path[k] = sum > 0 ? ((path[k] as number) * (groupWeight[group] as number)) / sum : 0;
    }
    return { row, path };
  }

  private weightsOf(row: number, sign: number): Float64Array {
    const { kernel, table, width } = this;
    const base = row * width + kernel.linear.length;
    return Float64Array.from({ length: kernel.rowCount }, (_, k) =>
      Math.max(0, sign * (table[base + k] as number)),
    );
  }
}
