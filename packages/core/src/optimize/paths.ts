/**
 * The paths of a DAG that can be its longest one, as sets of steps.
 *
 * Owns:      which rows stand for "latency is that of the longest path" in the solver's bounds.
 * Does not:  decide whether a bound holds: that is the evaluator's, over all paths.
 */

/** Paths looked at. A DAG of ten steps has at most 81; beyond the bound, bounds get weaker. */
const PATHS_ENUMERATED_MAX = 1_024;

/**
 * Masks (1 = on the path) of at most `countMax` paths, those with the longest `weight` first.
 *
 * Cost: edges times steps for the reduction, then one visit per path.
 */
export function longestPaths(
  before: readonly Int32Array[],
  weight: Float64Array,
  countMax: number,
): Uint8Array[] {
  const count = before.length;
  const next = reduceEdges(before);
  const found: { mask: Uint8Array; length: number }[] = [];
  const mask = new Uint8Array(count);
  const visit = (step: number, length: number): void => {
    if (found.length >= PATHS_ENUMERATED_MAX) return;
    mask[step] = 1;
    const total = length + (weight[step] ?? 0);
    const followers = next[step] ?? [];
    if (followers.length === 0) found.push({ mask: mask.slice(), length: total });
    for (const follower of followers) visit(follower, total);
    mask[step] = 0;
  };
  for (let step = 0; step < count; step += 1) if (before[step]?.length === 0) visit(step, 0);
  // Array.sort is stable: equal paths stay in the order of the steps.
  found.sort((left, right) => right.length - left.length);
  return found.slice(0, countMax).map((path) => path.mask);
}

/** Followers of each step, without the edges that a longer way implies. */
function reduceEdges(before: readonly Int32Array[]): number[][] {
  const count = before.length;
  const next: number[][] = before.map(() => []);
  before.forEach((sources, step) => {
    for (const source of new Set(sources)) next[source]?.push(step);
  });
  const reach = before.map(() => new Uint8Array(count));
  const isSeen = new Uint8Array(count);
  const fill = (step: number): void => {
    if (isSeen[step] === 1) return;
    isSeen[step] = 1;
    for (const follower of next[step] ?? []) {
      fill(follower);
      const own = reach[step];
      if (own === undefined) continue;
      own[follower] = 1;
      reach[follower]?.forEach((value, at) => {
        if (value === 1) own[at] = 1;
      });
    }
  };
  for (let step = 0; step < count; step += 1) fill(step);
  return next.map((followers) =>
    followers.filter(
      (step) => !followers.some((other) => other !== step && reach[other]?.[step] === 1),
    ),
  );
}
