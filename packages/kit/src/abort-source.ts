/** A cancellation source without platform types, so that virtual-time tests need no Node. */
import type { AbortSignalLike } from "./clock.ts";

interface AbortState {
  isAborted: boolean;
  reason: unknown;
}

export class AbortSource {
  private readonly listeners = new Set<() => void>();
  private readonly state: AbortState = { isAborted: false, reason: undefined };
  readonly signal: AbortSignalLike;

  constructor() {
    const { state, listeners } = this;
    this.signal = {
      get aborted() {
        return state.isAborted;
      },
      get reason() {
        return state.reason;
      },
      addEventListener: (_type, listener) => void listeners.add(listener),
      removeEventListener: (_type, listener) => void listeners.delete(listener),
    };
  }

  /** The first reason stays; later calls do nothing. */
  abort(reason: unknown): void {
    if (this.state.isAborted) return;
    this.state.isAborted = true;
    this.state.reason = reason;
    for (const listener of [...this.listeners]) listener();
    this.listeners.clear();
  }
}
