/**
 * Reads a YAML file and checks it against a schema.
 *
 * Owns:      the one-sentence error: which file, which field, which value, what was expected.
 */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { z } from "zod";
import { MakeVideoError } from "./make-video-error.ts";

/** Long values say no more than their beginning does. */
const VALUE_CHARS_MAX = 60;

export async function readYamlFile<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (err) {
    throw new MakeVideoError(`${file}: cannot be read (${(err as Error).message})`, { cause: err });
  }
  let data: unknown;
  try {
    data = parse(content);
  } catch (err) {
    const firstLine = (err as Error).message.split("\n")[0] ?? "";
    throw new MakeVideoError(`${file}: is not valid YAML (${firstLine})`, { cause: err });
  }
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue === undefined) throw new MakeVideoError(`${file}: does not fit its format`);
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => [...issue.path, key].map(String).join("."));
    throw new MakeVideoError(`${file}: ${keys.join(", ")}: expected no such field`);
  }
  const field = issue.path.length === 0 ? "the file" : issue.path.map(String).join(".");
  throw new MakeVideoError(
    `${file}: ${field} is ${showValue(valueAt(data, issue.path))}: ${issue.message}`,
  );
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function showValue(value: unknown): string {
  if (value === undefined) return "missing";
  const shown = JSON.stringify(value);
  return shown.length <= VALUE_CHARS_MAX ? shown : `${shown.slice(0, VALUE_CHARS_MAX)}…`;
}
