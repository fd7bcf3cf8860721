/**
 * The last answers of one activation, so that a repeated message is handled once.
 *
 * Invariants:
 *   W1. A message whose id is in the window is not handled again: its sender gets the answer of the
 *       first one, now or when there is one.
 *   W2. At most `keptCount` answers are kept, none longer than `keptMs` after the last sweep.
 *   W3. A retryable error is not kept: the repeat is there to try again.
 *
 * The window dies with the activation. Whoever needs "once" across a move keeps the ids that it
 * has seen in its own state, where they are saved together with their effect.
 */
import { isRuntimeError } from "@murakkab/kit";
import type { Incoming, Result } from "./incoming.ts";

interface Kept {
  readonly atMs: number;
  result: Result | null;
  waiters: Incoming[] | null;
}

export class AnswerWindow {
  private readonly keptCount: number;
  private readonly kept = new Map<string, Kept>();

  constructor(keptCount: number) {
    this.keptCount = keptCount;
  }

  /** True when this is a repeat: it has been, or will be, answered (W1). */
  join(message: Incoming): boolean {
    const found = this.kept.get(message.id);
    if (found === undefined) return false;
    message.admitted?.();
    if (found.result !== null) message.done(found.result);
    else (found.waiters ??= []).push(message);
    return true;
  }

  has(id: string): boolean {
    return this.kept.get(id)?.result === null;
  }

  begin(message: Incoming, nowMs: number): void {
    this.kept.set(message.id, { atMs: nowMs, result: null, waiters: null });
    if (this.kept.size <= this.keptCount) return;
    for (const [id, { result }] of this.kept) {
      // What is still being worked on stays: the mailbox bounds how much that is.
      if (result === null) continue;
      this.kept.delete(id);
      return;
    }
  }

  settle(message: Incoming, result: Result): void {
    const found = this.kept.get(message.id);
    if (found === undefined) return;
    const { waiters } = found;
    if (isRuntimeError(result.error) && result.error.isRetryable) this.kept.delete(message.id); // W3
    found.result = result;
    found.waiters = null;
    for (const waiter of waiters ?? []) waiter.done(result);
  }

  /** Forgets what is older than `keptMs`. True when nothing is left. */
  sweep(nowMs: number, keptMs: number): boolean {
    for (const [id, { atMs, result }] of this.kept) {
      if (result !== null && nowMs - atMs >= keptMs) this.kept.delete(id);
    }
    return this.kept.size === 0;
  }
}
