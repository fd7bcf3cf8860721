/**
 * Many deadlines, one timer: armed for the earliest one, and not at all while nobody has one.
 * A timer per message costs about as much as all else that is done for a small message.
 */
import type { Cancel, Clock } from "@murakkab/kit";
import type { Slotted } from "./slot-list.ts";
import { SlotList } from "./slot-list.ts";

export interface Expiring extends Slotted {
  readonly endsAtMs: number;
  expire(): void;
}

export class DeadlineAlarm {
  private readonly clock: Clock;
  private readonly waiting = new SlotList<Expiring>();
  private armedForMs = Number.POSITIVE_INFINITY;
  private disarm: Cancel | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(item: Expiring): void {
    this.waiting.add(item);
    if (item.endsAtMs < this.armedForMs) this.arm(item.endsAtMs);
  }

  delete(item: Expiring): void {
    if (this.waiting.delete(item) && this.waiting.items.length === 0) this.silence();
  }

  private arm(atMs: number): void {
    this.disarm?.();
    this.armedForMs = atMs;
    // At least one millisecond: timers may fire a little early, and then try again.
    const delayMs = Math.max(1, atMs - this.clock.monotonicMs());
    this.disarm = this.clock.after(delayMs, () => this.ring());
  }

  private silence(): void {
    this.disarm?.();
    this.disarm = null;
    this.armedForMs = Number.POSITIVE_INFINITY;
  }

  private ring(): void {
    this.silence();
    const nowMs = this.clock.monotonicMs();
    let earliestMs = Number.POSITIVE_INFINITY;
    const expired: Expiring[] = [];
    for (const item of this.waiting.items) {
      if (item.endsAtMs <= nowMs) expired.push(item);
      else if (item.endsAtMs < earliestMs) earliestMs = item.endsAtMs;
    }
    for (const item of expired) this.waiting.delete(item);
    if (earliestMs < Number.POSITIVE_INFINITY) this.arm(earliestMs);
    for (const item of expired) item.expire();
  }
}
