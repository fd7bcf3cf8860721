/**
 * Inputs as the user wrote them, to inputs that every node can fetch: local files are uploaded,
 * references and web addresses stay what they are.
 */
import { fileURLToPath } from "node:url";
import { InvalidArgumentError } from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
import { artifactHash } from "@murakkab/model";
import { checkFile } from "./upload.ts";

const WEB_PATTERN = /^https?:\/\//i;
const SCHEME_PATTERN = /^([A-Za-z][A-Za-z0-9+.-]+):\/\//;

export type Upload = (path: string) => Promise<ArtifactRef>;

/** Errors: `INVALID_ARGUMENT` naming the first input that could not be sent. */
export async function checkInputs(inputs: readonly string[]): Promise<void> {
  for (const { path } of inputs.map(classifyInput)) if (path !== null) await checkFile(path);
}

/**
 * All files are checked before the first byte is sent; a file that is named twice goes up once.
 * Errors: `INVALID_ARGUMENT` naming the input.
 */
export async function resolveInputs(inputs: readonly string[], upload: Upload): Promise<string[]> {
  await checkInputs(inputs);
  const uploaded = new Map<string, string>();
  const resolved: string[] = [];
  for (const { text, path } of inputs.map(classifyInput)) {
    if (path === null) {
      resolved.push(text);
      continue;
    }
    const reference = uploaded.get(path) ?? (await upload(path)).artifact;
    uploaded.set(path, reference);
    resolved.push(reference);
  }
  return resolved;
}

interface ClassifiedInput {
  readonly text: string;
  /** Path of a local file; null for references and web addresses. */
  readonly path: string | null;
}

function classifyInput(text: string): ClassifiedInput {
  if (WEB_PATTERN.test(text)) return { text, path: null };
  const scheme = SCHEME_PATTERN.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { text, path: text };
  if (scheme === "file") return { text, path: fileURLToPath(text) };
  if (scheme === "artifact") {
    artifactHash(text); // Throws when it is no valid reference.
    return { text, path: null };
  }
  throw new InvalidArgumentError(
    `input ${text} is not valid, expected a file, artifact://sha256/… or an http(s) address`,
    { field: "inputs" },
  );
}
