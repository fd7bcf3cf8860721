/**
 * Streams: created when missing, compared when there. A different setting is an error that names
 * both, because the server would keep the old one without a word; or it is changed, where the
 * caller permits it and nothing can go wrong by it.
 */
import { InvalidArgumentError, UnavailableError } from "@murakkab/kit";
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

/** Without a number of copies: one is made, any is taken. */
export type WantedStream = Omit<StreamConfig, "num_replicas"> & {
  readonly num_replicas?: number | undefined;
};

export interface EnsureOptions {
  /** Names the thing in messages, such as `bucket "leases"`. */
  readonly what: string;
  readonly mayUpdate: boolean;
}

export interface EnsuredStream {
  readonly config: StreamConfig;
  readonly wasCreated: boolean;
}

interface StreamInfo {
  readonly config: StreamConfig;
  /** Only servers of a cluster tell it. */
  readonly cluster?: unknown;
}

interface Setting {
  readonly name: string;
  readonly wanted: string | number;
  readonly found: string | number;
  readonly isUpdatable: boolean;
}

/** Errors: `INVALID_ARGUMENT` naming what was asked for and what is there. */
export async function ensureStream(
  api: JetStreamApi,
  wanted: WantedStream,
  options: EnsureOptions,
): Promise<EnsuredStream> {
  const found = await findStream(api, wanted.name);
  if (found === null) return createStream(api, wanted, options);
  return { config: await agree(api, { wanted, found, options }), wasCreated: false };
}

/** The setting that is there, changed where that is needed and permitted. */
async function agree(
  api: JetStreamApi,
  context: { wanted: WantedStream; found: StreamInfo; options: EnsureOptions },
): Promise<StreamConfig> {
  const { wanted, found, options } = context;
  const differing = settingsOf(wanted, found.config).filter((it) => it.wanted !== it.found);
  if (differing.length === 0) return found.config;
  const fixed = differing.find((it) => !(it.isUpdatable && options.mayUpdate));
  if (fixed !== undefined) throw differs(options.what, fixed);
  const wantedCopies = wanted.num_replicas ?? found.config.num_replicas;
  if (wantedCopies > 1 && found.cluster === undefined) {
    // A single server of 2.9 answers "updated" and keeps one copy.
    throw noCluster(options.what, wantedCopies);
  }
  const { config } = await api.call<StreamInfo>(`STREAM.UPDATE.${wanted.name}`, {
    ...found.config,
    max_age: wanted.max_age,
    duplicate_window: wanted.duplicate_window,
    num_replicas: wantedCopies,
  });
  const refused = settingsOf(wanted, config).find((it) => it.wanted !== it.found);
  if (refused !== undefined) throw differs(options.what, refused);
  return config;
}

/**
 * What is compared. Age and window may change at any time; so may the copies of a stream in a
 * cluster. Others decide what the stream holds, and are never changed here.
 */
function settingsOf(wanted: WantedStream, found: StreamConfig): Setting[] {
  return [
    setting("maximum age in ms", true, [wanted.max_age, found.max_age].map(toMs)),
    setting("duplicate window in ms", true, [
      toMs(wanted.duplicate_window),
      toMs(found.duplicate_window),
    ]),
    setting("number of copies", true, [
      wanted.num_replicas ?? found.num_replicas,
      found.num_replicas,
    ]),
    setting("maximum size in bytes", false, [wanted.max_bytes, found.max_bytes]),
    setting("subjects", false, [sorted(wanted.subjects), sorted(found.subjects)]),
  ];
}

function setting(
  name: string,
  isUpdatable: boolean,
  [wanted = "", found = ""]: readonly (string | number)[],
): Setting {
  return { name, wanted, found, isUpdatable };
}

function differs(what: string, { name, wanted, found }: Setting): InvalidArgumentError {
  return new InvalidArgumentError(
    `${what} exists with ${name} ${found}, but ${wanted} was asked for`,
  );
}

function noCluster(what: string, copyCount: number): InvalidArgumentError {
  return new InvalidArgumentError(
    `${what} cannot have ${copyCount} copies: the server is not part of a cluster`,
  );
}

function toMs(nanos: number): number {
  return Math.round(nanos / NANOS_PER_MS);
}

function sorted(subjects: readonly string[]): string {
  return [...subjects].sort().join(" ");
}

async function findStream(api: JetStreamApi, name: string): Promise<StreamInfo | null> {
  try {
    return await api.call<StreamInfo>(`STREAM.INFO.${name}`, null);
  } catch (error) {
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.streamNotFound)) return null;
    throw error;
  }
}

async function createStream(
  api: JetStreamApi,
  wanted: WantedStream,
  options: EnsureOptions,
): Promise<EnsuredStream> {
  const { what } = options;
  const copyCount = wanted.num_replicas ?? 1;
  try {
    const { config } = await api.call<StreamInfo>(`STREAM.CREATE.${wanted.name}`, {
      ...wanted,
      num_replicas: copyCount,
      retention: "limits",
      storage: "file", // memory storage does not survive a restart of the servers
      max_consumers: -1,
      max_msgs: -1,
      max_msg_size: -1,
    });
    return { config, wasCreated: true };
  } catch (error) {
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.streamNameInUse)) {
      const found = await findStream(api, wanted.name); // someone else was first
      if (found === null) throw new UnavailableError(`${what} came and went`, { cause: error });
      return { config: await agree(api, { wanted, found, options }), wasCreated: false };
    }
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.subjectOverlap)) {
      throw new InvalidArgumentError(`subjects of ${what} are stored by another log already`, {
        cause: error,
      });
    }
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.replicasNeedCluster)) {
      throw noCluster(what, copyCount);
    }
    throw error;
  }
}
