/**
 * The lower bound of a composed quality, as a sum over steps.
 *
 * Model:  ln(quality) = ln(base) + sum of ln(kept), independent, so that variances add; the bound is
 *         the mean less z standard deviations. A standard deviation does not add up over steps, but
 *         for every s > 0  sqrt(V) <= V / (2 s) + s / 2  (arithmetic and geometric mean), with
 *         equality at s = sqrt(V). With s of the path alone the bound is exact where options add no
 *         doubt, and on the safe side where they do.
 */
import type { UncertainFactor } from "./knowledge.ts";

export interface LossScale {
  readonly z: number;
  readonly sd: number;
}

/** A path that was measured on thousands of questions still has its questions' doubt. */
const SD_MIN = 0.01;

/** `level`: null promises the mean, whatever its doubt. */
export function lossScale(base: UncertainFactor, level: number | null): LossScale {
  return {
    z: level === null ? 0 : normalQuantile(1 - (1 - level) / 2),
    sd: Math.max(SD_MIN, Math.sqrt(base.lnVariance)),
  };
}

/** -ln of the bound of the path alone. */
export function baseLoss(base: UncertainFactor, { z, sd }: LossScale): number {
  const variance = base.lnVariance;
  return -Math.log(Math.min(1, Math.max(base.mean, 1e-9))) + z * (variance / (2 * sd) + sd / 2);
}

/** What one option adds to it, at least 0. */
export function optionLoss(kept: UncertainFactor, { z, sd }: LossScale): number {
  const mean = Math.min(1, Math.max(kept.mean, 1e-9));
  return Math.max(0, -Math.log(mean) + (z * kept.lnVariance) / (2 * sd));
}

/**
 * Quantile of the standard normal distribution for p >= 0.5, to 4.5e-4.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.23.
 */
export function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(1 - p));
  const numerator = 2.515517 + t * (0.802853 + t * 0.010328);
  const denominator = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  return t - numerator / denominator;
}
