/**
 * Requests at a fixed rate, whether or not earlier ones were answered: how the world offers load.
 *
 * Owns:      when each request is due. A latency counts from that moment and not from the sending,
 *            so that a client that falls behind does not hide the wait that it causes.
 */

export interface OpenLoop {
  readonly ratePerSec: number;
  readonly forMs: number;
}

/** Shorter would busy the sender's timer; longer would make bursts of what should be even, ms. */
const TICK_MS = 2;

/** When the request with this index (from 0) is due after the start, ms. */
export function dueAtMs(index: number, ratePerSec: number): number {
  return (index * 1_000) / ratePerSec;
}

/** Requests that are due by `elapsedMs`: those with a due time at or before it. */
export function dueCount(elapsedMs: number, { ratePerSec, forMs }: OpenLoop): number {
  if (elapsedMs < 0) return 0;
  const total = Math.ceil((forMs * ratePerSec) / 1_000);
  return Math.min(total, Math.floor((elapsedMs * ratePerSec) / 1_000) + 1);
}

/**
 * Calls `send` for each request with its due time, in performance.now() terms. Resolves with the
 * number sent after the last one; answers are the caller's.
 */
export async function runOpenLoop(
  send: (index: number, dueMs: number) => void,
  loop: OpenLoop,
): Promise<number> {
  const startMs = performance.now();
  const total = dueCount(loop.forMs, loop);
  let sentCount = 0;
  while (sentCount < total) {
    const due = dueCount(performance.now() - startMs, loop);
    for (; sentCount < due; sentCount += 1) {
      send(sentCount, startMs + dueAtMs(sentCount, loop.ratePerSec));
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  return sentCount;
}
