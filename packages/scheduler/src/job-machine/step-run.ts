/**
 * One step of a job while it runs: its units and its running sums.
 *
 * A *unit* is what one attempt takes: the step as a whole, one item of a fan-out, or a batch of
 * consecutive items. Events, receipts and `doneCount` count items.
 */
import type { WireError } from "@murakkab/kit";
import type { PlannedStep } from "@murakkab/model";
import type { AttemptMeasure, PassedValue } from "@murakkab/protocol";
import type { AttemptPlace, StepCost } from "./machine-types.ts";

export interface UnitRun {
  /** Index of its first item. */
  readonly first: number;
  readonly itemCount: number;
  /** `blocked`: waits until a step that it needs has run again. */
  state: "blocked" | "pending" | "running" | "done";
  attempt: number;
  failureCount: number;
  transientCount: number;
  readonly failedInstances: Set<string>;
  outputs: Readonly<Record<string, PassedValue>> | null;
  /** Of the inputs that `outputs` were made of, or that the present attempt got. */
  inputsHash: string;
  place: AttemptPlace | null;
  readyAtMs: number;
  /** The job whose attempt made `outputs`, where that was not this unit's. */
  sharedFrom: string | null;
}

/** Running sums of a step, for the receipt. */
export interface StepRun {
  planned: PlannedStep;
  state: "waiting" | "running" | "done";
  units: UnitRun[];
  /** Items, of all units. */
  total: number;
  doneCount: number;
  outputs: Readonly<Record<string, PassedValue>> | null;
  readonly nodes: Set<string>;
  lastPlace: AttemptPlace | null;
  attemptsMax: number;
  /** Summed over items. */
  queueMs: number;
  runMs: number;
  cpuSec: number | null;
  memoryBytesMax: number | null;
  costUsd: number;
  energyWh: number;
}

export function newStepRun(planned: PlannedStep): StepRun {
  return {
    planned,
    state: "waiting",
    units: [],
    total: 0,
    doneCount: 0,
    outputs: null,
    nodes: new Set(),
    lastPlace: null,
    attemptsMax: 0,
    queueMs: 0,
    runMs: 0,
    cpuSec: null,
    memoryBytesMax: null,
    costUsd: 0,
    energyWh: 0,
  };
}

/** Items that one attempt takes as a list; null: one, passed alone. */
export function batchOf({ fanOut, batchItems }: PlannedStep): number | null {
  return fanOut === undefined ? null : (batchItems ?? null);
}

/** Fresh units. Attempts of earlier ones may still answer: theirs have lower numbers (J4). */
export function openUnits(run: StepRun, total: number, nowMs: number): void {
  const size = batchOf(run.planned) ?? 1;
  run.state = "running";
  run.doneCount = 0;
  run.outputs = null;
  run.total = total;
  run.units = Array.from({ length: Math.ceil(total / size) }, (_, index) => ({
    first: index * size,
    itemCount: Math.min(size, total - index * size),
    state: "pending",
    attempt: run.attemptsMax,
    failureCount: 0,
    transientCount: 0,
    failedInstances: new Set<string>(),
    outputs: null,
    inputsHash: "",
    place: null,
    readyAtMs: nowMs,
    sharedFrom: null,
  }));
}

/** The unit whose first item this is. */
export function unitAt(run: StepRun, item: number): UnitRun | undefined {
  const unit = run.units[item / (batchOf(run.planned) ?? 1)];
  return unit?.first === item ? unit : undefined;
}

export function markDone(
  run: StepRun,
  unit: UnitRun,
  result: {
    readonly place: AttemptPlace;
    readonly outputs: Readonly<Record<string, PassedValue>>;
    readonly measure: AttemptMeasure;
    readonly shared?: { readonly jobId: string };
    readonly nowMs: number;
  },
): void {
  unit.state = "done";
  unit.outputs = result.outputs;
  run.doneCount += unit.itemCount;
  unit.sharedFrom = result.shared?.jobId ?? null;
  // A shared one ran on no node for this job.
  if (result.shared === undefined) {
    run.lastPlace = result.place;
    run.nodes.add(result.place.node);
  }
  const waitedMs = Math.max(0, result.nowMs - unit.readyAtMs - result.measure.runMs);
  run.queueMs += waitedMs * unit.itemCount;
}

/** The bill counts every attempt, failed and superseded ones too. */
export function book(
  run: StepRun,
  input: { readonly measure: AttemptMeasure | null; readonly cost: StepCost },
): void {
  run.costUsd += input.cost.costUsd;
  run.energyWh += input.cost.energyWh;
  if (input.measure === null) return;
  run.runMs += input.measure.runMs;
  const { cpuSec, memoryBytesMax } = input.measure;
  if (cpuSec !== null) run.cpuSec = (run.cpuSec ?? 0) + cpuSec;
  if (memoryBytesMax !== null) {
    run.memoryBytesMax = Math.max(run.memoryBytesMax ?? 0, memoryBytesMax);
  }
}

/** Failures that say nothing about the work: they have a bound of their own. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  "ARTIFACT_LOST",
  "MAILBOX_FULL",
  "NODE_LEAVING",
  "SPOOL_FULL",
  "UNAVAILABLE",
]);

export function countFailure(unit: UnitRun, place: AttemptPlace | null, error: WireError): void {
  if (TRANSIENT_CODES.has(error.code)) {
    unit.transientCount += 1;
    return;
  }
  unit.failureCount += 1;
  if (place !== null) unit.failedInstances.add(place.instance);
}
