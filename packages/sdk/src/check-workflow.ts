/**
 * What must hold for a workflow before anything is asked of a cluster.
 *
 * Owns:      ids, references and cycles: what the author can get wrong in the text itself.
 * Does not:  know which capabilities exist or whether types connect (the planner does).
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Source, Workflow, WorkflowStep } from "@murakkab/model";
import { parseInterfaceType } from "@murakkab/model";
import { validate, workflowSchema } from "@murakkab/protocol";

/** Answers the workflow itself. Errors: `INVALID_ARGUMENT` with the field of the first problem. */
export function checkWorkflow(workflow: Workflow): Workflow {
  const what = typeof workflow.name === "string" ? `workflow "${workflow.name}"` : "workflow";
  const checked: Workflow = validate(workflowSchema, workflow, what);
  for (const [name, type] of Object.entries(checked.inputs)) {
    try {
      parseInterfaceType(type);
    } catch (cause) {
      fail(`inputs.${name}`, `${what} input "${name}" has no valid type`, cause);
    }
  }
  const ids = new Set<string>();
  for (const { id } of checked.steps) {
    if (id === "input") fail("steps", `${what} has a step named "input", expected another name`);
    if (ids.has(id)) fail("steps", `${what} has two steps named "${id}", expected one of each`);
    ids.add(id);
  }
  for (const step of checked.steps) {
    for (const [port, source] of Object.entries(step.inputs)) {
      const field = `steps.${step.id}.inputs.${port}`;
      checkSource(source, { workflow: checked, ids, field, what: `${what} step "${step.id}"` });
    }
  }
  checkSource(checked.output, { workflow: checked, ids, field: "output", what: `${what} output` });
  checkAcyclic(checked.steps, what);
  return checked;
}

interface SourceScope {
  readonly workflow: Workflow;
  readonly ids: ReadonlySet<string>;
  readonly field: string;
  readonly what: string;
}

function checkSource(source: Source, { workflow, ids, field, what }: SourceScope): void {
  if (source.kind === "input") {
    if (Object.hasOwn(workflow.inputs, source.input)) return;
    const known = Object.keys(workflow.inputs);
    fail(field, `${what} uses the unknown input "${source.input}", ${expectOneOf(known)}`);
  }
  if (ids.has(source.step)) return;
  fail(field, `${what} uses the unknown step "${source.step}", ${expectOneOf([...ids])}`);
}

export function expectOneOf(names: readonly string[]): string {
  return names.length === 0 ? "and there is none" : `expected one of ${names.join(", ")}`;
}

/** Takes away steps whose sources are all done, until none is left or none can go. */
function checkAcyclic(steps: readonly WorkflowStep[], what: string): void {
  const done = new Set<string>();
  let left = [...steps];
  while (left.length > 0) {
    const ready = left.filter((step) =>
      Object.values(step.inputs).every((from) => from.kind === "input" || done.has(from.step)),
    );
    if (ready.length === 0) {
      const names = left.map((step) => step.id).join(", ");
      fail("steps", `${what} has a cycle through ${names}, expected no step to need itself`);
    }
    for (const step of ready) done.add(step.id);
    left = left.filter((step) => !done.has(step.id));
  }
}

function fail(field: string, message: string, cause?: unknown): never {
  throw new InvalidArgumentError(message, { field, ...(cause === undefined ? {} : { cause }) });
}
