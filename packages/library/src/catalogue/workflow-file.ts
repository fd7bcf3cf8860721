/**
 * The format of one workflow file. A source is written `input.NAME` or `STEP.OUTPUT`.
 */
import type { Source, Workflow } from "@murakkab/model";
import { STEP_COUNT_MAX } from "@murakkab/protocol";
import { z } from "zod";
import type { YamlSource } from "./yaml-source.ts";
import { checkShape } from "./yaml-source.ts";

const SOURCE_EXPECTED = "expected a source such as input.video or scenes.scenes";
/** In a source, this word stands for the job's inputs: no step may have it as its id. */
export const INPUT_WORD = "input";

const idSchema = z
  .string("expected a text of letters, digits and dashes")
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected 1 to 128 letters, digits, "-" or "_"');
const sourceSchema = z
  .string(SOURCE_EXPECTED)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, SOURCE_EXPECTED);

const workflowFileSchema = z.strictObject(
  {
    name: idSchema,
    description: z.string("expected a text").exactOptional(),
    inputs: z.record(
      z.string(),
      z.string("expected a type such as video"),
      "expected a map of input names to types",
    ),
    steps: z
      .array(
        z.strictObject({
          id: idSchema,
          capability: z.string("expected the name of a capability").min(1),
          inputs: z.record(z.string(), sourceSchema, "expected a map of input ports to sources"),
          executor: z.string("expected the id of an executor").exactOptional(),
          knobs: z
            .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
            .exactOptional(),
        }),
        "expected a list of steps",
      )
      .min(1, "expected at least one step")
      .max(STEP_COUNT_MAX, `expected at most ${STEP_COUNT_MAX} steps`),
    output: sourceSchema,
  },
  "expected a map of fields",
);

/** The workflow of a file, or `null` when its shape is wrong (see `source.problems`). */
export function readWorkflow(source: YamlSource): Workflow | null {
  const file = checkShape(source, workflowFileSchema);
  if (file === null) return null;
  const steps = file.steps.map((step) => ({
    ...step,
    inputs: Object.fromEntries(
      Object.entries(step.inputs).map(([port, text]) => [port, toSource(text)]),
    ),
  }));
  return { ...file, steps, output: toSource(file.output) };
}

function toSource(text: string): Source {
  const dot = text.indexOf(".");
  const [owner, name] = [text.slice(0, dot), text.slice(dot + 1)];
  return owner === INPUT_WORD
    ? { kind: "input", input: name }
    : { kind: "step", step: owner, output: name };
}

export function formatSource(source: Source): string {
  return source.kind === "input"
    ? `${INPUT_WORD}.${source.input}`
    : `${source.step}.${source.output}`;
}
