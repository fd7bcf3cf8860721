/**
 * Requests that wait for their answers: correlation, time-outs and cancellation.
 *
 * Owns:      which token belongs to which caller, and when a caller has waited long enough.
 * Does not:  send, or know how an answer travels. Both adapters use it.
 *
 * Invariants:
 *   R1. A token is settled at most once; answers to a forgotten token are dropped.
 *   R2. One timer at most is armed, for the earliest deadline; none while nobody waits.
 *
 * One timer per request was measured too: it costs about a microsecond each, where the deadline
 * of nearly all requests is never reached. Here a scan runs only when the earliest deadline that
 * was ever armed has come.
 */
import type { AbortSignalLike, Cancel, Clock } from "@murakkab/kit";
import { CancelledError, NoRespondersError, TimeoutError } from "@murakkab/kit";
import type { BusMessage } from "./messaging.ts";
import { TokenRing } from "./token-ring.ts";

/** Someone who waits. `deadlineMs` is monotonic and may move later, never earlier. */
export interface Waiting {
  readonly subject: string;
  deadlineMs: number;
  /** True when this was the last message that is waited for. */
  onMessage(message: BusMessage): boolean;
  onError(error: Error): void;
  /** The error that says that nobody answered in time. */
  timeoutError(): TimeoutError;
}

export class RequestTable {
  private readonly waitingByToken = new TokenRing<Waiting>();
  private readonly clock: Clock;
  private armedForMs = Number.POSITIVE_INFINITY;
  private disarm: Cancel | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get waitingCount(): number {
    return this.waitingByToken.size;
  }

  /** Takes `waiting` in and answers its token. */
  add(waiting: Waiting): number {
    const token = this.waitingByToken.add(waiting);
    if (waiting.deadlineMs < this.armedForMs) this.arm(waiting.deadlineMs);
    return token;
  }

  remove(token: number): void {
    if (this.waitingByToken.delete(token) && this.waitingByToken.size === 0) this.disarmTimer();
  }

  deliver(token: number, message: BusMessage): void {
    const waiting = this.waitingByToken.get(token);
    if (waiting?.onMessage(message) === true) this.remove(token); // R1
  }

  fail(token: number, error: Error): void {
    const waiting = this.waitingByToken.get(token);
    if (waiting === undefined) return;
    this.remove(token);
    waiting.onError(error);
  }

  failNoResponders(token: number): void {
    const waiting = this.waitingByToken.get(token);
    if (waiting === undefined) return;
    this.fail(token, new NoRespondersError(`nobody listens on ${waiting.subject}`));
  }

  /** Fails those for which `errorFor` makes an error. */
  failWhere(errorFor: (waiting: Waiting) => Error | null): void {
    for (const [token, waiting] of this.waitingByToken.entries()) {
      const error = errorFor(waiting);
      if (error !== null) this.fail(token, error);
    }
  }

  private arm(deadlineMs: number): void {
    this.disarm?.();
    this.armedForMs = deadlineMs;
    // At least one millisecond: timers may fire a little early, and then try again.
    const delayMs = Math.max(1, deadlineMs - this.clock.monotonicMs());
    this.disarm = this.clock.after(delayMs, () => {
      this.expire();
    });
  }

  private disarmTimer(): void {
    this.disarm?.();
    this.disarm = null;
    this.armedForMs = Number.POSITIVE_INFINITY;
  }

  private expire(): void {
    this.disarmTimer();
    const nowMs = this.clock.monotonicMs();
    let earliestMs = Number.POSITIVE_INFINITY;
    const expired: number[] = [];
    for (const [token, waiting] of this.waitingByToken.entries()) {
      if (waiting.deadlineMs <= nowMs) expired.push(token);
      else if (waiting.deadlineMs < earliestMs) earliestMs = waiting.deadlineMs;
    }
    if (earliestMs < Number.POSITIVE_INFINITY) this.arm(earliestMs);
    for (const token of expired) {
      const waiting = this.waitingByToken.get(token);
      if (waiting !== undefined) this.fail(token, waiting.timeoutError());
    }
  }
}

export interface SingleReplyOptions {
  readonly timeoutMs: number;
  readonly nowMs: number;
  readonly resolve: (message: BusMessage) => void;
  readonly reject: (error: Error) => void;
}

/** Waits for one answer. */
export class SingleReply implements Waiting {
  readonly subject: string;
  readonly deadlineMs: number;
  private readonly options: SingleReplyOptions;
  private stopListening: Cancel | null = null;

  constructor(subject: string, options: SingleReplyOptions) {
    this.subject = subject;
    this.deadlineMs = options.nowMs + options.timeoutMs;
    this.options = options;
  }

  /** `cancel` is called when the signal fires while the answer is awaited. */
  cancelOn(signal: AbortSignalLike, cancel: (error: CancelledError) => void): void {
    this.stopListening = onAbort(signal, this.subject, cancel);
  }

  onMessage(message: BusMessage): boolean {
    this.stopListening?.();
    this.options.resolve(message);
    return true;
  }

  onError(error: Error): void {
    this.stopListening?.();
    this.options.reject(error);
  }

  timeoutError(): TimeoutError {
    return new TimeoutError(
      `nobody answered on ${this.subject} within ${this.options.timeoutMs} ms`,
    );
  }
}

/** Calls `cancel` once when the signal fires; the returned function stops listening. */
export function onAbort(
  signal: AbortSignalLike,
  subject: string,
  cancel: (error: CancelledError) => void,
): Cancel {
  const listener = (): void => {
    signal.removeEventListener("abort", listener);
    cancel(cancelledError(signal, subject));
  };
  signal.addEventListener("abort", listener);
  return () => {
    signal.removeEventListener("abort", listener);
  };
}

export function cancelledError(signal: AbortSignalLike, subject: string): CancelledError {
  return new CancelledError(`request on ${subject} was cancelled`, { cause: signal.reason });
}
