/**
 * What a new job finds before it: accepted jobs by due date, and whether it would make one late.
 *
 * Model:  free cores go to the job that is due first. Until a job is done, the cores also do all
 *         that is due no later than it. What one job takes alone on the cores adds to that.
 *         Jobs of other schedulers and work without a prediction are not seen.
 *
 * Invariants:
 *   O1. A job that was accepted by this rule is not made late by the acceptance of another, as far
 *       as predictions hold.
 */

/** An accepted job that has not ended. */
export interface ActiveJob {
  /** Until its latency bound (or the default of jobs without one), ms. */
  readonly dueInMs: number;
  readonly hasBound: boolean;
  /** Predicted core-milliseconds that are left. */
  readonly workMs: number;
  /** Predicted time that it would still take alone, ms. */
  readonly aloneMs: number;
  /** Predicted length of its longest attempt that runs or is still to run, ms. Default 0. */
  readonly attemptMs?: number;
}

export interface NewJob {
  readonly dueInMs: number;
  readonly workMs: number;
}

/** Wait of a job that is due then, before cores are free for it, ms. */
export function queueMsFor(dueInMs: number, active: readonly ActiveJob[], cores: number): number {
  const before = active.filter((it) => it.dueInMs <= dueInMs);
  return before.reduce((sum, it) => sum + it.workMs, 0) / Math.max(1, cores);
}

/**
 * Attempts are not interrupted: with more jobs than cores even the most urgent work waits for one of
 * those that run, on average for half of it, ms.
 */
export function blockingMs(active: readonly ActiveJob[], cores: number): number {
  if (active.length < Math.max(1, cores)) return 0;
  return Math.max(0, ...active.map((it) => it.attemptMs ?? 0)) / 2;
}

/** All that a job that is due then finds before it, ms. */
export function waitMsFor(dueInMs: number, active: readonly ActiveJob[], cores: number): number {
  return queueMsFor(dueInMs, active, cores) + blockingMs(active, cores);
}

/**
 * The earliest due time, not before `job.dueInMs`, at which no job that would be in time without
 * this one is made late by it (O1); null when there is none.
 */
export function earliestHarmlessDueMs(
  job: NewJob,
  active: readonly ActiveJob[],
  cores: number,
): number | null {
  const delayMs = job.workMs / Math.max(1, cores);
  const harmed = active.filter((it) => {
    if (!it.hasBound || it.dueInMs < job.dueInMs) return false;
    const endMs =
      queueMsFor(it.dueInMs, active, cores) - it.workMs / Math.max(1, cores) + it.aloneMs;
    return endMs <= it.dueInMs && endMs + delayMs > it.dueInMs;
  });
  if (harmed.length === 0) return job.dueInMs;
  // After all of those it takes nothing from them; others may come in between.
  const laterMs = Math.max(...harmed.map((it) => it.dueInMs)) + 1;
  return Number.isFinite(laterMs)
    ? earliestHarmlessDueMs({ ...job, dueInMs: laterMs }, active, cores)
    : null;
}
