/**
 * What answers of attempts do to the walk.
 *
 * Owns:      J2, J4: retries, and results that were lost.
 * Does not:  decide which steps start (walk.ts).
 */
import type { WireError } from "@murakkab/kit";
import {
  ATTEMPTS_MAX,
  type PassedValue,
  RERUNS_MAX,
  TRANSIENT_FAILURES_MAX,
} from "@murakkab/protocol";
import { artifactsIn, lengthOf } from "../passed-value.ts";
import { type MachineState, NOTHING_HELD } from "./machine-state.ts";
import {
  type AttemptId,
  attemptKey,
  emit,
  type JobEffect,
  type JobInput,
  NOT_NEEDED,
} from "./machine-types.ts";
import {
  batchOf,
  book,
  countFailure,
  markDone,
  type StepRun,
  type UnitRun,
  unitAt,
} from "./step-run.ts";
import { completeStep, dispatch, finish, goOn, rerun } from "./walk.ts";

type Finished = Extract<JobInput, { kind: "attempt-finished" }>;
type Failed = Extract<JobInput, { kind: "attempt-failed" }>;

function current(state: MachineState, id: AttemptId): { run: StepRun; unit: UnitRun } | null {
  const run = state.steps.get(id.step);
  const unit = run === undefined ? undefined : unitAt(run, id.item);
  if (state.isFinished || run === undefined || unit === undefined) return null;
  if (unit.attempt !== id.attempt || unit.state === "done") return null;
  return { run, unit };
}

export function onStarted(
  state: MachineState,
  { id, place }: Extract<JobInput, { kind: "attempt-started" }>,
): readonly JobEffect[] {
  const found = current(state, id);
  if (found === null) return [];
  const { unit } = found;
  unit.state = "running";
  unit.place = place;
  return [emit("attempt-started", { ...id, ...place, inputsHash: unit.inputsHash })];
}

export function onFinished(state: MachineState, input: Finished): readonly JobEffect[] {
  const { id, place, measure, outputs, cost } = input;
  if (state.ending !== null) return onStopped(state, input, null);
  const found = current(state, id);
  if (found === null) {
    bookFor(state, input); // J4
    return [];
  }
  const { run, unit } = found;
  const wrong = wrongBatch(run, unit, outputs);
  if (wrong !== null) {
    const { nowMs } = input;
    return onFailed(state, {
      ...{ kind: "attempt-failed", id, place, measure, cost, nowMs },
      error: wrong,
    });
  }
  book(run, input);
  markDone(run, unit, input);
  const data: Record<string, unknown> = {
    ...id,
    ...place,
    runMs: measure.runMs,
    cpuSec: measure.cpuSec,
    startedAtMs: measure.startedAtMs,
    endedAtMs: measure.endedAtMs,
    done: run.doneCount,
    total: run.total,
    inputsHash: unit.inputsHash,
  };
  if (batchOf(run.planned) !== null) data["batchItems"] = unit.itemCount;
  if (input.shared !== undefined) data["shared"] = input.shared;
  const effects = [emit("attempt-finished", data, { outputs, measure, cost })];
  if (run.doneCount === run.total) effects.push(...completeStep(run));
  state.held = NOTHING_HELD;
  effects.push(...goOn(state, input.nowMs));
  return effects;
}

/** An attempt that nobody needs any more: what it cost is booked, and the last one ends the job. */
function onStopped(
  state: MachineState,
  input: Finished | Failed,
  error: WireError | null,
): readonly JobEffect[] {
  const { id, place, measure, cost } = input;
  bookFor(state, input);
  const { ending } = state;
  if (ending?.awaited.delete(attemptKey(id)) !== true) return [];
  const reason = error ?? NOT_NEEDED;
  const stopped = emit("attempt-stopped", { ...id, ...place, reason }, { measure, cost });
  if (ending.awaited.size > 0) return [stopped];
  return [stopped, ...finish(state, "succeeded", ending.output, null)];
}

/** The items of a batch get its results by their order: another length would mix them up. */
function wrongBatch(
  { planned }: StepRun,
  { itemCount }: UnitRun,
  outputs: Readonly<Record<string, PassedValue>>,
): WireError | null {
  if (batchOf(planned) === null) return null;
  for (const port of Object.keys(planned.outputs)) {
    const value = outputs[port];
    const length = value === undefined ? null : lengthOf(value);
    if (length === itemCount) continue;
    const given = length === null ? "no list" : `${length} values`;
    return {
      code: "BATCH_LENGTH",
      message: `executor ${planned.executor} gave ${given} as output "${port}" of a batch of ${itemCount} items, expected one value for each`,
      retryable: false,
    };
  }
  return null;
}

function bookFor(state: MachineState, input: Finished | Failed): void {
  const run = state.steps.get(input.id.step);
  if (run !== undefined) book(run, input);
}

export function onFailed(state: MachineState, input: Failed): readonly JobEffect[] {
  const { id, place, error, measure, cost } = input;
  if (state.ending !== null) return onStopped(state, input, error);
  bookFor(state, input);
  const found = current(state, id);
  if (found === null) return []; // J4
  const { unit } = found;
  const artifact = lostArtifact(error);
  countFailure(unit, place, error);
  const mayRetry = unit.failureCount < ATTEMPTS_MAX && unit.transientCount < TRANSIENT_FAILURES_MAX;
  const willRetry = error.retryable && mayRetry && state.rerunCount < RERUNS_MAX;
  const failed = emit("attempt-failed", { ...id, ...place, error, willRetry }, { measure, cost });
  if (!willRetry) return [failed, ...finish(state, "failed", null, { ...error, step: id.step })];
  return [failed, ...retry(state, found, artifact), ...askAgain(state, input.nowMs)];
}

function retry(
  state: MachineState,
  { run, unit }: { readonly run: StepRun; readonly unit: UnitRun },
  artifact: string | null,
): readonly JobEffect[] {
  unit.state = "pending";
  const repeat = unit.failureCount + unit.transientCount;
  if (artifact === null) return [dispatch(state, run, unit, repeat)];
  const forget: JobEffect = { kind: "forget-artifact", artifact };
  const producers = rerunProducers(state, artifact);
  if (producers.length === 0) return [forget, dispatch(state, run, unit, repeat)];
  unit.state = "blocked";
  return [forget, ...producers];
}

/** A failure costs time and money: whoever asked to be asked may choose otherwise. */
function askAgain(state: MachineState, nowMs: number): readonly JobEffect[] {
  if (!state.asksFirst) return [];
  state.held = NOTHING_HELD;
  const effects = goOn(state, nowMs, "retry");
  const isAsked = effects.some((effect) => effect.kind === "boundary");
  return isAsked ? effects : [...effects, { kind: "boundary", at: "retry" }];
}

/** Every unit whose result holds the artifact runs again. */
function rerunProducers(state: MachineState, artifact: string): readonly JobEffect[] {
  const effects: JobEffect[] = [];
  for (const run of state.steps.values()) {
    const units = run.units.filter(
      (unit) => unit.state === "done" && holdsArtifact(unit.outputs, artifact),
    );
    if (units.length === 0) continue;
    const items = units.map((unit) => unit.first);
    effects.push(emit("step-rerun", { step: run.planned.step, items, artifact }));
    effects.push(...rerun(state, run, units));
  }
  return effects;
}

function lostArtifact(error: WireError): string | null {
  if (error.code !== "ARTIFACT_LOST") return null;
  const artifact = error.context?.["artifact"];
  return typeof artifact === "string" ? artifact : null;
}

function holdsArtifact(
  outputs: Readonly<Record<string, PassedValue>> | null,
  artifact: string,
): boolean {
  if (outputs === null) return false;
  return Object.values(outputs).some((value) =>
    artifactsIn(value).some((ref) => ref.artifact === artifact),
  );
}
