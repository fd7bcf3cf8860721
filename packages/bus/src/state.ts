/**
 * The state port: key-value with compare-and-set, append-only log with expected sequence, objects.
 *
 * Invariants:
 *   S1. `update` and `create` succeed only on the expected revision; losing is an outcome, not an
 *       error.
 *   S2. `append` with a message id that the log saw lately stores nothing and answers the first
 *       one's sequence with `isDuplicate: true`.
 *   S3. `append` with `expectedLastSequence` (of its subject; 0 = none yet) stores only when it
 *       matches.
 *   S4. A time-out is ambiguous: repeat with the same message id or re-read before repeating.
 *   S5. The expected sequence counts what is stored: a subject whose entries were all purged or
 *       aged out is at 0 again. Sequences themselves are never used twice in one incarnation.
 *   S6. A message id is remembered also when its entry was purged.
 *   S7. On a store that was deleted every operation throws StoreMissingError (`STORE_MISSING`),
 *       unless it was opened with `onMissing: "recreate"`. No operation makes it in silence.
 * All throw UnavailableError when the store cannot be reached in time.
 */
export interface KeyValueEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

export type WriteOutcome =
  | { readonly kind: "written"; readonly revision: number }
  | { readonly kind: "conflict" };

export type DeleteOutcome = { readonly kind: "deleted" } | { readonly kind: "conflict" };

export interface KeyValue {
  get(key: string): Promise<KeyValueEntry | null>;
  put(key: string, value: Uint8Array): Promise<number>;
  create(key: string, value: Uint8Array): Promise<WriteOutcome>;
  update(key: string, value: Uint8Array, expectedRevision: number): Promise<WriteOutcome>;
  /** With `expectedRevision` only that revision is deleted. */
  delete(key: string, options?: { readonly expectedRevision?: number }): Promise<DeleteOutcome>;
  /** Keys that start with `prefix` (dotted tokens), in no order. */
  keys(prefix?: string): Promise<string[]>;
  /** The entries that were written last, newest first. */
  recent(limit: number): Promise<KeyValueEntry[]>;
}

export interface LogEntry {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export type AppendOutcome =
  | { readonly kind: "appended"; readonly sequence: number; readonly isDuplicate: boolean }
  /** `lastSequence` of the subject, where the store tells it. */
  | { readonly kind: "conflict"; readonly lastSequence?: number };

export interface LogInfo {
  /** Changes when the log is deleted and made anew. */
  readonly incarnation: string;
  readonly firstSequence: number;
  /** 0 = nothing was ever stored. */
  readonly lastSequence: number;
}

export interface ReadOptions {
  readonly fromSequence?: number;
  /** Inclusive. Bounds the work: little behind it is fetched. */
  readonly toSequence?: number;
}

export interface AppendOptions {
  readonly messageId?: string;
  readonly expectedLastSequence?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Log {
  append(subject: string, data: Uint8Array, options?: AppendOptions): Promise<AppendOutcome>;
  /**
   * What is stored now on subjects that match `filter` (wildcards allowed), oldest first.
   * Complete as of the call: also where the store is replicated and a copy lags.
   */
  read(filter: string, options?: ReadOptions): Promise<LogEntry[]>;
  /** The entry at this sequence; null when it was never there or is no longer. */
  get(sequence: number): Promise<LogEntry | null>;
  /** Sequence of the subject's last entry; 0 = none is stored. */
  lastSequence(subject: string): Promise<number>;
  info(): Promise<LogInfo>;
  /** Drops the subject's entries below this sequence. */
  purge(subject: string, options: { readonly beforeSequence: number }): Promise<void>;
}

export interface ObjectStore {
  put(name: string, data: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | null>;
  delete(name: string): Promise<void>;
}

export interface StoreOptions {
  /**
   * When the store is deleted while it is in use: "fail" (default) throws StoreMissingError (S7),
   * "recreate" makes it anew, empty and with these settings, and repeats the operation once.
   */
  readonly onMissing?: "fail" | "recreate";
  /** Told each time that this handle made it anew. */
  readonly onRecreated?: () => void;
  /**
   * Change an existing store's age limit, duplicate window and number of copies to what is asked
   * for. Default false: another setting is an error that names both.
   */
  readonly mayUpdate?: boolean;
}

export interface KeyValueOptions extends StoreOptions {
  /** Entries disappear after this age, ms. 0 = never. Default 0. */
  readonly ttlMs?: number;
}

export interface LogOptions extends StoreOptions {
  readonly subjects: readonly string[];
  /** Entries older than this are dropped, ms. 0 = never. */
  readonly maxAgeMs: number;
  readonly maxBytes?: number;
}

/**
 * Opening creates what is missing and leaves what is there. A different setting is an error,
 * unless `mayUpdate` says that it may be changed.
 */
export interface State {
  openKeyValue(bucket: string, options?: KeyValueOptions): Promise<KeyValue>;
  openLog(name: string, options: LogOptions): Promise<Log>;
  openObjects(bucket: string): Promise<ObjectStore>;
}
