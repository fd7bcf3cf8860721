/** Where the other programs of the runtime lie. They are started by path and never imported. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NotFoundError } from "@murakkab/kit";

/** The repository root, from `packages/cli/{src,dist}/cluster/`. */
const ROOT = new URL("../../../../", import.meta.url);

export type ProgramName = "scheduler" | "node-agent";

/**
 * Flags of Node for each program. A scheduler makes some hundred short-lived objects per job: with
 * V8's usual young generation a sixth of its time went into collecting them.
 */
export const NODE_FLAGS: Readonly<Record<ProgramName, readonly string[]>> = {
  scheduler: ["--max-semi-space-size=32"],
  "node-agent": [],
};

/** Errors: `NOT_FOUND` that says how to build it. */
export function programPath(program: ProgramName): string {
  const path = fileURLToPath(new URL(`packages/${program}/dist/main.js`, ROOT));
  if (existsSync(path)) return path;
  throw new NotFoundError(`${program} is not built: ${path} is missing, run "pnpm build" first`);
}

export function rootPath(relative: string): string {
  return fileURLToPath(new URL(relative, ROOT));
}
