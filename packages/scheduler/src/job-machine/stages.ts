/**
 * Drafts that answer from part of the evidence, and what need not run because of them.
 *
 * Owns:      J7.
 * Does not:  end the job (walk.ts).
 */
import type { PlanStage } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import type { MachineState } from "./machine-state.ts";
import { emit, type JobEffect } from "./machine-types.ts";
import type { StepRun } from "./step-run.ts";

export interface SettledStage {
  readonly draft: string;
  readonly isSure: boolean;
  /** Null where the draft's value does not say. */
  readonly confidence: number | null;
  readonly atLeast: number;
  /** Steps that were not done, and are not needed. Empty when it was not sure. */
  readonly skipped: readonly string[];
}

/** J7. Waits for a draft that is not done, or was not looked at yet. */
export function isDeferred(state: MachineState, { planned }: StepRun): boolean {
  const { stages } = state.plan;
  if (stages === undefined) return false;
  return stages.some(
    (stage) => stage.deferred.includes(planned.step) && !state.settled.has(stage.draft),
  );
}

/** Looks at the drafts that are done, in order. The first that is sure ends the job. */
export function settleStages(state: MachineState): readonly JobEffect[] {
  const effects: JobEffect[] = [];
  for (const stage of state.plan.stages ?? []) {
    if (state.settled.has(stage.draft)) continue;
    const outputs = state.steps.get(stage.draft)?.outputs ?? null;
    if (outputs === null) break; // stages are in order
    const settled = settle(state, stage, outputs);
    state.settled.set(stage.draft, settled);
    effects.push(emit("stage-settled", { ...settled }));
    if (settled.isSure) break;
  }
  return effects;
}

/** The output of the draft that was sure enough; null: none was, so far. */
export function sureOutput(state: MachineState): PassedValue | null {
  const stage = state.plan.stages?.find(({ draft }) => state.settled.get(draft)?.isSure === true);
  if (stage === undefined) return null;
  return state.steps.get(stage.draft)?.outputs?.[stage.output] ?? null;
}

function settle(
  state: MachineState,
  stage: PlanStage,
  outputs: Readonly<Record<string, PassedValue>>,
): SettledStage {
  const { draft, atLeast } = stage;
  const confidence = confidenceIn(outputs[stage.confidencePort], stage.confidenceField);
  const isSure =
    confidence !== null && confidence >= atLeast && outputs[stage.output] !== undefined;
  const open = [...state.steps.values()].filter((run) => run.state !== "done");
  const skipped = isSure ? open.map((run) => run.planned.step) : [];
  return { draft, isSure, confidence, atLeast, skipped };
}

/** A value that lies elsewhere is not read for this: then the draft counts as unsure. */
function confidenceIn(value: PassedValue | undefined, field: string): number | null {
  if (value?.kind !== "inline") return null;
  const confidence = (value.value as Readonly<Record<string, unknown>> | null)?.[field];
  return typeof confidence === "number" && Number.isFinite(confidence) ? confidence : null;
}
