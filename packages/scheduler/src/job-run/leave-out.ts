/**
 * How a job ends with what it has, when it can't have the rest. Pure.
 *
 * First choice: the output step runs without its optional inputs that are missing. Second: the
 * output of the last draft, though it was not sure enough.
 */
import type { ExecutorEntry, JobPlan, PlannedStep } from "@murakkab/model";
import type { JobMachine } from "../job-machine.ts";

export interface LeaveOutSettings {
  readonly executor: (id: string) => ExecutorEntry | undefined;
  readonly isAffordable: (planned: PlannedStep) => boolean;
  /** Why, one clause. */
  readonly reason: string;
}

/** Requires: no step is running. Null: without the rest there is no output. */
export function planWithout(machine: JobMachine, settings: LeaveOutSettings): JobPlan | null {
  const done = [...machine.steps.values()]
    .filter((run) => run.state === "done")
    .map((run) => run.planned);
  return finishWithout(machine, done, settings) ?? finishWithDraft(machine, done, settings);
}

function finishWithout(
  machine: JobMachine,
  done: readonly PlannedStep[],
  { executor, isAffordable, reason }: LeaveOutSettings,
): JobPlan | null {
  const { output, steps } = machine.plan;
  const last = steps.find((it) => output.kind === "step" && it.step === output.step);
  const entry = last === undefined ? undefined : executor(last.executor);
  if (last === undefined || entry === undefined) return null;
  const isDone = (step: string): boolean => done.some((it) => it.step === step);
  if (isDone(last.step)) return null;
  const inputs = Object.entries(last.inputs);
  const kept = inputs.filter(([, source]) => source.kind === "input" || isDone(source.step));
  const lost = inputs.filter((input) => !kept.includes(input)).map(([port]) => port);
  const isNeeded = lost.some((port) => entry.inputs[port]?.isOptional !== true);
  // Without anything that a step found there is nothing to answer from.
  const hasEvidence = kept.some(([, source]) => source.kind === "step");
  if (lost.length === 0 || isNeeded || !hasEvidence) return null;
  if (last.fanOut !== undefined && lost.includes(last.fanOut)) return null;
  const reduced: PlannedStep = { ...last, inputs: Object.fromEntries(kept) };
  if (!isAffordable(reduced)) return null;
  return reducePlan(machine.plan, [...done, reduced], `${leftOut(machine, reduced)}: ${reason}`);
}

function finishWithDraft(
  machine: JobMachine,
  done: readonly PlannedStep[],
  { reason }: LeaveOutSettings,
): JobPlan | null {
  const drafts = (machine.plan.stages ?? []).filter(
    ({ draft, output }) => machine.steps.get(draft)?.outputs?.[output] !== undefined,
  );
  const last = drafts.at(-1);
  const settled = machine.stages.find(({ draft }) => draft === last?.draft);
  if (last === undefined || settled === undefined) return null;
  const sure = `${settled.confidence ?? "unknown"} of ${last.atLeast}`;
  const note = `the answer is that of the draft, which was not sure enough (${sure}): ${reason}`;
  const output = { kind: "step", step: last.draft, output: last.output } as const;
  return { ...reducePlan(machine.plan, done, note), output };
}

function leftOut(machine: JobMachine, reduced: PlannedStep): string {
  const names = [...machine.steps.values()]
    .filter((run) => run.state !== "done" && run.planned.step !== reduced.step)
    .map((run) => run.planned.step);
  return `${names.join(", ")} ${names.length === 1 ? "was" : "were"} left out`;
}

function reducePlan(plan: JobPlan, steps: readonly PlannedStep[], note: string): JobPlan {
  const { stages = [], ...rest } = plan;
  const isThere = (step: string): boolean => steps.some((it) => it.step === step);
  return {
    ...{ ...rest, steps, notes: [...plan.notes, note] },
    // The output step may have been deferred by one of them: it is asked for now.
    stages: stages.filter(({ draft }) => isThere(draft)),
  };
}
