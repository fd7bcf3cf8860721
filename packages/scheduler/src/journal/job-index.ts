/**
 * Where finished jobs are found, which job an idempotency key stands for, and where each
 * partition's journal must be read from.
 *
 * Owns:      three buckets: MK_JOB_INDEX, MK_JOB_KEYS, MK_JOB_MARKS.
 * Does not:  hold what a job was: that is in the journal.
 *
 * Invariants:
 *   X1. Everything here can be rebuilt from the journal, but the keys, which are claimed before
 *       their job is journaled.
 *   X2. A mark is never above the first entry of a job that is unfinished or not in the index.
 */
import type { KeyValue, State } from "@murakkab/bus";
import {
  backoffMs,
  type Clock,
  delay,
  isRuntimeError,
  type Logger,
  type Random,
} from "@murakkab/kit";
import type { JobState } from "@murakkab/model";
import { contentHeaders, decode, encode } from "@murakkab/protocol";

/** One finished job: what a list shows, and where the rest is. */
export interface IndexedJob {
  readonly jobId: string;
  readonly state: JobState;
  readonly tenant: string;
  readonly description: string | null;
  readonly workflow: string | null;
  readonly acceptedAtMs: number;
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly answer: string | null;
  /** Journal sequences of its first and last entry. */
  readonly first: number;
  readonly last: number;
}

/** Per partition: the journal before this sequence is settled. */
export type Marks = ReadonlyMap<number, number>;

export interface JobIndexComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface JobIndexOptions {
  readonly retentionMs: number;
  /** The index was deleted while in use; it is empty now (X1). */
  readonly onIndexLost?: () => void;
}

const REPEAT_BACKOFF = { baseMs: 50, maxMs: 2_000 };
/** An index entry outlives what it points to, so that a late question is told `expired`. */
const INDEX_TTL_FACTOR = 2;
/** Schedulers whose marks are read: more than ever run at a time, and the dead ones before them. */
const MARK_WRITERS_MAX = 4_096;

export class JobIndex {
  private readonly jobs: KeyValue;
  private readonly keys: KeyValue;
  private readonly marks: KeyValue;
  private readonly parts: JobIndexComponents;

  private constructor(
    components: JobIndexComponents,
    buckets: { readonly jobs: KeyValue; readonly keys: KeyValue; readonly marks: KeyValue },
  ) {
    this.parts = components;
    this.jobs = buckets.jobs;
    this.keys = buckets.keys;
    this.marks = buckets.marks;
  }

  static async open(
    state: State,
    components: JobIndexComponents,
    { retentionMs, onIndexLost = () => undefined }: JobIndexOptions,
  ): Promise<JobIndex> {
    return new JobIndex(components, {
      jobs: await state.openKeyValue("MK_JOB_INDEX", {
        ttlMs: INDEX_TTL_FACTOR * retentionMs,
        onMissing: "recreate",
        onRecreated: onIndexLost,
      }),
      keys: await state.openKeyValue("MK_JOB_KEYS", { ttlMs: retentionMs, onMissing: "recreate" }),
      marks: await state.openKeyValue("MK_JOB_MARKS", {
        ttlMs: retentionMs,
        onMissing: "recreate",
      }),
    });
  }

  /** Repeated until it is stored: the store's absence delays it. */
  async put(job: IndexedJob): Promise<void> {
    const data = encode({ v: 1, ...job }, "msgpack");
    await this.repeat(`index entry of job ${job.jobId}`, () => this.jobs.put(job.jobId, data));
  }

  async find(jobId: string): Promise<IndexedJob | null> {
    const entry = await this.jobs.get(jobId);
    return entry === null ? null : readJob(entry.value);
  }

  async recent(limit: number): Promise<IndexedJob[]> {
    const entries = await this.jobs.recent(limit);
    return entries.map((entry) => readJob(entry.value));
  }

  /** The job that this key stands for: the given one if the key is new. */
  async claimKey(key: string, jobId: string): Promise<string> {
    for (;;) {
      const outcome = await this.keys.create(key, encode(jobId, "json"));
      if (outcome.kind === "written") return jobId;
      const entry = await this.keys.get(key);
      if (entry !== null) return readKey(entry.value); // else it aged out just now
    }
  }

  /** False: the key does not stand for `from` any more. */
  async moveKey(key: string, { from, to }: { from: string; to: string }): Promise<boolean> {
    const entry = await this.keys.get(key);
    if (entry === null || readKey(entry.value) !== from) return false;
    const outcome = await this.keys.update(key, encode(to, "json"), entry.revision);
    return outcome.kind === "written";
  }

  /** X2 is the caller's to keep. `incarnation`: of the journal that they are positions of. */
  async writeMarks(owner: string, incarnation: string, marks: Marks): Promise<void> {
    await this.marks.put(owner, encode({ incarnation, marks: [...marks] }, "msgpack"));
  }

  /** The highest mark of any owner: each was right when it was written, and stays right. */
  async readMarks(incarnation: string): Promise<Marks> {
    const merged = new Map<number, number>();
    for (const { value } of await this.marks.recent(MARK_WRITERS_MAX)) {
      const written = decode(value, contentHeaders("msgpack")).value as {
        readonly incarnation?: string;
        readonly marks?: readonly (readonly [number, number])[];
      };
      if (written.incarnation !== incarnation) continue;
      for (const [partition, mark] of written.marks ?? []) {
        merged.set(partition, Math.max(merged.get(partition) ?? 1, mark));
      }
    }
    return merged;
  }

  /** What they pointed at is gone, or must be read again. */
  async clearMarks(): Promise<void> {
    for (const owner of await this.marks.keys()) await this.marks.delete(owner);
  }

  private async repeat(what: string, write: () => Promise<unknown>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await write();
        return;
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        if (attempt === 1) {
          this.parts.logger.warn(
            { event: "index.write-failed", what, err: error },
            "write failed, repeating",
          );
        }
        await delay(this.parts.clock, backoffMs(attempt, REPEAT_BACKOFF, this.parts.random));
      }
    }
  }
}

function readKey(data: Uint8Array): string {
  return String(decode(data, contentHeaders("json")).value);
}

function readJob(data: Uint8Array): IndexedJob {
  return decode(data, contentHeaders("msgpack")).value as IndexedJob;
}
