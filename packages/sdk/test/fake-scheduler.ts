/**
 * A scheduler that speaks the real subjects over a bus, with a journal that the test fills, and
 * live events that the test may lose, double or reorder.
 */
import type { Bus, Schema, Subscription } from "@murakkab/bus";
import { createMemoryBus, publishValue, serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { NotFoundError, type RuntimeError, seededRandom, UnavailableError } from "@murakkab/kit";
import type { JobPlan, JobStatus, Receipt } from "@murakkab/model";
import type { JobEvent, JobEventName, SubmitRequest } from "@murakkab/protocol";
import {
  jobCancelSchema,
  jobEventsSchema,
  jobWaitSchema,
  lastToken,
  subjects,
  submitSchema,
  uploadRequestSchema,
} from "@murakkab/protocol";

export const PLAN: JobPlan = {
  workflow: "talk",
  planner: "named",
  inputs: { video: "video" },
  steps: [
    {
      step: "scenes",
      capability: "scene-detection",
      executor: "ffmpeg-scenes",
      knobs: {},
      inputs: { video: { kind: "input", input: "video" } },
      outputs: { scenes: "list<scene>" },
    },
  ],
  output: { kind: "step", step: "scenes", output: "scenes" },
  outputType: "list<scene>",
  notes: [],
};

export function receiptOf(jobId: string, fields: Partial<Receipt> = {}): Receipt {
  return {
    jobId,
    state: "succeeded",
    workflow: "talk",
    answer: "Anna",
    evidence: [],
    latencyMs: 1_200,
    costUsd: 0.0001,
    costProvenance: { kind: "prior", note: "price table" },
    energyWh: 0.01,
    energyProvenance: "modelled",
    energyMethod: "CPU-seconds x 10 W",
    slo: {},
    sloMet: {},
    notes: [],
    steps: [],
    ...fields,
  };
}

/** The answer of a process that is no more. */
const NEVER = new Promise<never>(() => undefined);

export class FakeScheduler {
  readonly bus: Bus;
  readonly submissions: SubmitRequest[] = [];
  readonly journal = new Map<string, JobEvent[]>();
  readonly receipts = new Map<string, Receipt>();
  readonly cancelled: string[] = [];
  /** Submissions that are answered with an error that may pass, before one is answered. */
  lostSubmitCount = 0;
  /** Submissions that get no answer at all: their scheduler was killed. */
  silentSubmitCount = 0;
  /** The same for waits; and a number of `get`s after them. */
  isWaitSilent = false;
  silentGetCount = 0;
  silentEventsCount = 0;
  /** Jobs that the store has forgotten; a submission makes one known again. */
  readonly forgotten = new Set<string>();
  /** What the next submissions and plans are answered with instead of "accepted". */
  readonly answers: unknown[] = [];
  /** What the next submissions are refused with. */
  readonly refusals: RuntimeError[] = [];
  eventsPerAnswer = 1_000;
  uploadTarget: { node: string; url: string; ticket: string } | null = null;
  readonly #subscriptions: Subscription[] = [];

  constructor() {
    this.bus = createMemoryBus({ clock: SYSTEM_CLOCK, random: seededRandom("fake-scheduler") });
    this.#serve(subjects.jobSubmit, submitSchema, (request) => {
      this.submissions.push(request);
      this.forgotten.delete(request.jobId ?? "");
      if (this.silentSubmitCount > 0) {
        this.silentSubmitCount -= 1;
        return NEVER;
      }
      const refusal = this.refusals.shift();
      if (refusal !== undefined) throw refusal;
      if (this.lostSubmitCount > 0) {
        this.lostSubmitCount -= 1;
        throw new UnavailableError("the journal is away");
      }
      if (this.answers.length > 0) return this.answers.shift();
      const isRepeated = this.submissions.some(
        (other) => other !== request && other.jobId === request.jobId,
      );
      const notes = isRepeated ? [`job ${request.jobId} was accepted before`] : [];
      return { jobId: request.jobId, decision: "accepted", plan: PLAN, notes };
    });
    this.#serve(subjects.jobPlan, submitSchema, ({ jobId }) =>
      this.answers.length > 0
        ? this.answers.shift()
        : { jobId, decision: "accepted", plan: PLAN, notes: [] },
    );
    this.#serve(subjects.jobWait("*"), jobWaitSchema, (_request, subject) => {
      if (this.isWaitSilent) return NEVER;
      this.#checkKnown(lastToken(subject));
      return this.receipts.get(lastToken(subject)) ?? this.#status(lastToken(subject));
    });
    this.#serve(subjects.jobGet("*"), jobCancelSchema, (_request, subject) => {
      if (this.silentGetCount > 0) {
        this.silentGetCount -= 1;
        return NEVER;
      }
      this.#checkKnown(lastToken(subject));
      return this.receipts.get(lastToken(subject)) ?? this.#status(lastToken(subject));
    });
    this.#serve(subjects.jobCancel("*"), jobCancelSchema, (_request, subject) => {
      this.cancelled.push(lastToken(subject));
      return {};
    });
    this.#serve(subjects.jobEvents("*"), jobEventsSchema, (request, subject) => {
      if (this.silentEventsCount > 0) {
        this.silentEventsCount -= 1;
        return NEVER;
      }
      this.#checkKnown(lastToken(subject));
      const all = this.journal.get(lastToken(subject));
      if (all === undefined) throw new NotFoundError(`job ${lastToken(subject)} is not known`);
      const after = all.filter((event) => event.number > (request?.after ?? 0));
      const events = after.slice(0, this.eventsPerAnswer);
      return { events, hasMore: events.length < after.length };
    });
    this.#serve(subjects.artifactUpload, uploadRequestSchema, () => {
      if (this.uploadTarget === null) throw new NotFoundError("no node is registered");
      return this.uploadTarget;
    });
  }

  /** Into the journal; `isLive` also publishes it. */
  append(
    jobId: string,
    event: JobEventName,
    { isLive = true, data = {} }: { isLive?: boolean; data?: JobEvent["data"] } = {},
  ): JobEvent {
    const events = this.journal.get(jobId) ?? [];
    this.journal.set(jobId, events);
    const entry: JobEvent = {
      jobId,
      number: events.length + 1,
      event,
      at: "2026-01-01T00:00:00.000Z",
      sinceMs: events.length,
      data,
    };
    events.push(entry);
    if (isLive) this.publish(entry);
    return entry;
  }

  publish(event: JobEvent): void {
    publishValue(this.bus.messaging, subjects.jobEvent(event.event, event.jobId), event, "json");
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #checkKnown(jobId: string): void {
    if (this.forgotten.has(jobId)) throw new NotFoundError(`job ${jobId} is not known`);
  }

  #status(jobId: string): JobStatus {
    return {
      jobId,
      state: "running",
      tenant: "default",
      description: null,
      workflow: "talk",
      acceptedAtMs: 0,
      plan: PLAN,
      stepStates: {},
    };
  }

  #serve<T>(subject: string, schema: Schema<T>, handle: (value: T, subject: string) => unknown) {
    const onDefect = (error: unknown): never => {
      throw error;
    };
    this.#subscriptions.push(
      serve(this.bus.messaging, { subject, schema, what: "request", onDefect }, (value, message) =>
        handle(value, message.subject),
      ),
    );
  }
}
