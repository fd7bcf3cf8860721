/** Three ways to offer jobs other than one at a time per caller, and what came of them. */
import { summarize } from "./closed-loop.ts";
import type { JobClient, Submitted } from "./dag-work.ts";
import { type OpenLoop, runOpenLoop } from "./open-loop.ts";

export interface BurstResult {
  readonly acceptedCount: number;
  readonly refusedCount: number;
  readonly acceptedPerSec: number;
}

/** As many submissions as fast as they are accepted, then the ends of all of them. */
export async function runBurst(
  jobs: JobClient,
  { count, inFlightCount }: { readonly count: number; readonly inFlightCount: number },
): Promise<BurstResult> {
  const startMs = performance.now();
  const accepted: string[] = [];
  let sentCount = 0;
  const submitInTurn = async (): Promise<void> => {
    while (sentCount < count) {
      sentCount += 1;
      const submitted = await jobs.submit({ isDurable: true });
      if (submitted.kind === "accepted") accepted.push(submitted.jobId);
    }
  };
  await Promise.all(Array.from({ length: inFlightCount }, submitInTurn));
  const elapsedMs = performance.now() - startMs;
  const acceptedCount = accepted.length;
  const waitInTurn = async (): Promise<void> => {
    for (let jobId = accepted.pop(); jobId !== undefined; jobId = accepted.pop()) {
      await jobs.wait(jobId);
    }
  };
  await Promise.all(Array.from({ length: inFlightCount }, waitInTurn));
  return {
    acceptedCount,
    refusedCount: count - acceptedCount,
    acceptedPerSec: (acceptedCount * 1_000) / elapsedMs,
  };
}

export interface FloodResult {
  readonly offeredCount: number;
  readonly offeredPerSec: number;
  readonly acceptedCount: number;
  readonly overloadedCount: number;
  /** Refusals, of any code, that said when to try again. */
  readonly retryAfterCount: number;
  /** Neither accepted nor refused as OVERLOADED, by code. */
  readonly errorCounts: Readonly<Record<string, number>>;
  /** No answer at all within the client's time-out. */
  readonly unansweredCount: number;
}

/** Submissions at a fixed rate, each answer counted, nothing repeated. */
export async function runFlood(
  jobs: JobClient,
  { tenant, ...loop }: OpenLoop & { readonly tenant: string },
): Promise<FloodResult> {
  let acceptedCount = 0;
  let overloadedCount = 0;
  let retryAfterCount = 0;
  let unansweredCount = 0;
  const errorCounts: Record<string, number> = {};
  const answers = new Set<Promise<void>>();
  const take = (submitted: Submitted): void => {
    if (submitted.kind === "accepted") {
      acceptedCount += 1;
      return;
    }
    const { code, retryAfterMs } = submitted;
    if (code === "OVERLOADED") overloadedCount += 1;
    else errorCounts[code] = (errorCounts[code] ?? 0) + 1;
    if (retryAfterMs !== null) retryAfterCount += 1;
  };
  const startMs = performance.now();
  const offeredCount = await runOpenLoop(() => {
    const answer = jobs.submit({ isDurable: true, tenant }).then(take, () => {
      unansweredCount += 1;
    });
    answers.add(answer);
    void answer.then(() => answers.delete(answer));
  }, loop);
  const offeredPerSec = (offeredCount * 1_000) / (performance.now() - startMs);
  await Promise.all(answers);
  return {
    ...{ offeredCount, offeredPerSec, acceptedCount, overloadedCount, retryAfterCount },
    ...{ errorCounts, unansweredCount },
  };
}

export interface PacedResult {
  readonly offeredCount: number;
  readonly finishedCount: number;
  /** Times at which a submission was refused and came again after what the refusal told. */
  readonly refusedCount: number;
  /** Not over when the grace time was: their latency counts as what it was by then. */
  readonly openCount: number;
  readonly failedCount: number;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
}

/** When a refusal does not say when to come again, ms. */
const RETRY_MS_DEFAULT = 1_000;

/** Whole runs at a fixed rate; latencies count from the moment at which each was due. */
export async function runPaced(
  jobs: JobClient,
  { tenant, graceMs, ...loop }: OpenLoop & { readonly tenant: string; readonly graceMs: number },
): Promise<PacedResult> {
  const openSinceMs = new Set<number>();
  const latenciesMs: number[] = [];
  let refusedCount = 0;
  let failedCount = 0;
  let isOver = false;
  const submitUntilAccepted = async (): Promise<string | null> => {
    while (!isOver) {
      const submitted = await jobs.submit({ isDurable: true, tenant });
      if (submitted.kind === "accepted") return submitted.jobId;
      refusedCount += 1;
      await pause(submitted.retryAfterMs ?? RETRY_MS_DEFAULT);
    }
    return null;
  };
  const runOne = async (dueMs: number): Promise<void> => {
    openSinceMs.add(dueMs);
    try {
      const jobId = await submitUntilAccepted();
      if (jobId !== null) await jobs.wait(jobId);
    } catch {
      failedCount += 1;
    }
    if (isOver) return;
    openSinceMs.delete(dueMs);
    latenciesMs.push(performance.now() - dueMs);
  };
  const runs: Promise<void>[] = [];
  const offeredCount = await runOpenLoop((_index, dueMs) => void runs.push(runOne(dueMs)), loop);
  await Promise.race([Promise.all(runs), pause(graceMs)]);
  isOver = true;
  const finishedCount = latenciesMs.length;
  const nowMs = performance.now();
  for (const dueMs of openSinceMs) latenciesMs.push(nowMs - dueMs);
  const { latencyMsP50, latencyMsP99 } = summarize(latenciesMs, 1);
  return {
    ...{ offeredCount, finishedCount, refusedCount, openCount: openSinceMs.size, failedCount },
    ...{ latencyMsP50, latencyMsP99 },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
