/**
 * A running job's remaining steps, chosen again with the time and the money that are left.
 *
 * Invariants:
 *   R1. What has started stays as it is.
 *   R2. What was promised of quality is kept.
 *   R3. A plan that still keeps its bounds is changed only for a gain that is worth it.
 */
import { ANY_NODE_KIND, type JobPlan, type Slo } from "@murakkab/model";
import { chooseExecutors } from "../choose.ts";
import { evaluateChoice } from "../optimize/evaluate.ts";
import type { ChoiceTotals } from "../optimize/problem.ts";
import { configurationKey } from "../profile/configuration.ts";
import type { PlanCase } from "./cases.ts";
import { materialize } from "./materialize.ts";
import { JobPlanner, type JobProgress, type PlanJobRequest } from "./plan-job.ts";
import { optionIdOf } from "./step-options.ts";
import { attemptShape, outputSizes, inputSizes as sizesOfInputs } from "./sizes.ts";

export interface RechooseRequest extends PlanJobRequest {
  readonly progress: JobProgress;
  /** With tiers resolved to numbers. */
  readonly slo: Slo;
  /** Since the job was accepted, and until what runs now has ended, ms. */
  readonly elapsedMs: number;
  readonly runningMs: number;
  /** Booked, and reserved for attempts that run. */
  readonly spentUsd: number;
  readonly spentWh: number;
}

export type Rechoice =
  | { readonly kind: "keep" }
  | { readonly kind: "changed"; readonly plan: JobPlan; readonly reason: string }
  /** No choice keeps the bounds that are left. */
  | { readonly kind: "none"; readonly reason: string };

/**
 * Least gain on the objective for which a plan that is in time and budget is changed: below it,
 * the difference is within what predictions are off by.
 */
const GAIN_RATIO_MIN = 0.15;

export function rechoose(request: RechooseRequest): Rechoice {
  const progress = withRunningSizes(request);
  const planner = new JobPlanner(request, chooseExecutors(request), progress);
  const slo = remainingSlo(request);
  const present = presentTotals(planner.withLimits(slo), progress);
  if (present === null) return { kind: "keep" }; // nothing open, or nothing known of it
  const risk = brokenBound(present.totals, slo);
  const solved = planner.solve(slo);
  if (solved === null) {
    return risk === null
      ? { kind: "keep" }
      : { kind: "none", reason: `${risk} can't be kept any more` };
  }
  const { planCase, choice } = solved;
  const gain = 1 - ratioOf(choice.totals.objective, present.totals.objective);
  if (risk === null && gain < GAIN_RATIO_MIN) return { kind: "keep" }; // R3
  const { plan: open } = materialize(planCase, choice.optionIds, planner.context, choice.totals);
  const whole = planCase.path.whole ?? open;
  const steps = whole.steps.map((it) => open.steps.find((step) => step.step === it.step) ?? it);
  const plan: JobPlan = {
    ...progress.plan,
    steps,
    ...(whole.stages === undefined ? {} : { stages: whole.stages }),
  };
  const { explanation } = plan;
  const configuration = configurationKey(plan);
  const changed = describeChange(progress.plan, plan);
  if (changed === "") return { kind: "keep" };
  const why =
    risk === null
      ? `the rest costs ${Math.round(gain * 100)} % less of what counts`
      : `${risk} was at risk`;
  return {
    kind: "changed",
    plan:
      explanation === undefined
        ? plan
        : { ...plan, explanation: { ...explanation, configuration } },
    reason: `${why}: ${changed}`,
  };
}

/** What runs has no sizes yet: they are predicted. */
function withRunningSizes({
  progress,
  knowledge,
  library,
  inputSizes,
  kinds,
}: RechooseRequest): JobProgress {
  const sizes = new Map([...sizesOfInputs(inputSizes), ...progress.sizes]);
  for (const planned of progress.plan.steps) {
    const isKnown = Object.keys(planned.outputs).every((port) =>
      sizes.has(`${planned.step}.${port}`),
    );
    const entry = library.executors.find((it) => it.id === planned.executor);
    if (!progress.started.has(planned.step) || isKnown || entry === undefined) continue;
    const profile = knowledge.executor(
      entry,
      planned.knobs,
      planned.nodeKind ?? kinds[0]?.kind ?? ANY_NODE_KIND,
    );
    const shape = attemptShape(planned, entry, sizes);
    for (const [name, size] of outputSizes(planned, profile, shape)) sizes.set(name, size);
  }
  return { ...progress, sizes };
}

/** R2: quality as it was promised; time and money as they are left. */
function remainingSlo(request: RechooseRequest): Slo {
  const { elapsedMs, runningMs, spentUsd, spentWh } = request;
  const { slo } = request;
  const promised = request.progress.plan.predicted?.quality?.low;
  const qualityMin = slo.qualityMin ?? promised;
  return {
    ...(slo.latencyMsMax === undefined
      ? {}
      : { latencyMsMax: Math.max(1, slo.latencyMsMax - elapsedMs - runningMs) }),
    ...(slo.costUsdMax === undefined ? {} : { costUsdMax: Math.max(0, slo.costUsdMax - spentUsd) }),
    ...(slo.energyWhMax === undefined
      ? {}
      : { energyWhMax: Math.max(0, slo.energyWhMax - spentWh) }),
    ...(qualityMin === undefined ? {} : { qualityMin: qualityMin * QUALITY_SLACK }),
  };
}

/** What was promised went through a logarithm and back. */
const QUALITY_SLACK = 1 - 1e-6;

/** What the steps that are open take as they are planned; null where that can't be told. */
function presentTotals(
  cases: readonly PlanCase[],
  { plan }: JobProgress,
): { readonly totals: ChoiceTotals } | null {
  const wanted = new Map(plan.steps.map((it) => [it.step, optionIdOf(it)]));
  for (const { path, options, problem } of cases) {
    const isSamePath = (path.whole ?? path.skeleton).steps.length === plan.steps.length;
    const ids = path.skeleton.steps.map((it) => wanted.get(it.step) ?? "");
    const hasAll = ids.every((id, index) => options[index]?.some((it) => it.id === id));
    if (isSamePath && hasAll) return { totals: evaluateChoice(problem, ids) };
  }
  return null;
}

function brokenBound(totals: ChoiceTotals, slo: Slo): "latency" | "cost" | "energy" | null {
  if (totals.latencyMs.upper > (slo.latencyMsMax ?? Number.POSITIVE_INFINITY)) return "latency";
  if (totals.costUsd.upper > (slo.costUsdMax ?? Number.POSITIVE_INFINITY)) return "cost";
  if (totals.energyWh.upper > (slo.energyWhMax ?? Number.POSITIVE_INFINITY)) return "energy";
  return null;
}

function ratioOf(value: number, base: number): number {
  return base <= 0 ? 1 : value / base;
}

function describeChange(before: JobPlan, after: JobPlan): string {
  const parts = before.steps.flatMap((old) => {
    const step = after.steps.find((it) => it.step === old.step);
    if (step === undefined) return [`${old.step} is left out`];
    const [from, to] = [optionIdOf(old), optionIdOf(step)];
    return from === to ? [] : [`${old.step} by ${to} instead of ${from}`];
  });
  return parts.join(", ");
}
