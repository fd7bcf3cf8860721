/** What is told of a setting: figures of its runs, each with its unit in its name. */
import { nearestRank, qualityEstimate, type Trial } from "@murakkab/core";
import type { QualityEstimate } from "@murakkab/model";
import type { TrialResult } from "./trial-runner.ts";

export interface SettingFigures {
  readonly setting: string;
  readonly runs: number;
  readonly failedCount: number;
  /** Null where nothing was labelled. */
  readonly quality: QualityEstimate | null;
  readonly latencyMs: { readonly p50: number; readonly p95: number } | null;
  /** Mean per job. */
  readonly cpuSec: number | null;
  readonly costUsd: number | null;
  readonly energyWh: number | null;
  /** Median of |observed / predicted - 1|: of jobs' latency, or of an executor's attempts. */
  readonly fitError: number | null;
  readonly isOnFrontier: boolean;
  /** Why it was stopped; null when it was not. */
  readonly stopped: string | null;
}

/** As if every run had been alone: shared steps count as profiles have them. */
export function figuresOf(
  setting: string,
  results: readonly TrialResult[],
  more: { readonly isOnFrontier: boolean; readonly stopped: string | null },
): SettingFigures {
  const done = results.filter((it) => it.receipt.state === "succeeded");
  const latencies = done
    .map((it) => it.latencyMs ?? it.receipt.predicted?.latencyMs.p50 ?? null)
    .filter((it) => it !== null)
    .sort((a, b) => a - b);
  const scored = results.filter((it) => it.score !== null);
  const mean = (valueOf: (it: TrialResult) => number): number | null => meanOf(done.map(valueOf));
  return {
    ...{ setting, ...more },
    runs: results.length,
    failedCount: results.length - done.length,
    quality: scored.length === 0 ? null : qualityEstimate({ labelled: countOf(scored) }),
    latencyMs:
      latencies.length === 0
        ? null
        : { p50: nearestRank(latencies, 0.5), p95: nearestRank(latencies, 0.95) },
    cpuSec: mean((it) => it.cpuSec),
    costUsd: mean((it) => it.costUsd),
    energyWh: mean((it) => it.energyWh),
    fitError: fitErrorOf(done.filter((it) => it.latencyMs !== null)),
  };
}

/** For the planner of experiments: the cost is CPU seconds, which a busy host changes least. */
export function trialOf(setting: string, results: readonly TrialResult[]): Trial {
  const { cpuSec } = figuresOf(setting, results, { isOnFrontier: false, stopped: null });
  return { setting, quality: countOf(results), cost: cpuSec ?? 0 };
}

function countOf(results: readonly TrialResult[]) {
  return {
    scoreSum: results.reduce((sum, it) => sum + (it.score ?? 0), 0),
    count: results.filter((it) => it.score !== null).length,
  };
}

/** How far the plans' predictions were off; null where plans predict nothing yet. */
function fitErrorOf(results: readonly TrialResult[]): number | null {
  const errors = results.flatMap(({ receipt }) => {
    const predictedMs = receipt.predicted?.latencyMs.p50 ?? 0;
    return predictedMs > 0 ? [Math.abs(receipt.latencyMs / predictedMs - 1)] : [];
  });
  return errors.length === 0
    ? null
    : nearestRank(
        errors.sort((a, b) => a - b),
        0.5,
      );
}

export function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, it) => sum + it, 0) / values.length;
}
