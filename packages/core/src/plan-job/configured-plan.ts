/**
 * The plan that a configuration's text names, and every way through a workflow that has one.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { JobPlan } from "@murakkab/model";
import { groupCapabilities } from "../capability.ts";
import { type ChooseRequest, chooseExecutors } from "../choose.ts";
import {
  configurationKey,
  labelSteps,
  type ParsedConfiguration,
  parseConfiguration,
  pathKey,
} from "../profile/configuration.ts";
import { enumeratePaths, type PlanPath } from "./paths.ts";
import type { PlanJobRequest } from "./plan-job.ts";

const FIELD = "constraints.configuration";

/**
 * Errors: `INVALID_ARGUMENT` when the text is no configuration of this workflow, or bounds or an
 * objective are asked for as well; as `chooseExecutors` for what can't run.
 */
export function configuredPlan(request: PlanJobRequest, base: JobPlan): JobPlan {
  const text = request.constraints.configuration ?? "";
  const parsed = parseConfiguration(text);
  if (parsed === null) {
    throw new InvalidArgumentError(
      `configuration "${text}" can't be read, expected step=executor{knob=value,…} for every step, as a receipt names it`,
      { field: FIELD },
    );
  }
  if (Object.keys(request.slo).length > 0 || request.objective !== null) {
    throw new InvalidArgumentError(
      "a job with a fixed configuration leaves nothing to choose, expected neither slo nor objective",
      { field: FIELD },
    );
  }
  const found = planPaths(request).find(({ plan }) => pathKey(plan) === parsed.path);
  if (found === undefined) {
    throw new InvalidArgumentError(
      `configuration "${text}" is none of workflow "${base.workflow}" as it can run here, expected one such as ${configurationKey(base)}`,
      { field: FIELD },
    );
  }
  return { ...base, ...withOptions(request, found, parsed), notes: base.notes };
}

export interface PathPlan {
  readonly path: PlanPath;
  /** With default executors and knobs. */
  readonly plan: JobPlan;
}

/** Every way through a workflow that can run, with default executors and knobs, each once. */
export function planPaths(request: ChooseRequest): readonly PathPlan[] {
  const known = new Set<string>();
  return enumeratePaths(request.workflow, groupCapabilities(request.library)).flatMap((path) => {
    const plan = planOfPath(request, path);
    const key = plan === null ? "" : pathKey(plan);
    if (plan === null || known.has(key)) return [];
    known.add(key);
    return [{ path, plan }];
  });
}

/**
 * Every way through a workflow by name, with the configuration that it has by the library's
 * defaults; the whole one first. For whoever tries them all.
 */
export function describePaths(request: ChooseRequest): readonly {
  readonly name: string;
  readonly configuration: string;
}[] {
  return planPaths(request).map(({ path, plan }) => ({
    name: nameOf(path, plan),
    configuration: configurationKey(plan),
  }));
}

function nameOf({ leftOut, stages }: PlanPath, plan: JobPlan): string {
  const stage = stages[0];
  if (stage === undefined) return leftOut.length === 0 ? "whole" : `without ${leftOut.join("+")}`;
  const draft = plan.steps.find((it) => it.step === stage.draft);
  const first = Object.entries(draft?.inputs ?? {})
    .filter(([, source]) => source.kind === "step")
    .map(([port]) => port);
  const hints = pathKey(plan).includes("<") ? ", then where it points" : "";
  return `${first.join("+")} first, sure from ${stage.atLeast}${hints}`;
}

/** Null where the path can't run, or saves nothing. */
function planOfPath(request: ChooseRequest, path: PlanPath): JobPlan | null {
  const drafts = path.stages.map((it) => it.draft);
  const isWhole = path.stages.length === 0 && path.leftOut.length === 0;
  let plan: JobPlan;
  try {
    plan = chooseExecutors({ ...request, workflow: path.workflow, alsoNeeded: drafts });
  } catch (error) {
    if (isWhole) throw error;
    return null; // a variant without what it needs is no variant
  }
  const ids = new Set(plan.steps.map((it) => it.step));
  if (!drafts.every((it) => ids.has(it))) return null;
  const stages = path.stages.map((it) => ({
    ...it,
    deferred: it.deferred.filter((step) => ids.has(step)),
  }));
  // Nothing but the answer itself would be saved.
  if (stages.some((it) => it.deferred.length < 2)) return null;
  return stages.length === 0 ? plan : { ...plan, stages };
}

function withOptions(
  request: ChooseRequest,
  { path, plan }: PathPlan,
  { options }: ParsedConfiguration,
): JobPlan {
  const labels = labelSteps(plan);
  const steps = path.workflow.steps.map((step) => {
    const option = options.get(labels.get(step.id) ?? "");
    return option === undefined ? step : { ...step, ...option };
  });
  const { executors: _executors, knobs: _knobs, ...constraints } = request.constraints;
  const changed = { ...path, workflow: { ...path.workflow, steps } };
  return planOfPath({ ...request, constraints }, changed) ?? plan;
}
