/**
 * Tiers to numbers: percentiles over all configurations that are known here.
 *
 * Source: OSDI paper, section on SLOs: best, good, fair and basic are the best, the 95th, 80th and
 * 50th percentile of accuracy and of latency over all configurations.
 */
import { type SloTier, TIER_PERCENTILES } from "@murakkab/model";
import { evaluateChoice } from "../optimize/evaluate.ts";
import type { PlanCase } from "./cases.ts";

/**
 * Tiers below `best` are met by what comes this near: labelled questions can't tell configurations
 * apart that differ by less, and a cheap one must not lose to a dear one by the luck of one question.
 */
const TOLERANCE_RATIO = 0.03;
/** Configurations that are sampled of each case where latency is concerned. */
const SAMPLES_PER_CASE = 8;

export type TierScale = Readonly<Record<SloTier, number>>;

/** Promised qualities of the configurations that were visited; null where none was. */
export function qualityTiers(qualities: readonly number[]): TierScale | null {
  if (qualities.length === 0) return null;
  return byTier([...qualities].sort((a, b) => a - b), 1 - TOLERANCE_RATIO);
}

export function latencyTiers(cases: readonly PlanCase[]): TierScale {
  const latencies = cases.flatMap((it) => sampleLatencies(it));
  return byTier(
    latencies.sort((a, b) => b - a),
    1 + TOLERANCE_RATIO,
  );
}

/** `sorted`: worst first. */
function byTier(sorted: readonly number[], slack: number): Record<SloTier, number> {
  const at = (tier: SloTier): number => {
    const index = Math.ceil(TIER_PERCENTILES[tier] * sorted.length) - 1;
    return sorted[Math.max(0, Math.min(sorted.length - 1, index))] ?? 0;
  };
  return {
    best: at("best"),
    good: at("good") * slack,
    fair: at("fair") * slack,
    basic: at("basic") * slack,
  };
}

/** Spread evenly over the options of each step: the same cases give the same sample. */
function sampleLatencies({ problem }: PlanCase): number[] {
  return Array.from({ length: SAMPLES_PER_CASE }, (_, sample) => {
    const ids = problem.steps.map(({ options }, step) => {
      // Golden-ratio steps, another start for each step, so that no two steps move together.
      const position = ((sample + 1) * 0.618_033_988_75 + step * 0.414_213_562_37) % 1;
      return options[Math.floor(position * options.length)]?.id ?? "";
    });
    return evaluateChoice(problem, ids).latencyMs.upper;
  });
}
