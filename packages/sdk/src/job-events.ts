/**
 * The events of one job, in order, without a gap.
 *
 * Owns:      the join of the live subject with the journal behind `mk.v1.job.events`.
 * Does not:  submit, wait or cancel.
 *
 * Invariants:
 *   E1. Numbers that a reader sees are consecutive, each once, however messages got lost,
 *       doubled or reordered: what the live subject lacks is read from the journal.
 *   E2. The reader's loop ends after the terminal event, and never before it without an error.
 *   E3. At most PENDING_MAX live events are kept; those over it come from the journal later.
 *   E4. Leaving the loop, or an error, ends the subscription.
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import type { RuntimeError } from "@murakkab/kit";
import { CancelledError, isRuntimeError, UnavailableError } from "@murakkab/kit";
import { isTerminalState } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, READ_POLICY } from "./call-until-answered.ts";
import { decodeEvent, type EndSignal } from "./end-watch.ts";
import { listIn } from "./read-answer.ts";

/** Why 2,048: more than one fanned-out step usually sends while a reader is busy. */
const PENDING_MAX = 2_048;
/** A live feed that is silent for this long is compared with the journal, ms. */
const SILENCE_MS_MAX = 3_000;
/** Pause before the journal is asked again for an event that was announced but is not there, ms. */
const JOURNAL_LAG_MS = 50;
/** Why 5: each is repeated for some seconds already, which together is about half a minute. */
const FAILURES_MAX = 5;

type Wake = "event" | "silence";

/** Called when nobody knows the job. Resolves once it is known again, rejects when it is lost. */
export type OnLost = (error: RuntimeError) => Promise<void>;

export class JobEventFeed implements EndSignal {
  readonly #messaging: Messaging;
  readonly #jobId: string;
  readonly #pending = new Map<number, JobEvent>();
  readonly #subscription: Subscription;
  readonly #terminalListeners = new Set<() => void>();
  terminal: JobEvent | null = null;
  #wake: ((reason: Wake) => void) | null = null;
  #isClosed = false;
  #failureCount = 0;
  /** The journal's last answer was cut: the next part is fetched at once. */
  #hasMore = false;

  /** Listens from now on; `read` fills in what was before. */
  constructor(messaging: Messaging, jobId: string) {
    this.#messaging = messaging;
    this.#jobId = jobId;
    this.#subscription = messaging.subscribe(subjects.jobEventsOf(jobId), (message) => {
      const event = decodeEvent(message);
      if (event !== null) this.#take(event);
    });
  }

  onTerminal(listener: () => void): () => void {
    this.#terminalListeners.add(listener);
    return () => this.#terminalListeners.delete(listener);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#subscription.unsubscribe();
    this.#wake?.("event");
  }

  /**
   * Events after number `after` (0 = all). One reader per feed. A job that had to begin anew
   * counts from 1 again: the reader sees its events from the number on that it has come to.
   */
  async *read(after = 0, onLost?: OnLost): AsyncGenerator<JobEvent, void, undefined> {
    let last = after;
    let mustAsk = true;
    try {
      await this.#messaging.flush();
      for (;;) {
        if (this.#isClosed) {
          throw new CancelledError(`events of job ${this.#jobId} ended: the client was closed`);
        }
        if (mustAsk) {
          const isOver = await this.#readJournal(last, onLost);
          if (isOver && !this.#pending.has(last + 1)) return; // Nothing after a terminal event.
        }
        for (let event = this.#shift(last); event !== null; event = this.#shift(last)) {
          last = event.number;
          yield event;
          if (isTerminalEvent(event)) return;
        }
        const hasHole = this.#forgetUpTo(last) > 0;
        if (this.#hasMore) {
          mustAsk = true;
          continue;
        }
        mustAsk = (await this.#wait(hasHole ? JOURNAL_LAG_MS : SILENCE_MS_MAX)) === "silence";
        mustAsk ||= hasHole;
      }
    } finally {
      this.close();
    }
  }

  #take(event: JobEvent): void {
    if (isTerminalEvent(event)) {
      this.terminal ??= event;
      for (const tell of [...this.#terminalListeners]) tell();
    }
    if (this.#pending.size >= PENDING_MAX && !this.#pending.has(event.number)) return; // E3
    this.#pending.set(event.number, event);
    this.#wake?.("event");
  }

  #shift(last: number): JobEvent | null {
    const event = this.#pending.get(last + 1) ?? null;
    this.#pending.delete(last + 1);
    return event;
  }

  /** Answers how many events are left: all of them lie behind a hole. */
  #forgetUpTo(last: number): number {
    for (const number of this.#pending.keys()) if (number <= last) this.#pending.delete(number);
    return this.#pending.size;
  }

  /** Answers whether the journal ends at or before `after` with a terminal event. */
  async #readJournal(after: number, onLost: OnLost | undefined): Promise<boolean> {
    try {
      if ((await this.#fetch(after)) > 0 || !(await this.#isOver())) return false;
      // It may have ended between the two answers.
      return (await this.#fetch(after)) === 0;
    } catch (error) {
      const isLost = isRuntimeError(error) && error.code === "NOT_FOUND";
      if (isLost && onLost !== undefined) await onLost(error);
      else this.#noteFailure(error);
      return false;
    }
  }

  /** Answers how many events the journal gave. */
  async #fetch(after: number): Promise<number> {
    const subject = subjects.jobEvents(this.#jobId);
    const answer = await callUntilAnswered<{ readonly hasMore?: boolean }>(
      this.#messaging,
      { subject, value: { after } },
      { policy: READ_POLICY },
    );
    this.#failureCount = 0;
    const events = listIn<JobEvent>(answer, "events", subject);
    for (const event of events) this.#pending.set(event.number, event);
    this.#hasMore = answer.hasMore === true;
    return events.length;
  }

  async #isOver(): Promise<boolean> {
    const job = await callUntilAnswered<{ readonly state?: string }>(
      this.#messaging,
      { subject: subjects.jobGet(this.#jobId), value: null },
      { policy: READ_POLICY },
    );
    return isTerminalState(job.state as never);
  }

  #noteFailure(error: unknown): void {
    if (!isRuntimeError(error) || !error.isRetryable) throw error;
    this.#failureCount += 1;
    if (this.#failureCount < FAILURES_MAX) return;
    throw new UnavailableError(`events of job ${this.#jobId} cannot be read`, {
      cause: error satisfies RuntimeError,
    });
  }

  #wait(timeoutMs: number): Promise<Wake> {
    return new Promise((resolve) => {
      const finish = (reason: Wake): void => {
        clearTimeout(timer);
        this.#wake = null;
        resolve(reason);
      };
      const timer = setTimeout(finish, timeoutMs, "silence");
      this.#wake = finish;
    });
  }
}

export function isTerminalEvent(event: JobEvent): boolean {
  return isTerminalState(event.event as never);
}
