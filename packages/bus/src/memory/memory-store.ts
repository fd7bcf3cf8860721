/**
 * What the in-memory broker stores: buckets, logs, objects. Synchronous and without a clock of its
 * own; memory-state.ts puts the waiting and the connection in front of it.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type {
  AppendOptions,
  AppendOutcome,
  DeleteOutcome,
  KeyValueEntry,
  KeyValueOptions,
  LogEntry,
  LogInfo,
  LogOptions,
  ReadOptions,
  WriteOutcome,
} from "../state.ts";
import { subjectMatches } from "../subject.ts";

/** As long as the NATS adapter's logs know message ids, ms. */
const DUPLICATE_WINDOW_MS = 120_000;

interface StoredValue {
  readonly value: Uint8Array;
  readonly revision: number;
  readonly storedAtMs: number;
}

export class MemoryBucket {
  ttlMs: number;
  private readonly values = new Map<string, StoredValue>();
  private lastRevision = 0;

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs;
  }

  get(key: string, nowMs: number): KeyValueEntry | null {
    const stored = this.live(key, nowMs);
    return stored === null
      ? null
      : { key, value: new Uint8Array(stored.value), revision: stored.revision };
  }

  put(key: string, value: Uint8Array, nowMs: number): number {
    const revision = (this.lastRevision += 1);
    this.values.set(key, { value: new Uint8Array(value), revision, storedAtMs: nowMs });
    return revision;
  }

  /** `expectedRevision` 0: the key must not be there. */
  write(
    key: string,
    value: Uint8Array,
    { expectedRevision, nowMs }: { expectedRevision: number; nowMs: number },
  ): WriteOutcome {
    const current = this.live(key, nowMs)?.revision ?? 0;
    if (current !== expectedRevision) return { kind: "conflict" };
    return { kind: "written", revision: this.put(key, value, nowMs) };
  }

  delete(key: string, at: { expectedRevision: number | undefined; nowMs: number }): DeleteOutcome {
    const { expectedRevision, nowMs } = at;
    const current = this.live(key, nowMs)?.revision ?? 0;
    if (expectedRevision !== undefined && current !== expectedRevision) return { kind: "conflict" };
    this.values.delete(key);
    this.lastRevision += 1; // a delete is a write: revisions are not used twice
    return { kind: "deleted" };
  }

  keys(prefix: string, nowMs: number): string[] {
    return [...this.values.keys()].filter(
      (key) =>
        (prefix === "" || key === prefix || key.startsWith(`${prefix}.`)) &&
        this.live(key, nowMs) !== null,
    );
  }

  recent(limit: number, nowMs: number): KeyValueEntry[] {
    return [...this.values.keys()]
      .flatMap((key) => this.get(key, nowMs) ?? [])
      .sort((a, b) => b.revision - a.revision)
      .slice(0, limit);
  }

  private live(key: string, nowMs: number): StoredValue | null {
    const stored = this.values.get(key);
    if (stored === undefined) return null;
    if (this.ttlMs === 0 || nowMs - stored.storedAtMs < this.ttlMs) return stored;
    this.values.delete(key);
    return null;
  }
}

interface StoredEntry extends LogEntry {
  readonly storedAtMs: number;
}

export class MemoryLog {
  options: LogOptions;
  private readonly incarnation: string;
  private entries: StoredEntry[] = [];
  private readonly lastSequenceBySubject = new Map<string, number>();
  private readonly seenIds = new Map<string, { sequence: number; seenAtMs: number }>();
  private lastSequence = 0;
  private storedBytes = 0;

  constructor(options: LogOptions, incarnation: string) {
    this.options = options;
    this.incarnation = incarnation;
  }

  takes(subject: string): boolean {
    return this.options.subjects.some((filter) => subjectMatches(filter, subject));
  }

  append(
    subject: string,
    data: Uint8Array,
    { messageId, expectedLastSequence, nowMs }: AppendOptions & { readonly nowMs: number },
  ): AppendOutcome {
    this.dropOld(nowMs);
    const seen = messageId === undefined ? undefined : this.seenIds.get(messageId);
    if (seen !== undefined) {
      return { kind: "appended", sequence: seen.sequence, isDuplicate: true }; // S2
    }
    const last = this.lastSequenceBySubject.get(subject) ?? 0;
    if (expectedLastSequence !== undefined && expectedLastSequence !== last) {
      return { kind: "conflict", lastSequence: last }; // S3
    }
    const sequence = (this.lastSequence += 1);
    this.entries.push({ subject, sequence, data: new Uint8Array(data), storedAtMs: nowMs });
    this.lastSequenceBySubject.set(subject, sequence);
    this.storedBytes += data.length;
    if (messageId !== undefined) this.seenIds.set(messageId, { sequence, seenAtMs: nowMs });
    this.dropOld(nowMs);
    return { kind: "appended", sequence, isDuplicate: false };
  }

  read(filter: string, { fromSequence, toSequence }: ReadOptions, nowMs: number): LogEntry[] {
    this.dropOld(nowMs);
    const to = toSequence ?? Number.POSITIVE_INFINITY;
    return this.entries
      .filter((it) => it.sequence >= (fromSequence ?? 1) && it.sequence <= to)
      .filter((it) => subjectMatches(filter, it.subject))
      .map(({ subject, sequence, data }) => ({ subject, sequence, data: new Uint8Array(data) }));
  }

  lastSequenceOf(subject: string, nowMs: number): number {
    this.dropOld(nowMs);
    return this.lastSequenceBySubject.get(subject) ?? 0;
  }

  info(nowMs: number): LogInfo {
    this.dropOld(nowMs);
    return {
      incarnation: this.incarnation,
      firstSequence: this.entries[0]?.sequence ?? this.lastSequence + 1,
      lastSequence: this.lastSequence,
    };
  }

  purge(subject: string, beforeSequence: number, nowMs: number): void {
    this.dropOld(nowMs);
    const isDropped = (it: StoredEntry): boolean =>
      it.subject === subject && it.sequence < beforeSequence;
    for (const it of this.entries) if (isDropped(it)) this.storedBytes -= it.data.length;
    this.entries = this.entries.filter((it) => !isDropped(it));
    if ((this.lastSequenceBySubject.get(subject) ?? 0) < beforeSequence) {
      this.lastSequenceBySubject.delete(subject);
    }
  }

  private dropOld(nowMs: number): void {
    const { maxAgeMs, maxBytes } = this.options;
    let dropCount = 0;
    for (const entry of this.entries) {
      const isTooOld = maxAgeMs > 0 && nowMs - entry.storedAtMs >= maxAgeMs;
      const isTooMuch = maxBytes !== undefined && this.storedBytes > maxBytes;
      if (!isTooOld && !isTooMuch) break;
      dropCount += 1;
      this.storedBytes -= entry.data.length;
      // A subject of which nothing is left counts as new, as in JetStream.
      if (this.lastSequenceBySubject.get(entry.subject) === entry.sequence) {
        this.lastSequenceBySubject.delete(entry.subject);
      }
    }
    if (dropCount > 0) this.entries = this.entries.slice(dropCount);
    const windowMs = maxAgeMs > 0 ? Math.min(maxAgeMs, DUPLICATE_WINDOW_MS) : DUPLICATE_WINDOW_MS;
    for (const [id, { seenAtMs }] of this.seenIds) {
      if (nowMs - seenAtMs < windowMs) break;
      this.seenIds.delete(id);
    }
  }
}

export class MemoryStore {
  private readonly buckets = new Map<string, MemoryBucket>();
  private readonly logs = new Map<string, MemoryLog>();
  private readonly objects = new Map<string, Map<string, Uint8Array>>();
  private logCount = 0;

  findBucket(name: string): MemoryBucket | undefined {
    return this.buckets.get(name);
  }

  findLog(name: string): MemoryLog | undefined {
    return this.logs.get(name);
  }

  deleteBucket(name: string): void {
    this.buckets.delete(name);
  }

  deleteLog(name: string): void {
    this.logs.delete(name);
  }

  bucket(name: string, { ttlMs = 0, mayUpdate = false }: KeyValueOptions): MemoryBucket {
    const found = this.buckets.get(name) ?? new MemoryBucket(ttlMs);
    if (mayUpdate) found.ttlMs = ttlMs;
    if (found.ttlMs !== ttlMs) {
      throw new InvalidArgumentError(
        `bucket "${name}" exists with maximum age in ms ${found.ttlMs}, but ${ttlMs} was asked for`,
      );
    }
    this.buckets.set(name, found);
    return found;
  }

  log(name: string, options: LogOptions): MemoryLog {
    const found = this.logs.get(name) ?? this.makeLog(options);
    const there =
      options.mayUpdate === true ? { ...found.options, maxAgeMs: options.maxAgeMs } : found.options;
    if (settingsText(options) !== settingsText(there)) {
      throw new InvalidArgumentError(
        `log "${name}" exists with ${settingsText(found.options)}, not with ${settingsText(options)}`,
      );
    }
    found.options = there;
    this.logs.set(name, found);
    return found;
  }

  private makeLog(options: LogOptions): MemoryLog {
    return new MemoryLog(options, `memory-${(this.logCount += 1)}`);
  }

  objectsOf(bucket: string): Map<string, Uint8Array> {
    const found = this.objects.get(bucket) ?? new Map<string, Uint8Array>();
    this.objects.set(bucket, found);
    return found;
  }

  /** A message that was published where a log listens. A request there is not without answer. */
  capture(
    subject: string,
    data: Uint8Array,
    options: AppendOptions & { readonly nowMs: number },
  ): { capturedCount: number } {
    let capturedCount = 0;
    for (const log of this.logs.values()) {
      if (!log.takes(subject)) continue;
      log.append(subject, data, options);
      capturedCount += 1;
    }
    return { capturedCount };
  }
}

function settingsText({ subjects, maxAgeMs, maxBytes }: LogOptions): string {
  const list = [...subjects].sort().join(" ");
  return `subjects ${list}, maximum age ${maxAgeMs} ms, maximum size ${maxBytes ?? "none"}`;
}
