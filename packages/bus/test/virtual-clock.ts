import type { Clock } from "@murakkab/kit";

/** A clock that a test moves by hand. */
export class VirtualClock implements Clock {
  private nowMs = 0;
  private timers: { atMs: number; id: number; fn: () => void }[] = [];
  private lastId = 0;

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }

  get timerCount(): number {
    return this.timers.length;
  }

  after(delayMs: number, fn: () => void): () => void {
    const id = (this.lastId += 1);
    this.timers.push({ atMs: this.nowMs + delayMs, id, fn });
    return () => {
      this.timers = this.timers.filter((timer) => timer.id !== id);
    };
  }

  /** Runs what is due on the way, and microtasks after each. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.nowMs + byMs;
    await settle();
    for (;;) {
      this.timers.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
      const next = this.timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.timers.shift();
      this.nowMs = next.atMs;
      next.fn();
      await settle();
    }
    this.nowMs = endMs;
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
