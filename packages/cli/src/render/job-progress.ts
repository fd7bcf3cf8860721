/**
 * What a job's events say about its steps, as a state that the views show.
 *
 * Owns:      the fold of events into step states.
 * Does not:  draw, or trust an event's fields: a missing one leaves the state as it was.
 */
import type { JobPlan } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";

/** `skipped`: the job succeeded without it. */
export type StepState = "waiting" | "running" | "done" | "failed" | "skipped";

export interface StepProgress {
  readonly step: string;
  readonly executor: string;
  readonly isFannedOut: boolean;
  readonly state: StepState;
  readonly done: number;
  readonly total: number | null;
  readonly retryCount: number;
  readonly nodes: readonly string[];
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

export interface JobProgress {
  readonly steps: readonly StepProgress[];
  /** Of the last event: `accepted`, `running` or a terminal state. */
  readonly state: string;
  readonly sinceMs: number;
}

export function startProgress(plan: JobPlan): JobProgress {
  const steps = plan.steps.map(
    (step): StepProgress => ({
      step: step.step,
      executor: step.executor,
      isFannedOut: step.fanOut !== undefined,
      state: "waiting",
      done: 0,
      total: step.fanOut === undefined ? 1 : null,
      retryCount: 0,
      nodes: [],
      startedAtMs: null,
      endedAtMs: null,
    }),
  );
  return { steps, state: "accepted", sinceMs: 0 };
}

const TERMINAL = new Set(["succeeded", "failed", "cancelled", "rejected"]);

/** The state after `event`; the one before is left as it is. */
export function applyEvent(progress: JobProgress, event: JobEvent): JobProgress {
  const { data, sinceMs } = event;
  if (TERMINAL.has(event.event)) return endJob(progress, event);
  if (event.event === "planned" && isPlan(data["plan"])) {
    const { state } = progress;
    return { ...keepSteps(progress, startProgress(data["plan"])), state, sinceMs };
  }
  // Chosen again on the way: the job runs on.
  if (event.event === "replanned" && isPlan(data)) {
    return { ...keepSteps(progress, startProgress(data)), state: "running", sinceMs };
  }
  const change = stepChange(event);
  const steps =
    change === null
      ? progress.steps
      : progress.steps.map((step) => (step.step === data["step"] ? change(step) : step));
  const state = event.event === "accepted" || event.event === "planned" ? "accepted" : "running";
  return { steps, state, sinceMs };
}

type Change = (step: StepProgress) => StepProgress;

function stepChange({ event, data, sinceMs }: JobEvent): Change | null {
  const nodes = typeof data["node"] === "string" ? [data["node"]] : [];
  switch (event) {
    case "step-started":
      return (step) => ({
        ...step,
        state: "running",
        startedAtMs: step.startedAtMs ?? sinceMs,
        total: count(data["total"]) ?? step.total,
        executor: typeof data["executor"] === "string" ? data["executor"] : step.executor,
      });
    case "attempt-started":
      return (step) => ({
        ...step,
        state: "running",
        startedAtMs: step.startedAtMs ?? sinceMs,
        nodes: union(step.nodes, nodes),
      });
    case "attempt-finished":
      return (step) => ({
        ...step,
        // Of a batch there are several at once.
        done: count(data["done"]) ?? Math.min(step.done + 1, step.total ?? step.done + 1),
        nodes: union(step.nodes, nodes),
      });
    case "attempt-failed":
      return (step) => ({
        ...step,
        nodes: union(step.nodes, nodes),
        ...(data["willRetry"] === false
          ? { state: "failed" as const, endedAtMs: sinceMs }
          : { retryCount: step.retryCount + 1 }),
      });
    case "step-finished":
      return (step) => ({
        ...step,
        state: "done",
        startedAtMs: step.startedAtMs ?? sinceMs,
        endedAtMs: sinceMs,
        total: count(data["total"]) ?? step.total ?? step.done,
        done: count(data["done"]) ?? count(data["total"]) ?? step.total ?? step.done,
      });
    default:
      return null;
  }
}

function endJob(progress: JobProgress, { event, sinceMs }: JobEvent): JobProgress {
  const hasSucceeded = event === "succeeded";
  const steps = progress.steps.map((step): StepProgress => {
    if (hasSucceeded) return step.state === "waiting" ? { ...step, state: "skipped" } : step;
    return step.state === "running" ? { ...step, state: "failed", endedAtMs: sinceMs } : step;
  });
  return { steps, state: event, sinceMs };
}

/** A new plan keeps what is known of steps that it shares with the old one and that have begun. */
function keepSteps(before: JobProgress, after: JobProgress): JobProgress {
  const begun = before.steps.filter(({ state }) => state !== "waiting");
  const known = new Map(begun.map((step) => [step.step, step]));
  return { ...after, steps: after.steps.map((step) => known.get(step.step) ?? step) };
}

function isPlan(value: unknown): value is JobPlan {
  return value !== null && typeof value === "object" && Array.isArray((value as JobPlan).steps);
}

function count(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function union(known: readonly string[], more: readonly string[]): readonly string[] {
  return more.every((item) => known.includes(item)) ? known : [...new Set([...known, ...more])];
}

/** Items per fanned-out step, for the plan's drawing. */
export function itemCounts(progress: JobProgress): Record<string, number> {
  return Object.fromEntries(
    progress.steps.flatMap((step) =>
      step.isFannedOut && step.total !== null ? [[step.step, step.total]] : [],
    ),
  );
}
