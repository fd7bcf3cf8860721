/**
 * A machine that goes on where a job's events end.
 *
 * Owns:      J6: events that are read back, and what they do not show as done.
 */
import type { WireError } from "@murakkab/kit";
import { isTerminalState, type TerminalState } from "@murakkab/model";
import type { JournaledEvent } from "@murakkab/protocol";
import type { MachineState } from "./machine-state.ts";
import type { AttemptId, AttemptPlace, JobEffect } from "./machine-types.ts";
import { replayReplan } from "./replan.ts";
import { type SettledStage, sureOutput } from "./stages.ts";
import { book, countFailure, markDone, openUnits, type UnitRun, unitAt } from "./step-run.ts";
import { begin, completeStep, dispatch, finish, goOn, reset, send, verify } from "./walk.ts";

/** Brings a fresh machine to where these events left the job. Effects are not repeated (J6). */
export function replay(state: MachineState, journaled: readonly JournaledEvent[]): void {
  for (const it of journaled) replayOne(state, it);
}

function replayOne(state: MachineState, journaled: JournaledEvent): void {
  const { event, data, sinceMs } = journaled.event;
  if (event === "started") state.isBegun = true;
  if (isTerminalState(event as TerminalState)) state.isFinished = true;
  if (event === "stage-settled") {
    const settled = data as unknown as SettledStage;
    state.settled.set(settled.draft, settled);
    return;
  }
  if (event === "replanned") {
    replayReplan(state, data);
    return;
  }
  const id = data as unknown as AttemptId;
  const run = state.steps.get(id.step);
  if (run === undefined) return;
  if (event === "step-started") openUnits(run, Number(data["total"]), sinceMs);
  else if (event === "step-finished") completeStep(run);
  else if (event === "step-rerun") reset(state, run, data["items"] as readonly number[]);
  else if (event.startsWith("attempt-")) replayAttempt(state, journaled);
}

function replayAttempt(
  state: MachineState,
  { event: { event, data, sinceMs }, detail }: JournaledEvent,
): void {
  const { step, item, attempt, instance, node } = data as unknown as AttemptId & AttemptPlace;
  const run = state.steps.get(step);
  const unit = run === undefined ? undefined : unitAt(run, item);
  if (run === undefined || unit === undefined) return;
  const place = { instance, node };
  unit.attempt = attempt;
  if (event === "attempt-started") {
    run.attemptsMax = Math.max(run.attemptsMax, attempt);
    unit.state = "running";
    unit.place = place;
    return;
  }
  const measure = detail?.measure ?? null;
  book(run, { measure, cost: detail?.cost ?? { costUsd: 0, energyWh: 0 } });
  if (event === "attempt-stopped") return;
  if (event === "attempt-finished" && measure !== null) {
    unit.inputsHash = String(data["inputsHash"]);
    const shared = data["shared"] as { readonly jobId: string } | undefined;
    markDone(run, unit, {
      ...{ place, outputs: detail?.outputs ?? {}, measure, nowMs: sinceMs },
      ...(shared === undefined ? {} : { shared }),
    });
  } else replayFailure(state, unit, data);
}

function replayFailure(
  state: MachineState,
  unit: UnitRun,
  data: Readonly<Record<string, unknown>>,
): void {
  const error = data["error"] as WireError;
  const { instance, node, step } = data as unknown as AttemptId & Partial<AttemptPlace>;
  unit.state = "pending";
  unit.place = null;
  countFailure(
    unit,
    instance === undefined || node === undefined ? null : { instance, node },
    error,
  );
  if (data["willRetry"] !== true) state.fatal = { ...error, step };
}

/** J6. */
export function resume(state: MachineState, nowMs: number): readonly JobEffect[] {
  const sure = sureOutput(state);
  // What was not needed any more may still run: its bill is not waited for twice.
  if (sure !== null) return finish(state, "succeeded", sure, null);
  if (state.fatal !== null) return finish(state, "failed", null, state.fatal);
  if (!state.isBegun) return begin(state, nowMs);
  const effects: JobEffect[] = [];
  const asked: JobEffect[] = [];
  for (const run of state.steps.values()) {
    if (run.state !== "running") continue;
    const isReady = state.hasInputs(run.planned);
    if (isReady && state.countItems(run.planned) !== run.total) continue;
    // Its last item was journaled, its end was not.
    if (run.doneCount === run.total) {
      effects.push(...completeStep(run));
      continue;
    }
    for (const unit of run.units) {
      unit.readyAtMs = nowMs;
      if (unit.state === "done") continue;
      if (!isReady) unit.state = "blocked";
      else if (unit.state === "running" && unit.place !== null) {
        asked.push(send(state, run, unit, { repeat: 0, resumeAt: unit.place }));
      } else {
        unit.state = "pending";
        effects.push(dispatch(state, run, unit, 0));
      }
    }
  }
  // J5 for all that is done: an input may have changed while nobody looked.
  for (const run of state.steps.values()) {
    if (run.state !== "waiting" && state.hasInputs(run.planned)) {
      effects.push(...verify(state, run, nowMs));
    }
  }
  return [...asked, ...effects, ...goOn(state, nowMs)];
}
