/**
 * A job's way through its DAG, as data.
 *
 * Owns:      which attempts run next, retries, fan-out, the one terminal state. Its parts are in
 *            job-machine/: the walk, answers of attempts, resuming.
 * Does not:  talk to workers, journal or read clocks: it takes events and returns effects.
 *
 * Invariants:
 *   J1. A step starts only when all its sources are done.
 *   J2. An item has at most one attempt in flight, and at most ATTEMPTS_MAX in all.
 *   J3. Exactly one `finish` effect; after it nothing is dispatched.
 *   J4. An answer of an attempt that is no longer the item's current one changes nothing but the bill.
 *   J5. A result counts only for the inputs that it was made of: when those change, it runs again.
 *   J6. Replaying a job's events and resuming dispatches only what they do not show as done.
 *   J7. Deferred steps start only after their draft was not sure enough. Where it was, its output is
 *       the job's, and nothing that is not done runs any more.
 *   J8. Another plan changes only steps that have not started.
 *
 * Items of a batch share their attempt, so J2 and J5 hold for the batch.
 */
import { assertNever } from "@murakkab/kit";
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { JournaledEvent, PassedValue } from "@murakkab/protocol";
import { onFailed, onFinished, onStarted } from "./job-machine/attempts.ts";
import { MachineState } from "./job-machine/machine-state.ts";
import type { JobEffect, JobInput } from "./job-machine/machine-types.ts";
import { replan, replanProblem } from "./job-machine/replan.ts";
import { replay, resume } from "./job-machine/resume.ts";
import { isDeferred, type SettledStage } from "./job-machine/stages.ts";
import type { StepRun } from "./job-machine/step-run.ts";
import { begin, finish, proceed, startable } from "./job-machine/walk.ts";

export type {
  AttemptId,
  AttemptPlace,
  Boundary,
  JobEffect,
  JobInput,
} from "./job-machine/machine-types.ts";
export type { SettledStage } from "./job-machine/stages.ts";
export type { StepRun } from "./job-machine/step-run.ts";

export class JobMachine {
  private readonly state: MachineState;

  /**
   * `asksFirst`: before steps start the machine gives a `boundary` effect and waits for `proceed`.
   * Default false: they start at once.
   */
  constructor(
    plan: JobPlan,
    inputs: Readonly<Record<string, PassedValue>>,
    options: { readonly asksFirst: boolean } = { asksFirst: false },
  ) {
    this.state = new MachineState(plan, inputs, options);
  }

  get plan(): JobPlan {
    return this.state.plan;
  }

  get steps(): ReadonlyMap<string, StepRun> {
    return this.state.steps;
  }

  get finished(): boolean {
    return this.state.isFinished;
  }

  /** Times that finished work was done again. */
  get reruns(): number {
    return this.state.rerunCount;
  }

  /** Drafts that were looked at, in order. */
  get stages(): readonly SettledStage[] {
    return [...this.state.settled.values()];
  }

  /** Why steps were chosen again, in order. */
  get replans(): readonly string[] {
    return this.state.replans;
  }

  /** Canonical text of the configuration that runs; null where the plan does not say. */
  get configuration(): string | null {
    return this.state.configuration;
  }

  /** Steps that could start now. */
  get startable(): readonly StepRun[] {
    return startable(this.state);
  }

  /** Steps that wait for their inputs only, not for a draft. */
  get wanted(): readonly PlannedStep[] {
    const waiting = [...this.state.steps.values()].filter((run) => run.state === "waiting");
    return waiting.filter((run) => !isDeferred(this.state, run)).map((run) => run.planned);
  }

  /** Items of a step that could start. Errors: `INVALID_ARGUMENT` when its list is none. */
  countItems(planned: PlannedStep): number {
    return this.state.countItems(planned);
  }

  /** Why this plan can't replace the present one, one clause; null when it can. */
  replanProblem(plan: JobPlan): string | null {
    return replanProblem(this.state, plan);
  }

  step(input: JobInput): readonly JobEffect[] {
    const { state } = this;
    switch (input.kind) {
      case "begin":
        return state.isFinished ? [] : begin(state, input.nowMs);
      case "resume":
        return state.isFinished ? [] : resume(state, input.nowMs);
      case "attempt-started":
        return onStarted(state, input);
      case "attempt-finished":
        return onFinished(state, input);
      case "attempt-failed":
        return onFailed(state, input);
      case "proceed":
        return proceed(state, input.hold, input.nowMs);
      case "replan":
        return replan(state, input);
      case "end":
        return finish(state, input.state, null, input.error);
      default:
        return assertNever(input);
    }
  }

  /** Brings a fresh machine to where these events left the job. Effects are not repeated (J6). */
  replay(journaled: readonly JournaledEvent[]): void {
    replay(this.state, journaled);
  }
}
