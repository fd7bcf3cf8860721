/**
 * A submitted job in the hands of its submitter.
 *
 * Owns:      what the submitter may do about the job, and its part in keeping it: a job that the
 *            cluster has accepted and then lost is submitted again.
 * Does not:  keep the job alive: it runs on when the handle or the client is gone.
 *
 * Invariants:
 *   H1. A lost job is submitted again under its own id and with its own body, at most
 *       RESUBMIT_COUNT_MAX times, never after it was cancelled or its end was heard.
 */
import type { Messaging } from "@murakkab/bus";
import { RuntimeError } from "@murakkab/kit";
import type { JobPlan, Receipt } from "@murakkab/model";
import type { JobEvent, SubmitRequest } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, READ_POLICY } from "./call-until-answered.ts";
import { EndWatch } from "./end-watch.ts";
import { JobEventFeed } from "./job-events.ts";
import { submitUntilAnswered } from "./submit-until-answered.ts";
import { waitForReceipt } from "./wait-for-receipt.ts";

/** One loss of the store is rare; more than this many say that the cluster keeps nothing. */
const RESUBMIT_COUNT_MAX = 3;
/**
 * Later the job may have ended and be forgotten, which looks like a loss, ms. Why an hour: losses
 * of a store show within minutes, and finished jobs are kept for days.
 */
const RESUBMIT_AGE_MS_MAX = 3_600_000;

export interface ResultOptions {
  readonly signal?: AbortSignal;
}

/** A job ended, but not in the state `succeeded`. */
export class JobNotSucceededError extends RuntimeError {
  readonly receipt: Receipt;

  constructor(receipt: Receipt) {
    const reason = receipt.error?.message ?? receipt.notes[0] ?? "no reason was given";
    const step = receipt.error?.step === undefined ? "" : ` at step ${receipt.error.step}`;
    super(
      receipt.error?.code ?? `JOB_${receipt.state.toUpperCase()}`,
      "terminal",
      `job ${receipt.jobId} ${receipt.state}${step}: ${reason}`,
      {
        context: { jobId: receipt.jobId, state: receipt.state },
        ...(receipt.error?.detail === undefined ? {} : { detail: receipt.error.detail }),
      },
    );
    this.receipt = receipt;
  }
}

export interface SubmittedJob {
  readonly jobId: string;
  readonly plan: JobPlan;
  readonly notes: readonly string[];
  /** What was submitted, as it can be submitted again. */
  readonly body: SubmitRequest;
}

export interface JobHandleComponents {
  readonly messaging: Messaging;
  readonly feed: JobEventFeed;
  readonly onNote: (note: string) => void;
}

export class JobHandle {
  readonly jobId: string;
  /** The plan that was accepted; later re-planning shows in the events. */
  readonly plan: JobPlan;
  readonly #parts: JobHandleComponents;
  readonly #body: SubmitRequest;
  readonly #notes: string[];
  readonly #submittedAtMs = performance.now();
  /** Listening since before the job was submitted; taken by the first reader. */
  #feed: JobEventFeed | null;
  #waiterCount = 0;
  #resubmission: Promise<void> | null = null;
  #resubmitCount = 0;
  #hasEnded = false;
  #isCancelled = false;

  /** @internal Made by `client.submit`. */
  constructor(components: JobHandleComponents, { jobId, plan, notes, body }: SubmittedJob) {
    this.#parts = components;
    this.#feed = components.feed;
    this.#body = body;
    this.#notes = [...notes];
    this.jobId = jobId;
    this.plan = plan;
  }

  /** What the submitter should know, also what happened to the job since. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** Every event of the job from its first, in order, until the terminal one. */
  events(): AsyncIterable<JobEvent> {
    // A feed that somebody waits on must outlive the reader's loop.
    const own = this.#waiterCount > 0 ? null : this.#feed;
    const feed = own ?? new JobEventFeed(this.#parts.messaging, this.jobId);
    if (own !== null) this.#feed = null;
    return feed.read(0, (error) => this.#submitAgain(error));
  }

  /**
   * The receipt, once the job has ended, in whatever state.
   * Errors: `UNAVAILABLE` when no scheduler answers for some time; the job may still run.
   * `EXPIRED`, `NOT_FOUND`: it ended so long ago that it is forgotten, or it is lost.
   */
  async result(options: ResultOptions = {}): Promise<Receipt> {
    const feed = this.#feed;
    const watch = feed === null ? new EndWatch(this.#parts.messaging, this.jobId) : null;
    this.#waiterCount += 1;
    try {
      const receipt = await waitForReceipt({
        messaging: this.#parts.messaging,
        jobId: this.jobId,
        end: watch ?? (feed as JobEventFeed),
        onLost: (error) => this.#submitAgain(error),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      this.#hasEnded = true;
      return receipt;
    } finally {
      watch?.close();
      this.#waiterCount -= 1;
      if (this.#hasEnded && this.#waiterCount === 0) {
        this.#feed?.close(); // Nobody read the events while the job ran.
        this.#feed = null;
      }
    }
  }

  /** Asks for the end of the job. What runs is stopped; the receipt says what was spent. */
  async cancel(reason?: string): Promise<void> {
    this.#isCancelled = true;
    await cancelJob(this.#parts.messaging, this.jobId, reason);
  }

  /**
   * H1. Rejects with `error`, which said that nobody knows the job, when it stays lost; with
   * `JobNotAcceptedError` when the cluster would not take it again under its bounds.
   */
  #submitAgain(error: RuntimeError): Promise<void> {
    this.#resubmission ??= this.#resubmit(error).finally(() => {
      this.#resubmission = null;
    });
    return this.#resubmission;
  }

  async #resubmit(error: RuntimeError): Promise<void> {
    const isOld = performance.now() - this.#submittedAtMs > RESUBMIT_AGE_MS_MAX;
    const isOver = this.#hasEnded || this.#isCancelled || isOld;
    if (isOver || this.#resubmitCount >= RESUBMIT_COUNT_MAX) throw error;
    this.#resubmitCount += 1;
    const { messaging, onNote } = this.#parts;
    const { jobId } = await submitUntilAnswered(messaging, this.#body, {});
    if (jobId !== this.jobId) throw error; // Its idempotency key went to another job meanwhile.
    const note = `job ${jobId} was not known any more and was submitted again`;
    this.#notes.push(note);
    onNote(note);
  }
}

export async function cancelJob(
  messaging: Messaging,
  jobId: string,
  reason?: string,
): Promise<unknown> {
  const value = reason === undefined ? null : { reason };
  const request = { subject: subjects.jobCancel(jobId), value };
  return callUntilAnswered<unknown>(messaging, request, { policy: READ_POLICY });
}
