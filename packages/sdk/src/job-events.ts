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
import type { BusMessage, Messaging, Subscription } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import type { RuntimeError } from "@murakkab/kit";
import { CancelledError, isRuntimeError, UnavailableError } from "@murakkab/kit";
import { isTerminalState } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import { decode, subjects } from "@murakkab/protocol";
import { listIn } from "./read-answer.ts";

/** Why 2,048: more than one fanned-out step usually sends while a reader is busy. */
const PENDING_MAX = 2_048;
/** A live feed that is silent for this long is compared with the journal, ms. */
const SILENCE_MS_MAX = 3_000;
/** Pause before the journal is asked again for an event that was announced but is not there, ms. */
const JOURNAL_LAG_MS = 50;
/** Why 10 s: the journal may have to be read from disk by a scheduler that just took over. */
const JOURNAL_TIMEOUT_MS = 10_000;
/** Why 10: with the pause between them, about the time that a scheduler needs to come back. */
const FAILURES_MAX = 10;

type Wake = "event" | "silence";

export class JobEventFeed {
  readonly #messaging: Messaging;
  readonly #jobId: string;
  readonly #pending = new Map<number, JobEvent>();
  readonly #subscription: Subscription;
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

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#subscription.unsubscribe();
    this.#wake?.("event");
  }

  /** Events after number `after` (0 = all). One reader per feed. */
  async *read(after = 0): AsyncGenerator<JobEvent, void, undefined> {
    let last = after;
    let mustAsk = true;
    try {
      await this.#messaging.flush();
      for (;;) {
        if (this.#isClosed) {
          throw new CancelledError(`events of job ${this.#jobId} ended: the client was closed`);
        }
        if (mustAsk) {
          const isOver = await this.#readJournal(last);
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
  async #readJournal(after: number): Promise<boolean> {
    try {
      const answer = await call<{ readonly hasMore?: boolean }>(
        this.#messaging,
        { subject: subjects.jobEvents(this.#jobId), value: { after } },
        { timeoutMs: JOURNAL_TIMEOUT_MS },
      );
      this.#failureCount = 0;
      const events = listIn<JobEvent>(answer, "events", subjects.jobEvents(this.#jobId));
      for (const event of events) this.#pending.set(event.number, event);
      this.#hasMore = answer.hasMore === true;
      return events.length === 0 && after > 0 && (await this.#isOver());
    } catch (error) {
      this.#noteFailure(error);
      return false;
    }
  }

  async #isOver(): Promise<boolean> {
    const job = await call<{ readonly state?: string }>(
      this.#messaging,
      { subject: subjects.jobGet(this.#jobId), value: null },
      { timeoutMs: JOURNAL_TIMEOUT_MS },
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

/** `null` for a message that is no event: the journal has the true one. */
function decodeEvent(message: BusMessage): JobEvent | null {
  try {
    const event = decode(message.data, message.headers).value as JobEvent | null;
    return typeof event?.number === "number" ? event : null;
  } catch {
    return null;
  }
}

export function isTerminalEvent(event: JobEvent): boolean {
  return isTerminalState(event.event as never);
}
