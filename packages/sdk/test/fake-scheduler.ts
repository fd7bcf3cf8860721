/**
 * A scheduler that speaks the real subjects over a bus, with a journal that the test fills, and
 * live events that the test may lose, double or reorder.
 */
import type { Bus, Schema, Subscription } from "@murakkab/bus";
import { createMemoryBus, publishValue, serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { NotFoundError, seededRandom, UnavailableError } from "@murakkab/kit";
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

export class FakeScheduler {
  readonly bus: Bus;
  readonly submissions: SubmitRequest[] = [];
  readonly journal = new Map<string, JobEvent[]>();
  readonly receipts = new Map<string, Receipt>();
  readonly cancelled: string[] = [];
  /** Submissions that get no answer before one is answered. */
  lostSubmitCount = 0;
  eventsPerAnswer = 1_000;
  uploadTarget: { node: string; url: string; ticket: string } | null = null;
  readonly #subscriptions: Subscription[] = [];

  constructor() {
    this.bus = createMemoryBus({ clock: SYSTEM_CLOCK, random: seededRandom("fake-scheduler") });
    this.#serve(subjects.jobSubmit, submitSchema, (request) => {
      this.submissions.push(request);
      if (this.lostSubmitCount > 0) {
        this.lostSubmitCount -= 1;
        throw new UnavailableError("the journal is away");
      }
      return { jobId: request.jobId, decision: "accepted", plan: PLAN };
    });
    this.#serve(subjects.jobWait("*"), jobWaitSchema, (_request, subject) => {
      return this.receipts.get(lastToken(subject)) ?? this.#status(lastToken(subject));
    });
    this.#serve(subjects.jobGet("*"), jobCancelSchema, (_request, subject) => {
      return this.receipts.get(lastToken(subject)) ?? this.#status(lastToken(subject));
    });
    this.#serve(subjects.jobCancel("*"), jobCancelSchema, (_request, subject) => {
      this.cancelled.push(lastToken(subject));
      return {};
    });
    this.#serve(subjects.jobEvents("*"), jobEventsSchema, (request, subject) => {
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
  append(jobId: string, event: JobEventName, { isLive = true } = {}): JobEvent {
    const events = this.journal.get(jobId) ?? [];
    this.journal.set(jobId, events);
    const entry: JobEvent = {
      jobId,
      number: events.length + 1,
      event,
      at: "2026-01-01T00:00:00.000Z",
      sinceMs: events.length,
      data: {},
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
