/**
 * Clients that keep a number of jobs in flight, whatever happens to the cluster.
 *
 * Owns:      submitting under one job id until an answer comes, waiting for the receipt, what each
 *            client was told and when.
 * Does not:  know faults, or judge.
 *
 * Invariants:
 *   L1. A job id is submitted again after "nobody there", "nobody answered" and every retryable
 *       refusal, and never after an acceptance.
 *   L2. `accepted` means that the answer was seen: what was only sent is not counted.
 */
import { call, type Messaging } from "@murakkab/bus";
import {
  type AbortSignalLike,
  type Clock,
  delay,
  describeError,
  isRuntimeError,
} from "@murakkab/kit";
import { isTerminalState, type JobReply, type Receipt } from "@murakkab/model";
import { decode, subjects } from "@murakkab/protocol";
import type { LoadJob } from "./load-jobs.ts";
import type { MomentFeed } from "./moment-feed.ts";
import type { UsedMarks } from "./observation.ts";

export interface LoadComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly moments?: MomentFeed;
}

export interface LoadSettings {
  readonly nextJob: () => LoadJob;
  readonly inFlightCount: number;
  /** No further job is begun when this answers false. */
  readonly wantsMore: () => boolean;
  /** Each answer is waited for this long, ms; then the same request is sent again. */
  readonly answerTimeoutMs: number;
}

/** One client's job, as the client sees it. Times from the load's start. */
export interface ClientJob {
  readonly jobId: string;
  readonly submittedAtMs: number;
  acceptedAtMs: number | null;
  endedAtMs: number | null;
  state: string | null;
  /** Of the receipt of a job that did not succeed. */
  errorCode: string | null;
  used: UsedMarks | null;
  /** Why the cluster refused it for good. */
  refusal: string | null;
}

/** Between two tries to reach a cluster that did not answer, ms. */
const RETRY_PAUSE_MS = 50;

export class Load {
  readonly jobs = new Map<string, ClientJob>();
  private readonly parts: LoadComponents;
  private readonly settings: LoadSettings;
  private readonly startedAtMs: number;
  private readonly ends = new Map<string, (receipt: Receipt) => void>();

  constructor(components: LoadComponents, settings: LoadSettings) {
    this.parts = components;
    this.settings = settings;
    this.startedAtMs = components.clock.monotonicMs();
  }

  /** Resolves when no more jobs are wanted and all begun ones have ended, or on the signal. */
  async run(signal: AbortSignalLike): Promise<void> {
    const { messaging } = this.parts;
    // Told by the event when it comes by; `job.wait` is for the times when it did not.
    const subscription = messaging.subscribe(
      subjects.allJobEvents,
      ({ data, headers, subject }) => {
        if (!isTerminalState(subject.split(".")[3] as never)) return;
        const { jobId, data: body } = decode(data, headers).value as {
          jobId: string;
          data: { receipt?: Receipt };
        };
        if (body.receipt !== undefined) this.ends.get(jobId)?.(body.receipt);
      },
    );
    try {
      await Promise.all(
        Array.from({ length: this.settings.inFlightCount }, () => this.runClient(signal)),
      );
    } finally {
      subscription.unsubscribe();
    }
  }

  /** Since the load's start. */
  get nowMs(): number {
    return Math.round((this.parts.clock.monotonicMs() - this.startedAtMs) * 10) / 10;
  }

  private async runClient(signal: AbortSignalLike): Promise<void> {
    while (this.settings.wantsMore() && !signal.aborted) {
      const job = this.settings.nextJob();
      const seen: ClientJob = {
        jobId: job.jobId,
        submittedAtMs: this.nowMs,
        ...{ acceptedAtMs: null, endedAtMs: null, refusal: null },
        ...{ state: null, errorCode: null, used: null },
      };
      this.jobs.set(job.jobId, seen);
      const ended = new Promise<Receipt>((resolve) => this.ends.set(job.jobId, resolve));
      try {
        await this.submit(job, seen, signal);
        if (seen.acceptedAtMs === null) continue;
        const receipt = await Promise.race([ended, this.awaitReceipt(job.jobId, signal)]);
        if (receipt !== null) this.noteEnd(seen, receipt);
      } finally {
        this.ends.delete(job.jobId);
      }
    }
  }

  /** L1. Returns without an acceptance only on the signal or a refusal for good. */
  private async submit(
    { jobId, description, workflow }: LoadJob,
    seen: ClientJob,
    signal: AbortSignalLike,
  ): Promise<void> {
    const value = { jobId, description, workflow };
    while (!signal.aborted) {
      try {
        const answer = this.ask<JobReply>(subjects.jobSubmit, value, signal);
        this.parts.moments?.note({ moment: "submit-sent" });
        await answer;
        seen.acceptedAtMs = this.nowMs; // L2
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!isWorthRepeating(error)) {
          seen.refusal = describeError(error);
          // Whoever made the load wrong must not spin.
          await this.pause(RETRY_PAUSE_MS, signal);
          return;
        }
        await this.pause(retryAfterMs(error), signal);
      }
    }
  }

  /** Null only on the signal. */
  private async awaitReceipt(jobId: string, signal: AbortSignalLike): Promise<Receipt | null> {
    const timeoutMs = this.settings.answerTimeoutMs;
    while (!signal.aborted && this.ends.has(jobId)) {
      try {
        const value = { timeoutMs };
        const job = await this.ask<{ state: string }>(subjects.jobWait(jobId), value, signal, 2);
        if (isTerminalState(job.state as never) && "steps" in job) return job as unknown as Receipt;
      } catch (error) {
        // Also after "not known": the job was accepted, so that this is not the last word.
        await this.pause(retryAfterMs(error), signal);
      }
    }
    return null;
  }

  private ask<T>(
    subject: string,
    value: unknown,
    signal: AbortSignalLike,
    patience = 1,
  ): Promise<T> {
    const timeoutMs = this.settings.answerTimeoutMs * patience;
    return call<T>(
      this.parts.messaging,
      { subject, value },
      { timeoutMs, encoding: "json", signal },
    );
  }

  private noteEnd(seen: ClientJob, receipt: Receipt): void {
    seen.endedAtMs = this.nowMs;
    seen.state = receipt.state;
    seen.errorCode = receipt.error?.code ?? null;
    const output = receipt.output as Partial<UsedMarks> | undefined;
    if (Array.isArray(output?.viaFile) && Array.isArray(output.direct)) {
      seen.used = { viaFile: output.viaFile, direct: output.direct };
    }
  }

  private async pause(ms: number, signal: AbortSignalLike): Promise<void> {
    await delay(this.parts.clock, ms, signal).catch(() => undefined);
  }
}

function isWorthRepeating(error: unknown): boolean {
  return isRuntimeError(error) && error.isRetryable;
}

function retryAfterMs(error: unknown): number {
  return (isRuntimeError(error) ? error.retryAfterMs : undefined) ?? RETRY_PAUSE_MS;
}
