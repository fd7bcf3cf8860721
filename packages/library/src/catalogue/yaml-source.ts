/**
 * A YAML file with a map from field to line, so that every problem can name its place.
 *
 * Owns:      reading, YAML syntax, turning zod issues into problems.
 * Does not:  know what the file means.
 */

import type { Document } from "yaml";
import { isAlias, isCollection, isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import type { LibraryProblem } from "./problem.ts";

/** Longest piece of a bad value that a message repeats, characters. */
const SHOWN_VALUE_CHARS_MAX = 60;

export type FieldPath = readonly (string | number)[];

export class YamlSource {
  readonly file: string;
  readonly problems: LibraryProblem[] = [];
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  readonly value: unknown;

  constructor(file: string, text: string) {
    this.file = file;
    // Aliases are refused: they let 1 KiB of YAML stand for gigabytes, and nobody needs them here.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of this.#document.errors) {
      this.#push(this.#lines.linePos(error.pos[0]).line, "", `not valid YAML: ${error.message}`);
    }
    visit(this.#document, {
      Alias: (_key, node) => {
        const line = this.#lines.linePos(node.range?.[0] ?? 0).line;
        this.#push(line, "", "YAML aliases are not allowed here, expected the value itself");
        return visit.BREAK;
      },
    });
    this.value = this.problems.length === 0 ? (this.#document.toJS() as unknown) : null;
  }

  get isSound(): boolean {
    return this.problems.every((problem) => problem.severity !== "error");
  }

  error(path: FieldPath, message: string): void {
    this.#push(this.lineOf(path), path.join("."), message);
  }

  warn(path: FieldPath, message: string): void {
    this.#push(this.lineOf(path), path.join("."), message, "warning");
  }

  /** Line of a field's key, or of the nearest field above it that is there. */
  lineOf(path: FieldPath): number {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = this.#offsetOf(path.slice(0, length));
      if (offset !== null) return this.#lines.linePos(offset).line;
    }
    return this.#lines.linePos(this.#document.contents?.range[0] ?? 0).line;
  }

  #offsetOf(path: FieldPath): number | null {
    const parent = path.length === 1 ? this.#document.contents : this.#nodeAt(path.slice(0, -1));
    const last = path.at(-1);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === last);
      return isScalar(pair?.key) ? (pair.key.range?.[0] ?? null) : null;
    }
    const node = this.#nodeAt(path);
    return isCollection(node) || isScalar(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
  }

  #nodeAt(path: FieldPath): unknown {
    return this.#document.getIn(path, true);
  }

  #push(
    line: number,
    field: string,
    message: string,
    severity: LibraryProblem["severity"] = "error",
  ): void {
    this.problems.push({ file: this.file, line, field, message, severity });
  }
}

/** Checks the file's value; `null` when it has problems, which are then in `source.problems`. */
export function checkShape<T>(source: YamlSource, schema: z.ZodType<T>): T | null {
  if (!source.isSound) return null;
  const result = schema.safeParse(source.value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        source.error([...path, key], `unknown field "${key}", expected only documented fields`);
      }
    } else {
      const shown = showValue(valueAt(source.value, path));
      source.error(
        path,
        shown === null ? `missing: ${issue.message}` : `${shown}: ${issue.message}`,
      );
    }
  }
  return null;
}

function valueAt(value: unknown, path: FieldPath): unknown {
  let at = value;
  for (const key of path) {
    if (at === null || typeof at !== "object") return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}

function showValue(value: unknown): string | null {
  if (value === undefined) return null;
  // JSON has no word for these: NaN would be shown as null.
  const isNumber = typeof value === "number" && !Number.isFinite(value);
  const text = isNumber ? String(value) : JSON.stringify(value);
  return text.length > SHOWN_VALUE_CHARS_MAX ? `${text.slice(0, SHOWN_VALUE_CHARS_MAX)}…` : text;
}
