/**
 * A straight line through (size, value) samples that outliers don't move.
 *
 * Owns:      the fit of `LinearModel`s.
 * Does not:  know what is measured, or keep samples (see learner.ts).
 *
 * The line is written as `level * ((1 - share) + share * size / typicalSize)`: `share` is the part
 * of the value at the typical size that grows with the size, between 0 and 1, so that neither part
 * of the line can be negative. What is minimised is the sum of |ln(value / line)|: values span
 * orders of magnitude, and an attempt that took ten times as long weighs as one sample, no more.
 *
 * Where the sizes hardly differ they say nothing of the share. So it is pulled towards a prior
 * (that of an earlier line, else one half) with the weight that the spread of the sizes leaves it.
 * One half errs by the same factor in both directions; samples of one size are met in any case.
 *
 * Invariants:
 *   F1. Every number of the result is finite and 0 or more, `spread` above 0.
 *   F2. A tenth of the samples being tenfold moves predictions within the sizes seen by little.
 */
import type { LinearModel } from "@murakkab/model";
import { clamp, median, spreadOf } from "./statistics.ts";

export interface SizedValue {
  readonly size: number;
  readonly value: number;
}

export interface LinePrior {
  readonly line: LinearModel;
  /** Number of samples that its level counts for. 0 = only its shape counts. */
  readonly weight: number;
}

/** Standard deviation of the share when nothing is known: 0.5 ± 0.35 covers [0, 1]. */
const SHARE_SD_UNKNOWN = 0.35;
/** The same where an earlier line says the shape. */
const SHARE_SD_KNOWN = 0.1;
/** Spread assumed before there are samples, and how many samples that assumption is worth. */
export const SPREAD_PRIOR = 0.3;
const SPREAD_PRIOR_COUNT = 3;
/** Clocks, caches and neighbours differ by this much between equal runs. */
const SPREAD_MIN = 0.03;
/** Share of the typical value below which a value is as good as nothing; keeps ln finite. */
const TINY_RATIO = 0.001;
/** Beyond every time, size and CPU time there is; sums of such numbers stay finite. */
const AMOUNT_MAX = 1e15;
/** Less than this is nothing: its reciprocal must be finite, too. */
const AMOUNT_MIN = 1e-12;
/** The share is looked for in tenths, then in ever smaller steps, down to about a thousandth. */
const SHARE_STEPS = 10;
const REFINEMENTS = 7;

export function predictLine(line: LinearModel, size: number): number {
  return line.fixed + line.perUnit * size;
}

/**
 * Errors: none; samples that are not finite or negative are passed over. No sample: the prior's
 * line, or null.
 * Cost:   O(n log n), about a tenth of a millisecond for 64 samples.
 */
export function fitLine(samples: readonly SizedValue[], prior?: LinePrior): LinearModel | null {
  const sound = samples
    .filter(({ size, value }) => isAmount(size) && isAmount(value))
    .map(({ size, value }) => ({ size: orNothing(size), value: orNothing(value) }));
  if (sound.length === 0) return prior?.line ?? null;
  const typicalValue = median(sound.map((it) => it.value).filter((value) => value > 0)) ?? 0;
  if (typicalValue === 0) return { fixed: 0, perUnit: 0, spread: SPREAD_PRIOR };
  const tiny = typicalValue * TINY_RATIO;
  const typicalSize = mean(sound.map((it) => it.size));
  const logs = sound.map((it) => Math.log(it.value + tiny));
  const units = sound.map((it) => (typicalSize === 0 ? 1 : it.size / typicalSize));
  const residualsAt = (share: number): number[] =>
    logs.map((log, i) => log - Math.log(shapeAt(share, units[i] ?? 1) + TINY_RATIO));
  const share = typicalSize === 0 ? 0 : bestShare({ residualsAt, units, typicalSize, prior });
  const residuals = residualsAt(share);
  const own = median(residuals) ?? 0;
  const line = { share, typicalSize, level: withPriorLevel(own, sound.length, typicalSize, prior) };
  const spread = pooledSpread(residuals, own, prior);
  const level = Math.exp(line.level);
  return typicalSize === 0
    ? { fixed: level, perUnit: 0, spread }
    : { fixed: level * (1 - share), perUnit: (level * share) / typicalSize, spread };
}

/** The prior's level counts as some samples more, on the scale of logarithms. */
function withPriorLevel(
  own: number,
  count: number,
  typicalSize: number,
  prior: LinePrior | undefined,
): number {
  const expected = prior === undefined ? 0 : predictLine(prior.line, typicalSize);
  if (prior === undefined || prior.weight <= 0 || !(expected > 0)) return own;
  return (own * count + Math.log(expected) * prior.weight) / (count + prior.weight);
}

interface ShareSearch {
  readonly residualsAt: (share: number) => readonly number[];
  readonly units: readonly number[];
  readonly typicalSize: number;
  readonly prior: LinePrior | undefined;
}

function bestShare({ residualsAt, units, typicalSize, prior }: ShareSearch): number {
  const wanted = prior === undefined ? null : shareOf(prior.line, typicalSize);
  const sd = wanted === null ? SHARE_SD_UNKNOWN : SHARE_SD_KNOWN;
  const expected = wanted ?? 0.5;
  const errorAt = (share: number): number => {
    const residuals = residualsAt(share);
    const centre = median(residuals) ?? 0;
    return residuals.reduce((sum, it) => sum + Math.abs(it - centre), 0);
  };
  let best = expected;
  let bestError = errorAt(expected);
  const consider = (share: number): void => {
    const error = errorAt(share);
    if (error >= bestError - 1e-12) return;
    best = share;
    bestError = error;
  };
  for (let i = 0; i <= SHARE_STEPS; i += 1) consider(i / SHARE_STEPS);
  let step = 1 / SHARE_STEPS;
  for (let i = 0; i < REFINEMENTS; i += 1) {
    step /= 2;
    const from = best;
    consider(clamp(from - step, 0, 1));
    consider(clamp(from + step, 0, 1));
  }
  const noise = Math.max(SPREAD_MIN, spreadOf(residualsAt(best)));
  const evidence = sizeEvidence(units, best) / (noise * noise);
  const priorEvidence = 1 / (sd * sd);
  return (best * evidence + expected * priorEvidence) / (evidence + priorEvidence);
}

/** How much the sizes tell about the share: summed squared sensitivity of ln(line) to it. */
function sizeEvidence(units: readonly number[], share: number): number {
  const sensitivities = units.map((unit) => (unit - 1) / shapeAt(share, unit));
  const centre = median(sensitivities) ?? 0;
  // A bound per sample: one far-away size must not decide by itself.
  return sensitivities.reduce((sum, it) => sum + clamp(it - centre, -2, 2) ** 2, 0);
}

function shapeAt(share: number, unit: number): number {
  return Math.max(1 - share + share * unit, 1e-6);
}

/** Part of the line's value at this size that grows with the size; null where the line is 0. */
function shareOf(line: LinearModel, size: number): number | null {
  const whole = predictLine(line, size);
  return whole > 0 ? clamp((line.perUnit * size) / whole, 0, 1) : null;
}

/**
 * Robust standard deviation (from the median absolute deviation), pooled with what was assumed
 * before: few samples that agree by chance promise nothing.
 */
function pooledSpread(
  residuals: readonly number[],
  centre: number,
  prior: LinePrior | undefined,
): number {
  const own = spreadOf(residuals, centre);
  const count = residuals.length;
  const before = prior?.line.spread ?? SPREAD_PRIOR;
  const weight = Math.max(SPREAD_PRIOR_COUNT, prior?.weight ?? 0);
  const pooled = (own * own * count + before * before * weight) / (count + weight);
  return Math.max(SPREAD_MIN, Math.sqrt(pooled));
}

function orNothing(value: number): number {
  return value < AMOUNT_MIN ? 0 : value;
}

function isAmount(value: number): boolean {
  return value >= 0 && value <= AMOUNT_MAX; // NaN is neither
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
