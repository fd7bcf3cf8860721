/** The clock of this process. */
import type { Clock } from "@murakkab/kit";

export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, fn) => {
    // setTimeout takes at most 2^31 - 1 ms and fires at once above that.
    const timer = setTimeout(fn, Math.min(delayMs, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
