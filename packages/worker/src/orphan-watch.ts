/**
 * When a worker that nobody can reach ends itself.
 *
 * Invariants:
 *   W1. While there is an agent or the bus, it goes on: either can tell it to stop.
 *   W2. With neither for `limitMs` by its own monotonic clock it ends, once.
 */
import type { Cancel, Clock } from "@murakkab/kit";

export interface OrphanOptions {
  readonly limitMs: number;
  readonly onOrphaned: () => void;
}

export class OrphanWatch {
  private readonly clock: Clock;
  private readonly options: OrphanOptions;
  private hasAgent = true;
  private hasBus = true;
  private cancel: Cancel | null = null;

  constructor(clock: Clock, options: OrphanOptions) {
    this.clock = clock;
    this.options = options;
  }

  setAgent(isThere: boolean): void {
    this.hasAgent = isThere;
    this.update();
  }

  setBus(isThere: boolean): void {
    this.hasBus = isThere;
    this.update();
  }

  private update(): void {
    if (this.hasAgent || this.hasBus) {
      this.cancel?.(); // W1
      this.cancel = null;
    } else {
      this.cancel ??= this.clock.after(this.options.limitMs, () => this.options.onOrphaned()); // W2
    }
  }
}
