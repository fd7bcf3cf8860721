/** N callers, each of which sends its next request when it has the answer to the last one. */
import { quantile } from "./report.ts";

export interface ClosedLoop {
  readonly inFlightCount: number;
  readonly forMs: number;
}

/** Plain numbers, because it crosses a process boundary. */
export interface LoopResult {
  readonly count: number;
  readonly failedCount: number;
  /** Until the last answer. */
  readonly elapsedMs: number;
  readonly perSec: number;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  /** What the first failure said. */
  readonly failure: string | null;
}

/** Runs `once` from `inFlightCount` callers for `forMs`, and waits for what is under way then. */
export async function runClosedLoop(
  once: () => Promise<unknown>,
  { inFlightCount, forMs }: ClosedLoop,
): Promise<LoopResult> {
  const startMs = performance.now();
  const endMs = startMs + forMs;
  const latenciesMs: number[] = [];
  let failedCount = 0;
  let failure: string | null = null;
  const callInTurn = async (): Promise<void> => {
    for (let atMs = performance.now(); atMs < endMs; ) {
      try {
        await once();
        const answeredMs = performance.now();
        latenciesMs.push(answeredMs - atMs);
        atMs = answeredMs;
      } catch (error) {
        failedCount += 1;
        failure ??= String(error);
        atMs = performance.now();
      }
    }
  };
  await Promise.all(Array.from({ length: inFlightCount }, callInTurn));
  const elapsedMs = performance.now() - startMs;
  return { ...summarize(latenciesMs, elapsedMs), failedCount, failure };
}

export function summarize(
  latenciesMs: readonly number[],
  elapsedMs: number,
): Pick<LoopResult, "count" | "elapsedMs" | "perSec" | "latencyMsP50" | "latencyMsP99"> {
  return {
    count: latenciesMs.length,
    elapsedMs,
    perSec: (latenciesMs.length * 1_000) / elapsedMs,
    latencyMsP50: quantile(latenciesMs, 0.5),
    latencyMsP99: quantile(latenciesMs, 0.99),
  };
}
