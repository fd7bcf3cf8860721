/**
 * What an attempt costs in dollars and in energy.
 *
 * Dollars: cores reserved × time in the engine × price per core-hour (price table).
 * Energy:  modelled from CPU time, as tools for hosts without RAPL do: CPU-seconds × the watts of
 *          one busy core. Idle power is shown apart and not booked on jobs.
 */
import type { ExecutorEntry } from "@murakkab/model";

export interface Rates {
  readonly pricePerCoreHourUsd: number;
  readonly wattsPerBusyCore: number;
}

export interface AttemptCost {
  readonly costUsd: number;
  readonly energyWh: number;
}

const MS_PER_HOUR = 3_600_000;

/** `cpuSec` null (the host can't tell) counts the reserved cores as busy: an upper bound. */
export function attemptCost(
  entry: ExecutorEntry,
  measured: { readonly runMs: number; readonly cpuSec: number | null },
  rates: Rates,
): AttemptCost {
  const { cores } = entry.resources;
  const price = entry.pricePerCoreHourUsd ?? rates.pricePerCoreHourUsd;
  const cpuSec = measured.cpuSec ?? (cores * measured.runMs) / 1_000;
  return {
    costUsd: (cores * measured.runMs * price) / MS_PER_HOUR,
    energyWh: (cpuSec * rates.wattsPerBusyCore) / 3_600,
  };
}
