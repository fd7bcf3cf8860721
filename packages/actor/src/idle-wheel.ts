/**
 * Looks at each of many items now and then, with one timer for all.
 *
 * An item is looked at no earlier than asked and at most one slot later. It is put into a slot and
 * left there: one that was used meanwhile is only put into a later slot when its turn comes, so that
 * using it costs nothing. One that is gone is forgotten then, too.
 */
import type { Cancel, Clock } from "@murakkab/kit";

/** Width of a slot, ms: how late an idle actor may be let go. */
const SLOT_MS = 500;

export class IdleWheel<T> {
  private readonly clock: Clock;
  /** Says when to look next (ms from now), or null for never again. */
  private readonly look: (item: T, nowMs: number) => number | null;
  private readonly itemsBySlot = new Map<number, T[]>();
  private lastSlot: number;
  private disarm: Cancel | null = null;

  constructor(clock: Clock, look: (item: T, nowMs: number) => number | null) {
    this.clock = clock;
    this.look = look;
    this.lastSlot = slotOf(clock.monotonicMs());
  }

  add(item: T, inMs: number): void {
    const slot = Math.max(this.lastSlot + 1, slotOf(this.clock.monotonicMs() + inMs) + 1);
    const items = this.itemsBySlot.get(slot);
    if (items === undefined) this.itemsBySlot.set(slot, [item]);
    else items.push(item);
    this.disarm ??= this.clock.after(SLOT_MS, () => this.turn());
  }

  stop(): void {
    this.disarm?.();
    this.disarm = null;
    this.itemsBySlot.clear();
  }

  private turn(): void {
    this.disarm = null;
    const nowMs = this.clock.monotonicMs();
    const nowSlot = slotOf(nowMs);
    for (let slot = this.lastSlot + 1; slot <= nowSlot; slot += 1) {
      const items = this.itemsBySlot.get(slot);
      if (items === undefined) continue;
      this.itemsBySlot.delete(slot);
      this.lastSlot = slot;
      for (const item of items) {
        const nextMs = this.look(item, nowMs);
        if (nextMs !== null) this.add(item, nextMs);
      }
    }
    this.lastSlot = nowSlot;
    if (this.itemsBySlot.size > 0) this.disarm ??= this.clock.after(SLOT_MS, () => this.turn());
  }
}

function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}
