/**
 * What the store holds, as far as the checkers need it. Tolerant: a version that adds fields or
 * kinds of entries must not blind the observer.
 */
import { decode } from "@murakkab/protocol";
import type { Activation, JournalBatch } from "./observation.ts";

export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** A partition's batch; null for a message that is none. */
export function readBatch(message: StoredMessage, atMs: number): JournalBatch | null {
  const { subject, sequence } = message;
  const fields = fieldsOf(message);
  const partition = Number(fields["partition"] ?? subject.slice(subject.lastIndexOf(".") + 1));
  const { generation, owner, entries } = fields;
  if (typeof generation !== "number" || !Number.isInteger(partition)) return null;
  return {
    ...{ atMs, sequence, partition, generation },
    owner: typeof owner === "string" ? owner : "unknown",
    isTakeover: Array.isArray(entries) && entries.some((entry) => kindOf(entry) === "owned"),
  };
}

/** Where an actor was placed: `$KV.<bucket>.<address>` with `{ host, generation }`. */
export function readPlacement(message: StoredMessage, atMs: number): Activation | null {
  const { host, generation } = fieldsOf(message);
  if (typeof host !== "string" || typeof generation !== "number") return null;
  const address = message.subject.split(".").slice(2).join(".");
  return { atMs, address, generation, process: host };
}

function fieldsOf({ data }: StoredMessage): Readonly<Record<string, unknown>> {
  try {
    const { value } = decode(data, {});
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function kindOf(entry: unknown): unknown {
  return entry !== null && typeof entry === "object" && "kind" in entry ? entry.kind : undefined;
}
