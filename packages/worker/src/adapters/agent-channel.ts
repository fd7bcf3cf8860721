/**
 * The worker's end of what its agent says: the spec on stdin, the IPC channel for the rest.
 *
 * Started by hand with `--spec FILE` there is no channel: nothing is sent, only signals stop it.
 */
import { readFile } from "node:fs/promises";
import { InvalidArgumentError } from "@murakkab/kit";
import type { WorkerMessage, WorkerSpec } from "@murakkab/protocol";
import { validate, workerSpecSchema } from "@murakkab/protocol";

/** A spec is an executor's entry and an address: kilobytes. More is no spec. */
const SPEC_BYTES_MAX = 1024 * 1024;

/** The content of `specFile`, or stdin's. Errors: `INVALID_ARGUMENT` naming the field. */
export async function receiveSpec(specFile: string | null): Promise<WorkerSpec> {
  const text = specFile === null ? await readStdin() : await readFile(specFile, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    // Without the cause: its message repeats the text, which may hold a password.
    throw new InvalidArgumentError("the worker's spec is not JSON, expected a spec on stdin");
  }
  return validate(workerSpecSchema, value, "worker spec");
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > SPEC_BYTES_MAX) {
      throw new InvalidArgumentError(
        `the worker's spec is over ${SPEC_BYTES_MAX} bytes, expected a few thousand`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export function sendToAgent(message: WorkerMessage): void {
  // A channel that closes meanwhile is told by "disconnect"; without one the bus is used.
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}
