/**
 * Branch and bound: halves the options of one step after the other until what is left of the
 * problem is small enough to be searched option by option.
 *
 * Owns:      the tree of sub-problems, and what is left unseen when the search ends at its bound.
 * Does not:  judge a whole choice (`offer` does), or reduce by dominance.
 *
 * Invariants:
 *   N1. A sub-problem is given up only where its bound (bound.ts) is above `upper()`, a row can't be
 *       kept in it, or all of it was searched: so the best choice, ties included, is offered.
 *   N2. Ended at the bound on nodes, no choice that was not seen has a lower S than `openBound`.
 */
import { type Bound, boundAt, isProvedUnfit } from "./bound.ts";
import { compactKernel, gather, type Kernel } from "./kernel.ts";
import { LocalSearch } from "./local-search.ts";
import { dropUnfit } from "./reduce.ts";
import { Relaxation } from "./relaxation.ts";
import { TreeSearch } from "./search.ts";

export interface BranchOptions {
  /** S above which nothing is of interest; shrinks while searching. */
  readonly upper: () => number;
  /** Takes a choice (positions in `kernel`) where it is allowed and better. */
  readonly offer: (kernel: Kernel, choice: Int32Array) => boolean;
  /** 1 = stays; called once, on what the first bound leaves. Null: nothing is to go. */
  readonly undominated: ((kernel: Kernel) => Uint8Array) | null;
  readonly nodesMax: number;
}

/** A try to search a sub-problem to its end costs as much as a few pivots, then it is halved. */
const TREE_NODES_MAX = 4_000;
/** What a relaxation costs in looked-at options, so that `nodesMax` bounds the time of both. */
const RELAXATION_NODES = 500;
/** Rounds of leaving out and solving again: each needs a better bound or incumbent. */
const ROUNDS_MAX = 4;
/** Down to this depth relaxed choices are rounded and improved. */
const ROUNDED_DEPTH_MAX = 4;

interface SubProblem {
  readonly kernel: Kernel;
  readonly relaxation: Relaxation;
  readonly bound: Bound;
}

export class BranchAndBound {
  nodeCount = 0;
  isCut = false;
  openBound = Number.POSITIVE_INFINITY;
  private readonly options: BranchOptions;

  constructor(options: BranchOptions) {
    this.options = options;
  }

  run(kernel: Kernel): void {
    const root = this.settle(kernel, Relaxation.start(kernel), 0, null);
    if (root === null) return;
    const { undominated } = this.options;
    const smaller = undominated === null ? null : this.part(root, undominated(root.kernel), 1);
    if (undominated === null) this.visit(root, 0);
    else if (smaller !== null) this.visit(smaller, 0);
  }

  /** The sub-problem with only the options that are kept. */
  private part(node: SubProblem, keep: Uint8Array, depth: number): SubProblem | null {
    const { kernel, picked } = compactKernel(node.kernel, keep);
    return this.settle(kernel, node.relaxation.narrow(kernel, picked), depth, {
      ...node.bound,
      reduced: gather(node.bound.reduced, picked, 1),
    });
  }

  /** Solves and leaves out options until neither helps; null where nothing of interest is left. */
  private settle(
    first: Kernel,
    from: Relaxation,
    depth: number,
    known: Bound | null,
  ): SubProblem | null {
    let kernel = first;
    let relaxation = from;
    let bound = known;
    for (let round = 0; ; round += 1) {
      this.nodeCount += RELAXATION_NODES;
      const outcome = relaxation.solve();
      if (outcome.kind !== "unfit") bound = boundAt(kernel, outcome.multipliers);
      else if (isProvedUnfit(kernel, outcome.weights)) return null;
      // Rounding stands in the way of a proof: the search below goes on without prices.
      bound ??= boundAt(kernel, {
        row: new Float64Array(kernel.rowCount),
        path: new Float64Array(kernel.pathCount),
      });
      if (round === 0 && depth <= ROUNDED_DEPTH_MAX) this.round(kernel, relaxation, bound, depth);
      if (bound.value > this.options.upper()) return null;
      const keep = this.worthKeeping(kernel, bound);
      const smaller = keep === null ? kernel : dropUnfit(compactKernel(kernel, keep).kernel);
      if (smaller === null) return null;
      if (smaller === kernel) return { kernel, relaxation, bound };
      const picked = positionsIn(kernel, smaller);
      relaxation = relaxation.narrow(smaller, picked);
      bound = {
        value: bound.value,
        constant: bound.constant,
        reduced: gather(bound.reduced, picked, 1),
      };
      kernel = smaller;
      if (round >= ROUNDS_MAX) return { kernel, relaxation, bound };
    }
  }

  /** Null: all. Options that cost more than the gap allows are in no better choice. */
  private worthKeeping(kernel: Kernel, { value, reduced }: Bound): Uint8Array | null {
    const upper = this.options.upper();
    const keep = new Uint8Array(reduced.length);
    let kept = 0;
    for (let step = 0; step < kernel.stepCount; step += 1) {
      const end = kernel.start[step + 1] as number;
      let least = Number.POSITIVE_INFINITY;
      for (let at = kernel.start[step] as number; at < end; at += 1) {
        if ((reduced[at] as number) < least) least = reduced[at] as number;
      }
      for (let at = kernel.start[step] as number; at < end; at += 1) {
        if (value - least + (reduced[at] as number) > upper) continue;
        keep[at] = 1;
        kept += 1;
      }
    }
    return kept === reduced.length ? null : keep;
  }

  private round(kernel: Kernel, relaxation: Relaxation, bound: Bound, depth: number): void {
    const search = new LocalSearch(kernel, bound.reduced);
    const shares = relaxation.shares();
    const choice = new Int32Array(kernel.stepCount);
    for (let step = 0; step < kernel.stepCount; step += 1) {
      let best = kernel.start[step] as number;
      for (let at = best; at < (kernel.start[step + 1] as number); at += 1) {
        if ((shares[at] as number) > (shares[best] as number)) best = at;
      }
      choice[step] = best;
    }
    if (search.improve(choice, depth === 0)) this.options.offer(kernel, choice);
  }

  private visit(node: SubProblem, depth: number): void {
    if (node.bound.value > this.options.upper()) return;
    if (this.nodeCount >= this.options.nodesMax) {
      this.isCut = true;
      this.openBound = Math.min(this.openBound, node.bound.value);
      return;
    }
    if (this.searchAll(node)) return;
    const halves = this.halve(node).flatMap((keep) => this.part(node, keep, depth + 1) ?? []);
    // The sort is stable: equal bounds stay in the order of the halves.
    halves.sort((left, right) => left.bound.value - right.bound.value);
    for (const child of halves) this.visit(child, depth + 1);
  }

  /** True: no choice of interest is left in it. */
  private searchAll({ kernel, bound }: SubProblem): boolean {
    const all = new Uint8Array(kernel.linear.length).fill(1);
    const sorted = compactKernel(kernel, all, { key: bound.reduced, order: narrowFirst(kernel) });
    const tree = new TreeSearch(sorted.kernel, {
      reduced: gather(bound.reduced, sorted.picked, 1),
      constant: bound.constant,
      threshold: this.options.upper,
      onLeaf: (choice) => this.options.offer(sorted.kernel, choice),
      nodesMax: TREE_NODES_MAX,
    });
    tree.run();
    this.nodeCount += tree.nodeCount;
    return !tree.isCut;
  }

  /** What two parts keep that share no choice and together have all: one step is split. */
  private halve({ kernel, relaxation, bound }: SubProblem): Uint8Array[] {
    const shares = relaxation.shares();
    const prices = bound.reduced.map((value, at) => value - (kernel.linear[at] as number));
    const { step, key } = mostMixed(kernel, shares, prices);
    const from = kernel.start[step] as number;
    const end = kernel.start[step + 1] as number;
    const own = Int32Array.from({ length: end - from }, (_, at) => from + at).sort(
      (a, b) => (key[a] as number) - (key[b] as number) || a - b,
    );
    const mean = meanIn(key, shares, from, end);
    let cut = own.findIndex((at) => (key[at] as number) > mean + 1e-12 * Math.abs(mean));
    if (cut <= 0) cut = own.length >> 1;
    const upper = new Uint8Array(kernel.linear.length).fill(1);
    const lower = upper.slice();
    own.forEach((at, rank) => {
      (rank < cut ? upper : lower)[at] = 0;
    });
    return [lower, upper];
  }
}

/**
 * The step whose relaxed choice mixes what is most different in price: halving it moves the bound
 * most. Where prices are equal (many options without a GPU, say), different in a row.
 */
function mostMixed(kernel: Kernel, shares: Float64Array, prices: Float64Array) {
  const { rowCount, row } = kernel;
  const byPrice = widestStep(kernel, shares, prices);
  if (byPrice.spread > 1e-9) return { step: byPrice.step, key: prices };
  let best = { ...byPrice, key: prices };
  for (let k = 0; k < rowCount; k += 1) {
    const key = prices.map((_, at) => row[at * rowCount + k] as number);
    const widest = widestStep(kernel, shares, key);
    if (widest.spread > best.spread) best = { ...widest, key };
  }
  return best;
}

/** Mean distance of the shared options' keys from their mean; where none is mixed, most options. */
function widestStep(kernel: Kernel, shares: Float64Array, key: Float64Array) {
  const { stepCount, start } = kernel;
  let step = 0;
  let most = 0;
  let spread = -1;
  for (let at = 0; at < stepCount; at += 1) {
    const from = start[at] as number;
    const end = start[at + 1] as number;
    if (end - from < 2) continue;
    const mean = meanIn(key, shares, from, end);
    let distance = 0;
    for (let option = from; option < end; option += 1) {
      distance += (shares[option] as number) * Math.abs((key[option] as number) - mean);
    }
    const isWider = distance > 1e-9 ? distance > spread : spread <= 1e-9 && end - from > most;
    if (!isWider) continue;
    step = at;
    most = end - from;
    spread = Math.max(distance, 0);
  }
  return { step, spread };
}

function meanIn(key: Float64Array, shares: Float64Array, from: number, end: number): number {
  let mean = 0;
  for (let at = from; at < end; at += 1) mean += (shares[at] as number) * (key[at] as number);
  return mean;
}

/** Steps with few options left first: the tree stays narrow where it is cut most. */
function narrowFirst(kernel: Kernel): Int32Array {
  const size = (step: number) =>
    (kernel.start[step + 1] as number) - (kernel.start[step] as number);
  return Int32Array.from({ length: kernel.stepCount }, (_, step) => step).sort(
    (a, b) => size(a) - size(b) || a - b,
  );
}

/** Where the options of `smaller`, a part of `kernel` in its order, are in `kernel`. */
function positionsIn(kernel: Kernel, smaller: Kernel): Int32Array {
  const picked = new Int32Array(smaller.flat.length);
  let from = 0;
  for (let at = 0; at < picked.length; at += 1) {
    while (kernel.flat[from] !== smaller.flat[at]) from += 1;
    picked[at] = from;
    from += 1;
  }
  return picked;
}
