/**
 * Tiers, as the OSDI paper has them: the best, the 95th, 80th and 50th percentile over all
 * configurations of the workflow.
 */
export const SLO_TIERS = ["best", "good", "fair", "basic"] as const;
export type SloTier = (typeof SLO_TIERS)[number];
export const TIER_PERCENTILES: Readonly<Record<SloTier, number>> = {
  best: 1,
  good: 0.95,
  fair: 0.8,
  basic: 0.5,
};

/** Service level objectives of a job. Absent = no bound on that axis. */
export interface Slo {
  /** Resolved to `qualityMin` / `latencyMsMax` when the job is planned. */
  readonly qualityTier?: SloTier;
  readonly latencyTier?: SloTier;
  readonly latencyMsMax?: number;
  readonly costUsdMax?: number;
  readonly energyWhMax?: number;
  /** 0 to 1. */
  readonly qualityMin?: number;
}

/** `resources`: device-seconds, those of GPUs first. */
export const OBJECTIVES = ["cost", "energy", "latency", "quality", "resources"] as const;
export type Objective = (typeof OBJECTIVES)[number];

/** Which bounds held. `null` = not known (quality is not measured yet). */
export interface SloOutcome {
  readonly latency?: boolean;
  readonly cost?: boolean;
  readonly energy?: boolean;
  readonly quality?: null;
}

export interface SloActuals {
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
}

export function sloOutcome(slo: Slo, actual: SloActuals): SloOutcome {
  return {
    ...(slo.latencyMsMax === undefined ? {} : { latency: actual.latencyMs <= slo.latencyMsMax }),
    ...(slo.costUsdMax === undefined ? {} : { cost: actual.costUsd <= slo.costUsdMax }),
    ...(slo.energyWhMax === undefined ? {} : { energy: actual.energyWh <= slo.energyWhMax }),
    ...(slo.qualityMin === undefined ? {} : { quality: null }),
  };
}
