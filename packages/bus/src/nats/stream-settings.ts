/**
 * Streams: created when missing, compared when there. A different setting is an error that names
 * both, because the server would keep the old one without a word.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { JetStreamApi } from "./jetstream-api.ts";
import { hasErrCode, JETSTREAM_ERROR_CODES } from "./jetstream-api.ts";

export const NANOS_PER_MS = 1_000_000;

export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly max_age: number;
  readonly max_bytes: number;
  readonly max_msgs_per_subject: number;
  readonly num_replicas: number;
  readonly duplicate_window: number;
  readonly discard: "old" | "new";
  readonly deny_delete: boolean;
  readonly allow_rollup_hdrs: boolean;
  readonly allow_direct: boolean;
}

/** `what` names the thing in messages, such as `bucket "leases"`. Answers the stream's setting. */
export async function ensureStream(
  api: JetStreamApi,
  wanted: StreamConfig,
  what: string,
): Promise<StreamConfig> {
  const found = (await findStream(api, wanted.name)) ?? (await createStream(api, wanted, what));
  compare(what, "maximum age in ms", [wanted.max_age, found.max_age].map(toMs));
  compare(what, "maximum size in bytes", [wanted.max_bytes, found.max_bytes]);
  compare(what, "subjects", [sorted(wanted.subjects), sorted(found.subjects)]);
  return found;
}

function toMs(nanos: number): number {
  return Math.round(nanos / NANOS_PER_MS);
}

function sorted(subjects: readonly string[]): string {
  return [...subjects].sort().join(" ");
}

function compare(what: string, setting: string, values: readonly (string | number)[]): void {
  const [wanted, found] = values;
  if (wanted === found) return;
  throw new InvalidArgumentError(
    `${what} exists with ${setting} ${found}, but ${wanted} was asked for`,
  );
}

async function findStream(api: JetStreamApi, name: string): Promise<StreamConfig | null> {
  try {
    const { config } = await api.call<{ config: StreamConfig }>(`STREAM.INFO.${name}`, null);
    return config;
  } catch (error) {
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.streamNotFound)) return null;
    throw error;
  }
}

async function createStream(
  api: JetStreamApi,
  wanted: StreamConfig,
  what: string,
): Promise<StreamConfig> {
  try {
    const { config } = await api.call<{ config: StreamConfig }>(`STREAM.CREATE.${wanted.name}`, {
      ...wanted,
      retention: "limits",
      storage: "file", // memory storage does not survive a restart of the servers
      max_consumers: -1,
      max_msgs: -1,
      max_msg_size: -1,
    });
    return config;
  } catch (error) {
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.streamNameInUse)) {
      const found = await findStream(api, wanted.name); // someone else was first
      if (found !== null) return found;
    }
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.subjectOverlap)) {
      throw new InvalidArgumentError(`subjects of ${what} are stored by another log already`, {
        cause: error,
      });
    }
    throw error;
  }
}
