/** What a finished job tells. */
import type { Rates } from "@murakkab/core";
import {
  type Evidence,
  type Receipt,
  type StepReceipt,
  sloOutcome,
  type TerminalState,
} from "@murakkab/model";
import type { JobRecord } from "@murakkab/protocol";
import type { JobEffect, JobMachine, SettledStage, StepRun } from "./job-machine.ts";
import { plain } from "./job-run/job-budget.ts";

export interface ReceiptParts {
  readonly record: JobRecord;
  readonly machine: JobMachine;
  /** By how much attempts passed what was reserved for them; null without a budget, or where none did. */
  readonly overrun: { readonly costUsd: number; readonly energyWh: number } | null;
  readonly latencyMs: number;
  readonly effect: Extract<JobEffect, { kind: "finish" }>;
  readonly rates: Rates;
  readonly energyMethod: string;
}

export function makeReceipt(parts: ReceiptParts): Receipt {
  const { record, effect, rates, machine, overrun } = parts;
  const started = [...machine.steps.values()].filter((run) => run.state !== "waiting");
  const steps = started.map(toStepReceipt);
  const costUsd = steps.reduce((sum, step) => sum + step.costUsd, 0);
  const energyWh = steps.reduce((sum, step) => sum + step.energyWh, 0);
  const latencyMs = roundTo(parts.latencyMs, 1);
  const plan = record.status.plan === null ? null : machine.plan;
  const { objective } = record.submission;
  // Tiers with the numbers that they came to.
  const slo = record.status.plan?.explanation?.slo ?? record.submission.slo;
  const predicted = record.status.plan?.predicted;
  const { answer, evidence, output, error, state } = readOutput(parts);
  return {
    jobId: record.submission.jobId,
    state,
    workflow: plan?.workflow ?? null,
    answer,
    evidence,
    ...(output === undefined ? {} : { output }),
    latencyMs,
    costUsd,
    costProvenance: {
      kind: "prior",
      note: `price table, $${rates.pricePerCoreHourUsd} per core-hour where an executor names no price`,
    },
    energyWh,
    energyProvenance: "modelled",
    energyMethod: parts.energyMethod,
    slo,
    // A job without a result met no objective, however fast and cheap it was.
    sloMet:
      effect.state === "succeeded" && state === "succeeded"
        ? sloOutcome(slo, { latencyMs, costUsd, energyWh })
        : missedSlo(slo),
    notes: [
      ...(plan?.notes ?? []),
      ...machine.stages.flatMap(stageNote),
      ...(overrun === null ? [] : [overrunNote(overrun)]),
    ],
    ...(overrun === null ? {} : { overrun }),
    ...(machine.reruns === 0 ? {} : { reruns: machine.reruns }),
    steps,
    ...(objective === undefined ? {} : { objective }),
    // The promise is that of the plan that was accepted, whatever was chosen on the way.
    ...(predicted === undefined ? {} : { predicted }),
    ...(machine.configuration === null ? {} : { configuration: machine.configuration }),
    ...(machine.replans.length === 0 ? {} : { replans: machine.replans }),
    ...(error === undefined ? {} : { error }),
  };
}

/** What a draft made needless. */
function stageNote({ isSure, skipped, confidence, atLeast }: SettledStage): readonly string[] {
  if (!isSure || skipped.length === 0 || confidence === null) return [];
  const verb = skipped.length === 1 ? "was" : "were";
  const sure = `${roundTo(confidence, 2)} of ${roundTo(atLeast, 2)}`;
  return [`${joinNames(skipped)} ${verb} not needed: the draft was sure enough (${sure})`];
}

function overrunNote({ costUsd, energyWh }: NonNullable<ReceiptParts["overrun"]>): string {
  const amounts = [
    ...(costUsd > 0 ? [`$${plain(costUsd)}`] : []),
    ...(energyWh > 0 ? [`${plain(energyWh)} Wh`] : []),
  ];
  return `attempts took ${amounts.join(" and ")} more than was reserved for them`;
}

function joinNames(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}

function missedSlo(slo: Receipt["slo"]): Receipt["sloMet"] {
  return {
    ...(slo.latencyMsMax === undefined ? {} : { latency: false }),
    ...(slo.costUsdMax === undefined ? {} : { cost: false }),
    ...(slo.energyWhMax === undefined ? {} : { energy: false }),
    ...(slo.qualityMin === undefined ? {} : { quality: null }),
  };
}

interface Output {
  readonly state: TerminalState;
  readonly answer: string | null;
  readonly evidence: readonly Evidence[];
  readonly output?: unknown;
  readonly error?: NonNullable<Receipt["error"]>;
}

function readOutput({ effect, record }: ReceiptParts): Output {
  if (effect.state !== "succeeded" || effect.output === null) {
    const { error, state } = effect;
    if (error === null) return { state, answer: null, evidence: [] };
    const { code, message, step, detail } = error;
    return {
      state,
      answer: null,
      evidence: [],
      error: {
        code,
        message,
        ...(step === undefined ? {} : { step }),
        ...(detail === undefined || detail === "" ? {} : { detail }),
      },
    };
  }
  const value = effect.output.kind === "inline" ? effect.output.value : { ...effect.output };
  if (record.status.plan?.outputType !== "answer") {
    return { state: "succeeded", answer: null, evidence: [], output: value };
  }
  const answer = value as { text?: unknown; found?: unknown; evidence?: unknown };
  if (answer.found === false && record.inputGaps.length > 0) {
    const message = `${record.inputGaps.join("; ")}, and the rest of the input does not answer the question`;
    return {
      state: "failed",
      answer: null,
      evidence: [],
      output: value,
      error: { code: "INPUT_INCOMPLETE", message },
    };
  }
  return {
    state: "succeeded",
    answer: typeof answer.text === "string" ? answer.text : null,
    evidence: Array.isArray(answer.evidence) ? (answer.evidence as Evidence[]) : [],
    output: value,
  };
}

function sharedOf({ units }: StepRun): Pick<StepReceipt, "shared"> {
  const shared = units.filter((unit) => unit.sharedFrom !== null);
  if (shared.length === 0) return {};
  const items = shared.reduce((sum, unit) => sum + unit.itemCount, 0);
  const fromJobs = [...new Set(shared.flatMap((unit) => unit.sharedFrom ?? []))].sort();
  return { shared: { items, fromJobs } };
}

function toStepReceipt(run: StepRun): StepReceipt {
  return {
    step: run.planned.step,
    capability: run.planned.capability,
    executor: run.planned.executor,
    knobs: run.planned.knobs,
    node: run.lastPlace?.node ?? null,
    instance: run.lastPlace?.instance ?? null,
    attempts: run.attemptsMax,
    items: run.total,
    queueMs: roundTo(run.doneCount === 0 ? 0 : run.queueMs / run.doneCount, 1),
    runMs: roundTo(run.runMs, 1),
    cpuSec: run.cpuSec === null ? null : roundTo(run.cpuSec, 3),
    memoryBytesMax: run.memoryBytesMax,
    costUsd: run.costUsd,
    energyWh: run.energyWh,
    nodes: [...run.nodes].sort(),
    ...sharedOf(run),
    ...(run.planned.predicted === undefined ? {} : { predicted: run.planned.predicted }),
    ...(run.planned.batchItems === undefined ? {} : { batchItems: run.planned.batchItems }),
  };
}

function roundTo(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
