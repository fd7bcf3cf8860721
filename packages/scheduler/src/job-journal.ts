/**
 * Job events and job records in the state store.
 *
 * Owns:      numbering, order and repetition of event writes; the record that a restart reads.
 * Does not:  decide anything. Fenced, partitioned journals with group commit take its place when
 *            several schedulers share the jobs.
 *
 * Invariants:
 *   E1. Events of a job are numbered from 1 without a gap and stored in that order.
 *   E2. A write that failed is repeated with the same message id until it is acknowledged.
 */
import type { KeyValue, Log } from "@murakkab/bus";
import { backoffMs, type Clock, delay, type Logger, type Random } from "@murakkab/kit";
import type { JobStatus, Submission } from "@murakkab/model";
import {
  contentHeaders,
  decode,
  encode,
  type JobEvent,
  type PassedValue,
  subjects,
} from "@murakkab/protocol";

/** What is needed to show a job, or to run it again after a restart. */
export interface JobRecord {
  readonly submission: Submission;
  readonly status: JobStatus;
  readonly inputValues: Readonly<Record<string, PassedValue>>;
  /** What the inputs lack (`video x.mp4 has no sound`): told when nothing was found without it. */
  readonly inputGaps: readonly string[];
}

const REPEAT_BACKOFF = { baseMs: 50, maxMs: 2_000 };
/** One answer of `job.events` stays well below the usual payload limit, bytes. */
const EVENTS_ANSWER_BYTES = 512 * 1024;

export class JobJournal {
  private readonly log: Log;
  private readonly records: KeyValue;
  private readonly keys: KeyValue;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly logger: Logger;
  private readonly tails = new Map<string, Promise<void>>();
  private readonly publishOps: (event: JobEvent) => void;

  constructor(
    components: {
      readonly log: Log;
      readonly records: KeyValue;
      readonly idempotencyKeys: KeyValue;
      readonly clock: Clock;
      readonly random: Random;
      readonly logger: Logger;
    },
    settings: { readonly publishOps: (event: JobEvent) => void },
  ) {
    this.log = components.log;
    this.records = components.records;
    this.keys = components.idempotencyKeys;
    this.clock = components.clock;
    this.random = components.random.stream("job-journal");
    this.logger = components.logger.child({ component: "journal" });
    this.publishOps = settings.publishOps;
  }

  /** Appends behind the job's earlier events (E1); resolves once it is acknowledged. */
  append(event: JobEvent): Promise<void> {
    const before = this.tails.get(event.jobId) ?? Promise.resolve();
    const written = before.then(() => this.write(event));
    this.tails.set(event.jobId, written);
    return written.finally(() => {
      if (this.tails.get(event.jobId) === written) this.tails.delete(event.jobId);
    });
  }

  private async write(event: JobEvent): Promise<void> {
    const data = encode(event, "json");
    await this.repeat(`event ${event.number} of job ${event.jobId}`, () =>
      this.log.append(subjects.jobEvent(event.event, event.jobId), data, {
        messageId: `${event.jobId}:${event.number}`,
        headers: contentHeaders("json"),
      }),
    );
    this.publishOps(event);
  }

  /** E2. Ends only with success: the store's absence delays a job, it does not lose it. */
  private async repeat<T>(what: string, write: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await write();
      } catch (error) {
        // Once per trouble, not once per try.
        if (attempt === 1) {
          this.logger.warn(
            { event: "journal.write-failed", what, err: error },
            "write failed, repeating",
          );
        }
        await delay(this.clock, backoffMs(attempt, REPEAT_BACKOFF, this.random));
      }
    }
  }

  /** Events after `number`, oldest first, as many as fit into one answer. */
  async events(jobId: string, number: number): Promise<{ events: JobEvent[]; hasMore: boolean }> {
    const entries = await this.log.read(subjects.jobEventsOf(jobId));
    const events: JobEvent[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const event = decode(entry.data, contentHeaders("json")).value as JobEvent;
      if (event.number <= number) continue;
      bytes += entry.data.length;
      if (bytes > EVENTS_ANSWER_BYTES && events.length > 0) return { events, hasMore: true };
      events.push(event);
    }
    return { events, hasMore: false };
  }

  async lastEvent(jobId: string): Promise<JobEvent | null> {
    const entries = await this.log.read(subjects.jobEventsOf(jobId));
    const events = entries.map(
      (entry) => decode(entry.data, contentHeaders("json")).value as JobEvent,
    );
    return events.reduce<JobEvent | null>(
      (last, event) => (last === null || event.number > last.number ? event : last),
      null,
    );
  }

  /** First write of a job: throws when the store is away, because nothing was accepted yet. */
  async createRecord(record: JobRecord): Promise<"created" | "exists"> {
    const outcome = await this.records.create(record.submission.jobId, encode(record, "json"));
    return outcome.kind === "written" ? "created" : "exists";
  }

  async saveRecord(record: JobRecord): Promise<void> {
    const { jobId } = record.submission;
    await this.repeat(`record of job ${jobId}`, () =>
      this.records.put(jobId, encode(record, "json")),
    );
  }

  async loadRecord(jobId: string): Promise<JobRecord | null> {
    const entry = await this.records.get(jobId);
    return entry === null ? null : (decode(entry.value, contentHeaders("json")).value as JobRecord);
  }

  recordIds(): Promise<string[]> {
    return this.records.keys();
  }

  /** The job that this key stands for: the given one if the key is new. */
  async claimKey(key: string, jobId: string): Promise<string> {
    const outcome = await this.keys.create(key, encode(jobId, "json"));
    if (outcome.kind === "written") return jobId;
    const entry = await this.keys.get(key);
    return entry === null ? jobId : String(decode(entry.value, contentHeaders("json")).value);
  }

  async setKey(key: string, jobId: string): Promise<void> {
    await this.keys.put(key, encode(jobId, "json"));
  }
}
