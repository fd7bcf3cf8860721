/**
 * The last answers, so that a repeated message is handled once.
 *
 * Each activation has one for messages with an id of the sender's own. All activations of a host
 * share another one for those without: their senders repeat only what was not handled, so it
 * needs to span no more than messages that cross each other on the way. (Kept per activation for
 * seconds, such answers were most of the heap of a busy process, and its collections its slowest
 * answers.)
 *
 * Invariants:
 *   W1. A message whose id is in the window is not handled again: its sender gets the answer of the
 *       first one, now or when there is one.
 *   W2. At most `keptCount` answers are kept, none longer than `keptMs` after the last sweep.
 *   W3. A retryable error is not kept: the repeat is there to try again.
 *
 * A window dies with its activation. Whoever needs "once" across a move keeps the ids that it has
 * seen in its own state, where they are saved together with their effect.
 */
import { isRuntimeError } from "@murakkab/kit";
import type { Incoming, Result } from "./incoming.ts";

interface Kept {
  readonly atMs: number;
  readonly result: Result;
}

export class AnswerWindow {
  private readonly keptCount: number;
  /** Being worked on, with the repeats that wait for it. The mailboxes bound how many. */
  private readonly pending = new Map<string, Incoming[] | null>();
  /** Oldest first. */
  private readonly kept = new Map<string, Kept>();

  constructor(keptCount: number) {
    this.keptCount = keptCount;
  }

  /** True when this is a repeat: it has been, or will be, answered (W1). */
  join(message: Incoming): boolean {
    const found = this.kept.get(message.id);
    if (found !== undefined) {
      message.admitted?.();
      message.done(found.result);
      return true;
    }
    const waiters = this.pending.get(message.id);
    if (waiters === undefined) {
      this.pending.set(message.id, null);
      return false;
    }
    message.admitted?.();
    if (waiters === null) this.pending.set(message.id, [message]);
    else waiters.push(message);
    return true;
  }

  settle(message: Incoming, result: Result, nowMs: number): void {
    const waiters = this.pending.get(message.id);
    if (waiters === undefined) return;
    this.pending.delete(message.id);
    if (!isRuntimeError(result.error) || !result.error.isRetryable)
      this.keep(message.id, { atMs: nowMs, result }); // W3
    for (const waiter of waiters ?? []) waiter.done(result);
  }

  /** Forgets what is older than `keptMs`. True when nothing is left. */
  sweep(nowMs: number, keptMs: number): boolean {
    for (const [id, { atMs }] of this.kept) {
      if (nowMs - atMs < keptMs) break;
      this.kept.delete(id);
    }
    return this.kept.size === 0 && this.pending.size === 0;
  }

  private keep(id: string, answer: Kept): void {
    this.kept.set(id, answer);
    if (this.kept.size <= this.keptCount) return;
    for (const oldest of this.kept.keys()) {
      this.kept.delete(oldest);
      return;
    }
  }
}
