/** A cancellation source without platform types, so that virtual-time tests need no Node. */
import type { AbortSignalLike } from "./clock.ts";

export class AbortSource {
  private readonly listeners = new Set<() => void>();
  private isAborted = false;
  private why: unknown;
  readonly signal: AbortSignalLike;

  constructor() {
    const source = this;
    this.signal = {
      get aborted() {
        return source.isAborted;
      },
      get reason() {
        return source.why;
      },
      addEventListener: (_type, listener) => void source.listeners.add(listener),
      removeEventListener: (_type, listener) => void source.listeners.delete(listener),
    };
  }

  abort(reason: unknown): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.why = reason;
    for (const listener of [...this.listeners]) listener();
    this.listeners.clear();
  }
}
