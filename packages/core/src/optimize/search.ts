/**
 * Depth-first search over the options that are left, cut off by the bound and by what the rows
 * still allow.
 *
 * Owns:      the search tree and the honest bound of what it left unseen.
 * Does not:  judge a whole choice: `onLeaf` does, with the evaluator.
 *
 * Invariants:
 *   S1. Every choice with a relaxed sum up to `threshold()` that keeps all rows reaches `onLeaf`,
 *       unless the search ended at `nodesMax`.
 *   S2. Then no choice that was not seen has a lower relaxed sum than `openBound`.
 */
import type { Kernel } from "./kernel.ts";

export interface SearchOptions {
  /** Options of each step in ascending order of this; see `Bound`. */
  readonly reduced: Float64Array;
  readonly constant: number;
  /** Relaxed sums above it are cut off; may shrink while searching. */
  readonly threshold: () => number;
  /** Called with positions in the kernel. True: the threshold may have changed. */
  readonly onLeaf: (choice: Int32Array) => boolean;
  readonly nodesMax: number;
}

export class TreeSearch {
  nodeCount = 0;
  isCut = false;
  openBound = Number.POSITIVE_INFINITY;
  private readonly kernel: Kernel;
  private readonly options: SearchOptions;
  private readonly reduced: Float64Array;
  /** Least relaxed sum of the steps from `depth` on. */
  private readonly restLeast: Float64Array;
  /** What the rows may hold after the choice at `depth`, so that the rest still fits. */
  private readonly room: Float64Array;
  private readonly sums: Float64Array;
  private readonly choice: Int32Array;
  private limit: number;

  constructor(kernel: Kernel, options: SearchOptions) {
    this.kernel = kernel;
    this.options = options;
    this.reduced = options.reduced;
    const { stepCount, rowCount, start, row, rowMax } = kernel;
    this.restLeast = new Float64Array(stepCount + 1);
    this.room = new Float64Array((stepCount + 1) * rowCount);
    this.room.set(rowMax, stepCount * rowCount);
    for (let depth = stepCount - 1; depth >= 0; depth -= 1) {
      const first = start[depth] as number;
      const end = start[depth + 1] as number;
      this.restLeast[depth] =
        (this.restLeast[depth + 1] as number) + (this.reduced[first] as number);
      for (let k = 0; k < rowCount; k += 1) {
        let least = Number.POSITIVE_INFINITY;
        for (let at = first; at < end; at += 1)
          least = Math.min(least, row[at * rowCount + k] as number);
        this.room[depth * rowCount + k] = (this.room[(depth + 1) * rowCount + k] as number) - least;
      }
    }
    this.sums = new Float64Array((stepCount + 1) * rowCount);
    this.choice = new Int32Array(stepCount);
    this.limit = options.threshold();
  }

  run(): void {
    if (this.kernel.stepCount === 0) {
      this.options.onLeaf(this.choice);
      return;
    }
    this.descend(0, this.options.constant);
  }

  private descend(depth: number, relaxed: number): void {
    const { kernel, reduced, room, sums, choice } = this;
    const { rowCount, row, start } = kernel;
    const end = start[depth + 1] as number;
    const rest = this.restLeast[depth + 1] as number;
    const base = depth * rowCount;
    const next = base + rowCount;
    const isLast = depth === kernel.stepCount - 1;
    for (let at = start[depth] as number; at < end; at += 1) {
      const sum = relaxed + (reduced[at] as number);
      if (sum + rest > this.limit) return;
      if (this.nodeCount >= this.options.nodesMax) {
        this.isCut = true;
        if (sum + rest < this.openBound) this.openBound = sum + rest;
        return;
      }
      this.nodeCount += 1;
      const from = at * rowCount;
      let k = 0;
      for (; k < rowCount; k += 1) {
        const total = (sums[base + k] as number) + (row[from + k] as number);
        if (total > (room[next + k] as number)) break;
        sums[next + k] = total;
      }
      if (k < rowCount) continue;
      choice[depth] = at;
      if (!isLast) this.descend(depth + 1, sum);
      else if (this.options.onLeaf(choice)) this.limit = this.options.threshold();
      if (this.isCut) {
        const following = at + 1 < end ? relaxed + (reduced[at + 1] as number) + rest : Infinity;
        if (following < this.openBound) this.openBound = following;
        return;
      }
    }
  }
}
