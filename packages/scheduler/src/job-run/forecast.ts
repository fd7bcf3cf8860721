/** What a running job still needs, by its plan: for those who are planned while it runs. */
import type { ActiveJob } from "@murakkab/core";
import type { Prediction } from "@murakkab/model";
import type { StepRun } from "../job-machine/step-run.ts";
import { DUE_MS_DEFAULT } from "../planning/job-planner.ts";

/** `elapsedMs`: since it was accepted. */
export function forecastOf(
  runs: readonly StepRun[],
  predicted: Prediction,
  time: { readonly latencyMsMax: number | undefined; readonly elapsedMs: number },
): ActiveJob {
  let totalMs = 0;
  let leftMs = 0;
  let attemptMs = 0;
  for (const run of runs) {
    const { planned, state, doneCount, total } = run;
    const step = planned.predicted;
    if (step === undefined) continue;
    const workMs = step.runMs.p50 * step.probability;
    totalMs += workMs;
    const doneShare = state === "waiting" ? 0 : doneCount / Math.max(1, total);
    if (state === "done") continue;
    leftMs += workMs * (1 - doneShare);
    const attempts = Math.ceil(Math.max(1, step.items) / (planned.batchItems ?? 1));
    attemptMs = Math.max(attemptMs, step.runMs.p50 / attempts);
  }
  const aloneMs = predicted.latencyMs.p50 - predicted.queueMs;
  return {
    dueInMs: (time.latencyMsMax ?? DUE_MS_DEFAULT) - time.elapsedMs,
    hasBound: time.latencyMsMax !== undefined,
    workMs: leftMs,
    attemptMs,
    aloneMs: totalMs === 0 ? 0 : (aloneMs * leftMs) / totalMs,
  };
}
