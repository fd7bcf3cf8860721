/**
 * One request, sent as often as it takes until somebody answers it.
 *
 * Several schedulers share the work. One that is killed takes along the requests that it held:
 * they get no answer at all, while another one goes on with the job. So a request is sent again
 * after a short time without an answer, without giving up the earlier ones: whichever is answered
 * first counts.
 *
 * Requires: the receiver treats repeats as one (submissions carry their job id).
 *
 * Invariants:
 *   C1. An answer, or an error that no repeat can mend, ends it at once.
 *   C2. Every repeat, and the whole, is bounded in time.
 *   C3. At the end nothing of it waits any more.
 */
import type { Messaging, Schema } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import type { RuntimeError } from "@murakkab/kit";
import {
  AbortSource,
  isRuntimeError,
  NoRespondersError,
  TimeoutError,
  UnavailableError,
} from "@murakkab/kit";

export interface RepeatPolicy {
  /** Silence before each repeat, ms; the last one counts for all further repeats. */
  readonly silenceMs: readonly number[];
  /** From the first request until it is given up, ms. */
  readonly totalMs: number;
  /** How long "nobody is there" is borne, ms. */
  readonly absentMs: number;
  /** How long errors that may pass are borne, ms. */
  readonly troubleMs: number;
  /** How long a full cluster is borne, ms. Absent or 0: its refusal is the answer. */
  readonly overloadedMs?: number;
}

/**
 * Why 1, 2, 5, 10 s: an answer takes some ms, so one second of silence means that whoever held the
 * request is gone or very busy; longer gaps then, because repeats of a slow request help nobody.
 * Why 3 s: a scheduler that its supervisor starts again is there within a second or two. Why 10 s:
 * a cluster of NATS servers takes no writes for the 4 to 7 s of an election.
 */
export const READ_POLICY: RepeatPolicy = {
  silenceMs: [1_000, 2_000, 5_000],
  totalMs: 15_000,
  absentMs: 3_000,
  troubleMs: 10_000,
};

/** A ticket costs a look at the fleet, a download's also a question to the agents. */
export const TICKET_POLICY: RepeatPolicy = { ...READ_POLICY, totalMs: 20_000 };

/** First pause after an error, ms. It doubles up to the longest. */
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 500;
/** What a full cluster is left alone for when it does not say for how long, ms. */
const OVERLOADED_PAUSE_MS = 1_000;
/** Requests of one call that wait at a time: with gaps of 10 s, more than two minutes of silence. */
const OPEN_COUNT_MAX = 16;

export interface RepeatedRequest<T> {
  readonly subject: string;
  readonly value: unknown;
  readonly schema?: Schema<T>;
}

export interface RepeatOptions {
  readonly policy: RepeatPolicy;
  readonly signal?: AbortSignal;
  /** Called before each repeat. */
  readonly onRepeat?: () => void;
}

/** Errors: the one that ended it (C1, C2), and the reason of `signal`. */
export function callUntilAnswered<T>(
  messaging: Messaging,
  request: RepeatedRequest<T>,
  options: RepeatOptions,
): Promise<T> {
  return new Promise((resolve, reject) => {
    new RepeatedCall<T>(messaging, request, { ...options, resolve, reject }).start();
  });
}

interface Settling<T> extends RepeatOptions {
  readonly resolve: (answer: T) => void;
  readonly reject: (error: unknown) => void;
}

class RepeatedCall<T> {
  readonly #messaging: Messaging;
  readonly #request: RepeatedRequest<T>;
  readonly #options: Settling<T>;
  readonly #abort = new AbortSource();
  readonly #startedAtMs = performance.now();
  #sentCount = 0;
  #openCount = 0;
  #errorCount = 0;
  #troubleSinceMs: number | null = null;
  #overloadedSinceMs: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #stopListening: () => void = () => undefined;

  constructor(messaging: Messaging, request: RepeatedRequest<T>, options: Settling<T>) {
    this.#messaging = messaging;
    this.#request = request;
    this.#options = options;
  }

  start(): void {
    const { signal } = this.#options;
    const onAbort = (): void => this.#fail(signal?.reason);
    if (signal?.aborted === true) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    // What was asked before the connection broke is not answered any more.
    const status = this.#messaging.onStatus((now) => {
      if (now === "connected") this.#sendIn(0);
      else if (now === "closed") this.#fail(new UnavailableError("the client was closed"));
    });
    this.#stopListening = () => {
      signal?.removeEventListener("abort", onAbort);
      status.unsubscribe();
    };
    this.#send();
  }

  #send(): void {
    const remainingMs = this.#remainingMs();
    if (this.#openCount >= OPEN_COUNT_MAX || remainingMs <= 0) return;
    if (this.#sentCount > 0) this.#options.onRepeat?.();
    const { silenceMs } = this.#options.policy;
    this.#sendIn(silenceMs[Math.min(this.#sentCount, silenceMs.length - 1)] ?? remainingMs);
    this.#sentCount += 1;
    this.#openCount += 1;
    const options = { timeoutMs: remainingMs, signal: this.#abort.signal };
    call<T>(this.#messaging, this.#request, options).then(
      (answer) => {
        this.#end();
        this.#options.resolve(answer);
      },
      (error: unknown) => this.#onError(error),
    );
  }

  #sendIn(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), delayMs);
  }

  #onError(error: unknown): void {
    this.#openCount -= 1;
    if (this.#abort.signal.aborted) return; // Over already.
    if (!isRuntimeError(error) || !error.isRetryable || error instanceof TimeoutError) {
      this.#fail(error);
    } else if (error.code === "OVERLOADED" && this.#openCount === 0) this.#onOverloaded(error);
    else this.#onTrouble(error);
  }

  #onOverloaded(error: RuntimeError): void {
    this.#overloadedSinceMs ??= performance.now();
    this.#troubleSinceMs = null;
    const pauseMs = error.retryAfterMs ?? OVERLOADED_PAUSE_MS;
    const untilMs = this.#overloadedSinceMs + (this.#options.policy.overloadedMs ?? 0);
    if (performance.now() + pauseMs > untilMs) this.#fail(error);
    else this.#sendIn(pauseMs);
  }

  #onTrouble(error: RuntimeError): void {
    const { absentMs, troubleMs } = this.#options.policy;
    this.#troubleSinceMs ??= performance.now();
    this.#errorCount += 1;
    const boundMs = error instanceof NoRespondersError ? absentMs : troubleMs;
    const backoffMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** (this.#errorCount - 1));
    // Not longer than that: whoever is asked next may be another scheduler, which knows better.
    const pauseMs = Math.min(PAUSE_MS_MAX, error.retryAfterMs ?? backoffMs);
    const endsAtMs = this.#troubleSinceMs + boundMs;
    // A full cluster refuses repeats of what it has accepted, too: others may still be answered.
    if (performance.now() + pauseMs <= endsAtMs) this.#sendIn(pauseMs);
    else if (this.#openCount === 0 || error instanceof NoRespondersError) this.#fail(error);
  }

  #remainingMs(): number {
    return this.#startedAtMs + this.#options.policy.totalMs - performance.now();
  }

  #fail(error: unknown): void {
    this.#end();
    this.#options.reject(error);
  }

  /** C3. */
  #end(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
    this.#abort.abort("answered");
  }
}
