/** zod at the edge: a failed check becomes one sentence that names field, value and expectation. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { z } from "zod";

/** Longest piece of a bad value that a message repeats, characters. */
const SHOWN_VALUE_CHARS_MAX = 80;

/**
 * Errors: `INVALID_ARGUMENT` with `field` set to the dotted path of the first problem.
 */
export function validate<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue === undefined) throw new InvalidArgumentError(`${what} is not valid`);
  if (issue.code === "unrecognized_keys") {
    const field = [...issue.path, issue.keys[0] ?? ""].join(".");
    throw new InvalidArgumentError(
      `${what} has the unknown field "${field}", expected only documented fields`,
      { field },
    );
  }
  const field = issue.path.join(".");
  const shown = showValue(valueAt(value, issue.path));
  const where = field === "" ? what : `${what} field "${field}"`;
  throw new InvalidArgumentError(`${where} is ${shown}: ${issue.message}`, {
    ...(field === "" ? {} : { field }),
  });
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = value;
  for (const key of path) {
    if (at === null || typeof at !== "object") return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

export function showValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "number") return String(value); // JSON has no NaN
  const text = JSON.stringify(value) ?? typeof value; // a function or a symbol has no JSON
  return text.length > SHOWN_VALUE_CHARS_MAX ? `${text.slice(0, SHOWN_VALUE_CHARS_MAX)}…` : text;
}
