/**
 * Workflows written as YAML, in the form of the library's workflow files:
 *
 *   name: describe-video
 *   inputs: { video: video }
 *   steps:
 *     - id: scenes
 *       capability: scene-detection
 *       inputs: { video: input.video }
 *   output: scenes.scenes
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Workflow, WorkflowStep } from "@murakkab/model";
import { parseDocument } from "yaml";
import { checkWorkflow } from "./check-workflow.ts";
import { parseSource } from "./workflow-source.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * `origin` is what messages call the text, such as the file's name.
 * Errors: `INVALID_ARGUMENT` with line and column for bad YAML, with the field otherwise.
 */
export function workflowFromYaml(text: string, origin = "workflow"): Workflow {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const firstLine = problem.message.split("\n")[0] ?? problem.message;
    throw new InvalidArgumentError(`${origin} is not valid YAML: ${firstLine.replace(/:$/, "")}`);
  }
  const fields = asFields(document.toJS({ maxAliasCount: 100 }), origin);
  const steps = fields["steps"];
  if (!Array.isArray(steps)) fail("steps", `${origin} has no list "steps", expected at least one`);
  // Fields that are not taken apart here reach the strict schema as they are, and it refuses
  // what it does not know.
  return checkWorkflow({
    ...fields,
    steps: steps.map((step, index) => readStep(step, index, origin)),
    output: readSource(fields["output"], "output", origin),
  } as unknown as Workflow);
}

function readStep(value: unknown, index: number, origin: string): WorkflowStep {
  const step = asFields(value, `${origin} step ${index + 1}`);
  const name = typeof step["id"] === "string" ? step["id"] : String(index + 1);
  const inputs = asFields(step["inputs"] ?? {}, `${origin} step "${name}" field "inputs"`);
  const sources = Object.entries(inputs).map(([port, source]) => [
    port,
    readSource(source, `steps.${name}.inputs.${port}`, origin),
  ]);
  return { ...step, inputs: Object.fromEntries(sources) } as WorkflowStep;
}

function readSource(value: unknown, field: string, origin: string): WorkflowStep["inputs"][string] {
  if (typeof value === "string") return parseSource(value, field);
  fail(field, `${origin} field "${field}" is not a source, expected text such as input.video`);
}

function asFields(value: unknown, what: string): Fields {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Fields;
  throw new InvalidArgumentError(`${what} is not valid, expected named fields`);
}

function fail(field: string, message: string): never {
  throw new InvalidArgumentError(message, { field });
}
