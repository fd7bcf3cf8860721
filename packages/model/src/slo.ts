/** Service level objectives of a job. Absent = no bound on that axis. */
export interface Slo {
  readonly latencyMsMax?: number;
  readonly costUsdMax?: number;
  readonly energyWhMax?: number;
  /** 0 to 1. */
  readonly qualityMin?: number;
}

export const OBJECTIVES = ["cost", "energy", "latency", "quality"] as const;
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
