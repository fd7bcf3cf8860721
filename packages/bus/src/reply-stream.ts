/**
 * Many answers to one request, as an async iteration.
 *
 * Owns:      the queue between arrival and the reader, its bound, and the end of the stream.
 * Does not:  send the request (the adapter's `send` does) or keep time (request-table.ts does).
 *
 * Invariants:
 *   T1. Answers come out in order of arrival, and an error only after those that came before it.
 *   T2. Whatever ends the loop, the token is forgotten and the signal's listener removed.
 */
import type { Cancel, Clock } from "@murakkab/kit";
import { OverloadedError, TimeoutError } from "@murakkab/kit";
import type { BusMessage, StreamOptions } from "./messaging.ts";
import { STREAM_END_HEADER } from "./messaging.ts";
import type { RequestTable, Waiting } from "./request-table.ts";
import { cancelledError, onAbort } from "./request-table.ts";

/**
 * Answers that may wait for a slow reader. More end the stream with OVERLOADED: 16 384 tokens are
 * several minutes of the fastest generation.
 */
const BUFFERED_COUNT_MAX = 16_384;

class ReplyQueue implements Waiting {
  readonly subject: string;
  deadlineMs: number;
  private readonly clock: Clock;
  private readonly idleTimeoutMs: number;
  private items: BusMessage[] = [];
  private readIndex = 0;
  private end: { readonly error: Error | null } | null = null;
  private wake: (() => void) | null = null;

  constructor(subject: string, clock: Clock, idleTimeoutMs: number) {
    this.subject = subject;
    this.clock = clock;
    this.idleTimeoutMs = idleTimeoutMs;
    this.deadlineMs = clock.monotonicMs() + idleTimeoutMs;
  }

  onMessage(message: BusMessage): boolean {
    if (message.data.length === 0 && message.headers[STREAM_END_HEADER] !== undefined) {
      this.finish(null);
      return true;
    }
    if (this.items.length - this.readIndex >= BUFFERED_COUNT_MAX) {
      this.finish(
        new OverloadedError(
          `${BUFFERED_COUNT_MAX} answers on ${this.subject} wait for a slow reader`,
        ),
      );
      return true;
    }
    this.deadlineMs = this.clock.monotonicMs() + this.idleTimeoutMs;
    this.items.push(message);
    this.wakeReader();
    return false;
  }

  onError(error: Error): void {
    this.finish(error);
  }

  timeoutError(): TimeoutError {
    return new TimeoutError(`no answer on ${this.subject} for ${this.idleTimeoutMs} ms`);
  }

  /** The next answer, or null at the end. */
  async next(): Promise<BusMessage | null> {
    for (;;) {
      const item = this.items[this.readIndex];
      if (item !== undefined) {
        this.readIndex += 1;
        if (this.readIndex === this.items.length) {
          this.items = [];
          this.readIndex = 0;
        }
        return item;
      }
      if (this.end?.error) throw this.end.error; // T1
      if (this.end !== null) return null;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private finish(error: Error | null): void {
    this.end ??= { error };
    this.wakeReader();
  }

  private wakeReader(): void {
    const wake = this.wake;
    this.wake = null;
    wake?.();
  }
}

export interface ReplyStreamComponents {
  readonly table: RequestTable;
  readonly clock: Clock;
  /** Publishes the request with the reply subject of this token. May throw. */
  readonly send: (token: number) => void;
}

/** Sends when the loop starts, so that an iterable that nobody reads costs nothing. */
export async function* streamReplies(
  { table, clock, send }: ReplyStreamComponents,
  subject: string,
  options: StreamOptions,
): AsyncGenerator<BusMessage, void, undefined> {
  const { signal, idleTimeoutMs } = options;
  if (signal?.aborted) throw cancelledError(signal, subject);
  const queue = new ReplyQueue(subject, clock, idleTimeoutMs);
  const token = table.add(queue);
  let stopListening: Cancel | null = null;
  try {
    if (signal !== undefined) {
      stopListening = onAbort(signal, subject, (error) => {
        table.fail(token, error);
      });
    }
    send(token);
    for (;;) {
      const message = await queue.next();
      if (message === null) return;
      yield message;
    }
  } finally {
    table.remove(token); // T2
    stopListening?.();
  }
}
