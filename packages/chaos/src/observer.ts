/**
 * Watches a cluster from outside, over a connection of its own.
 *
 * Owns:      what came by on the bus, what the journal stores, what runs on the host; the record
 *            that the checkers judge.
 * Does not:  submit, break or judge.
 *
 * Invariants:
 *   O1. It stores nothing on the bus and answers nobody.
 *   O2. What it may have missed while the bus was down is read again at the end: events by
 *       `job.events`, batches from the stream.
 */
import { type BusMessage, call, type Messaging } from "@murakkab/bus";
import { type Cancel, type Clock, delay, every, isRuntimeError } from "@murakkab/kit";
import { decode, type JobEvent, lastToken, subjects } from "@murakkab/protocol";
import type { Breakable } from "./breakable.ts";
import { MOMENTS, type Moment } from "./fault-plan.ts";
import { readBatch, readPlacement } from "./journal-entries.ts";
import type { ClientJob } from "./load.ts";
import type { MomentFeed } from "./moment-feed.ts";
import type {
  Activation,
  AgentTable,
  ChaosRecord,
  Effect,
  EventNote,
  JobObservation,
  JournalBatch,
  ObeyedGeneration,
  ProcessScan,
} from "./observation.ts";
import { StreamTail } from "./stream-tail.ts";

export interface ObserverComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly cluster: Pick<Breakable, "workers">;
  readonly moments: MomentFeed;
}

const JOURNAL_STREAM = "MK_JOURNAL";
/** The bucket with the actors' places. */
const PLACEMENT_STREAM = "KV_MK_ACTORS";
/** Often enough to see an instance's short life, seldom enough to leave the host to the cluster. */
const SCAN_INTERVAL_MS = 500;
/** Below the time in which a journal is compacted after its jobs ended. */
const JOURNAL_INTERVAL_MS = 1_000;
/** For one answer at the end, ms; and how often an unanswered question is asked again. */
const HISTORY_TIMEOUT_MS = 3_000;
const HISTORY_TRIES_MAX = 5;
/** Questions at the same time at the end. */
const HISTORY_CONCURRENCY = 8;

export class Observer {
  private readonly parts: ObserverComponents;
  private readonly startedAtMs: number;
  private readonly cancels: Cancel[] = [];
  private readonly live = new Map<string, (EventNote & { readonly atMs: number })[]>();
  private readonly scans: ProcessScan[] = [];
  private readonly tables: AgentTable[] = [];
  private readonly obeyed: ObeyedGeneration[] = [];
  private readonly batches: JournalBatch[] = [];
  private readonly activations: Activation[] = [];
  private readonly journal: StreamTail;
  private readonly placements: StreamTail;
  private readonly processOf = new Map<string, string>();
  private reading: Promise<void> = Promise.resolve();
  private isScanning = false;

  constructor(components: ObserverComponents) {
    this.parts = components;
    this.startedAtMs = components.clock.monotonicMs();
    this.journal = new StreamTail(components, { stream: JOURNAL_STREAM });
    this.placements = new StreamTail(components, { stream: PLACEMENT_STREAM });
  }

  start(): void {
    const { clock } = this.parts;
    this.listen(subjects.allJobEvents, (value) => this.onJobEvent(value as JobEvent));
    this.listen(subjects.allNodesSampled, (value) => this.onTable(value));
    this.listen(subjects.nodeRegister, (value) => this.onRegistration(value));
    this.listen(subjects.instanceStart("*"), (_value, { subject }) => {
      this.parts.moments.note({ moment: "instance-starting", node: lastToken(subject) });
    });
    this.cancels.push(
      every(clock, SCAN_INTERVAL_MS, () => void this.scan()),
      every(clock, JOURNAL_INTERVAL_MS, () => {
        this.reading = this.reading.then(() => this.readJournal());
      }),
    );
  }

  stop(): void {
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  get nowMs(): number {
    return Math.round(this.parts.clock.monotonicMs() - this.startedAtMs);
  }

  /**
   * The whole record, with what was missed (O2). `needsHistory`: of which jobs the events are read
   * again; default all.
   */
  async record(
    clientJobs: Iterable<ClientJob>,
    effects: readonly Effect[],
    needsHistory: (job: ClientJob) => boolean = () => true,
  ): Promise<ChaosRecord> {
    await this.reading;
    await this.readJournal();
    const jobs: JobObservation[] = [];
    const waiting = [...clientJobs];
    const take = async (): Promise<void> => {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        const history = needsHistory(job) ? await this.readHistory(job.jobId) : null;
        jobs.push(this.observationOf(job, history));
      }
    };
    await Promise.all(Array.from({ length: HISTORY_CONCURRENCY }, take));
    const { scans, tables, obeyed, batches, activations, nowMs } = this;
    return { jobs, scans, tables, obeyed, batches, activations, effects, endedAtMs: nowMs };
  }

  private observationOf(job: ClientJob, history: JobObservation["history"]): JobObservation {
    const { jobId, acceptedAtMs, endedAtMs, state, used } = job;
    return {
      ...{ jobId, acceptedAtMs, history },
      live: this.live.get(jobId) ?? [],
      receipts: state === null ? [] : [{ atMs: endedAtMs ?? 0, state }],
      ...(used === null ? {} : { used }),
    };
  }

  private listen(subject: string, take: (value: unknown, message: BusMessage) => void): void {
    const subscription = this.parts.messaging.subscribe(subject, (message) => {
      try {
        take(decode(message.data, message.headers).value, message);
      } catch {
        // No message of ours: anyone may publish on a bus.
      }
    });
    this.cancels.push(() => subscription.unsubscribe());
  }

  private onJobEvent(event: JobEvent): void {
    const note = { atMs: this.nowMs, ...noteOf(event) };
    const notes = this.live.get(event.jobId);
    if (notes === undefined) this.live.set(event.jobId, [note]);
    else notes.push(note);
    const moment = MOMENTS.find((name): name is Moment => name === event.event);
    if (moment === undefined) return;
    const { instance, node } = event.data;
    this.parts.moments.note({
      moment,
      ...(typeof instance === "string" ? { instance } : {}),
      ...(typeof node === "string" ? { node } : {}),
    });
  }

  private onTable(value: unknown): void {
    const { node, incarnation, instances } = value as {
      node: string;
      incarnation?: string;
      instances?: readonly { instance: string; state: string }[];
    };
    const held = (instances ?? []).filter(({ state }) => state !== "exited");
    this.tables.push({
      ...{ atMs: this.nowMs, node, incarnation: incarnation ?? null },
      instances: held.map(({ instance }) => ({
        instance,
        process: this.processOf.get(instance) ?? null,
      })),
    });
  }

  private onRegistration(value: unknown): void {
    this.onTable(value);
    const { node, generation } = value as { node: string; generation?: number };
    if (generation !== undefined) this.obeyed.push({ atMs: this.nowMs, node, generation });
  }

  private async scan(): Promise<void> {
    if (this.isScanning) return;
    this.isScanning = true;
    try {
      const workers = await this.parts.cluster.workers();
      this.scans.push({ atMs: this.nowMs, workers });
      for (const { instance, pid, startTicks } of workers) {
        this.processOf.set(instance, `${pid}:${startTicks}`);
      }
    } finally {
      this.isScanning = false;
    }
  }

  private async readJournal(): Promise<void> {
    try {
      for (const message of await this.journal.read()) {
        const batch = readBatch(message, this.nowMs);
        if (batch !== null) this.batches.push(batch);
      }
      for (const message of await this.placements.read()) {
        const activation = readPlacement(message, this.nowMs);
        if (activation !== null) this.activations.push(activation);
      }
    } catch (error) {
      if (!isRuntimeError(error)) throw error; // The bus is down: the next read goes on from here.
    }
  }

  /** Null when nobody knows the job or nobody answers. */
  private async readHistory(jobId: string): Promise<readonly EventNote[] | null> {
    const notes: EventNote[] = [];
    for (let tryNumber = 1; tryNumber <= HISTORY_TRIES_MAX; tryNumber += 1) {
      try {
        for (let hasMore = true; hasMore; ) {
          const after = notes.at(-1)?.number ?? 0;
          const answer = await call<{ events: readonly JobEvent[]; hasMore?: boolean }>(
            this.parts.messaging,
            { subject: subjects.jobEvents(jobId), value: { after } },
            { timeoutMs: HISTORY_TIMEOUT_MS },
          );
          notes.push(...answer.events.map(noteOf));
          hasMore = answer.hasMore === true && answer.events.length > 0;
        }
        return notes;
      } catch (error) {
        if (isRuntimeError(error) && error.code === "NOT_FOUND") return null;
        await delay(this.parts.clock, SCAN_INTERVAL_MS);
      }
    }
    return null;
  }
}

export function noteOf({ number, event, data }: JobEvent): EventNote {
  const { step, item, attempt, inputsHash, error, items } = data;
  const code = (error as { code?: unknown } | undefined)?.code;
  return {
    ...{ number, event },
    ...(typeof step === "string" ? { step } : {}),
    ...(typeof item === "number" ? { item } : {}),
    ...(typeof attempt === "number" ? { attempt } : {}),
    ...(typeof inputsHash === "string" ? { inputsHash } : {}),
    ...(Array.isArray(items) ? { items: items.map(Number) } : {}),
    ...(typeof code === "string" ? { code } : {}),
  };
}
