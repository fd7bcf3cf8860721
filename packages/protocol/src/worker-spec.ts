/**
 * What a node agent and the worker processes that it starts say to each other outside of the bus.
 *
 * The agent writes one `WorkerSpec` as JSON to the worker's stdin and closes it; nothing secret is
 * in arguments or environment. The worker answers over Node's IPC channel: `ready` once it serves,
 * `status` whenever its queue changes. When that channel disconnects, the agent is gone: the
 * worker must end its commands and itself.
 */
import type { ExecutorEntry } from "@murakkab/model";
import { z } from "zod";

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
 * File in the scratch directory with the process group of each command, one number per line,
 * appended synchronously right after the spawn.
 */
export const PROCESS_GROUPS_FILE = "pgids";
