/**
 * Execution paths: which parts of a workflow run at all, and which only if they turn out needed.
 *
 * Owns:      the variants of a logical workflow whose output step has optional inputs: some left
 *            out, or answered in two stages (a draft from cheap evidence first).
 * Does not:  know what a path costs or how good it is (see cases.ts and quality).
 *
 * Invariants:
 *   P1. The first path is the workflow as it was given.
 *   P2. Every path gives the same output type from the same inputs.
 *   P3. A deferred step is no source of the draft that it waits for.
 */
import type { PlanStage, Source, Staging, Workflow, WorkflowStep } from "@murakkab/model";
import type { Capability } from "../capability.ts";

export interface PlanPath {
  readonly workflow: Workflow;
  readonly stages: readonly PlanStage[];
  /** Optional inputs of the output step that are not connected on this path. */
  readonly leftOut: readonly string[];
}

/** More optional inputs than this are not varied: the number of paths doubles with each. */
const OPTIONAL_INPUTS_MAX = 4;

export function enumeratePaths(
  workflow: Workflow,
  capabilities: ReadonlyMap<string, Capability>,
): readonly PlanPath[] {
  const whole: PlanPath = { workflow, stages: [], leftOut: [] }; // P1
  const join = findJoin(workflow, capabilities);
  if (join === null || join.optional.length > OPTIONAL_INPUTS_MAX) return [whole];
  const subsets = properSubsets(join.optional);
  const reduced = subsets.map((kept) => leaveOut(workflow, join, kept));
  if (join.staging === null) return [whole, ...reduced];
  const { staging } = join;
  const staged = subsets.flatMap((first) =>
    staging.atLeast.flatMap((atLeast) =>
      stageVariants(workflow, { ...join, staging }, { first, atLeast, capabilities }),
    ),
  );
  return [whole, ...reduced, ...staged];
}

interface Join {
  readonly step: WorkflowStep;
  readonly capability: Capability;
  /** Connected optional inputs that come from other steps, in the capability's order. */
  readonly optional: readonly string[];
  readonly staging: Staging | null;
  readonly output: string;
}

function findJoin(workflow: Workflow, capabilities: ReadonlyMap<string, Capability>): Join | null {
  const { output } = workflow;
  if (output.kind !== "step") return null;
  const step = workflow.steps.find((it) => it.id === output.step);
  const capability = step === undefined ? undefined : capabilities.get(step.capability);
  if (step === undefined || capability === undefined) return null;
  const optional = Object.entries(capability.inputs)
    .filter(([name, port]) => port.isOptional === true && step.inputs[name]?.kind === "step")
    .map(([name]) => name);
  if (optional.length < 2) return null;
  const entry = capability.executors.find((it) => it.staging !== undefined);
  // All executors of the capability must be able to say how sure they are, or none is asked.
  const canAll = capability.executors.every((it) => it.staging !== undefined);
  return {
    step,
    capability,
    optional,
    staging: canAll ? (entry?.staging ?? null) : null,
    output: output.output,
  };
}

/** Non-empty ones, without the whole; small ones first, in a fixed order. */
function properSubsets(names: readonly string[]): string[][] {
  const subsets: string[][] = [];
  for (let mask = 1; mask < 2 ** names.length - 1; mask += 1) {
    subsets.push(names.filter((_, index) => (mask & (1 << index)) !== 0));
  }
  return subsets.sort((a, b) => a.length - b.length);
}

function withoutInputs(step: WorkflowStep, names: readonly string[]): WorkflowStep {
  const inputs = Object.entries(step.inputs).filter(([name]) => !names.includes(name));
  return { ...step, inputs: Object.fromEntries(inputs) };
}

function leaveOut(workflow: Workflow, join: Join, kept: readonly string[]): PlanPath {
  const leftOut = join.optional.filter((name) => !kept.includes(name));
  const steps = workflow.steps.map((it) => (it === join.step ? withoutInputs(it, leftOut) : it));
  return {
    workflow: { ...workflow, steps: pruneSteps(steps, [join.step.id]) },
    stages: [],
    leftOut,
  };
}

/** With the draft's hints where to look, and without. */
function stageVariants(
  workflow: Workflow,
  join: Join & { readonly staging: Staging },
  how: {
    readonly first: readonly string[];
    readonly atLeast: number;
    readonly capabilities: ReadonlyMap<string, Capability>;
  },
): PlanPath[] {
  const plain = stage(workflow, join, how);
  const { focus } = join.staging;
  if (focus === undefined) return [plain];
  const type = join.capability.outputs[focus]?.type;
  const deferred = new Set(plain.stages[0]?.deferred);
  const draft = plain.stages[0]?.draft ?? "";
  let isFocused = false;
  const steps = plain.workflow.steps.map((step) => {
    if (!deferred.has(step.id) || step.id === join.step.id) return step;
    const ports = Object.entries(how.capabilities.get(step.capability)?.inputs ?? {});
    const port = ports.find(
      ([name, it]) => it.isOptional === true && it.type === type && step.inputs[name] === undefined,
    );
    if (port === undefined) return step;
    isFocused = true;
    const source: Source = { kind: "step", step: draft, output: focus };
    return { ...step, inputs: { ...step.inputs, [port[0]]: source } };
  });
  if (!isFocused) return [plain];
  return [plain, { ...plain, workflow: { ...plain.workflow, steps } }];
}

function stage(
  workflow: Workflow,
  join: Join & { readonly staging: Staging },
  { first, atLeast }: { readonly first: readonly string[]; readonly atLeast: number },
): PlanPath {
  const later = join.optional.filter((name) => !first.includes(name));
  const draft: WorkflowStep = { ...withoutInputs(join.step, later), id: `${join.step.id}-draft` };
  const at = workflow.steps.indexOf(join.step);
  const steps = [...workflow.steps.slice(0, at), draft, ...workflow.steps.slice(at)];
  const early = ancestors(steps, [draft.id]);
  const deferred = steps.map((it) => it.id).filter((id) => !early.has(id)); // P3
  const { confidence } = join.staging;
  return {
    workflow: { ...workflow, steps },
    stages: [
      {
        draft: draft.id,
        output: join.output,
        confidencePort: confidence.port,
        confidenceField: confidence.field,
        atLeast,
        deferred,
      },
    ],
    leftOut: [],
  };
}

/** The named steps and everything that they need. */
function ancestors(steps: readonly WorkflowStep[], ids: readonly string[]): ReadonlySet<string> {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const found = new Set<string>();
  const visit = (id: string): void => {
    const step = byId.get(id);
    if (step === undefined || found.has(id)) return;
    found.add(id);
    for (const source of Object.values(step.inputs)) if (source.kind === "step") visit(source.step);
  };
  for (const id of ids) visit(id);
  return found;
}

function pruneSteps(
  steps: readonly WorkflowStep[],
  ids: readonly string[],
): readonly WorkflowStep[] {
  const needed = ancestors(steps, ids);
  return steps.filter((step) => needed.has(step.id));
}
