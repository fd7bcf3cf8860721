/**
 * Checks one workflow against the library: steps, ports and types.
 *
 * Invariants:
 *   W1. Steps are typed in an order in which every step comes after its sources; what is left over
 *       is a cycle.
 *   W2. A step fans out over one input at most: a list feeds a port that takes its item, and each
 *       of the step's outputs becomes a list.
 */
import { describeError } from "@murakkab/kit";
import type { ExecutorEntry, KnobValue, Source, Workflow, WorkflowStep } from "@murakkab/model";
import { formatInterfaceType, parseInterfaceType } from "@murakkab/model";
import { formatSource, INPUT_WORD } from "./workflow-file.ts";
import type { FieldPath, YamlSource } from "./yaml-source.ts";

interface Check {
  readonly source: YamlSource;
  readonly workflow: Workflow;
  readonly executors: readonly ExecutorEntry[];
  /** Type of each known source; `null` where an earlier problem hides it. */
  readonly types: Map<string, string | null>;
}

export function lintWorkflow(
  source: YamlSource,
  workflow: Workflow,
  executors: readonly ExecutorEntry[],
): void {
  const check: Check = { source, workflow, executors, types: new Map() };
  for (const [name, type] of Object.entries(workflow.inputs)) {
    const isValid = lintType(check, ["inputs", name], type);
    check.types.set(`${INPUT_WORD}.${name}`, isValid ? type : null);
  }
  lintStepIds(check);
  lintStepsInOrder(check);
  lintSource(check, ["output"], workflow.output);
}

function lintType({ source }: Check, path: FieldPath, type: string): boolean {
  try {
    parseInterfaceType(type);
    return true;
  } catch (error) {
    source.error(path, describeError(error));
    return false;
  }
}

function lintStepIds({ source, workflow }: Check): void {
  const seen = new Set<string>();
  for (const [index, { id }] of workflow.steps.entries()) {
    const path: FieldPath = ["steps", index, "id"];
    if (id === INPUT_WORD) {
      source.error(path, `"${INPUT_WORD}" stands for the job's inputs, expected another step id`);
    }
    if (seen.has(id)) source.error(path, `step "${id}" is there twice, expected an id of its own`);
    seen.add(id);
  }
}

/** W1. */
function lintStepsInOrder(check: Check): void {
  const { source, workflow, types } = check;
  const ids = new Set(workflow.steps.map(({ id }) => id));
  const done = new Set<string>();
  let waiting = [...workflow.steps.entries()];
  while (waiting.length > 0) {
    const isReady = ([, step]: [number, WorkflowStep]): boolean =>
      stepSources(step).every((id) => !ids.has(id) || done.has(id));
    const ready = waiting.filter(isReady);
    for (const [index, step] of ready) {
      lintStep(check, index, step);
      done.add(step.id);
    }
    if (ready.length === 0) break;
    waiting = waiting.filter((entry) => !ready.includes(entry));
  }
  for (const [index, step] of waiting) {
    const chain = waiting.map(([, { id }]) => id).join(", ");
    source.error(
      ["steps", index, "inputs"],
      `steps ${chain} wait for one another, expected no cycle`,
    );
    for (const port of outputPorts(check, step)) types.set(`${step.id}.${port}`, null);
  }
}

function stepSources(step: WorkflowStep): string[] {
  return Object.values(step.inputs).flatMap((from) => (from.kind === "step" ? [from.step] : []));
}

function outputPorts({ executors }: Check, step: WorkflowStep): string[] {
  const entry = executors.find(({ capability }) => capability === step.capability);
  return Object.keys(entry?.outputs ?? {});
}

function lintStep(check: Check, index: number, step: WorkflowStep): void {
  const { source, types } = check;
  const entry = findExecutor(check, index, step);
  if (entry === null) {
    types.set(`${step.id}.*`, null);
    return;
  }
  const fanOut = lintStepInputs(check, index, { step, entry });
  for (const [port, { type }] of Object.entries(entry.outputs)) {
    const { name, isList } = parseInterfaceType(type);
    if (fanOut && isList) {
      source.error(
        ["steps", index, "inputs"],
        `step "${step.id}" fans out, and its output "${port}" is ${type} already: a list of lists has no type`,
      );
    }
    types.set(`${step.id}.${port}`, fanOut ? formatInterfaceType({ name, isList: true }) : type);
  }
}

/** The step's interface: its executor, or any executor of its capability (they are equal). */
function findExecutor(check: Check, index: number, step: WorkflowStep): ExecutorEntry | null {
  const { source, executors } = check;
  const able = executors.filter(({ capability }) => capability === step.capability);
  const [first] = able;
  if (first === undefined) {
    const known = [...new Set(executors.map(({ capability }) => capability))].sort().join(", ");
    source.error(
      ["steps", index, "capability"],
      `no executor has capability "${step.capability}", expected one of ${known || "none"}`,
    );
    return null;
  }
  const chosen = able.find(({ id }) => id === step.executor);
  if (step.executor !== undefined && chosen === undefined) {
    source.error(
      ["steps", index, "executor"],
      `"${step.executor}" does not have capability "${step.capability}", expected one of ${able.map(({ id }) => id).join(", ")}`,
    );
  }
  lintKnobs(check, index, { step, able: chosen === undefined ? able : [chosen] });
  return chosen ?? first;
}

function lintKnobs(
  { source }: Check,
  index: number,
  { step, able }: { readonly step: WorkflowStep; readonly able: readonly ExecutorEntry[] },
): void {
  for (const [name, value] of Object.entries(step.knobs ?? {})) {
    const allowed = able.flatMap(({ knobs }) => knobs[name]?.values ?? ([] as KnobValue[]));
    if (allowed.includes(value)) continue;
    const shown = allowed.map((item) => JSON.stringify(item)).join(", ");
    const expected = shown === "" ? "a knob of its executor" : `one of ${shown}`;
    const message = `knob "${name}" is ${JSON.stringify(value)}, expected ${expected}`;
    source.error(["steps", index, "knobs", name], message);
  }
}

/** Whether the step fans out (W2). */
function lintStepInputs(
  check: Check,
  index: number,
  { step, entry }: { readonly step: WorkflowStep; readonly entry: ExecutorEntry },
): boolean {
  const { source } = check;
  const fannedOut: string[] = [];
  for (const [port, from] of Object.entries(step.inputs)) {
    const path: FieldPath = ["steps", index, "inputs", port];
    const wanted = Object.hasOwn(entry.inputs, port) ? entry.inputs[port] : undefined;
    if (wanted === undefined) {
      const ports = Object.keys(entry.inputs).join(", ");
      source.error(
        path,
        `capability "${step.capability}" has no input "${port}", expected ${ports}`,
      );
      continue;
    }
    const given = lintSource(check, path, from);
    if (given === null || given === wanted.type) continue;
    if (given === `list<${wanted.type}>`) {
      fannedOut.push(port);
      continue;
    }
    source.error(
      path,
      `${formatSource(from)} is ${given}, expected ${wanted.type} or list<${wanted.type}>`,
    );
  }
  for (const [port, { isOptional }] of Object.entries(entry.inputs)) {
    if (isOptional === true || Object.hasOwn(step.inputs, port)) continue;
    source.error(
      ["steps", index, "inputs"],
      `input "${port}" is missing, expected a source for it`,
    );
  }
  if (fannedOut.length > 1) {
    const message = `lists feed ${fannedOut.join(" and ")}, expected one list to fan out over`;
    source.error(["steps", index, "inputs", fannedOut[1] ?? ""], message);
  }
  return fannedOut.length > 0;
}

/** The source's type; `null` when it is not known, which has been told by then. */
function lintSource(
  { source, workflow, types }: Check,
  path: FieldPath,
  from: Source,
): string | null {
  const key = formatSource(from);
  const type = types.get(key);
  if (type !== undefined) return type;
  if (from.kind === "input") {
    const inputs = Object.keys(workflow.inputs).join(", ");
    source.error(path, `the workflow has no input "${from.input}", expected one of ${inputs}`);
  } else if (!workflow.steps.some(({ id }) => id === from.step)) {
    const ids = workflow.steps.map(({ id }) => id).join(", ");
    source.error(path, `the workflow has no step "${from.step}", expected one of ${ids}`);
  } else if (!types.has(`${from.step}.*`)) {
    source.error(path, `step "${from.step}" has no output "${from.output}"`);
  }
  return null;
}
