/**
 * Another choice for steps that have not started.
 *
 * Owns:      J8.
 * Does not:  choose (the Rechooser does) or start anything (walk.ts).
 */
import { assert, canonicalJson } from "@murakkab/kit";
import type { JobPlan, PlannedStep } from "@murakkab/model";
import { type MachineState, NOTHING_HELD } from "./machine-state.ts";
import { emit, type JobEffect, type Replan } from "./machine-types.ts";
import { newStepRun } from "./step-run.ts";

/** What of a plan may change on the way, as the event has it. */
interface ChangedPlan extends Pick<JobPlan, "steps" | "output" | "notes" | "stages" | "predicted"> {
  readonly configuration: string | null;
}

/** Why the job can't go on with this plan, one clause; null when it can. */
export function replanProblem(state: MachineState, plan: JobPlan): string | null {
  const planned = new Map(plan.steps.map((step) => [step.step, step]));
  for (const run of state.steps.values()) {
    const { step } = run.planned;
    const next = planned.get(step);
    if (run.state === "waiting") continue;
    if (next === undefined) return `step "${step}" has started and is not in it`;
    const isSame = canonicalJson(next) === canonicalJson(run.planned);
    if (!isSame) return `step "${step}" has started and is another one in it`;
  }
  const earlier = new Map<string, PlannedStep>();
  for (const step of plan.steps) {
    if (!state.steps.has(step.step)) return `step "${step.step}" is new in it`;
    for (const source of Object.values(step.inputs)) {
      if (!isThere(state, source, earlier)) {
        return `step "${step.step}" needs ${JSON.stringify(source)}, which is not there before it`;
      }
    }
    earlier.set(step.step, step);
  }
  return isThere(state, plan.output, earlier) ? null : "its output is made by none of its steps";
}

function isThere(
  state: MachineState,
  source: PlannedStep["inputs"][string],
  steps: ReadonlyMap<string, PlannedStep>,
): boolean {
  if (source.kind === "input") return state.plan.inputs[source.input] !== undefined;
  return steps.get(source.step)?.outputs[source.output] !== undefined;
}

export function replan(
  state: MachineState,
  { plan, reason, isPartial = false }: Replan,
): readonly JobEffect[] {
  if (state.isOver) return [];
  const problem = replanProblem(state, plan);
  assert(problem === null, `J8: a plan was chosen that can't be taken: ${problem}`);
  const { steps, output, notes, stages, predicted } = plan;
  const configuration = isPartial ? null : (plan.explanation?.configuration ?? null);
  const changed: ChangedPlan = {
    ...{ steps, output, notes, configuration },
    ...(stages === undefined ? {} : { stages }),
    ...(predicted === undefined ? {} : { predicted }),
  };
  adopt(state, changed, plan);
  state.replans.push(reason);
  state.held = NOTHING_HELD;
  return [emit("replanned", { reason, ...changed }), { kind: "boundary", at: "replan" }];
}

export function replayReplan(state: MachineState, data: Readonly<Record<string, unknown>>): void {
  const changed = data as unknown as ChangedPlan;
  adopt(state, changed, state.plan);
  state.replans.push(String(data["reason"]));
}

function adopt(
  state: MachineState,
  { configuration, steps, output, notes, stages, predicted }: ChangedPlan,
  { stages: _stages, predicted: _predicted, ...rest }: JobPlan,
): void {
  state.plan = {
    ...{ ...rest, steps, output, notes },
    ...(stages === undefined ? {} : { stages }),
    ...(predicted === undefined ? {} : { predicted }),
  };
  state.configuration = configuration;
  const before = new Map(state.steps);
  state.steps.clear(); // in the order of the new plan
  for (const planned of steps) {
    const run = before.get(planned.step);
    if (run === undefined) continue; // asserted when it was chosen
    state.steps.set(planned.step, run.state === "waiting" ? newStepRun(planned) : run);
  }
}
