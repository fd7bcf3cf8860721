/**
 * Opens files that somebody else named, and only below the directories that were allowed.
 *
 * Invariants:
 *   L1. What counts is where a path leads after all symbolic links, of the path and of the root.
 *   L2. What is opened is what was checked: the file's identity is compared after opening.
 */
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, realpath } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { InvalidArgumentError } from "@murakkab/kit";
import type { PathPort } from "../ports.ts";

export class FilePaths implements PathPort {
  async resolveBelow(root: string, path: string): Promise<string | null> {
    const real = await realPathBelow(root, path);
    if (real === null) return null;
    const { isFile } = await lstat(real).then((stats) => ({ isFile: stats.isFile() }));
    return isFile ? real : null;
  }
}

export interface InputFile {
  readonly path: string;
  readonly bytes: number;
  readonly handle: FileHandle;
}

/**
 * Errors: `INVALID_ARGUMENT` naming the path and what was expected. It says the same of a file
 * that is outside as of one that is not there, so that the message tells nothing of the host.
 */
export async function openInputFile(path: string, roots: readonly string[]): Promise<InputFile> {
  if (roots.length === 0) {
    throw invalidPath(
      path,
      "is outside the input roots (this node has none)",
      "an uploaded artifact, a URL, or a node agent with --input-root",
    );
  }
  for (const root of roots) {
    const real = await realPathBelow(root, path);
    if (real === null) continue;
    return await openChecked(path, real);
  }
  throw invalidPath(
    path,
    "is outside the input roots or does not exist",
    `a file below ${roots.join(" or ")}`,
  );
}

async function openChecked(path: string, real: string): Promise<InputFile> {
  const before = await lstat(real);
  if (!before.isFile()) throw invalidPath(path, "is not a regular file", "a regular file");
  // NONBLOCK: a pipe that took the file's place meanwhile must not hang the open.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(real, flags).catch((cause: unknown) => {
    const code = String((cause as NodeJS.ErrnoException).code);
    throw invalidPath(path, `cannot be read (${code})`, "a readable file");
  });
  const after = await handle.stat();
  const isSame = after.isFile() && after.ino === before.ino && after.dev === before.dev; // L2
  if (isSame && (await realpath(real)) === real) {
    return { path: real, bytes: after.size, handle };
  }
  await handle.close();
  throw invalidPath(path, "changed while it was opened", "a file that stays in place");
}

async function realPathBelow(root: string, path: string): Promise<string | null> {
  try {
    const realRoot = await realpath(root);
    const real = await realpath(isAbsolute(path) ? path : resolve(realRoot, path));
    const between = relative(realRoot, real);
    const isBelow = between !== "" && between !== ".." && !between.startsWith(`..${sep}`);
    return isBelow && !isAbsolute(between) ? real : null;
  } catch {
    return null; // not there, or not ours to look at
  }
}

function invalidPath(path: string, problem: string, expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`path ${path} ${problem}, expected ${expected}`);
}
