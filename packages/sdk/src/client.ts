/**
 * The client of a Murakkab cluster.
 *
 * Owns:      one bus connection and what an application does over it.
 * Does not:  decide, retry or cache anything beyond what is said at each method.
 */
import { randomUUID } from "node:crypto";
import type { Bus, Schema } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import { isRuntimeError, NoRespondersError, UnavailableError } from "@murakkab/kit";
import type { ArtifactRef, JobPlan, JobStatus, NodeSample, Receipt } from "@murakkab/model";
import type { JobEvent, SubmitRequest } from "@murakkab/protocol";
import { decode, subjects } from "@murakkab/protocol";
import type { InstanceView, JobSummary, LibraryView, NodeView, OpsEvent } from "./cluster-views.ts";
import { downloadFile } from "./download.ts";
import { JobEventFeed } from "./job-events.ts";
import type { ResultOptions } from "./job-handle.ts";
import { cancelJob, JobHandle, waitForReceipt } from "./job-handle.ts";
import type { JobRequest } from "./job-request.ts";
import { toSubmitRequest } from "./job-request.ts";
import { PushQueue } from "./push-queue.ts";
import { jobStatusIn, listIn } from "./read-answer.ts";
import { resolveInputs } from "./resolve-inputs.ts";
import type { ByteStream, UploadOptions } from "./upload.ts";
import { uploadFile, uploadStream } from "./upload.ts";

/** Planning may read the media's headers on a node first. */
const PLAN_TIMEOUT_MS = 30_000;
const READ_TIMEOUT_MS = 5_000;
/** Tries of a submission that nobody answered. The same job id makes repeats harmless. */
const SUBMIT_TRIES_MAX = 3;
const SUBMIT_PAUSE_MS = 300;
/** Samples and ops events that a slow reader may be behind before it loses the oldest. */
const FEED_LIMIT = 4_096;

export interface SubmitOptions {
  /** Called as the bytes of local files leave. */
  readonly onUpload?: (path: string, sentBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface PlannedJob {
  readonly plan: JobPlan;
  readonly notes: readonly string[];
}

export class Client {
  readonly #bus: Bus;
  readonly #where: string;

  /** @internal Use `connect`. `where` is the bus's address for messages, without credentials. */
  constructor(bus: Bus, where: string) {
    this.#bus = bus;
    this.#where = where;
  }

  get description(): string {
    return this.#bus.description;
  }

  /**
   * Uploads local files, then submits. Resolves when the job is accepted.
   * Errors: `INVALID_ARGUMENT`, what the scheduler answers, `UNAVAILABLE` without a scheduler.
   */
  async submit(request: JobRequest, options: SubmitOptions = {}): Promise<JobHandle> {
    const jobId = request.jobId ?? randomUUID();
    const body = await this.#prepare(request, jobId, options);
    const feed = new JobEventFeed(this.#bus.messaging, jobId);
    try {
      const { plan, notes, ...reply } = await this.#submitOnce(body);
      if (reply.jobId === jobId) {
        return this.#handle({ jobId, plan, notes: notes ?? plan.notes }, feed);
      }
      // The idempotency key belongs to an earlier job: that one's events are wanted.
      feed.close();
      const earlier = new JobEventFeed(this.#bus.messaging, reply.jobId);
      return this.#handle({ jobId: reply.jobId, plan, notes: notes ?? plan.notes }, earlier);
    } catch (error) {
      feed.close();
      throw error;
    }
  }

  /** The plan that a submission would get; nothing runs. Local files are uploaded, to be probed. */
  async plan(request: JobRequest, options: SubmitOptions = {}): Promise<PlannedJob> {
    const body = await this.#prepare(request, request.jobId ?? randomUUID(), options);
    const answer = await this.#ask<PlannedJob & JobPlan>(subjects.jobPlan, body, PLAN_TIMEOUT_MS);
    const plan: JobPlan = answer.plan ?? answer;
    return { plan, notes: answer.notes ?? plan.notes };
  }

  /** The newest jobs, at most `limit`. */
  async jobs(limit = 100): Promise<JobSummary[]> {
    const answer = await this.#ask<unknown>(subjects.jobList, { limit });
    return listIn<JobSummary>(answer, "jobs", subjects.jobList);
  }

  /** Errors: `NOT_FOUND`. */
  async job(jobId: string): Promise<JobStatus> {
    const subject = subjects.jobGet(jobId);
    return jobStatusIn(await this.#ask<unknown>(subject, null), subject);
  }

  /** The receipt of any job, once it has ended. */
  async result(jobId: string, options: ResultOptions = {}): Promise<Receipt> {
    return waitForReceipt(this.#bus.messaging, jobId, options);
  }

  async cancel(jobId: string, reason?: string): Promise<void> {
    await cancelJob(this.#bus.messaging, jobId, reason);
  }

  /** Events of a job after number `after`, in order, until the terminal one. */
  events(jobId: string, after = 0): AsyncIterable<JobEvent> {
    return new JobEventFeed(this.#bus.messaging, jobId).read(after);
  }

  async nodes(): Promise<NodeView[]> {
    const answer = await this.#ask<unknown>(subjects.nodeList, null);
    return listIn<NodeView>(answer, "nodes", subjects.nodeList);
  }

  async instances(): Promise<InstanceView[]> {
    const answer = await this.#ask<unknown>(subjects.instanceList, null);
    return listIn<InstanceView>(answer, "instances", subjects.instanceList);
  }

  async library(): Promise<LibraryView> {
    const answer = await this.#ask<Partial<LibraryView>>(subjects.libraryList, null);
    const executors = listIn<LibraryView["executors"][number]>(
      answer,
      "executors",
      subjects.libraryList,
    );
    return { executors, workflows: answer.workflows ?? [] };
  }

  /** Every node's sample, about one per node and second, until the loop is left. */
  telemetry(): AsyncIterable<NodeSample> {
    return this.#feed(subjects.allNodesSampled, (value) => value as NodeSample);
  }

  /** Everything on the ops stream: copies of samples and events of all kinds. */
  opsEvents(): AsyncIterable<OpsEvent> {
    return this.#feed(subjects.ops, (data, subject) => ({ subject, data }));
  }

  /** A file or a stream into the cluster. Errors name the file. */
  async upload(source: string | ByteStream, options: UploadOptions = {}): Promise<ArtifactRef> {
    return this.#explain(
      typeof source === "string"
        ? uploadFile(this.#bus.messaging, source, options)
        : uploadStream(this.#bus.messaging, source, options),
      subjects.artifactUpload,
    );
  }

  /** An artifact into a local file, checked against its hash. Errors: `NOT_FOUND`, `UNAVAILABLE`. */
  async download(artifact: string, path: string): Promise<ArtifactRef> {
    return this.#explain(
      downloadFile(this.#bus.messaging, { artifact, path }),
      subjects.artifactDownload,
    );
  }

  /** Any public subject with a plain value, for what has no method here. */
  async ask<T>(subject: string, value: unknown, schema?: Schema<T>): Promise<T> {
    return this.#ask(subject, value, READ_TIMEOUT_MS, schema);
  }

  async close(): Promise<void> {
    await this.#bus.close();
  }

  #handle(
    job: { jobId: string; plan: JobPlan; notes: readonly string[] },
    feed: JobEventFeed,
  ): JobHandle {
    return new JobHandle({ messaging: this.#bus.messaging, feed }, job);
  }

  /** Checks everything before the first byte is uploaded. */
  async #prepare(
    request: JobRequest,
    jobId: string,
    { onUpload, signal }: SubmitOptions,
  ): Promise<SubmitRequest> {
    const body = toSubmitRequest(request, jobId);
    const inputs = await resolveInputs(body.inputs, (path) =>
      this.upload(path, {
        ...(signal === undefined ? {} : { signal }),
        ...(onUpload === undefined
          ? {}
          : { onProgress: (sent: number, total: number) => onUpload(path, sent, total) }),
      }),
    );
    return { ...body, inputs };
  }

  async #submitOnce(body: SubmitRequest): Promise<PlannedJob & { readonly jobId: string }> {
    for (let tryNumber = 1; ; tryNumber += 1) {
      try {
        return await this.#ask(subjects.jobSubmit, body, PLAN_TIMEOUT_MS);
      } catch (error) {
        const isLastTry = tryNumber >= SUBMIT_TRIES_MAX;
        if (isLastTry || !isRuntimeError(error) || !error.isRetryable) throw error;
        const pauseMs = error.retryAfterMs ?? SUBMIT_PAUSE_MS * tryNumber;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  #ask<T>(
    subject: string,
    value: unknown,
    timeoutMs = READ_TIMEOUT_MS,
    schema?: Schema<T>,
  ): Promise<T> {
    const request = { subject, value, ...(schema === undefined ? {} : { schema }) };
    return this.#explain(call<T>(this.#bus.messaging, request, { timeoutMs }), subject);
  }

  /** "No responders" means one thing to a user: there is a bus, but no cluster on it. */
  async #explain<T>(answer: Promise<T>, subject: string): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof NoRespondersError)) throw error;
      throw new UnavailableError(
        `no scheduler answers ${subject} on ${this.#where}, expected one: start it with "murakkab up"`,
        { cause: error.cause },
      );
    }
  }

  #feed<T>(subject: string, read: (value: unknown, subject: string) => T): AsyncIterable<T> {
    const queue = new PushQueue<T>(FEED_LIMIT, () => subscription.unsubscribe());
    const subscription = this.#bus.messaging.subscribe(subject, (message) => {
      try {
        queue.push(read(decode(message.data, message.headers).value, message.subject));
      } catch {
        // A message that is no message of ours: anyone may publish on a bus.
      }
    });
    return queue;
  }
}
