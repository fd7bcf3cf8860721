/** A clock that moves only when a test says so. */
import type { Clock } from "@murakkab/kit";

const START_WALL_MS = 1_000_000;

export class VirtualClock implements Clock {
  private nowMs = 0;
  private readonly timers = new Set<{ readonly atMs: number; readonly fn: () => void }>();

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return START_WALL_MS + this.nowMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, fn };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  advance(byMs: number): void {
    this.nowMs += byMs;
    const due = [...this.timers].filter(({ atMs }) => atMs <= this.nowMs);
    for (const timer of due.sort((a, b) => a.atMs - b.atMs)) {
      if (this.timers.delete(timer)) timer.fn();
    }
  }
}
