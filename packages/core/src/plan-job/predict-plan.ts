/**
 * What a plan that was not chosen by its numbers is expected to take: the library's defaults.
 */
import type { JobPlan } from "@murakkab/model";
import { groupCapabilities } from "../capability.ts";
import { evaluateChoice } from "../optimize/evaluate.ts";
import { configurationKey, pathKey } from "../profile/configuration.ts";
import { CaseBuilder, type CaseContext } from "./cases.ts";
import { optionIdOf } from "./step-options.ts";
import { materialize } from "./materialize.ts";
import type { PlanJobRequest } from "./plan-job.ts";
import { classifyQuestion, questionClassesOf } from "./question-class.ts";
import { inputSizes } from "./sizes.ts";

/** The plan with its prediction, or as it is where a profile is missing. */
export function predictPlan(plan: JobPlan, request: PlanJobRequest): JobPlan {
  const capabilities = groupCapabilities(request.library);
  const executors = plan.steps.map((step) => capabilities.get(step.capability)?.executors ?? []);
  const { knowledge, rates, kinds, cores, queueMs, dispatchMs, availability } = request;
  const context: CaseContext = {
    ...{ capabilities, availability, kinds, rates, cores, queueMs, dispatchMs },
    knowledge: { executor: (...asked) => knowledge.executor(...asked), quality: null },
    // Exactly what was chosen, step by step.
    constraints: {
      executors: Object.fromEntries(plan.steps.map((it) => [it.capability, it.executor])),
      knobs: Object.fromEntries(plan.steps.map((it) => [it.step, it.knobs])),
    },
    questionClass: classifyQuestion(
      request.question ?? "",
      executors.flatMap((it) => questionClassesOf(it)),
    ),
    sizes: inputSizes(request.inputSizes),
    limits: {},
    objective: "cost",
  };
  const path = { workflow: request.workflow, stages: [], leftOut: [] };
  const key = pathKey(plan);
  const builder = new CaseBuilder([{ path, skeleton: plan, pathKey: key }], context);
  const cases = builder.composedCases([key], Number.POSITIVE_INFINITY);
  const first = cases[0];
  if (first === undefined) return plan;
  const wanted = new Set(plan.steps.map((it) => optionIdOf(it)));
  const ids = first.options.map(
    (options) => (options.find((it) => wanted.has(it.id)) ?? options[0])?.id ?? "",
  );
  const totals = evaluateChoice(first.problem, ids);
  const { plan: predicted, prediction } = materialize(first, ids, context, totals);
  const quality =
    knowledge.quality
      ?.visited(context.questionClass)
      .find((it) => it.key === configurationKey(plan))?.quality ?? null;
  // The sizes of batches stay as they were planned.
  const steps = plan.steps.map((it, index) => {
    const known = predicted.steps[index]?.predicted;
    return known === undefined ? it : { ...it, predicted: known };
  });
  return { ...plan, steps, predicted: { ...prediction, quality } };
}
