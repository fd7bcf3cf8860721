/**
 * A submitted job in the hands of its submitter.
 *
 * Owns:      waiting for the end in rounds, since one wait is bounded.
 * Does not:  keep the job alive: it runs on when the handle or the client is gone.
 */
import type { Messaging } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import { isRuntimeError, RuntimeError, UnavailableError } from "@murakkab/kit";
import type { JobPlan, JobStatus, Receipt } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { JobEventFeed } from "./job-events.ts";
import { hasEnded, jobStatusIn } from "./read-answer.ts";

/** Why 20 s: short enough that a scheduler which went away is noticed soon. */
const WAIT_ROUND_MS = 20_000;
const WAIT_SLACK_MS = 5_000;
/** Rounds in a row that nobody answered before waiting is given up; see RETRY_PAUSE_MS. */
const FAILURES_MAX = 20;
/** Why 500 ms: 20 of them cover the time that a restarted scheduler needs to come back. */
const RETRY_PAUSE_MS = 500;
const CANCEL_TIMEOUT_MS = 10_000;

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

export class JobHandle {
  readonly jobId: string;
  /** The plan that was accepted; later re-planning shows in the events. */
  readonly plan: JobPlan;
  readonly notes: readonly string[];
  readonly #messaging: Messaging;
  /** Listening since before the job was submitted; taken by the first reader. */
  #feed: JobEventFeed | null;

  /** @internal Made by `client.submit`. */
  constructor(
    { messaging, feed }: { messaging: Messaging; feed: JobEventFeed },
    job: { jobId: string; plan: JobPlan; notes: readonly string[] },
  ) {
    this.#messaging = messaging;
    this.#feed = feed;
    this.jobId = job.jobId;
    this.plan = job.plan;
    this.notes = job.notes;
  }

  /** Every event of the job from its first, in order, until the terminal one. */
  events(): AsyncIterable<JobEvent> {
    const feed = this.#feed ?? new JobEventFeed(this.#messaging, this.jobId);
    this.#feed = null;
    return feed.read();
  }

  /**
   * The receipt, once the job has ended, in whatever state.
   * Errors: `UNAVAILABLE` when no scheduler answers for some time; the job may still run.
   */
  async result(options: ResultOptions = {}): Promise<Receipt> {
    const receipt = await waitForReceipt(this.#messaging, this.jobId, options);
    this.#feed?.close(); // Nobody read the events while the job ran.
    this.#feed = null;
    return receipt;
  }

  /** Asks for the end of the job. What runs is stopped; the receipt says what was spent. */
  async cancel(reason?: string): Promise<void> {
    await cancelJob(this.#messaging, this.jobId, reason);
  }
}

export async function cancelJob(
  messaging: Messaging,
  jobId: string,
  reason?: string,
): Promise<unknown> {
  return call<unknown>(
    messaging,
    { subject: subjects.jobCancel(jobId), value: reason === undefined ? null : { reason } },
    { timeoutMs: CANCEL_TIMEOUT_MS },
  );
}

export async function waitForReceipt(
  messaging: Messaging,
  jobId: string,
  { signal }: ResultOptions,
): Promise<Receipt> {
  let failureCount = 0;
  for (;;) {
    const startedAtMs = performance.now();
    try {
      const job = await waitOnce(messaging, jobId, signal);
      failureCount = 0;
      if (hasEnded(job) && job.receipt !== undefined) return job.receipt;
      // An answer before its time (a receipt still being written, a server that does not wait)
      // must not make this a busy loop.
      if (performance.now() - startedAtMs < RETRY_PAUSE_MS) await pause(signal);
    } catch (error) {
      if (!isRuntimeError(error) || !error.isRetryable) throw error;
      failureCount += 1;
      if (failureCount >= FAILURES_MAX) {
        throw new UnavailableError(`the end of job ${jobId} cannot be learned`, { cause: error });
      }
      await pause(signal);
    }
  }
}

async function waitOnce(
  messaging: Messaging,
  jobId: string,
  signal: AbortSignal | undefined,
): Promise<JobStatus> {
  const subject = subjects.jobWait(jobId);
  const answer = await call<unknown>(
    messaging,
    { subject, value: { timeoutMs: WAIT_ROUND_MS } },
    {
      timeoutMs: WAIT_ROUND_MS + WAIT_SLACK_MS,
      ...(signal === undefined ? {} : { signal }),
    },
  );
  return jobStatusIn(answer, subject);
}

function pause(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, RETRY_PAUSE_MS);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
