/**
 * A bounded queue of messages with three priorities.
 *
 * Invariants:
 *   M1. Never more than `capacity` messages wait; `offer` says no instead of dropping.
 *   M2. Messages of one priority leave in the order in which they came.
 *   M3. Nobody starves: a message is overtaken only by those of a higher priority that came at most
 *       PRIORITY_STEP_MS per step of priority after it.
 *
 * M3 is a rule on due times: each message is due at its arrival plus a step per rank, and the
 * earliest due leaves first. Unlike ageing by a timer it costs nothing while messages wait.
 */
import { assert } from "@murakkab/kit";
import type { Priority } from "@murakkab/protocol";

export type OverflowPolicy = "reject" | "drop-oldest";

/**
 * How much later a message may come and still be handled before one of the next lower priority.
 * A second: an urgent message passes what piled up, and a low one waits two seconds longer at most
 * than it would without priorities.
 */
export const PRIORITY_STEP_MS = 1_000;

const RANKS: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };

export interface OfferOptions {
  readonly priority?: Priority | undefined;
  readonly nowMs?: number;
}

interface Entry<T> {
  readonly item: T;
  readonly dueMs: number;
  readonly order: number;
}

interface Lane<T> {
  entries: Entry<T>[];
  headIndex: number;
}

export class Mailbox<T> {
  private readonly capacity: number;
  /** By rank; made when first needed. */
  private readonly lanes: (Lane<T> | undefined)[] = [];
  private waitingCount = 0;
  private order = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, `mailbox capacity ${capacity} is not > 0`);
    this.capacity = capacity;
  }

  get count(): number {
    return this.waitingCount;
  }

  /** False when full (M1). `nowMs` must not fall from call to call. */
  offer(item: T, { priority = "normal", nowMs = 0 }: OfferOptions = {}): boolean {
    if (this.waitingCount >= this.capacity) return false;
    const rank = RANKS[priority];
    const lane = (this.lanes[rank] ??= { entries: [], headIndex: 0 });
    this.order += 1;
    lane.entries.push({ item, dueMs: nowMs + rank * PRIORITY_STEP_MS, order: this.order });
    this.waitingCount += 1;
    return true;
  }

  take(): T | undefined {
    let best: Lane<T> | undefined;
    let bestHead: Entry<T> | undefined;
    for (const lane of this.lanes) {
      const head = lane?.entries[lane.headIndex];
      if (head === undefined) continue;
      if (bestHead === undefined || isBefore(head, bestHead)) {
        best = lane;
        bestHead = head;
      }
    }
    return best === undefined ? undefined : this.takeHead(best);
  }

  /** Makes room: the oldest of the least urgent, unless all are more urgent than `priority`. */
  evict(priority: Priority = "normal"): T | undefined {
    for (let rank = this.lanes.length - 1; rank >= RANKS[priority]; rank -= 1) {
      const lane = this.lanes[rank];
      if (lane !== undefined && lane.headIndex < lane.entries.length) return this.takeHead(lane);
    }
    return undefined;
  }

  /** Takes the first waiting item that matches out of the queue. */
  remove(matches: (item: T) => boolean): T | undefined {
    for (const lane of this.lanes) {
      if (lane === undefined) continue;
      const { entries, headIndex } = lane;
      const index = entries.findIndex((entry, at) => at >= headIndex && matches(entry.item));
      if (index < 0) continue;
      this.waitingCount -= 1;
      return entries.splice(index, 1)[0]?.item;
    }
    return undefined;
  }

  some(matches: (item: T) => boolean): boolean {
    return this.lanes.some(
      (lane) => lane?.entries.some((it, at) => at >= lane.headIndex && matches(it.item)) === true,
    );
  }

  /** Takes out everything, in the order in which it would have left. */
  clear(): T[] {
    const rest: T[] = [];
    for (let item = this.take(); item !== undefined; item = this.take()) rest.push(item);
    return rest;
  }

  private takeHead(lane: Lane<T>): T | undefined {
    const entry = lane.entries[lane.headIndex];
    lane.headIndex += 1;
    this.waitingCount -= 1;
    // Amortised: the consumed front is cut off only when it is half of the array.
    if (lane.headIndex * 2 >= lane.entries.length) {
      lane.entries = lane.entries.slice(lane.headIndex);
      lane.headIndex = 0;
    }
    return entry?.item;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.dueMs === b.dueMs ? a.order < b.order : a.dueMs < b.dueMs;
}
