/**
 * Why a plan is this one: the frontier of whole configurations, and for every option that was not
 * chosen the reason and what would make it win.
 *
 * Owns:      turning verdicts into sentences with units.
 * Does not:  judge: the verdicts are of the optimizer.
 */
import type { FrontierPoint, JobPlan, Objective, RejectedOption, Slo } from "@murakkab/model";
import { explainOptions } from "../optimize/explain.ts";
import { frontier } from "../optimize/frontier.ts";
import type { ChoiceTotals, OptionVerdict, SolvedChoice } from "../optimize/problem.ts";
import type { CaseContext, PlanCase } from "./cases.ts";
import type { StepOption } from "./estimate.ts";
import { qualityOf } from "./materialize.ts";

/** Points that a picture of the frontier still shows apart. */
const FRONTIER_POINTS_MAX = 60;
const POINTS_PER_CASE = 12;
/** Cases whose frontiers are drawn: visited ones, and the composed ones that cost least. */
const FRONTIER_CASES_MAX = 80;

export interface ExplainParts {
  readonly planCase: PlanCase;
  readonly choice: SolvedChoice;
  readonly slo: Slo;
  readonly plan: JobPlan;
  readonly cases: readonly PlanCase[];
  readonly context: CaseContext;
  /** See PlanJobRequest. */
  readonly latencyFactor: number;
}

export function explainPlan(parts: ExplainParts): {
  readonly rejected: readonly RejectedOption[];
  readonly frontier: readonly FrontierPoint[];
} {
  return { rejected: rejectedOptions(parts), frontier: frontierOf(parts) };
}

/** Options of the chosen path; a visited configuration is compared within its composed case. */
function rejectedOptions(parts: ExplainParts): RejectedOption[] {
  const { planCase, choice, cases, context } = parts;
  const chosenIds = choice.optionIds;
  const composed = cases.find(
    (it) =>
      it.visited === null &&
      it.path.pathKey === planCase.path.pathKey &&
      chosenIds.every((id, index) => it.options[index]?.some((option) => option.id === id)),
  );
  const within = composed ?? planCase;
  const { problem } = within;
  const verdicts = explainOptions(problem, choice);
  const { objective } = context;
  return verdicts.flatMap((verdict) => {
    const index = problem.steps.findIndex((it) => it.step === verdict.step);
    const option = within.options[index]?.find((it) => it.id === verdict.id);
    if (option === undefined) return [];
    const chosenId = chosenIds[index] ?? "";
    const { slo, latencyFactor } = parts;
    return [toRejected(verdict, option, { objective, chosenId, slo, latencyFactor })];
  });
}

function toRejected(
  verdict: OptionVerdict,
  option: StepOption,
  how: {
    readonly objective: Objective;
    readonly chosenId: string;
    readonly slo: Slo;
    readonly latencyFactor: number;
  },
): RejectedOption {
  const { step, code } = verdict;
  const words = reasonOf(verdict, how);
  return {
    step,
    executor: option.entry.id,
    knobs: option.knobs,
    ...(option.batchItems === null ? {} : { batchItems: option.batchItems }),
    code,
    ...words,
  };
}

function reasonOf(
  verdict: OptionVerdict,
  {
    objective,
    slo,
    latencyFactor,
  }: { readonly objective: Objective; readonly slo: Slo; readonly latencyFactor: number },
): { readonly reason: string; readonly toWin?: string } {
  const { code, feasibleAt, objectiveBehind, by, forced } = verdict;
  switch (code) {
    case "dominated":
      return {
        reason: `${by ?? "another option"} is as good or better in time, cost, energy and quality`,
      };
    case "breaks-latency":
      return broken(
        "latency",
        feasibleAt === undefined ? null : milliseconds(feasibleAt * latencyFactor),
        `latency<${milliseconds(slo.latencyMsMax ?? 0)}`,
      );
    case "breaks-cost":
      return broken(
        "cost",
        feasibleAt === undefined ? null : dollars(feasibleAt),
        `cost<${dollars(slo.costUsdMax ?? 0)}`,
      );
    case "breaks-energy":
      return broken(
        "energy",
        feasibleAt === undefined ? null : wattHours(feasibleAt),
        `energy<${wattHours(slo.energyWhMax ?? 0)}`,
      );
    case "breaks-quality": {
      const at = feasibleAt === undefined ? null : Math.exp(-feasibleAt).toFixed(3);
      return broken("quality", at, `quality>=${(slo.qualityMin ?? 0).toFixed(3)}`);
    }
    case "worse-objective": {
      const behind = objectiveBehind ?? 0;
      const total = forced === undefined ? "" : `: ${objectiveText(objective, forced)} expected`;
      if (behind <= 0)
        return { reason: `no better in ${objective}${total}; ties go to what is cheaper` };
      return {
        reason: `every bound would hold, but ${objective} is worse by ${amountText(objective, behind)}${total}`,
        toWin: `it would have to take ${amountText(objective, behind)} less`,
      };
    }
    default:
      return { reason: code };
  }
}

function broken(
  axis: string,
  at: string | null,
  bound: string,
): { reason: string; toWin?: string } {
  const reason = `no whole plan with it keeps ${bound}`;
  if (at === null) return { reason };
  return { reason, toWin: `the bound on ${axis} would have to be ${at}` };
}

function objectiveText(objective: Objective, totals: ChoiceTotals): string {
  switch (objective) {
    case "cost":
      return dollars(totals.costUsd.expected);
    case "energy":
      return wattHours(totals.energyWh.expected);
    case "latency":
      return milliseconds(totals.latencyMs.expected);
    case "quality":
      return `quality ${Math.exp(-totals.logLoss).toFixed(3)}`;
    case "resources":
      return `${significant(totals.gpuSec)} GPU s and ${significant(totals.coreSec)} core s`;
  }
}

function amountText(objective: Objective, value: number): string {
  switch (objective) {
    case "cost":
      return dollars(value);
    case "energy":
      return wattHours(value);
    case "latency":
      return milliseconds(value);
    case "quality":
      return `${(100 * (1 - Math.exp(-value))).toFixed(1)} % of quality`;
    case "resources":
      return `${significant(value)} GPU s`;
  }
}

function milliseconds(value: number): string {
  return value >= 1_000 ? `${significant(value / 1_000)}s` : `${significant(value)}ms`;
}

function dollars(value: number): string {
  return `$${significant(value)}`;
}

function wattHours(value: number): string {
  return value < 0.1 ? `${significant(value * 1_000)}mWh` : `${significant(value)}Wh`;
}

function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}

// ---- frontier --------------------------------------------------------------------------------

function frontierOf(parts: ExplainParts): FrontierPoint[] {
  const { context, choice, planCase } = parts;
  const points: FrontierPoint[] = [];
  const add = (it: PlanCase, ids: readonly string[], totals: ChoiceTotals): void => {
    points.push(toPoint(it, ids, totals, context));
  };
  for (const it of parts.cases.slice(0, FRONTIER_CASES_MAX)) {
    const { limits: _, ...free } = it.problem;
    for (const point of frontier({ ...free, limits: {} }, { pointsMax: POINTS_PER_CASE })) {
      add(it, point.optionIds, point.totals);
    }
  }
  const chosen = { ...toPoint(planCase, choice.optionIds, choice.totals, context), isChosen: true };
  const others = points.filter(
    (it) => !isSame(it, chosen) && !points.some((by) => dominates(by, it)),
  );
  return [chosen, ...thinOut(others, FRONTIER_POINTS_MAX - 1)].sort(
    (a, b) => a.latencyMs - b.latencyMs || a.costUsd - b.costUsd,
  );
}

function toPoint(
  planCase: PlanCase,
  ids: readonly string[],
  totals: ChoiceTotals,
  context: CaseContext,
): FrontierPoint {
  const { skeleton } = planCase.path;
  const deferred = new Set(skeleton.stages?.[0]?.deferred);
  return {
    latencyMs: totals.latencyMs.expected,
    costUsd: totals.costUsd.expected,
    energyWh: totals.energyWh.expected,
    quality: qualityOf(planCase, context, totals)?.mean ?? null,
    summary: skeleton.steps
      .map(
        (step, index) =>
          `${step.step}: ${ids[index] ?? ""}${deferred.has(step.step) ? " if unsure" : ""}`,
      )
      .join(", "),
    isChosen: false,
  };
}

function isSame(a: FrontierPoint, b: FrontierPoint): boolean {
  return a.latencyMs === b.latencyMs && a.costUsd === b.costUsd && a.quality === b.quality;
}

/** As good on every axis and better on one. */
function dominates(a: FrontierPoint, b: FrontierPoint): boolean {
  const pairs = [
    [a.latencyMs, b.latencyMs],
    [a.costUsd, b.costUsd],
    [a.energyWh, b.energyWh],
    [-(a.quality ?? 0), -(b.quality ?? 0)],
  ] as const;
  return pairs.every(([x, y]) => x <= y) && pairs.some(([x, y]) => x < y);
}

/** Evenly over latency. */
function thinOut(points: readonly FrontierPoint[], count: number): readonly FrontierPoint[] {
  if (points.length <= count) return points;
  const sorted = [...points].sort((a, b) => a.latencyMs - b.latencyMs);
  return Array.from(
    { length: count },
    (_, index) => sorted[Math.floor((index * sorted.length) / count)],
  ).filter((it) => it !== undefined);
}
