/**
 * What a node agent and the worker processes that it starts say to each other outside of the bus.
 *
 * The agent writes one `WorkerSpec` as JSON to the worker's stdin and closes it; nothing secret is
 * in arguments or environment. The worker answers over Node's IPC channel: `ready` once it serves,
 * `status` whenever its queue changes. When that channel disconnects, the agent is gone: the
 * worker goes on over the bus and says hello there, until it has had neither an agent nor the bus
 * for `orphanLimitMs`.
 */
import { sha256Hex } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import { z } from "zod";

/** Longer than a restart of an agent or of the bus takes; shorter than anyone would look for it. */
export const ORPHAN_LIMIT_MS_DEFAULT = 30_000;

export const workerSpecSchema = z.object({
  node: z.string(),
  instance: z.string(),
  executor: z.custom<ExecutorEntry>(
    (value) => value !== null && typeof value === "object" && "id" in value && "engine" in value,
    "expected an executor entry",
  ),
  /** The instance's own directory: attempts make theirs below it; results are ingested from it. */
  scratchDir: z.string(),
  /** How to reach the bus. May hold secrets: never log it. */
  bus: z.object({
    servers: z.string(),
    user: z.string().exactOptional(),
    password: z.string().exactOptional(),
    token: z.string().exactOptional(),
    credsFile: z.string().exactOptional(),
  }),
  logLevel: z.string(),
  /** With neither an agent nor the bus for this long, the worker ends itself, ms. */
  orphanLimitMs: z.number().positive().default(ORPHAN_LIMIT_MS_DEFAULT),
  /** Where results wait that could not be sent, shared by all workers of the agent. */
  spool: z.object({ dir: z.string(), limitBytes: z.number().positive() }).exactOptional(),
});
export type WorkerSpec = z.infer<typeof workerSpecSchema>;

export const workerMessageSchema = z.union([
  z.object({ kind: z.literal("ready") }),
  z.object({
    kind: z.literal("status"),
    queuedCount: z.number().int().nonnegative(),
    inFlightCount: z.number().int().nonnegative(),
  }),
]);
export type WorkerMessage = z.infer<typeof workerMessageSchema>;

/** Set in the environment of a worker and of all that it starts, so that none outlives it. */
export const INSTANCE_VARIABLE = "MURAKKAB_INSTANCE";
/**
 * File in the scratch directory with the process group of each command, one per line: its number
 * and, on Linux, when its leader started in ticks since boot, which together name it for good.
 * Appended synchronously right after the spawn.
 */
export const PROCESS_GROUPS_FILE = "pgids";

/** Name of a spooled result's file: the key may hold anything, a file name may not. */
export function spoolFileName(key: string): string {
  return sha256Hex(key);
}
