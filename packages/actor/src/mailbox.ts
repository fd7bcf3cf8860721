/**
 * A bounded first-in first-out queue of messages.
 *
 * Invariants:
 *   M1. Never more than `capacity` messages wait; `offer` says no instead of dropping.
 *   M2. Messages leave in the order in which they came.
 */
import { assert } from "@murakkab/kit";

export class Mailbox<T> {
  private readonly capacity: number;
  private items: T[] = [];
  private headIndex = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, `mailbox capacity ${capacity} is not > 0`);
    this.capacity = capacity;
  }

  get count(): number {
    return this.items.length - this.headIndex;
  }

  /** False when full (M1). */
  offer(item: T): boolean {
    if (this.count >= this.capacity) return false;
    this.items.push(item);
    return true;
  }

  take(): T | undefined {
    if (this.headIndex >= this.items.length) return undefined;
    const item = this.items[this.headIndex];
    this.headIndex += 1;
    // Amortised: the consumed front is cut off only when it is half of the array.
    if (this.headIndex * 2 >= this.items.length) {
      this.items = this.items.slice(this.headIndex);
      this.headIndex = 0;
    }
    return item;
  }

  /** Takes the first waiting item that matches out of the queue. */
  remove(matches: (item: T) => boolean): T | undefined {
    const index = this.items.findIndex((item, at) => at >= this.headIndex && matches(item));
    return index < 0 ? undefined : this.items.splice(index, 1)[0];
  }

  clear(): T[] {
    const rest = this.items.slice(this.headIndex);
    this.items = [];
    this.headIndex = 0;
    return rest;
  }
}
