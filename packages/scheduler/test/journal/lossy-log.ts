/** A real in-memory log whose answers can be lost and whose tail can disappear. */
import { type AppendOptions, type AppendOutcome, type Log, MemoryBroker } from "@murakkab/bus";
import { SILENT_LOGGER, seededRandom, UnavailableError } from "@murakkab/kit";
import {
  decodeBatch,
  type JobEvent,
  type JobRecord,
  type JournalBatch,
  type JournalEntry,
  subjects,
} from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import {
  PartitionJournal,
  type PartitionJournalSettings,
} from "../../src/journal/partition-journal.ts";

export const SUBJECT = subjects.journal(3);
const SETTINGS = { subjects: [subjects.allJournals], maxAgeMs: 3_600_000 };

/** What becomes of the next append: its answer is lost after it was stored, or it never arrives. */
export type Trouble = "answer-lost" | "not-sent";

export class LossyLog implements Log {
  readonly troubles: Trouble[] = [];
  readonly sent: { readonly messageId: string; readonly expected: number | undefined }[] = [];
  /** Called before an append goes out, once. */
  beforeAppend: (() => Promise<void>) | null = null;
  private readonly log: Log;
  private readonly broker: MemoryBroker;

  constructor(broker: MemoryBroker, log: Log) {
    this.broker = broker;
    this.log = log;
  }

  async append(subject: string, data: Uint8Array, options: AppendOptions): Promise<AppendOutcome> {
    const before = this.beforeAppend;
    this.beforeAppend = null;
    await before?.();
    const { messageId = "", expectedLastSequence: expected } = options;
    this.sent.push({ messageId, expected });
    const trouble = this.troubles.shift();
    if (trouble === "not-sent") throw new UnavailableError("the store is away");
    const outcome = await this.log.append(subject, data, options);
    if (trouble === "answer-lost") throw new UnavailableError("no answer in time");
    return outcome;
  }

  /** As a server does that lost its last writes, or an older copy of it. */
  async truncate(lastSequence: number): Promise<void> {
    const entries = await this.log.read(">");
    this.broker.store.deleteLog("MK_JOURNAL");
    this.broker.store.log("MK_JOURNAL", SETTINGS);
    for (const { subject, data, sequence } of entries) {
      if (sequence <= lastSequence) await this.log.append(subject, data);
    }
  }

  read(...args: Parameters<Log["read"]>) {
    return this.log.read(...args);
  }
  get(sequence: number) {
    return this.log.get(sequence);
  }
  lastSequence(subject: string) {
    return this.log.lastSequence(subject);
  }
  info() {
    return this.log.info();
  }
  purge(...args: Parameters<Log["purge"]>) {
    return this.log.purge(...args);
  }
}

export interface JournalFixture {
  readonly clock: VirtualClock;
  readonly broker: MemoryBroker;
  readonly log: LossyLog;
  readonly told: string[];
  /** What the owner writes again after a loss. */
  lostEntries: readonly JournalEntry[];
  make(changes?: Partial<PartitionJournalSettings>): PartitionJournal;
  batches(): Promise<readonly (JournalBatch & { readonly sequence: number })[]>;
  run<T>(work: () => Promise<T>): Promise<T>;
}

export async function makeFixture(): Promise<JournalFixture> {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  const inner = await broker.connect("owner").state.openLog("MK_JOURNAL", SETTINGS);
  const log = new LossyLog(broker, inner);
  const random = seededRandom("journal");
  const fixture: JournalFixture = {
    clock,
    broker,
    log,
    told: [],
    lostEntries: [],
    make: (changes = {}) =>
      new PartitionJournal(
        { log, clock, random, logger: SILENT_LOGGER },
        {
          partition: 3,
          owner: "s1",
          generation: 1,
          incarnation: "one",
          lastSequence: null,
          readUpTo: 0,
          payloadBytesMax: 1_000_000,
          onFenced: () => fixture.told.push("fenced"),
          onStoreLost: (lastSequence) => {
            fixture.told.push(`lost behind ${lastSequence}`);
            return fixture.lostEntries;
          },
          onRewritten: ({ first, last }) => fixture.told.push(`rewritten ${first}-${last}`),
          ...changes,
        },
      ),
    batches: async () => {
      const entries = await inner.read(SUBJECT);
      return entries.map(({ data, sequence }) => ({ ...decodeBatch(data), sequence }));
    },
    run: async (work) => {
      let isSettled = false;
      const done = work().finally(() => {
        isSettled = true;
      });
      done.catch(() => undefined);
      await clock.runUntil(() => isSettled);
      return done;
    },
  };
  return fixture;
}

export function eventOf(jobId: string, number: number, data: JobEvent["data"] = {}): JobEvent {
  const name = number === 1 ? "accepted" : "started";
  return { jobId, number, event: name, at: "2026-01-01T00:00:00Z", sinceMs: number, data };
}

export function recordOf(jobId: string): JobRecord {
  return {
    submission: { jobId, inputs: [], slo: {}, constraints: {}, tenant: "default" },
    status: {
      jobId,
      state: "running",
      tenant: "default",
      description: null,
      workflow: null,
      acceptedAtMs: 0,
      plan: null,
      stepStates: {},
    },
    inputValues: {},
    inputGaps: [],
    holders: {},
  };
}

export function entryOf(jobId: string, number: number, data: JobEvent["data"] = {}): JournalEntry {
  const event = eventOf(jobId, number, data);
  return number === 1
    ? { kind: "accepted", event, record: recordOf(jobId) }
    : { kind: "event", event };
}

export function labelsOf(batch: JournalBatch): string[] {
  return batch.entries.map((entry) => {
    if (entry.kind === "owned") return "owned";
    if (entry.kind === "carried") return `carried ${entry.jobId}`;
    return `${entry.event.jobId}#${entry.event.number}`;
  });
}
