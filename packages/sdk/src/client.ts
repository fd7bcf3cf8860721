/**
 * The client of a Murakkab cluster.
 *
 * Owns:      one bus connection and what an application does over it.
 * Does not:  decide or cache anything. Requests are repeated while schedulers come and go: all of
 *            them may be, a submission because it carries its job id.
 */
import { randomUUID } from "node:crypto";
import type { Bus, Schema } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import { NoRespondersError, UnavailableError } from "@murakkab/kit";
import type {
  ArtifactRef,
  JobStatus,
  NodeSample,
  ProfileSet,
  Receipt,
  SloAxis,
} from "@murakkab/model";
import type {
  JobEvent,
  JobFeedbackReply,
  ProfilePage,
  ProfilePutReply,
  SubmitRequest,
} from "@murakkab/protocol";
import { decode, subjects } from "@murakkab/protocol";
import type { RepeatPolicy } from "./call-until-answered.ts";
import { callUntilAnswered, READ_POLICY } from "./call-until-answered.ts";
import type { InstanceView, JobSummary, LibraryView, NodeView, OpsEvent } from "./cluster-views.ts";
import { downloadFile } from "./download.ts";
import { EndWatch } from "./end-watch.ts";
import { explainJob, type JobExplanation } from "./explain.ts";
import { JobEventFeed } from "./job-events.ts";
import type { ResultOptions } from "./job-handle.ts";
import { cancelJob, JobHandle } from "./job-handle.ts";
import { type PlannedJob, plannedJobIn } from "./job-reply.ts";
import type { JobRequest } from "./job-request.ts";
import { toSubmitRequest } from "./job-request.ts";
import { checkProfiles, type FeedbackOptions, mergeProfiles, splitProfiles } from "./profiles.ts";
import { PushQueue } from "./push-queue.ts";
import { jobStatusIn, listIn } from "./read-answer.ts";
import { resolveInputs } from "./resolve-inputs.ts";
import { listenForSchedulers, type SchedulersView } from "./schedulers.ts";
import { submitTakingOffers } from "./submit-taking-offers.ts";
import type { SubmitReply } from "./submit-until-answered.ts";
import type { ByteStream, UploadOptions } from "./upload.ts";
import { uploadFile, uploadStream } from "./upload.ts";
import { waitForReceipt } from "./wait-for-receipt.ts";

/** Planning may read the media's headers on a node first: silence says less. */
const PLAN_POLICY: RepeatPolicy = { ...READ_POLICY, silenceMs: [5_000, 10_000], totalMs: 30_000 };
const ASK_TIMEOUT_MS = 5_000;
/**
 * How long a scheduler is awaited where none has ever answered, ms: most likely there is no
 * cluster, and a person waits for that answer.
 */
const ABSENT_MS_AT_FIRST = 1_000;
/** Samples and ops events that a slow reader may be behind before it loses the oldest. */
const FEED_LIMIT = 4_096;

export interface SubmitOptions {
  /** Called as the bytes of local files leave. */
  readonly onUpload?: (path: string, sentBytes: number, totalBytes: number) => void;
  /** Ends the upload or the wait for the answer. A job that was accepted meanwhile runs on. */
  readonly signal?: AbortSignal;
  /**
   * True: while the cluster is full, try again after the time that it says, for at most 10 min.
   * Default false: `OVERLOADED` (with `retryAfterMs`) is thrown.
   */
  readonly retryOverloaded?: boolean;
  /**
   * When the bounds can't hold together, take the offer in which this axis gives way.
   * Default: a counter-offer is thrown as `JobNotAcceptedError`.
   */
  readonly acceptOffer?: SloAxis;
  /** Told what happens to the job later, such as that it was lost and submitted again. */
  readonly onNote?: (note: string) => void;
}

export class Client {
  readonly #bus: Bus;
  readonly #where: string;
  #wasAnswered = false;

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
   * Errors: `INVALID_ARGUMENT`, what the scheduler answers, `UNAVAILABLE` without a scheduler;
   * `JobNotAcceptedError` (`COUNTER_OFFER` with the offers, `REJECTED`) when it is not taken.
   */
  async submit(request: JobRequest, options: SubmitOptions = {}): Promise<JobHandle> {
    const jobId = request.jobId ?? randomUUID();
    const asked = await this.#prepare(request, jobId, options);
    const feed = new JobEventFeed(this.#bus.messaging, jobId);
    try {
      const { reply, body } = await this.#submit(asked, options);
      if (reply.jobId === jobId) return this.#handle(reply, { body, feed, options });
      // The idempotency key belongs to an earlier job: that one's events are wanted.
      feed.close();
      const earlier = new JobEventFeed(this.#bus.messaging, reply.jobId);
      const known = { ...body, jobId: reply.jobId };
      return this.#handle(reply, { body: known, feed: earlier, options });
    } catch (error) {
      feed.close();
      throw error;
    }
  }

  /**
   * The decision and the plan that a submission would get; nothing runs. Local files are uploaded,
   * to be probed. A counter-offer or a rejection is an answer here, not an error.
   */
  async plan(request: JobRequest, options: SubmitOptions = {}): Promise<PlannedJob> {
    const { jobPlan } = subjects;
    const body = await this.#prepare(request, request.jobId ?? randomUUID(), options);
    return plannedJobIn(await this.#read<unknown>(jobPlan, body, PLAN_POLICY), jobPlan);
  }

  /** Why a job got its plan and, once it has ended, what became of the prediction. */
  async explain(jobId: string): Promise<JobExplanation> {
    return this.#explain(explainJob(this.#bus.messaging, jobId), subjects.jobGet(jobId));
  }

  /** The newest jobs, at most `limit`. */
  async jobs(limit = 100): Promise<JobSummary[]> {
    const answer = await this.#read<unknown>(subjects.jobList, { limit });
    return listIn<JobSummary>(answer, "jobs", subjects.jobList);
  }

  /** Errors: `NOT_FOUND`. */
  async job(jobId: string): Promise<JobStatus> {
    const subject = subjects.jobGet(jobId);
    return jobStatusIn(await this.#read<unknown>(subject, null), subject);
  }

  /** The receipt of any job, once it has ended. */
  async result(jobId: string, options: ResultOptions = {}): Promise<Receipt> {
    const { messaging } = this.#bus;
    const end = new EndWatch(messaging, jobId);
    try {
      return await waitForReceipt({ messaging, jobId, end, ...options });
    } finally {
      end.close();
    }
  }

  async cancel(jobId: string, reason?: string): Promise<void> {
    await cancelJob(this.#bus.messaging, jobId, reason);
  }

  /** Events of a job after number `after`, in order, until the terminal one. */
  events(jobId: string, after = 0): AsyncIterable<JobEvent> {
    return new JobEventFeed(this.#bus.messaging, jobId).read(after);
  }

  /** Who shares the jobs, and who leads. Listens for a third of a second. */
  async schedulers(): Promise<SchedulersView> {
    return this.#explain(listenForSchedulers(this.#bus.messaging), subjects.schedulerPing);
  }

  async nodes(): Promise<NodeView[]> {
    const answer = await this.#read<unknown>(subjects.nodeList, null);
    return listIn<NodeView>(answer, "nodes", subjects.nodeList);
  }

  async instances(): Promise<InstanceView[]> {
    const answer = await this.#read<unknown>(subjects.instanceList, null);
    return listIn<InstanceView>(answer, "instances", subjects.instanceList);
  }

  async library(): Promise<LibraryView> {
    const answer = await this.#read<Partial<LibraryView>>(subjects.libraryList, null);
    const executors = listIn<LibraryView["executors"][number]>(
      answer,
      "executors",
      subjects.libraryList,
    );
    return { executors, workflows: answer.workflows ?? [] };
  }

  /**
   * How good a finished job's answer was, 0 (wrong) to 1 (right); repeated, it replaces the earlier
   * score. Errors: `NOT_FOUND`, `JOB_NOT_FINISHED`, `JOB_HAS_NO_ANSWER`, `FORBIDDEN` for another
   * tenant's job, `INVALID_ARGUMENT`.
   */
  async feedback(
    jobId: string,
    score: number,
    options: FeedbackOptions = {},
  ): Promise<JobFeedbackReply> {
    return this.#read<JobFeedbackReply>(subjects.jobFeedback, { jobId, score, ...options });
  }

  /** What is known of executors and workflows. */
  async profiles(): Promise<ProfileSet> {
    const pages: ProfileSet[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page: ProfilePage = await this.#read<ProfilePage>(subjects.profileGet, { after });
      pages.push(page.profiles);
      after = page.next;
    }
    return mergeProfiles(pages);
  }

  /**
   * Takes the place of what was imported of the same things before. All of it is checked before the
   * first part is sent. Errors: `INVALID_ARGUMENT` with the field; nothing was taken then.
   */
  async importProfiles(profiles: ProfileSet): Promise<ProfilePutReply> {
    checkProfiles(profiles);
    const total = { executorCount: 0, configurationCount: 0 };
    for (const part of splitProfiles(profiles)) {
      const taken = await this.#read<ProfilePutReply>(subjects.profilePut, { profiles: part });
      total.executorCount += taken.executorCount;
      total.configurationCount += taken.configurationCount;
    }
    return total;
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

  /** Any public subject with a plain value, for what has no method here. Sent once. */
  async ask<T>(subject: string, value: unknown, schema?: Schema<T>): Promise<T> {
    const request = { subject, value, ...(schema === undefined ? {} : { schema }) };
    const answer = call<T>(this.#bus.messaging, request, { timeoutMs: ASK_TIMEOUT_MS });
    return this.#explain(answer, subject);
  }

  async close(): Promise<void> {
    await this.#bus.close();
  }

  #handle(
    { jobId, plan, notes }: SubmitReply,
    from: { body: SubmitRequest; feed: JobEventFeed; options: SubmitOptions },
  ): JobHandle {
    const { messaging } = this.#bus;
    const { body, feed, options } = from;
    const onNote = options.onNote ?? (() => undefined);
    return new JobHandle({ messaging, feed, onNote }, { jobId, plan, notes, body });
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

  async #submit(
    body: SubmitRequest,
    { signal, retryOverloaded, acceptOffer }: SubmitOptions,
  ): Promise<{ reply: SubmitReply; body: SubmitRequest }> {
    const answer = submitTakingOffers(this.#bus.messaging, body, {
      ...(signal === undefined ? {} : { signal }),
      ...(retryOverloaded === undefined ? {} : { retryOverloaded }),
      ...(acceptOffer === undefined ? {} : { acceptOffer }),
      ...(this.#wasAnswered ? {} : { absentMs: ABSENT_MS_AT_FIRST }),
    });
    return this.#explain(answer, subjects.jobSubmit);
  }

  #read<T>(subject: string, value: unknown, policy: RepeatPolicy = READ_POLICY): Promise<T> {
    const absentMs = this.#wasAnswered ? policy.absentMs : ABSENT_MS_AT_FIRST;
    const options = { policy: { ...policy, absentMs } };
    const answer = callUntilAnswered<T>(this.#bus.messaging, { subject, value }, options);
    return this.#explain(answer, subject);
  }

  /** "No responders" means one thing to a user: there is a bus, but no cluster on it. */
  async #explain<T>(answer: Promise<T>, subject: string): Promise<T> {
    try {
      const value = await answer;
      this.#wasAnswered = true;
      return value;
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
