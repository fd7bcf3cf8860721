/**
 * A bounded set of samples of one profile.
 *
 * Owns:      which samples are kept: the newest, and older ones spread over the sizes seen, so that
 *            a week of short videos does not make the profile forget what a long one takes.
 * Does not:  fit anything.
 *
 * Invariants:
 *   B1. At most `SAMPLES_MAX` samples; the newest `RECENT_COUNT` are always among them.
 *   B2. Merging is idempotent and does not depend on the order: samples are known by their id.
 */

/** One attempt, as kept. */
export interface ProfileSample {
  /** Content hash: the same attempt told twice is one sample. */
  readonly id: string;
  readonly atMs: number;
  readonly node: string;
  readonly size: number;
  readonly runMs: number;
  /** How much slower than usual the node was believed to be then; 1 = as profiled. */
  readonly speed: number;
  readonly cpuSec: number | null;
  readonly memoryBytesMax: number | null;
  readonly outputSizes: Readonly<Record<string, number>>;
}

/** Enough for a line and its spread; fits and merges stay below a millisecond. */
export const SAMPLES_MAX = 64;
const RECENT_COUNT = 32;

/** Oldest first, bounded (B1). */
export function boundSamples(samples: readonly ProfileSample[]): readonly ProfileSample[] {
  const sorted = [...samples].sort(byAge);
  if (sorted.length <= SAMPLES_MAX) return sorted;
  const recent = sorted.slice(-RECENT_COUNT);
  const older = sorted.slice(0, -RECENT_COUNT);
  while (older.length > SAMPLES_MAX - RECENT_COUNT) older.splice(mostCrowded(older), 1);
  return [...older, ...recent];
}

/** Union by id (B2); where both have a sample, `mine` stands. */
export function mergeSamples(
  mine: readonly ProfileSample[],
  others: readonly ProfileSample[],
): readonly ProfileSample[] {
  const byId = new Map(others.map((sample) => [sample.id, sample]));
  for (const sample of mine) byId.set(sample.id, sample);
  return boundSamples([...byId.values()]);
}

/** Index of the sample whose neighbours in size are nearest; of equals the oldest. */
function mostCrowded(samples: readonly ProfileSample[]): number {
  const bySize = samples
    .map((sample, index) => ({ index, log: Math.log(1 + sample.size) }))
    .sort((a, b) => a.log - b.log || a.index - b.index);
  let best = 0;
  let bestGap = Number.POSITIVE_INFINITY;
  for (const [rank, { index }] of bySize.entries()) {
    const before = bySize[rank - 1]?.log ?? Number.NEGATIVE_INFINITY;
    const after = bySize[rank + 1]?.log ?? Number.POSITIVE_INFINITY;
    const gap = after - before;
    if (gap < bestGap || (gap === bestGap && index < best)) {
      best = index;
      bestGap = gap;
    }
  }
  return best;
}

function byAge(a: ProfileSample, b: ProfileSample): number {
  return a.atMs - b.atMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
