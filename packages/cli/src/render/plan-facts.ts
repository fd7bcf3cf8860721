/**
 * What a plan and its explanation say, as texts that the terminal and the page share.
 *
 * Does not:  lay out, paint or escape: whoever shows a text makes it harmless for its medium.
 */
import type {
  Estimate,
  FrontierPoint,
  JobPlan,
  KnobValues,
  PlanExplanation,
  PlannedStep,
  Prediction,
  QualityEstimate,
  RejectedOption,
  RejectionCode,
  Slo,
  SloAxis,
} from "@murakkab/model";
import { formatDuration, formatUsd, formatWh } from "./units.ts";

export function knobText({ knobs }: { readonly knobs: KnobValues }): string {
  return Object.entries(knobs)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

export function batchText(batchItems: number | undefined): string {
  return batchItems === undefined ? "" : `${batchItems} per batch`;
}

/** Executor, knobs and batch in one line. */
export function optionText(
  option: Pick<RejectedOption, "executor" | "knobs" | "batchItems">,
): string {
  const batch = batchText(option.batchItems);
  const what = [option.executor, knobText(option)].filter((part) => part !== "").join(" ");
  return batch === "" ? what : `${what}, ${batch}`;
}

/** When a step of a staged plan runs, or what it may end. Mostly empty. */
export function stageMarks(plan: JobPlan, { step }: PlannedStep): string[] {
  const stages = plan.stages ?? [];
  return stages.flatMap(({ draft, atLeast, deferred }) => {
    if (draft === step) return [`draft: ends the job if at least ${atLeast} sure`];
    const name = stages.length === 1 ? "the draft" : draft;
    return deferred.includes(step) ? [`only if ${name} is less sure than ${atLeast}`] : [];
  });
}

export function isDeferred(plan: JobPlan, step: string): boolean {
  return (plan.stages ?? []).some(({ deferred }) => deferred.includes(step));
}

export function fanOutText(
  step: PlannedStep,
  itemCounts: Readonly<Record<string, number>> | undefined,
): string {
  if (step.fanOut === undefined) return "";
  const expected = step.predicted?.items;
  const count = itemCounts?.[step.step] ?? (expected === undefined ? "n" : Math.round(expected));
  return ` ×${count}`;
}

export function sourceText(source: JobPlan["output"]): string {
  return source.kind === "input" ? source.input : `${source.step}.${source.output}`;
}

/** A share of something, at most two digits: 0.864 → `0.86`. */
export function formatShare(share: number): string {
  return String(Math.round(share * 100) / 100);
}

export function qualityText(quality: QualityEstimate | null): string {
  if (quality === null) return "not known";
  return `${formatShare(quality.mean)} (${formatShare(quality.low)} to ${formatShare(quality.high)})`;
}

/** What the totals are modelled from: `5 measured, 1 prior`. Null where no step tells. */
export function figuresOrigin(plan: JobPlan): string | null {
  const counts = new Map<string, number>();
  for (const { predicted } of plan.steps) {
    if (predicted === undefined) continue;
    const { kind } = predicted.provenance;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const parts = [...counts].map(([kind, count]) => `${count} ${kind}`);
  return parts.length === 0 ? null : parts.join(", ");
}

export interface TotalLine {
  readonly axis: SloAxis;
  readonly text: string;
  /** One word: where the figure comes from. */
  readonly origin: string;
  /** More about it, with the mark that belongs before it; may be empty. */
  readonly note: string;
}

export function totalLines({
  latencyMs,
  costUsd,
  energyWh,
  quality,
  queueMs,
}: Prediction): TotalLine[] {
  const estimate = ({ p50, p95 }: Estimate, format: (value: number) => string): string =>
    `p50 ${format(p50)}, p95 ${format(p95)}`;
  const origin = "modelled";
  const wait = queueMs >= 1 ? `; ${formatDuration(queueMs)} of it waiting at the present load` : "";
  return [
    { axis: "latency", text: estimate(latencyMs, formatDuration), origin, note: wait },
    { axis: "cost", text: estimate(costUsd, formatUsd), origin, note: "" },
    { axis: "energy", text: estimate(energyWh, formatWh), origin, note: "" },
    {
      axis: "quality",
      text: qualityText(quality),
      origin: quality === null ? "no labelled run, no feedback" : quality.provenance.kind,
      note: quality === null ? "" : `: ${quality.provenance.note}`,
    },
  ];
}

export interface SloLine {
  readonly axis: SloAxis;
  /** `at most 30.0 s`, with the tier it came from. */
  readonly bound: string;
  /** What is promised against it: p95, or the lower end of the quality interval. */
  readonly promised: string;
  readonly margin: string;
  /** Null where quality is not known. */
  readonly isKept: boolean | null;
}

export function sloBounds(slo: Slo): { axis: SloAxis; bound: string }[] {
  const tier = (word: string | undefined): string => (word === undefined ? "" : ` (tier ${word})`);
  const { latencyMsMax, costUsdMax, energyWhMax, qualityMin } = slo;
  const bounds: [SloAxis, string | null][] = [
    ["latency", boundText(latencyMsMax, formatDuration, tier(slo.latencyTier))],
    ["cost", boundText(costUsdMax, formatUsd, "")],
    ["energy", boundText(energyWhMax, formatWh, "")],
    [
      "quality",
      qualityMin === undefined
        ? null
        : `at least ${formatShare(qualityMin)}${tier(slo.qualityTier)}`,
    ],
  ];
  const tiers: Partial<Record<SloAxis, string | undefined>> = {
    latency: slo.latencyTier,
    quality: slo.qualityTier,
  };
  return bounds.flatMap(([axis, bound]) => {
    // A tier that was not resolved to a number is a bound too.
    const text = bound ?? (tiers[axis] === undefined ? null : `tier ${tiers[axis]}`);
    return text === null ? [] : [{ axis, bound: text }];
  });
}

function boundText(
  bound: number | undefined,
  format: (value: number) => string,
  after: string,
): string | null {
  return bound === undefined ? null : `at most ${format(bound)}${after}`;
}

export function sloLines(slo: Slo, predicted: Prediction): SloLine[] {
  return sloBounds(slo).map(({ axis, bound }) => {
    if (axis === "quality") return qualityLine(bound, slo.qualityMin, predicted.quality);
    const { p95, max, format } = promiseOf(axis, slo, predicted);
    const promised = `p95 ${format(p95)}`;
    if (max === undefined) return { axis, bound, promised, margin: "", isKept: null };
    const isKept = p95 <= max;
    const share = Math.round((100 * Math.abs(max - p95)) / max);
    const margin = isKept ? `${share}% to spare` : `over by ${share}%`;
    return { axis, bound, promised, margin, isKept };
  });
}

function promiseOf(axis: Exclude<SloAxis, "quality">, slo: Slo, predicted: Prediction) {
  switch (axis) {
    case "latency":
      return { p95: predicted.latencyMs.p95, max: slo.latencyMsMax, format: formatDuration };
    case "cost":
      return { p95: predicted.costUsd.p95, max: slo.costUsdMax, format: formatUsd };
    case "energy":
      return { p95: predicted.energyWh.p95, max: slo.energyWhMax, format: formatWh };
  }
}

function qualityLine(
  bound: string,
  min: number | undefined,
  quality: QualityEstimate | null,
): SloLine {
  const axis = "quality";
  if (quality === null || min === undefined) {
    return { axis, bound, promised: "not known", margin: "", isKept: null };
  }
  const spare = quality.low - min;
  return {
    axis,
    bound,
    promised: `lower end ${formatShare(quality.low)}`,
    margin: spare >= 0 ? `${formatShare(spare)} to spare` : `short by ${formatShare(-spare)}`,
    isKept: spare >= 0,
  };
}

/** What a picture of the frontier has on its vertical axis. */
export interface FrontierAxis {
  readonly name: "cost" | "energy";
  readonly of: (point: FrontierPoint) => number;
  readonly format: (value: number) => string;
  readonly bound: number | undefined;
}

export function frontierAxis({ objective, slo }: PlanExplanation): FrontierAxis {
  return objective === "energy" || objective === "resources"
    ? { name: "energy", of: ({ energyWh }) => energyWh, format: formatWh, bound: slo.energyWhMax }
    : { name: "cost", of: ({ costUsd }) => costUsd, format: formatUsd, bound: slo.costUsdMax };
}

const CODE_RANK: Readonly<Record<RejectionCode, number>> = {
  demoted: 0,
  "breaks-quality": 1,
  "breaks-latency": 1,
  "breaks-cost": 1,
  "breaks-energy": 1,
  constraint: 2,
  unavailable: 2,
  "worse-objective": 3,
  dominated: 4,
};

/**
 * The options of one step that tell most about the choice: what could win first, then one of each
 * reason and executor before a second one of either.
 */
export function tellingOptions(
  rejected: readonly RejectedOption[],
  limit: number,
): RejectedOption[] {
  const left = rejected.map((option, index) => ({
    option,
    rank: (option.toWin === undefined ? 0.5 : 0) + (CODE_RANK[option.code] ?? 5) + index * 1e-6,
  }));
  const told: RejectedOption[] = [];
  while (told.length < limit && left.length > 0) {
    const scored = left.map(({ option, rank }, index) => ({
      index,
      score:
        rank +
        4 * told.filter(({ code }) => code === option.code).length +
        3 * told.filter(({ executor }) => executor === option.executor).length,
    }));
    const best = scored.reduce((one, other) => (other.score < one.score ? other : one));
    const [taken] = left.splice(best.index, 1);
    if (taken !== undefined) told.push(taken.option);
  }
  return told;
}

/** `exact`, or how much better another configuration could be at most. */
export function searchText({ configurationCount, gapRatio }: PlanExplanation): string {
  const count = configurationCount.toLocaleString("en-US");
  const exact =
    gapRatio <= 0 ? "exact" : `at most ${(gapRatio * 100).toPrecision(2)}% from the best`;
  return `${count} configuration${configurationCount === 1 ? "" : "s"} considered, ${exact}`;
}
