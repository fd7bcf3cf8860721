/**
 * A clock that moves only when a test says so.
 *
 * Between two timers every promise that can settle settles, so that one seed gives one history.
 */
import { assert, type Clock } from "@murakkab/kit";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Wall time at the start of every virtual run: 2026-01-01T00:00:00Z. */
const WALL_START_MS = 1_767_225_600_000;
/** More timers than this in one run means that the run does not end. */
const TIMERS_MAX = 1_000_000;

export class VirtualClock implements Clock {
  private nowMs = 0;
  private order = 0;
  private wallOffsetMs = WALL_START_MS;
  private readonly timers: Timer[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  /** As an operator or a time server sets it; the monotonic clock goes on. */
  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  after(delayMs: number, fn: () => void): () => void {
    this.order += 1;
    const timer = { atMs: this.nowMs + Math.max(0, delayMs), order: this.order, fn };
    this.timers.push(timer);
    return () => {
      const index = this.timers.indexOf(timer);
      if (index >= 0) this.timers.splice(index, 1);
    };
  }

  /** Runs timers in order until `isDone`, at most to `untilMs` of virtual time. */
  async runUntil(isDone: () => boolean, untilMs = 3_600_000): Promise<void> {
    await settle();
    for (let count = 0; !isDone(); count += 1) {
      assert(count < TIMERS_MAX, `no end after ${TIMERS_MAX} timers`);
      const next = this.takeNext();
      assert(next !== undefined, `nothing is left to happen at ${this.nowMs} ms`);
      assert(next.atMs <= untilMs, `not done after ${untilMs} ms of virtual time`);
      this.nowMs = next.atMs;
      next.fn();
      await settle();
    }
  }

  private takeNext(): Timer | undefined {
    let best = 0;
    for (let index = 1; index < this.timers.length; index += 1) {
      const [a, b] = [this.timers[index], this.timers[best]];
      if (a === undefined || b === undefined) continue;
      if (a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)) best = index;
    }
    return this.timers.splice(best, 1)[0];
  }
}

/** Resolves after every promise that can settle now has settled: immediates run after microtasks. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
