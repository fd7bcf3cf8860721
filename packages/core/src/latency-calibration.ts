/**
 * How far real latencies lie from predicted ones, learned from every finished job.
 *
 * A prediction adds up what profiles say; what it leaves out (attempts that can't be interrupted,
 * a host's other work, time on the bus) is the same from job to job, so the last jobs tell it.
 *
 * Model:  quantiles of the last ratios `real / predicted`, with prior ratios of 1 that weigh less
 *         the more was seen. Nothing is corrected before `COUNT_MIN` jobs.
 */

/** Ratios that are kept: some minutes of a busy scheduler, hours of a quiet one. */
const RATIOS_MAX = 200;
const COUNT_MIN = 8;
/** One prior ratio of 1 for each so many slots that are not filled yet. */
const PRIOR_COUNT = 12;
/** A job that took a hundred times as long hung: it says nothing of the others. */
const RATIO_MAX = 20;
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
    if (!(realMs > 0) || !(predicted.p50 > 0) || !(predicted.p95 > 0)) return;
    push(this.expected, Math.min(RATIO_MAX, realMs / predicted.p50));
    push(this.upper, Math.min(RATIO_MAX, realMs / predicted.p95));
  }

  factors(): LatencyFactors {
    const count = this.expected.length;
    if (count < COUNT_MIN) return { p50: 1, p95: 1, count };
    return {
      p50: quantile(withPrior(this.expected), 0.5),
      p95: Math.max(1, quantile(withPrior(this.upper), UPPER_QUANTILE)),
      count,
    };
  }
}

function push(ratios: number[], ratio: number): void {
  ratios.push(ratio);
  if (ratios.length > RATIOS_MAX) ratios.shift();
}

function withPrior(ratios: readonly number[]): number[] {
  const count = Math.max(0, PRIOR_COUNT - Math.floor(ratios.length / 4));
  return [...ratios, ...Array.from({ length: count }, () => 1)];
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 1;
}
