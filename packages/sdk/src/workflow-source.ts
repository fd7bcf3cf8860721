/** The text form of a source: `input.video` or `stepId.output`. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Source } from "@murakkab/model";

const SOURCE_PATTERN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** Errors: `INVALID_ARGUMENT` naming the field, the text and the expected form. */
export function parseSource(text: string, field: string): Source {
  const match = SOURCE_PATTERN.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      `${field} "${text}" is not valid, expected a source such as input.video or scenes.frames`,
      { field },
    );
  }
  const [, from = "", name = ""] = match;
  return from === "input"
    ? { kind: "input", input: name }
    : { kind: "step", step: from, output: name };
}

export function formatSource(source: Source): string {
  return source.kind === "input" ? `input.${source.input}` : `${source.step}.${source.output}`;
}
