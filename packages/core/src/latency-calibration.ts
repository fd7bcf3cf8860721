/**
 * How far real latencies lie from predicted ones, learned from every finished job.
 *
 * A prediction adds up what profiles say; what it leaves out (attempts that can't be interrupted,
 * a host's other work, time on the bus) is the same from job to job, so the last jobs tell it.
 *
 * Model:  quantiles of the last ratios `real / predicted`, with prior ratios that weigh less the more
 *         was seen. Expected values are not corrected before `COUNT_MIN` jobs; bounds are widened by
 *         a fifth from the start, because a first job's bound counts as much as any other's.
 */

import { nearestRank } from "./profile/statistics.ts";

/** Ratios that are kept: some minutes of a busy scheduler, hours of a quiet one. */
const RATIOS_MAX = 200;
const COUNT_MIN = 8;
/** One prior ratio of 1 for each so many slots that are not filled yet. */
const PRIOR_COUNT = 12;
/** A job that took a hundred times as long hung: it says nothing of the others. */
const RATIO_MAX = 20;
/** What bounds are widened by before anything was seen, and at least for as long as it was not. */
const UPPER_PRIOR = 1.2;
/** Predictions are bounds already: they are widened by what was seen, and never narrowed. */
const UPPER_MIN = 1;
/** Part of the jobs that may pass the bound of a prediction. Below the share that may miss an SLO. */
const UPPER_QUANTILE = 0.985;

export interface LatencyFactors {
  /** On the expected latency. */
  readonly p50: number;
  /** On the bound. */
  readonly p95: number;
  readonly count: number;
}

export class LatencyCalibration {
  private readonly expected: number[] = [];
  private readonly upper: number[] = [];

  /** Units: ms; predictions as they were before calibration. */
  observe(realMs: number, predicted: { readonly p50: number; readonly p95: number }): void {
    if (realMs > 0 && predicted.p50 > 0) {
      push(this.expected, Math.min(RATIO_MAX, realMs / predicted.p50));
    }
    this.observeUpper(realMs, predicted.p95);
  }

  /** Of a job whose expected value was of another course than the one that it took. */
  observeUpper(realMs: number, p95Ms: number): void {
    if (realMs > 0 && p95Ms > 0) push(this.upper, Math.min(RATIO_MAX, realMs / p95Ms));
  }

  factors(): LatencyFactors {
    const isKnown = this.expected.length >= COUNT_MIN;
    return {
      p50: isKnown ? nearestRank(withPrior(this.expected, 1), 0.5) : 1,
      p95: Math.max(UPPER_MIN, nearestRank(withPrior(this.upper, UPPER_PRIOR), UPPER_QUANTILE)),
      count: this.upper.length,
    };
  }
}

function push(ratios: number[], ratio: number): void {
  ratios.push(ratio);
  if (ratios.length > RATIOS_MAX) ratios.shift();
}

/** Sorted, never empty. */
function withPrior(ratios: readonly number[], prior: number): number[] {
  const count = Math.max(0, PRIOR_COUNT - Math.floor(ratios.length / 4));
  return [...ratios, ...Array.from({ length: count }, () => prior)].sort((a, b) => a - b);
}
