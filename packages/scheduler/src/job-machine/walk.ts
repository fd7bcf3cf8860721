/**
 * The walk itself: which steps start, which units run again, and the one end.
 *
 * Owns:      J1, J3, J5.
 * Does not:  take answers (attempts.ts) or read events back (resume.ts).
 */
import { assert, isRuntimeError, toWireError } from "@murakkab/kit";
import type { TerminalState } from "@murakkab/model";
import { FAN_OUT_ITEMS_MAX, type PassedValue } from "@murakkab/protocol";
import { gather } from "../passed-value.ts";
import type { MachineState } from "./machine-state.ts";
import {
  type AttemptId,
  type AttemptPlace,
  attemptKey,
  type Boundary,
  emit,
  type JobEffect,
  type JobFailure,
  NOT_NEEDED,
} from "./machine-types.ts";
import { isDeferred, settleStages, sureOutput } from "./stages.ts";
import { batchOf, openUnits, type StepRun, type UnitRun, unitAt } from "./step-run.ts";

export function begin(state: MachineState, nowMs: number): readonly JobEffect[] {
  state.isBegun = true;
  return [emit("started", {}), ...goOn(state, nowMs, "begin")];
}

/** Everything that can be done now, until someone is to be asked or the job ends. */
export function goOn(
  state: MachineState,
  nowMs: number,
  at: Boundary = "step",
): readonly JobEffect[] {
  const effects: JobEffect[] = [];
  let hasProgress = true;
  let isAsking = false;
  // A step over an empty list is done at once and may make its successors ready.
  while (hasProgress && !state.isOver) {
    hasProgress = false;
    if (state.plan.stages !== undefined) {
      const settled = settleStages(state);
      effects.push(...settled, ...endEarly(state));
      hasProgress = settled.length > 0;
    }
    isAsking = false;
    for (const run of state.steps.values()) {
      if (state.isOver || !state.hasInputs(run.planned)) continue;
      if (run.state === "waiting") {
        if (isHeldBack(state, run)) continue;
        isAsking ||= state.asksFirst;
        if (isAsking) continue;
        effects.push(...startStep(state, run, nowMs));
        hasProgress = true;
      } else if (state.rerunCount > 0) {
        const again = verify(state, run, nowMs);
        effects.push(...again);
        hasProgress ||= again.length > 0;
      }
    }
  }
  if (isAsking && !state.isOver) return [...effects, { kind: "boundary", at }];
  if (!state.isOver && state.isAllDone) {
    effects.push(...finish(state, "succeeded", state.sourceValue(state.plan.output), null));
  }
  return effects;
}

function isHeldBack(state: MachineState, run: StepRun): boolean {
  return state.held.has(run.planned.step) || isDeferred(state, run);
}

/** Steps that a `boundary` is about. */
export function startable(state: MachineState): readonly StepRun[] {
  if (state.isOver) return [];
  return [...state.steps.values()].filter(
    (run) => run.state === "waiting" && state.hasInputs(run.planned) && !isDeferred(state, run),
  );
}

/** What can start does; of what that makes ready, the asker is told again. */
export function proceed(
  state: MachineState,
  hold: ReadonlySet<string>,
  nowMs: number,
): readonly JobEffect[] {
  if (state.isOver) return [];
  state.held = hold;
  const effects: JobEffect[] = [];
  for (const run of startable(state)) {
    if (hold.has(run.planned.step) || state.isOver) continue;
    effects.push(...startStep(state, run, nowMs));
  }
  return [...effects, ...goOn(state, nowMs)];
}

/** J7. A draft was sure: its output is the job's, once what still runs has told what it cost. */
function endEarly(state: MachineState): readonly JobEffect[] {
  const output = sureOutput(state);
  if (output === null || state.isOver) return [];
  const ids: AttemptId[] = [];
  for (const { planned, units } of state.steps.values()) {
    for (const { state: unitState, first: item, attempt } of units) {
      const isOut = unitState === "running" || unitState === "pending";
      if (isOut) ids.push({ step: planned.step, item, attempt });
    }
  }
  if (ids.length === 0) return finish(state, "succeeded", output, null);
  state.ending = { output, awaited: new Set(ids.map(attemptKey)) };
  return [{ kind: "abort-attempts", error: NOT_NEEDED, ids }];
}

function startStep(state: MachineState, run: StepRun, nowMs: number): readonly JobEffect[] {
  const { step, executor } = run.planned;
  let total: number;
  try {
    total = state.countItems(run.planned);
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    return finish(state, "failed", null, { ...toWireError(error), step });
  }
  if (total > FAN_OUT_ITEMS_MAX) {
    return finish(state, "failed", null, {
      code: "FAN_OUT_LIMIT",
      message: `step "${step}" would fan out over ${total} items, expected at most ${FAN_OUT_ITEMS_MAX}`,
      retryable: false,
      step,
    });
  }
  openUnits(run, total, nowMs);
  const batchItems = batchOf(run.planned);
  const data = { step, executor, total };
  const effects = [emit("step-started", batchItems === null ? data : { ...data, batchItems })];
  for (const unit of run.units) effects.push(dispatch(state, run, unit, 0));
  if (total === 0) effects.push(...completeStep(run));
  return effects;
}

export function dispatch(
  state: MachineState,
  run: StepRun,
  unit: UnitRun,
  repeat: number,
): JobEffect {
  assert(unit.state !== "running", "J2");
  unit.attempt += 1;
  return send(state, run, unit, { repeat, resumeAt: null });
}

export function send(
  state: MachineState,
  run: StepRun,
  unit: UnitRun,
  how: { readonly repeat: number; readonly resumeAt: AttemptPlace | null },
): JobEffect {
  const { planned } = run;
  run.attemptsMax = Math.max(run.attemptsMax, unit.attempt);
  unit.state = how.resumeAt === null ? "pending" : "running";
  const inputs = state.inputsOf(planned, unit);
  unit.inputsHash = state.hashInputs(planned, inputs);
  const effect: JobEffect = {
    kind: "dispatch",
    id: { step: planned.step, item: unit.first, attempt: unit.attempt },
    planned,
    inputs,
    inputsHash: unit.inputsHash,
    avoidInstances: new Set(unit.failedInstances),
    repeat: how.repeat,
    resumeAt: how.resumeAt,
  };
  return batchOf(planned) === null ? effect : { ...effect, batchItems: unit.itemCount };
}

export function completeStep(run: StepRun): readonly JobEffect[] {
  const { planned, units, total, doneCount, runMs } = run;
  run.state = "done";
  run.outputs = gather(planned, units);
  return [emit("step-finished", { step: planned.step, done: doneCount, total, runMs })];
}

export function rerun(
  state: MachineState,
  run: StepRun,
  units: readonly UnitRun[],
): readonly JobEffect[] {
  reset(
    state,
    run,
    units.map((unit) => unit.first),
  );
  // What it needs itself may be on its way again, too.
  if (!state.hasInputs(run.planned)) {
    for (const unit of units) unit.state = "blocked";
    return [];
  }
  return units.map((unit) => dispatch(state, run, unit, 0));
}

/** `firsts`: the first items of the units that run again. */
export function reset(state: MachineState, run: StepRun, firsts: readonly number[]): void {
  state.rerunCount += firsts.length;
  run.state = "running";
  run.outputs = null;
  for (const first of firsts) {
    const unit = unitAt(run, first);
    if (unit?.state !== "done") continue;
    unit.state = "pending";
    unit.outputs = null;
    run.doneCount -= unit.itemCount;
  }
}

/** J5. For a step whose sources are done: what waits for them goes on, what changed runs again. */
export function verify(state: MachineState, run: StepRun, nowMs: number): readonly JobEffect[] {
  const { planned } = run;
  // Its list has another length now: none of its items is what it was.
  if (state.countItems(planned) !== run.total) return startStep(state, run, nowMs);
  const effects: JobEffect[] = [];
  const changed: UnitRun[] = [];
  for (const unit of run.units) {
    if (unit.state === "blocked") effects.push(dispatch(state, run, unit, 0));
    if (unit.state !== "done") continue;
    const inputs = state.inputsOf(planned, unit);
    if (state.hashInputs(planned, inputs) !== unit.inputsHash) changed.push(unit);
  }
  if (changed.length === 0) return effects;
  const items = changed.map((unit) => unit.first);
  return [
    ...effects,
    emit("step-rerun", { step: planned.step, items, reason: "its inputs changed" }),
    ...rerun(state, run, changed),
  ];
}

export function finish(
  state: MachineState,
  end: TerminalState,
  output: PassedValue | null,
  error: JobFailure | null,
): readonly JobEffect[] {
  if (state.isFinished) return []; // J3
  state.isFinished = true;
  const effects: JobEffect[] = [];
  if (error !== null) effects.push({ kind: "abort-attempts", error });
  effects.push({ kind: "finish", state: end, output, error });
  return effects;
}
