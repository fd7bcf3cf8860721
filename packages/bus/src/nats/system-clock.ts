/** The clock of this process, for adapters and tools that talk to the real world. */
import type { Clock } from "@murakkab/kit";

export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, fn) => {
    // setTimeout takes at most 2^31 - 1 ms and fires at once above that.
    const timer = setTimeout(fn, Math.min(delayMs, 2 ** 31 - 1));
    return () => {
      clearTimeout(timer);
    };
  },
};
