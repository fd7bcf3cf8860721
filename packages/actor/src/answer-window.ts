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
 *   W2. The last `keptCount` answers are kept, and at most twice as many; none longer than `keptMs`
 *       after the last sweep.
 *   W3. A retryable error is not kept: the repeat is there to try again.
 *
 * A window dies with its activation. Whoever needs "once" across a move keeps the ids that it has
 * seen in its own state, where they are saved together with their effect.
 */
import { isRuntimeError } from "@murakkab/kit";
import type { Incoming, Result } from "./incoming.ts";

interface Kept {
  readonly atMs: number;
  /** Null while the message is being worked on. */
  result: Result | null;
  waiters: Incoming[] | null;
}

export class AnswerWindow {
  private readonly keptCount: number;
  /**
   * Two generations, the younger of which becomes the older when it is full: entries are dropped
   * with their whole map and never one by one (see slot-list.ts for what that would cost).
   */
  private young = new Map<string, Kept>();
  private old = new Map<string, Kept>();
  private turnAtCount: number;

  constructor(keptCount: number) {
    this.keptCount = keptCount;
    this.turnAtCount = keptCount;
  }

  /** True when this is a repeat: it has been, or will be, answered (W1). */
  join(message: Incoming, nowMs: number): boolean {
    const found = this.find(message.id);
    if (found === undefined) {
      this.young.set(message.id, { atMs: nowMs, result: null, waiters: null });
      if (this.young.size >= this.turnAtCount) this.turn();
      return false;
    }
    message.admitted?.();
    if (found.result === null) (found.waiters ??= []).push(message);
    else message.done(found.result);
    return true;
  }

  settle(message: Incoming, result: Result): void {
    const found = this.find(message.id);
    if (found === undefined || found.result !== null) return;
    found.result = result;
    const { waiters } = found;
    found.waiters = null;
    if (isRuntimeError(result.error) && result.error.isRetryable) {
      this.young.delete(message.id); // W3
      this.old.delete(message.id);
    }
    for (const waiter of waiters ?? []) waiter.done(result);
  }

  /** Forgets what is older than `keptMs`. True when nothing is left. */
  sweep(nowMs: number, keptMs: number): boolean {
    for (const map of [this.old, this.young]) {
      for (const [id, { atMs, result }] of map) {
        if (result !== null && nowMs - atMs >= keptMs) map.delete(id);
      }
    }
    return this.old.size === 0 && this.young.size === 0;
  }

  private find(id: string): Kept | undefined {
    return this.young.get(id) ?? this.old.get(id);
  }

  /** What is still being worked on stays: the mailboxes bound how much that is. */
  private turn(): void {
    const next = new Map<string, Kept>();
    for (const [id, kept] of this.old) if (kept.result === null) next.set(id, kept);
    this.old = this.young;
    this.young = next;
    // At least as many new ones as were carried over, or every message would carry them again.
    this.turnAtCount = Math.max(this.keptCount, 2 * next.size);
  }
}
