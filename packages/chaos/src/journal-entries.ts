/**
 * A partition's stored batch, as far as the checkers need it. Tolerant: a version that adds fields
 * or kinds of entries must not blind the observer.
 */
import { decode } from "@murakkab/protocol";
import type { Activation, JournalBatch } from "./observation.ts";

export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface ReadBatch {
  readonly batch: JournalBatch;
  readonly activations: readonly Activation[];
}

/** Null for a message that is no batch. */
export function readBatch(
  { subject, sequence, data }: StoredMessage,
  atMs: number,
): ReadBatch | null {
  let value: unknown;
  try {
    ({ value } = decode(data, {}));
  } catch {
    return null;
  }
  const fields = fieldsOf(value);
  const partition = Number(fields["partition"] ?? subject.slice(subject.lastIndexOf(".") + 1));
  const { generation, owner } = fields;
  if (typeof generation !== "number" || !Number.isInteger(partition)) return null;
  const entries = Array.isArray(fields["entries"]) ? fields["entries"].map(fieldsOf) : [];
  return {
    batch: {
      ...{ atMs, sequence, partition, generation },
      owner: typeof owner === "string" ? owner : "unknown",
      isTakeover: entries.some(({ kind }) => kind === "owned"),
    },
    activations: entries.flatMap((entry) => readActivation(entry, atMs)),
  };
}

/** An actor's placement: `{ kind: "activated", type, key, generation, host }`. */
function readActivation(entry: Fields, atMs: number): readonly Activation[] {
  const { kind, type, key, generation, host } = entry;
  if (kind !== "activated" || typeof generation !== "number") return [];
  return [{ atMs, address: `${String(type)}.${String(key)}`, generation, process: String(host) }];
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return value !== null && typeof value === "object" ? (value as Fields) : {};
}
