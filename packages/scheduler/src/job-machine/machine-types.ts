/** What goes into a job machine and what comes out of it. */
import type { WireError } from "@murakkab/kit";
import type { JobPlan, PlannedStep, TerminalState } from "@murakkab/model";
import type { AttemptMeasure, EventDetail, JobEventName, PassedValue } from "@murakkab/protocol";

export interface AttemptId {
  readonly step: string;
  /** Of a batch: its first item. */
  readonly item: number;
  readonly attempt: number;
}

export interface AttemptPlace {
  readonly instance: string;
  readonly node: string;
}

export interface StepCost {
  readonly costUsd: number;
  readonly energyWh: number;
}

/**
 * `begin`: nothing ran yet. `step`: a step or a draft is done. `retry`: an attempt failed. `replan`:
 * steps were just chosen again.
 */
export type Boundary = "begin" | "step" | "retry" | "replan";

export type JobFailure = WireError & { readonly step?: string };

export interface Replan {
  readonly plan: JobPlan;
  readonly reason: string;
  /** What the plan then is is no configuration that was ever chosen. Default false. */
  readonly isPartial?: boolean;
}

export type JobInput =
  | { readonly kind: "begin"; readonly nowMs: number }
  | {
      readonly kind: "attempt-started";
      readonly id: AttemptId;
      readonly place: AttemptPlace;
      readonly nowMs: number;
    }
  | {
      readonly kind: "attempt-finished";
      readonly id: AttemptId;
      readonly place: AttemptPlace;
      readonly outputs: Readonly<Record<string, PassedValue>>;
      readonly measure: AttemptMeasure;
      readonly cost: StepCost;
      /** It did not run: an equal attempt of this job had this result. */
      readonly shared?: { readonly jobId: string };
      readonly nowMs: number;
    }
  | {
      readonly kind: "attempt-failed";
      readonly id: AttemptId;
      readonly place: AttemptPlace | null;
      readonly error: WireError;
      readonly measure: AttemptMeasure | null;
      readonly cost: StepCost;
      readonly nowMs: number;
    }
  /** After `replay`: what the events do not show as done. */
  | { readonly kind: "resume"; readonly nowMs: number }
  /** The answer to `boundary`: what can start does, but for the steps in `hold`. */
  | { readonly kind: "proceed"; readonly hold: ReadonlySet<string>; readonly nowMs: number }
  /** Other choices for steps that have not started. `boundary` is given: `proceed` follows. */
  | ({ readonly kind: "replan" } & Replan)
  | { readonly kind: "end"; readonly state: "cancelled" | "failed"; readonly error: JobFailure };

export type JobEffect =
  | {
      readonly kind: "dispatch";
      readonly id: AttemptId;
      readonly planned: PlannedStep;
      readonly inputs: Readonly<Record<string, PassedValue>>;
      readonly inputsHash: string;
      /** Items that the attempt takes; absent: one, passed alone. */
      readonly batchItems?: number;
      readonly avoidInstances: ReadonlySet<string>;
      /** Number of the repeat: 0 = at once, above = back off. */
      readonly repeat: number;
      /** A former owner sent it there: that instance is asked again, under the same key. */
      readonly resumeAt: AttemptPlace | null;
    }
  | {
      readonly kind: "emit";
      readonly event: JobEventName;
      readonly data: Readonly<Record<string, unknown>>;
      readonly detail?: EventDetail;
    }
  /** Nobody holds the artifact any more, as far as was known. */
  | { readonly kind: "forget-artifact"; readonly artifact: string }
  /** `ids`: only these, and what they cost is waited for. Absent: all. */
  | {
      readonly kind: "abort-attempts";
      readonly error: WireError;
      readonly ids?: readonly AttemptId[];
    }
  /** Steps could start, and whoever asked for it is to look first: `proceed` goes on. */
  | { readonly kind: "boundary"; readonly at: Boundary }
  | {
      readonly kind: "finish";
      readonly state: TerminalState;
      readonly output: PassedValue | null;
      readonly error: JobFailure | null;
    };

export function emit(
  event: JobEventName,
  data: Readonly<Record<string, unknown>>,
  detail?: EventDetail,
): JobEffect {
  return { kind: "emit", event, data, ...(detail === undefined ? {} : { detail }) };
}

/** What attempts are told whose step is not needed any more. */
export const NOT_NEEDED: WireError = {
  code: "NOT_NEEDED",
  message: "the draft was sure enough: this step is not needed any more",
  retryable: false,
};

export function attemptKey({ step, item, attempt }: AttemptId): string {
  return `${step}:${item}:${attempt}`;
}
