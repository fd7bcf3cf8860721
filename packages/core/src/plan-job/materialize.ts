/**
 * From a case and the options chosen in it to a plan with its prediction.
 */
import type {
  JobPlan,
  PlannedStep,
  Prediction,
  Provenance,
  QualityEstimate,
} from "@murakkab/model";
import type { ChoiceTotals } from "../optimize/problem.ts";
import { type CaseContext, type PlanCase, sourceSteps } from "./cases.ts";
import {
  type EstimateParts,
  type StepCost,
  type StepOption,
  stepCost,
  stepPrediction,
} from "./estimate.ts";
import { type ScheduledStep, simulateSchedule } from "./simulate-schedule.ts";

export interface MaterializedPlan {
  readonly plan: JobPlan;
  readonly prediction: Prediction;
}

/** A bound counts only what happens more often than this. */
const RARE = 0.05;

export function materialize(
  planCase: PlanCase,
  optionIds: readonly string[],
  context: CaseContext,
  totals: ChoiceTotals,
): MaterializedPlan {
  const { skeleton } = planCase.path;
  const { problem } = planCase;
  const chosen = skeleton.steps.map((_, index) =>
    planCase.options[index]?.find((it) => it.id === optionIds[index]),
  );
  const steps = skeleton.steps.map((planned, index): PlannedStep => {
    const option = chosen[index];
    if (option === undefined) return planned;
    const probability = problem.steps[index]?.probability ?? 1;
    return {
      ...planned,
      executor: option.entry.id,
      knobs: option.knobs,
      ...(option.batchItems === null ? {} : { batchItems: option.batchItems }),
      ...(option.nodeKind === null ? {} : { nodeKind: option.nodeKind }),
      predicted: stepPrediction(option, partsFor(option, context), probability),
    };
  });
  const plan: JobPlan = { ...skeleton, steps };
  const options = chosen.filter((it) => it !== undefined);
  const prediction = predict(planCase, options, context, totals);
  return { plan: { ...plan, predicted: prediction }, prediction };
}

function partsFor(option: StepOption, { kinds, rates, dispatchMs }: CaseContext): EstimateParts {
  const kind = kinds.find((it) => it.kind === option.nodeKind) ?? kinds[0];
  return { rates, dispatchMs, speedFactor: kind?.speedFactor ?? 1 };
}

/** The likelier scenario is what is expected; the worst one that is not rare sets the bound. */
function predict(
  planCase: PlanCase,
  options: readonly StepOption[],
  context: CaseContext,
  totals: ChoiceTotals,
): Prediction {
  const { skeleton } = planCase.path;
  const { scenarios } = planCase.problem;
  const likely = scenarios.reduce((best, it) => (it.probability > best.probability ? it : best));
  const worst = scenarios.findLast((it) => it.probability > RARE) ?? likely;
  const rows = skeleton.steps.map((planned, index) => {
    const option = options[index];
    return option === undefined
      ? null
      : {
          planned,
          option,
          cost: stepCost(option.entry, option.profile, option.shape, partsFor(option, context)),
        };
  });
  const known = rows.filter((it) => it !== null);
  const sum = (names: readonly string[], value: (cost: StepCost) => number): number =>
    known
      .filter((it) => names.includes(it.planned.step))
      .reduce((all, it) => all + value(it.cost), 0);
  const latency = (names: readonly string[], factor: (cost: StepCost) => number): number =>
    context.queueMs +
    simulateSchedule(
      known
        .filter((it) => names.includes(it.planned.step))
        .map(
          (it): ScheduledStep => ({
            step: it.planned.step,
            after: sourceSteps(skeleton, it.planned.step),
            attempts: it.option.shape.attempts,
            attemptMs: it.cost.attemptMs * factor(it.cost) + context.dispatchMs,
            cores: it.option.entry.resources.cores,
          }),
        ),
      context.cores,
    );
  const upperOf = (value: (cost: StepCost) => number) =>
    sum(worst.steps, (it) => value(it) * it.sumUpper);
  const p50Ms = latency(likely.steps, () => 1);
  return {
    latencyMs: {
      p50: p50Ms,
      p95: Math.max(
        p50Ms,
        latency(worst.steps, (it) => it.sumUpper),
      ),
    },
    costUsd: { p50: sum(likely.steps, (it) => it.costUsd), p95: upperOf((it) => it.costUsd) },
    energyWh: { p50: sum(likely.steps, (it) => it.energyWh), p95: upperOf((it) => it.energyWh) },
    quality: qualityOf(planCase, context, totals),
    gpuSec: totals.gpuSec,
    coreSec: totals.coreSec,
    queueMs: context.queueMs,
  };
}

/** Of the visited configuration itself, or the path's with what the options lose. */
export function qualityOf(
  planCase: PlanCase,
  context: CaseContext,
  totals: ChoiceTotals,
): QualityEstimate | null {
  if (planCase.visited !== null) return planCase.visited.quality;
  const { knowledge, questionClass } = context;
  const base = knowledge.quality?.pathBase(planCase.path.pathKey, questionClass);
  if (base === null || base === undefined) return null;
  const low = Math.exp(-totals.logLoss);
  // The path's own interval, moved down by what the options lose.
  const kept = Math.min(1, low / Math.max(1e-9, Math.exp(-planCase.problem.baseLogLoss)));
  const provenance: Provenance = {
    kind: "modelled",
    note: `never run as a whole: the path's best options (${base.mean.toFixed(2)}, ${base.provenance.note}) times what the chosen ones keep of it`,
  };
  const mean = Math.min(1, Math.max(low, base.mean * kept));
  return { mean, low, high: Math.max(mean, base.high), provenance };
}
