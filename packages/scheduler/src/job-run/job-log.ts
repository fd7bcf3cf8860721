/**
 * A job's events: numbered, stored in order, then told.
 *
 * Owns:      the events so far and where the journal has them.
 * Does not:  decide what is an event (job-machine.ts).
 */
import type { Clock } from "@murakkab/kit";
import {
  type EventDetail,
  type JobEvent,
  type JobEventName,
  type JobRecord,
  type JournalEntry,
  type JournaledEvent,
} from "@murakkab/protocol";
import type { Stored } from "../journal/partition-journal.ts";

/** Where a job's entries go: its partition's journal, or nowhere for one that is not durable. */
export interface EntrySink {
  /** Resolves with the sequence under which they are stored. Errors: FencedError. */
  append(entries: readonly JournalEntry[]): Promise<number>;
  /** The same without a promise. */
  add(entries: readonly JournalEntry[], stored: Stored): void;
}

export interface JobLogSettings {
  readonly record: JobRecord;
  readonly sink: EntrySink;
  /** What the journal has of it; empty for a new job. */
  readonly past: readonly JournaledEvent[];
  /** Sequence of the job's first entry; null for a new one. */
  readonly firstSequence: number | null;
  /** Since acceptance, ms. */
  readonly nowMs: () => number;
  /** The first event could not be stored: the job was never accepted, and nothing may follow. */
  readonly onRefused: () => void;
}

export class JobLog {
  private readonly clock: Clock;
  private readonly publishEvent: (event: JobEvent, text: string) => void;
  private readonly settings: JobLogSettings;
  private readonly journaled: JournaledEvent[];
  private firstSequence: number | null;
  private storedSequence = 0;
  private storedCount: number;
  private movedAtMs: number;

  constructor(
    components: {
      readonly clock: Clock;
      /** Tells everyone who listens; called once the event is stored. `text`: the event as JSON. */
      readonly publishEvent: (event: JobEvent, text: string) => void;
    },
    settings: JobLogSettings,
  ) {
    this.clock = components.clock;
    this.publishEvent = components.publishEvent;
    this.settings = settings;
    this.journaled = [...settings.past];
    this.storedCount = settings.past.length;
    this.firstSequence = settings.firstSequence;
    this.movedAtMs = components.clock.monotonicMs();
  }

  get events(): readonly JournaledEvent[] {
    return this.journaled;
  }

  /** Events that are stored, as everyone sees them. */
  get storedEvents(): readonly JournaledEvent[] {
    return this.journaled.slice(0, this.storedCount);
  }

  /** Range of the journal that holds it; null before anything is stored. */
  get range(): { readonly first: number; readonly last: number } | null {
    if (this.firstSequence === null) return null;
    return { first: this.firstSequence, last: this.storedSequence };
  }

  /** Its entries were written again there: what lies before is no longer needed. */
  moved({ first, last }: { readonly first: number; readonly last: number }): void {
    this.firstSequence = first;
    this.storedSequence = last;
    this.movedAtMs = this.clock.monotonicMs();
  }

  /** Time since its first entry was written where it is now, ms; of this process's time. */
  get unmovedMs(): number {
    return this.clock.monotonicMs() - this.movedAtMs;
  }

  /** Resolves once the event is stored; then it is told to everyone. */
  emit(name: JobEventName, data: Readonly<Record<string, unknown>>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.write(name, data, undefined, { resolve: () => resolve(), reject });
    });
  }

  write(
    name: JobEventName,
    data: Readonly<Record<string, unknown>>,
    detail: EventDetail | undefined,
    { resolve, reject }: Stored,
  ): void {
    const event: JobEvent = {
      jobId: this.settings.record.submission.jobId,
      number: (this.journaled.at(-1)?.event.number ?? 0) + 1,
      event: name,
      at: new Date(this.clock.wallMs()).toISOString(),
      sinceMs: Math.round(this.settings.nowMs() * 10) / 10,
      data,
    };
    const journaled: JournaledEvent = detail === undefined ? { event } : { event, detail };
    this.journaled.push(journaled);
    const text = JSON.stringify(event); // once, for the journal and for those who listen
    this.settings.sink.add([this.entryOf(journaled, text)], {
      resolve: (sequence) => {
        this.firstSequence ??= sequence;
        this.storedSequence = Math.max(this.storedSequence, sequence);
        this.storedCount += 1;
        this.publishEvent(event, text);
        resolve(sequence);
      },
      reject: (error) => {
        if (event.number === 1) this.settings.onRefused();
        reject(error);
      },
    });
  }

  private entryOf(journaled: JournaledEvent, text: string): JournalEntry {
    const { event } = journaled;
    if (event.number === 1) return { kind: "accepted", event, record: this.settings.record };
    // The plan is in the record already.
    if (event.event === "planned") return { kind: "event", event: { ...event, data: {} } };
    return { kind: "event", text, ...journaled };
  }
}
