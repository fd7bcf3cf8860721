/**
 * Requests about jobs, from whoever got them to the scheduler that owns the job's partition.
 *
 * Owns:      the public job subjects and the partitions' own.
 * Does not:  answer anything itself but the list of all jobs.
 *
 * Invariants:
 *   R1. Every request is answered, with a value or with an error.
 *   R2. While a partition changes hands, requests for it wait for the new owner, within bounds.
 */
import {
  type Bus,
  type BusMessage,
  call,
  type MessageSubscription,
  type Messaging,
  type Schema,
  serve,
} from "@murakkab/bus";
import {
  AbortSource,
  type Clock,
  delay,
  isRuntimeError,
  type Logger,
  RetryableError,
  UnavailableError,
} from "@murakkab/kit";
import type { JobReply, JobStatus } from "@murakkab/model";
import {
  attemptResultSchema,
  type JobVerb,
  jobCancelSchema,
  jobEventsSchema,
  jobExplainSchema,
  jobFeedbackSchema,
  jobListSchema,
  jobWaitSchema,
  lastToken,
  partitionOf,
  partitionRequestSchema,
  subjects,
  submitSchema,
  validate,
} from "@murakkab/protocol";
import { z } from "zod";
import type { Admission } from "./admission.ts";
import type { JobService } from "./job-service.ts";
import type { IndexedJob, JobIndex } from "./journal/job-index.ts";
import type { OwnedPartition } from "./journal/owned-partition.ts";
import type { Ownership } from "./ownership.ts";
import type { ProfileService } from "./profiles/profile-service.ts";

export interface JobRouterComponents {
  readonly bus: Bus;
  /** Where clients' requests arrive: a flood there must not hold up what the jobs wait for. */
  readonly intake: Messaging;
  readonly jobs: JobService;
  readonly ownership: Ownership;
  readonly admission: Admission;
  readonly index: JobIndex;
  readonly profiles: ProfileService;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface JobRouterSettings {
  readonly scheduler: string;
  readonly partitionCount: number;
}

interface JobRequest {
  readonly verb: JobVerb;
  readonly jobId: string;
  readonly body: unknown;
}

const QUEUE_GROUP = "scheduler";
/** How long a request waits for a partition that changes hands, ms. */
const OWNER_WAIT_MS = 5_000;
const OWNER_PAUSE_MS = 20;
/** A submission may have to fetch an input of some GB first. */
const FORWARD_TIMEOUT_MS = 150_000;
const LIST_TIMEOUT_MS = 1_000;
/** The owner changed: the next one is asked. */
const MOVING_CODES: ReadonlySet<string> = new Set(["NO_RESPONDERS", "FENCED", "NOT_OWNER"]);
const anything = z.unknown();

export class JobRouter {
  private readonly parts: JobRouterComponents;
  private readonly settings: JobRouterSettings;
  private readonly subscriptions: MessageSubscription[] = [];
  private readonly partitions = new Map<number, MessageSubscription>();
  /** Questions that another scheduler is to answer. */
  private readonly forwarded = new Set<AbortSource>();
  private isLeaving = false;

  constructor(components: JobRouterComponents, settings: JobRouterSettings) {
    this.parts = components;
    this.settings = settings;
    components.jobs.getAnywhere = (jobId) =>
      this.route({ verb: "get", jobId, body: null }) as Promise<JobStatus>;
  }

  // ---- the public subjects -------------------------------------------------------------------

  start(): void {
    const { jobs, admission } = this.parts;
    const admit = ({ data }: BusMessage): string | null => admission.refusalOf(data);
    this.serve(subjects.jobSubmit, submitSchema, "submission", {
      admit,
      handle: (request) => this.submit(request),
    });
    this.serve(subjects.jobPlan, submitSchema, "submission", {
      handle: (request) => jobs.plan(request),
    });
    this.serve(subjects.jobList, jobListSchema, "job list request", {
      handle: (request) => this.list(request?.limit ?? 100),
    });
    this.serveVerb("get", subjects.jobGet("*"), anything, "request");
    this.serveVerb("explain", subjects.jobExplain("*"), jobExplainSchema, "explain request");
    this.serveVerb("wait", subjects.jobWait("*"), jobWaitSchema, "wait request");
    this.serveVerb("events", subjects.jobEvents("*"), jobEventsSchema, "events request");
    this.serveVerb("cancel", subjects.jobCancel("*"), jobCancelSchema, "cancel request");
    this.serve(subjects.jobFeedback, jobFeedbackSchema, "feedback", {
      handle: (feedback) => this.route({ verb: "feedback", jobId: feedback.jobId, body: feedback }),
    });
    this.serve(subjects.attemptResult, attemptResultSchema, "attempt result", {
      handle: (result) => this.route({ verb: "result", jobId: result.jobId, body: result }),
    });
    this.serve(subjects.schedulerJobs(this.settings.scheduler), anything, "request", {
      handle: () => ({ jobs: jobs.list().map((status) => summarize(status)) }),
    });
  }

  private serveVerb<T>(verb: JobVerb, subject: string, schema: Schema<T>, what: string): void {
    this.serve(subject, schema, what, {
      handle: (body, at) => this.route({ verb, jobId: lastToken(at), body }),
    });
  }

  private serve<T>(
    subject: string,
    schema: Schema<T>,
    what: string,
    how: {
      readonly admit?: (message: BusMessage) => string | null;
      readonly handle: (value: T, subject: string) => unknown;
    },
  ): void {
    this.subscriptions.push(
      serve(
        this.parts.intake,
        {
          subject,
          schema,
          what,
          queueGroup: QUEUE_GROUP,
          onDefect: (error, at) => this.onDefect(error, at),
          ...(how.admit === undefined ? {} : { admit: how.admit }),
        },
        (value, message) => how.handle(value, message.subject),
      ),
    );
  }

  private onDefect(error: unknown, subject: string): void {
    this.parts.log.error({ event: "request.defect", subject, err: error }, "a request failed");
  }

  private submit(request: z.infer<typeof submitSchema>): Promise<unknown> {
    const { jobs, ownership } = this.parts;
    const { jobId } = request;
    if (jobId !== undefined) return this.route({ verb: "submit", jobId, body: request });
    // Any of this scheduler's partitions will do. One that owns none yet passes it on.
    if (ownership.hotPartition() !== null) return this.localOrRetry(() => jobs.submit(request));
    return this.waitForPartition(() => jobs.submit(request));
  }

  private async localOrRetry(submit: () => Promise<JobReply>): Promise<JobReply> {
    try {
      return await submit();
    } catch (error) {
      // The partition that was picked is gone: another one takes the job.
      if (isRuntimeError(error) && error.code === "FENCED") return this.waitForPartition(submit);
      throw error;
    }
  }

  private async waitForPartition(submit: () => Promise<JobReply>): Promise<JobReply> {
    const { clock, ownership } = this.parts;
    const endMs = clock.monotonicMs() + OWNER_WAIT_MS;
    while (ownership.hotPartition() === null) {
      if (clock.monotonicMs() >= endMs) {
        throw new UnavailableError("this scheduler owns no partition, try again", {
          retryAfterMs: 500,
        });
      }
      await delay(clock, OWNER_PAUSE_MS);
    }
    return submit();
  }

  // ---- to the owner --------------------------------------------------------------------------

  /** R2. Errors: the owner's, or `UNAVAILABLE` when nobody owns the partition in time. */
  private async route(request: JobRequest): Promise<unknown> {
    const { clock, ownership } = this.parts;
    const partition = partitionOf(request.jobId, this.settings.partitionCount);
    const endMs = clock.monotonicMs() + OWNER_WAIT_MS;
    for (;;) {
      try {
        if (ownership.get(partition) !== undefined) return await this.answerOwned(request);
        return await this.forward(partition, request);
      } catch (error) {
        const code = isRuntimeError(error) ? error.code : "";
        const isMoving = MOVING_CODES.has(code) && !this.isLeaving;
        if (!isMoving) throw error;
        if (clock.monotonicMs() >= endMs) {
          throw new UnavailableError(`no scheduler owns partition ${partition}, try again`, {
            retryAfterMs: 500,
            cause: error,
          });
        }
        const owner = ownership.ownerOf(partition);
        if (owner !== null) ownership.suspect(owner);
      }
      await delay(clock, OWNER_PAUSE_MS);
    }
  }

  private async forward(partition: number, request: JobRequest): Promise<unknown> {
    const source = new AbortSource();
    this.forwarded.add(source);
    try {
      return await call(
        this.parts.bus.messaging,
        { subject: subjects.partitionRequest(partition), value: request },
        { timeoutMs: FORWARD_TIMEOUT_MS, signal: source.signal },
      );
    } catch (error) {
      if (!source.signal.aborted) throw error;
      throw this.isLeaving
        ? new UnavailableError("this scheduler is leaving, try again", { retryAfterMs: 0 })
        : notOwner(partition);
    } finally {
      this.forwarded.delete(source);
    }
  }

  /** A scheduler is gone: what it was asked is asked again, of whoever has the partition now. */
  askAgain(): void {
    for (const source of [...this.forwarded]) source.abort(new Error("its owner is gone"));
  }

  /** Listens for what other schedulers got for this partition. */
  open(owned: OwnedPartition): void {
    const { partition } = owned;
    const subscription = serve(
      this.parts.bus.messaging,
      {
        subject: subjects.partitionRequest(partition),
        schema: partitionRequestSchema,
        what: "partition request",
        onDefect: (error, at) => this.onDefect(error, at),
      },
      (request) => this.answerOwned(request),
    );
    this.partitions.get(partition)?.unsubscribe();
    this.partitions.set(partition, subscription);
  }

  close({ partition }: OwnedPartition): void {
    const subscription = this.partitions.get(partition);
    this.partitions.delete(partition);
    // What is on its way is told that the owner is another one; dropped, it would wait for minutes.
    subscription?.drain().catch((error: unknown) => {
      this.parts.log.debug(
        { event: "partition.not-drained", partition, err: error },
        "not drained",
      );
    });
  }

  /** Errors: `NOT_OWNER` when the partition was given away before there was an answer. */
  private async answerOwned(request: JobRequest): Promise<unknown> {
    const { ownership } = this.parts;
    const partition = partitionOf(request.jobId, this.settings.partitionCount);
    const owned = ownership.get(partition);
    if (owned === undefined) throw notOwner(partition);
    try {
      return await this.answer(request);
    } catch (error) {
      const isUnknown = isRuntimeError(error) && error.code === "NOT_FOUND";
      // It took its jobs along.
      if (isUnknown && ownership.get(partition) !== owned) throw notOwner(partition);
      throw error;
    }
  }

  private async answer({ verb, jobId, body }: JobRequest): Promise<unknown> {
    const { jobs } = this.parts;
    switch (verb) {
      case "submit":
        return jobs.submit(validate(submitSchema, body, "submission"));
      case "get": {
        const status = await jobs.get(jobId);
        return status.receipt ?? status;
      }
      case "explain":
        validate(jobExplainSchema, body, "explain request");
        return jobs.explain(jobId);
      case "wait": {
        const { timeoutMs } = validate(jobWaitSchema, body, "wait request") ?? {
          timeoutMs: 30_000,
        };
        const status = await jobs.wait(jobId, timeoutMs);
        return status.receipt ?? status;
      }
      case "events": {
        const { after } = validate(jobEventsSchema, body, "events request") ?? { after: 0 };
        return { jobId, ...(await jobs.events(jobId, after)) };
      }
      case "cancel": {
        const request = validate(jobCancelSchema, body, "cancel request");
        const status = await jobs.cancel(jobId, request?.reason ?? "cancelled by the user");
        return status.receipt ?? status;
      }
      case "feedback": {
        const feedback = validate(jobFeedbackSchema, body, "feedback");
        return this.parts.profiles.feedback(await jobs.get(jobId), feedback);
      }
      case "result":
        jobs.deliver(validate(attemptResultSchema, body, "attempt result"));
        return { ok: true };
    }
  }

  // ---- all jobs ------------------------------------------------------------------------------

  private async list(limit: number): Promise<unknown> {
    const { jobs, index, ownership, bus } = this.parts;
    const byId = new Map<string, JobSummary>();
    const add = (found: readonly JobSummary[]): void => {
      for (const job of found) byId.set(job.jobId, job);
    };
    add((await index.recent(limit)).map((job) => summarizeIndexed(job)));
    const others = ownership.listMembers().map(({ scheduler }) =>
      call<{ jobs: JobSummary[] }>(
        bus.messaging,
        { subject: subjects.schedulerJobs(scheduler), value: {} },
        { timeoutMs: LIST_TIMEOUT_MS },
      ).then(
        (reply) => reply.jobs,
        // Its jobs are about to be taken over: they are in the next list.
        () => [],
      ),
    );
    for (const found of await Promise.all(others)) add(found);
    add(jobs.list().map((status) => summarize(status)));
    const all = [...byId.values()].sort((a, b) => b.acceptedAtMs - a.acceptedAtMs);
    return { jobs: all.slice(0, limit) };
  }

  /** Takes no new requests; those on their way are answered, if only with where to ask. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    await Promise.allSettled(this.subscriptions.splice(0).map((it) => it.drain()));
    this.askAgain();
  }

  stop(): void {
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** After `stop`: also what other schedulers send. */
  stopPartitions(): void {
    for (const subscription of this.partitions.values()) subscription.unsubscribe();
    this.partitions.clear();
  }
}

function notOwner(partition: number): RetryableError {
  return new RetryableError("NOT_OWNER", `partition ${partition} has another owner now`);
}

type JobSummary = Omit<JobStatus, "plan" | "receipt"> & {
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly answer: string | null;
};

function summarize({ plan: _plan, receipt, ...status }: JobStatus): JobSummary {
  return {
    ...status,
    latencyMs: receipt?.latencyMs ?? null,
    costUsd: receipt?.costUsd ?? null,
    answer: receipt?.answer ?? null,
  };
}

function summarizeIndexed(job: IndexedJob): JobSummary {
  const { jobId, state, tenant, description, workflow, acceptedAtMs } = job;
  const { latencyMs, costUsd, answer } = job;
  return {
    ...{ jobId, state, tenant, description, workflow, acceptedAtMs, latencyMs, costUsd, answer },
    stepStates: {},
  };
}
