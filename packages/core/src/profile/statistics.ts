/** Small robust statistics. Pure; empty samples give null, never NaN (`nearestRank` takes none). */

/** From the median absolute deviation to the standard deviation of a normal distribution. */
const MAD_TO_SD = 1.4826;

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort(); // by value, and faster than with a comparator
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** Of two middle values the one nearer to 0: for "all agree at least this much". */
export function cautiousMedian(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  if (sorted.length % 2 === 1) return upper;
  const lower = sorted[middle - 1] ?? 0;
  if (lower <= 0 && upper >= 0) return 0;
  return Math.abs(lower) < Math.abs(upper) ? lower : upper;
}

/** Robust standard deviation round `centre` (default: the median); 0 for fewer than two values. */
export function spreadOf(values: readonly number[], centre?: number): number {
  if (values.length < 2) return 0;
  const middle = centre ?? median(values) ?? 0;
  return MAD_TO_SD * (median(values.map((value) => Math.abs(value - middle))) ?? 0);
}

/** The nearest rank. Requires: sorted, not empty. */
export function nearestRank(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
