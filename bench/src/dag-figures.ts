/** The figures of the `dag` bench, from its rounds. */
import type { LoopSide } from "./client-commands.ts";
import type { LoopResult } from "./closed-loop.ts";
import type { CpuSecByPart, Part } from "./dag-cluster.ts";
import { bounded, type Figure, median, round } from "./report.ts";

export const IN_FLIGHT_COUNT = 64;

export interface Load {
  readonly side: LoopSide;
  readonly isDurable: boolean;
}

/** Whose work a run is. The others' idle hum is not its cost. */
const PARTS_OF: Readonly<Record<LoopSide, readonly Part[]>> = {
  jobs: ["scheduler", "agent", "worker", "nats", "client"],
  raw: ["reference", "nats", "client"],
  actors: ["reference", "nats", "client"],
};

export const JOBS = { side: "jobs", isDurable: true } as const satisfies Load;
export const JOBS_VOLATILE = { side: "jobs", isDurable: false } as const satisfies Load;
export const RAW = { side: "raw", isDurable: true } as const satisfies Load;
export const RAW_VOLATILE = { side: "raw", isDurable: false } as const satisfies Load;
export const ACTORS = { side: "actors", isDurable: false } as const satisfies Load;
export const LOADS = [RAW, JOBS, RAW_VOLATILE, JOBS_VOLATILE, ACTORS] as const;

export interface Slice extends LoopResult {
  readonly cpuSec: CpuSecByPart;
}

export type Round = ReadonlyMap<Load, Slice>;

export function ourFigures(rounds: readonly Round[], single: Slice): Figure[] {
  const durable = rounds.map((slices) => sliceOf(slices, JOBS));
  const measured = [...rounds.flatMap((slices) => [...slices.values()]), single];
  return [
    perSecFigure("durablePerSec", rounds, JOBS, 1_000),
    bounded(
      {
        key: "durableMsP50",
        value: round(median(durable.map((slice) => slice.latencyMsP50)), 1),
        unit: "ms",
        note: `${IN_FLIGHT_COUNT} in flight; p99 ${round(median(durable.map((slice) => slice.latencyMsP99)), 1)} ms`,
      },
      { atMost: 60 },
    ),
    bounded(
      {
        key: "durableSingleMsP50",
        value: round(single.latencyMsP50, 1),
        unit: "ms",
        note: `1 in flight; p99 ${round(single.latencyMsP99, 1)} ms`,
      },
      { atMost: 8 },
    ),
    perSecFigure("volatilePerSec", rounds, JOBS_VOLATILE, 2_500),
    perSecFigure("actorDagPerSec", rounds, ACTORS, 6_000),
    bounded(
      {
        key: "failedRuns",
        value: measured.reduce((sum, slice) => sum + slice.failedCount, 0),
        unit: "count",
      },
      { atMost: 0 },
    ),
  ];
}

export function referenceFigures(rounds: readonly Round[], single: Slice): Figure[] {
  const ratio = (ours: Load, raw: Load): number =>
    round(
      median(rounds.map((slices) => sliceOf(slices, ours).perSec / sliceOf(slices, raw).perSec)),
      3,
    );
  return [
    perSecFigure("rawNatsPerSec", rounds, RAW),
    perSecFigure("rawNatsVolatilePerSec", rounds, RAW_VOLATILE),
    {
      key: "rawNatsSingleMsP50",
      value: round(single.latencyMsP50, 1),
      unit: "ms",
      note: "durable, 1 in flight",
    },
    bounded(
      {
        key: "rawNatsRatio",
        value: ratio(JOBS, RAW),
        unit: "ratio",
        note: "our durable / hand-written durable",
      },
      { atLeast: 0.25 },
    ),
    bounded(
      {
        key: "volatileRawNatsRatio",
        value: ratio(JOBS_VOLATILE, RAW_VOLATILE),
        unit: "ratio",
        note: "our volatile / hand-written volatile",
      },
      { atLeast: 0.5 },
    ),
  ];
}

function perSecFigure(key: string, rounds: readonly Round[], load: Load, atLeast?: number): Figure {
  const perSec = rounds.map((slices) => sliceOf(slices, load).perSec);
  const note = `${round(Math.min(...perSec), 0)} to ${round(Math.max(...perSec), 0)} over the rounds`;
  const figure = { key, value: round(median(perSec), 0), unit: "1/s", note };
  return atLeast === undefined ? figure : bounded(figure, { atLeast });
}

/** CPU per job: on a shared machine the figures that can be trusted most. */
export function costFigures(rounds: readonly Round[]): Figure[] {
  const figure = (key: string, load: Load): Figure => {
    const msByPart = cpuMsPerRun(rounds, load);
    const note = [...msByPart].map(([part, ms]) => `${part} ${round(ms, 3)}`).join(", ");
    return { key, value: round(totalOf(msByPart), 3), unit: "ms", note };
  };
  const ratio = (key: string, ours: Load, raw: Load): Figure => ({
    key,
    value: round(totalOf(cpuMsPerRun(rounds, raw)) / totalOf(cpuMsPerRun(rounds, ours)), 3),
    unit: "ratio",
    note: "CPU per run: hand-written / ours, all processes",
  });
  return [
    figure("durableCpuMsPerJob", JOBS),
    figure("volatileCpuMsPerJob", JOBS_VOLATILE),
    figure("rawNatsCpuMsPerRun", RAW),
    figure("rawNatsVolatileCpuMsPerRun", RAW_VOLATILE),
    figure("actorDagCpuMsPerRun", ACTORS),
    ratio("rawNatsCpuRatio", JOBS, RAW),
    ratio("volatileRawNatsCpuRatio", JOBS_VOLATILE, RAW_VOLATILE),
  ];
}

function cpuMsPerRun(rounds: readonly Round[], load: Load): ReadonlyMap<Part, number> {
  const slices = rounds.map((it) => sliceOf(it, load));
  const count = slices.reduce((sum, slice) => sum + slice.count, 0);
  const msOf = (part: Part): number =>
    (slices.reduce((sum, slice) => sum + slice.cpuSec[part], 0) * 1_000) / count;
  return new Map(PARTS_OF[load.side].map((part) => [part, msOf(part)]));
}

function totalOf(msByPart: ReadonlyMap<Part, number>): number {
  return [...msByPart.values()].reduce((sum, ms) => sum + ms, 0);
}

export function sliceOf(slices: Round, load: Load): Slice {
  const slice = slices.get(load);
  if (slice === undefined) throw new Error(`no slice of ${load.side}`);
  return slice;
}

export function showRound(slices: Round): string {
  return [...slices]
    .map(([{ side, isDurable }, slice]) => {
      const kind = side === "actors" ? "" : isDurable ? " durable" : " volatile";
      return `${side}${kind} ${Math.round(slice.perSec)}/s`;
    })
    .join(", ");
}

export function showSlice({ side }: Load, { perSec, latencyMsP50, count, cpuSec }: Slice): string {
  const cost = PARTS_OF[side].map((part) => `${part} ${round((cpuSec[part] * 1_000) / count, 3)}`);
  return `${Math.round(perSec)}/s, p50 ${round(latencyMsP50, 1)} ms, CPU ms per job: ${cost.join(", ")}`;
}
