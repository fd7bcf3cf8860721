/**
 * What an attempt costs in dollars and in energy.
 *
 * Dollars: cores reserved × time in the engine × price per core-hour (price table).
 * Energy:  modelled by a straight line, as for hosts without RAPL: CPU-seconds × what a busy core
 *          adds, plus the idle share of the reserved cores and memory for the time in the engine.
 *          A host's idle power outside of attempts is nobody's and not booked here.
 */
import type { ExecutorEntry } from "@murakkab/model";

export interface Rates {
  readonly pricePerCoreHourUsd: number;
  readonly busyWattsPerCore: number;
  readonly idleWattsPerCore: number;
  readonly memoryWattsPerGib: number;
}

export interface AttemptCost {
  readonly costUsd: number;
  readonly energyWh: number;
}

const MS_PER_HOUR = 3_600_000;
const MIB_PER_GIB = 1_024;

/** `cpuSec` null (the host can't tell) counts the reserved cores as busy: an upper bound. */
export function attemptCost(
  entry: ExecutorEntry,
  measured: { readonly runMs: number; readonly cpuSec: number | null },
  rates: Rates,
): AttemptCost {
  const { cores, memoryMib } = entry.resources;
  const hours = measured.runMs / MS_PER_HOUR;
  const cpuHours = measured.cpuSec === null ? cores * hours : measured.cpuSec / 3_600;
  const idleWatts =
    cores * rates.idleWattsPerCore + (memoryMib / MIB_PER_GIB) * rates.memoryWattsPerGib;
  return {
    costUsd: cores * hours * (entry.pricePerCoreHourUsd ?? rates.pricePerCoreHourUsd),
    energyWh: cpuHours * (rates.busyWattsPerCore - rates.idleWattsPerCore) + hours * idleWatts,
  };
}
