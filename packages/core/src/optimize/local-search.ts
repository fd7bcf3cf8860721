/**
 * From any choice to a better one near by, so that the exact search starts with a good incumbent.
 *
 * Owns:      moves of one step and of two steps at once; first less violation, then less S.
 * Does not:  prove anything, or know rows that the kernel lacks.
 */
import type { Kernel } from "./kernel.ts";

/** Options per step, the least reduced first, that a move of two steps tries: squared per pair. */
const PAIR_OPTIONS_MAX = 12;
const MOVES_MAX = 60;
const EPSILON = 1e-12;

export class LocalSearch {
  private readonly kernel: Kernel;
  /** Per step its options with the least reduced values. */
  private readonly near: readonly Int32Array[];
  private readonly rowSum: Float64Array;
  private readonly pathSum: Float64Array;
  private readonly rowTrial: Float64Array;
  private readonly pathTrial: Float64Array;
  private readonly longest: Float64Array;
  private linear = 0;
  private violation = 0;
  private scalar = 0;

  constructor(kernel: Kernel, reduced: Float64Array) {
    this.kernel = kernel;
    this.rowSum = new Float64Array(kernel.rowCount);
    this.rowTrial = new Float64Array(kernel.rowCount);
    this.pathSum = new Float64Array(kernel.pathCount);
    this.pathTrial = new Float64Array(kernel.pathCount);
    this.longest = new Float64Array(kernel.groupWeight.length);
    this.near = Array.from({ length: kernel.stepCount }, (_, step) => {
      const start = kernel.start[step] ?? 0;
      const all = Int32Array.from(
        { length: (kernel.start[step + 1] ?? 0) - start },
        (_, at) => start + at,
      );
      return all
        .sort((a, b) => (reduced[a] ?? 0) - (reduced[b] ?? 0) || a - b)
        .slice(0, PAIR_OPTIONS_MAX);
    });
  }

  /** Changes `choice` (positions in the kernel) in place; true where it then keeps all rows. */
  improve(choice: Int32Array, usePairs: boolean): boolean {
    this.load(choice);
    for (let move = 0; move < MOVES_MAX; move += 1) {
      if (this.moveOne(choice)) continue;
      if (!usePairs || !this.moveTwo(choice)) break;
    }
    return this.violation === 0;
  }

  private load(choice: Int32Array): void {
    const { kernel, rowSum, pathSum } = this;
    rowSum.fill(0);
    pathSum.fill(0);
    this.linear = kernel.constant;
    for (const option of choice) this.add(option, 1);
    this.violation = this.violationOf(rowSum);
    this.scalar = this.linear + this.latencyOf(pathSum);
  }

  private add(option: number, sign: number): void {
    const { kernel, rowSum, pathSum } = this;
    const { rowCount, pathCount } = kernel;
    this.linear += sign * (kernel.linear[option] as number);
    for (let k = 0; k < rowCount; k += 1)
      rowSum[k] = (rowSum[k] as number) + sign * (kernel.row[option * rowCount + k] as number);
    for (let k = 0; k < pathCount; k += 1)
      pathSum[k] = (pathSum[k] as number) + sign * (kernel.path[option * pathCount + k] as number);
  }

  private violationOf(sums: Float64Array): number {
    const { rowMax } = this.kernel;
    let total = 0;
    for (let k = 0; k < sums.length; k += 1) {
      const over = (sums[k] as number) - (rowMax[k] as number);
      // In shares of the bound, so that no bound is repaired at the cost of all others.
      if (over > 0) total += over / (Math.abs(rowMax[k] as number) + 1e-9);
    }
    return total;
  }

  private latencyOf(sums: Float64Array): number {
    const { groupOf, groupWeight } = this.kernel;
    if (sums.length === 0) return 0;
    const { longest } = this;
    longest.fill(0);
    for (let k = 0; k < sums.length; k += 1) {
      const group = groupOf[k] as number;
      if ((sums[k] as number) > (longest[group] as number)) longest[group] = sums[k] as number;
    }
    let total = 0;
    for (let group = 0; group < longest.length; group += 1)
      total += (longest[group] as number) * (groupWeight[group] as number);
    return total;
  }

  /** Tries `old` -> `next` on top of the sums in `rows`, `paths`; fills the trial sums. */
  private swap(old: number, next: number, rows: Float64Array, paths: Float64Array): void {
    const { kernel, rowTrial, pathTrial } = this;
    const { rowCount, pathCount, row, path } = kernel;
    for (let k = 0; k < rowCount; k += 1) {
      rowTrial[k] =
        (rows[k] as number) +
        (row[next * rowCount + k] as number) -
        (row[old * rowCount + k] as number);
    }
    for (let k = 0; k < pathCount; k += 1) {
      pathTrial[k] =
        (paths[k] as number) +
        (path[next * pathCount + k] as number) -
        (path[old * pathCount + k] as number);
    }
  }

  private isBetter(violation: number, scalar: number, best: { violation: number; scalar: number }) {
    if (violation < best.violation - EPSILON) return true;
    return violation <= best.violation && scalar < best.scalar - EPSILON * Math.abs(best.scalar);
  }

  private moveOne(choice: Int32Array): boolean {
    const { kernel } = this;
    const best = { violation: this.violation, scalar: this.scalar, step: -1, option: -1 };
    for (let step = 0; step < kernel.stepCount; step += 1) {
      const old = choice[step] as number;
      const end = kernel.start[step + 1] as number;
      for (let option = kernel.start[step] as number; option < end; option += 1) {
        const gain = (kernel.linear[option] as number) - (kernel.linear[old] as number);
        // Without a latency to win, a feasible choice gets better by its linear part only.
        if (best.violation === 0 && kernel.pathCount === 0 && this.linear + gain >= best.scalar)
          continue;
        this.swap(old, option, this.rowSum, this.pathSum);
        const violation = this.violationOf(this.rowTrial);
        if (violation > best.violation) continue;
        const scalar = this.linear + gain + this.latencyOf(this.pathTrial);
        if (!this.isBetter(violation, scalar, best)) continue;
        Object.assign(best, { violation, scalar, step, option });
      }
    }
    if (best.step < 0) return false;
    choice[best.step] = best.option;
    this.load(choice);
    return true;
  }

  private moveTwo(choice: Int32Array): boolean {
    const { kernel } = this;
    const rows = new Float64Array(kernel.rowCount);
    const paths = new Float64Array(kernel.pathCount);
    const best = {
      violation: this.violation,
      scalar: this.scalar,
      step: -1,
      option: -1,
      other: -1,
      otherOption: -1,
    };
    for (let step = 0; step < kernel.stepCount; step += 1) {
      const old = choice[step] as number;
      for (const option of this.near[step] as Int32Array) {
        if (option === old) continue;
        this.swap(old, option, this.rowSum, this.pathSum);
        rows.set(this.rowTrial);
        paths.set(this.pathTrial);
        const gain = (kernel.linear[option] as number) - (kernel.linear[old] as number);
        for (let other = step + 1; other < kernel.stepCount; other += 1) {
          const oldOther = choice[other] as number;
          for (const otherOption of this.near[other] as Int32Array) {
            const linear =
              this.linear +
              gain +
              (kernel.linear[otherOption] as number) -
              (kernel.linear[oldOther] as number);
            if (best.violation === 0 && kernel.pathCount === 0 && linear >= best.scalar) continue;
            this.swap(oldOther, otherOption, rows, paths);
            const violation = this.violationOf(this.rowTrial);
            if (violation > best.violation) continue;
            const scalar = linear + this.latencyOf(this.pathTrial);
            if (!this.isBetter(violation, scalar, best)) continue;
            Object.assign(best, { violation, scalar, step, option, other, otherOption });
          }
        }
      }
    }
    if (best.step < 0) return false;
    choice[best.step] = best.option;
    choice[best.other] = best.otherOption;
    this.load(choice);
    return true;
  }
}
