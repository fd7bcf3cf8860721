/**
 * The end of a job, learned although schedulers come and go.
 *
 * Owns:      waiting in rounds, and being woken by the job's terminal event.
 * Does not:  take that event for the truth: it asks. Anyone may publish on a bus.
 *
 * Invariants:
 *   Q1. A round that its scheduler took along with it ends with the round, or with the event.
 *   Q2. What `NOT_FOUND` means for a job that was accepted: the store has lost it. The event that
 *       told of its end counts then; a job without one is for `onLost`.
 */
import type { Messaging } from "@murakkab/bus";
import { isRuntimeError, type RuntimeError, UnavailableError } from "@murakkab/kit";
import type { JobStatus, Receipt } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, type RepeatPolicy } from "./call-until-answered.ts";
import type { EndSignal } from "./end-watch.ts";
import type { OnLost } from "./job-events.ts";
import { hasEnded, jobStatusIn } from "./read-answer.ts";

/** Why 5 s: the event tells of the end; a round only makes up for one that was lost. */
const ROUND_MS = 5_000;
/** A round's answer is this late at most before the next round begins, ms. */
const ROUND_SLACK_MS = 1_000;
/** Why 20 s: a scheduler on a host that boots again is not awaited, one that is restarted is. */
const PATIENCE_MS = 20_000;
const WAIT_POLICY: RepeatPolicy = {
  silenceMs: [ROUND_MS + ROUND_SLACK_MS],
  totalMs: PATIENCE_MS + ROUND_MS + ROUND_SLACK_MS,
  absentMs: PATIENCE_MS,
  troubleMs: PATIENCE_MS,
};
/** Somebody has just told of the end: whoever is asked knows it, or is gone. */
const WOKEN_POLICY: RepeatPolicy = { ...WAIT_POLICY, silenceMs: [100, 200, 500, 1_000] };
/** The answer to a wait is under way when the event is heard; without it, the job is asked for. */
const ANSWER_LAG_MS = 30;
/** Questions because of one terminal event. More means that the event was not true. */
const WOKEN_COUNT_MAX = 10;
/** An answer before its time (a server that does not wait) must not make this a busy loop, ms. */
const PAUSE_MS = 100;

export interface ReceiptQuestion {
  readonly messaging: Messaging;
  readonly jobId: string;
  readonly end: EndSignal;
  readonly onLost?: OnLost;
  readonly signal?: AbortSignal;
}

/** Errors: `NOT_FOUND`, `EXPIRED`, `UNAVAILABLE` when nobody answers for some time. */
export async function waitForReceipt(question: ReceiptQuestion): Promise<Receipt> {
  const { end, signal } = question;
  for (let wokenCount = 0; ; ) {
    const isWoken = end.terminal !== null && wokenCount < WOKEN_COUNT_MAX;
    if (isWoken) wokenCount += 1;
    const startedAtMs = performance.now();
    const job = await ask(question, isWoken);
    if (job === "woken") continue;
    if (job !== "lost" && hasEnded(job) && job.receipt !== undefined) return job.receipt;
    if (performance.now() - startedAtMs < PAUSE_MS) await pause(PAUSE_MS, signal);
  }
}

async function ask(
  question: ReceiptQuestion,
  isWoken: boolean,
): Promise<JobStatus | "woken" | "lost"> {
  try {
    return await (isWoken ? getJob(question) : waitOneRound(question));
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    if (error.code === "NOT_FOUND") return await onNotFound(question, error);
    if (!error.isRetryable) throw error;
    const { jobId } = question;
    throw new UnavailableError(`the end of job ${jobId} cannot be learned`, { cause: error });
  }
}

/** Q2. */
async function onNotFound(
  { jobId, end, onLost }: ReceiptQuestion,
  error: RuntimeError,
): Promise<JobStatus | "lost"> {
  const receipt = end.terminal?.data["receipt"] as Receipt | undefined;
  if (receipt !== undefined) return jobStatusIn(receipt, `the last event of job ${jobId}`);
  if (onLost === undefined) throw error;
  await onLost(error);
  return "lost";
}

async function getJob({ messaging, jobId, signal }: ReceiptQuestion): Promise<JobStatus> {
  const subject = subjects.jobGet(jobId);
  const options = { policy: WOKEN_POLICY, ...(signal === undefined ? {} : { signal }) };
  return jobStatusIn(
    await callUntilAnswered(messaging, { subject, value: null }, options),
    subject,
  );
}

/** Q1. */
async function waitOneRound(question: ReceiptQuestion): Promise<JobStatus | "woken"> {
  const { messaging, jobId, end, signal } = question;
  const subject = subjects.jobWait(jobId);
  const over = new AbortController();
  const signals = signal === undefined ? [over.signal] : [over.signal, signal];
  const answer = callUntilAnswered(
    messaging,
    { subject, value: { timeoutMs: ROUND_MS } },
    { policy: WAIT_POLICY, signal: AbortSignal.any(signals) },
  );
  let forget: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  const woken = new Promise<"woken">((resolve) => {
    forget = end.onTerminal(() => {
      timer ??= setTimeout(resolve, ANSWER_LAG_MS, "woken");
    });
  });
  try {
    const first = await Promise.race([answer, woken]);
    return first === "woken" ? first : jobStatusIn(first, subject);
  } finally {
    forget();
    clearTimeout(timer);
    answer.catch(() => undefined); // Nobody waits for it any more.
    over.abort();
  }
}

function pause(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, pauseMs);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
