/**
 * What a real attempt showed, for whoever learns from it.
 *
 * Owns:      the size of an attempt and of its outputs, as model/profile.ts defines them.
 * Does not:  keep or judge observations.
 */
import {
  ANY_NODE_KIND,
  type AttemptObservation,
  type ExecutorEntry,
  type JobPlan,
  type SizeUnit,
  type Source,
} from "@murakkab/model";
import type { AttemptMeasure, JobRecord, PassedValue } from "@murakkab/protocol";
import type { Fleet } from "../fleet.ts";
import type { AttemptPlace } from "../job-machine.ts";
import { sizeOfItems, sizeOfValue, sizeUnitOf } from "../value-size.ts";
import type { Dispatch } from "./attempt-sender.ts";

export interface ObservedAttempt {
  readonly effect: Dispatch;
  readonly entry: ExecutorEntry;
  readonly place: AttemptPlace;
  readonly outputs: Readonly<Record<string, PassedValue>>;
  readonly measure: AttemptMeasure;
}

export interface ObservationContext {
  readonly plan: JobPlan;
  readonly inputSizes: JobRecord["inputSizes"];
  readonly executor: (id: string) => ExecutorEntry | undefined;
  readonly fleet: Pick<Fleet, "node">;
  readonly wallMs: number;
}

/** Null where the size of the attempt is not known: then it teaches nothing. */
export function observationOf(
  attempt: ObservedAttempt,
  context: ObservationContext,
): AttemptObservation | null {
  const { effect, entry, place, measure } = attempt;
  const size = attemptSize(attempt, context);
  if (size === null) return null;
  return {
    executor: entry.id,
    version: entry.version,
    knobs: effect.planned.knobs,
    node: place.node,
    nodeKind: context.fleet.node(place.node)?.registration.host.kind ?? ANY_NODE_KIND,
    size,
    runMs: measure.runMs,
    cpuSec: measure.cpuSec,
    memoryBytesMax: measure.memoryBytesMax,
    outputSizes: outputSizes(attempt),
    atMs: context.wallMs,
  };
}

/** Of the first input of `sizedBy` that is connected and not empty; 1 where it says nothing. */
function attemptSize(attempt: ObservedAttempt, context: ObservationContext): number | null {
  const { entry, effect } = attempt;
  const ports = (entry.sizedBy ?? []).filter((name) => effect.inputs[name] !== undefined);
  let size: number | null = 1;
  for (const port of ports) {
    size = sizeOfPort(port, attempt, context);
    if (size !== 0) return size;
  }
  return size;
}

function sizeOfPort(
  port: string,
  { effect }: ObservedAttempt,
  context: ObservationContext,
): number | null {
  const { planned, inputs, batchItems } = effect;
  const value = inputs[port];
  const source = planned.inputs[port];
  if (value === undefined || source === undefined) return 1;
  if (source.kind === "input" && port !== planned.fanOut) {
    const known = context.inputSizes?.[source.input];
    return known?.sec ?? known?.bytes ?? sizeOfValue(value, "bytes");
  }
  const { unit, bytesPerSec } = unitOfSource(source, context);
  if (port !== planned.fanOut) return sizeOfValue(value, unit, bytesPerSec);
  if (unit === "items") return batchItems ?? 1;
  return batchItems === undefined
    ? sizeOfValue(value, unit, bytesPerSec)
    : sizeOfItems(value, unit, bytesPerSec);
}

/** The unit of the step's gathered output. */
function unitOfSource(
  source: Source,
  { plan, executor }: ObservationContext,
): { readonly unit: SizeUnit; readonly bytesPerSec?: number } {
  if (source.kind === "input") return { unit: "items" };
  const planned = plan.steps.find((it) => it.step === source.step);
  const port =
    planned === undefined ? undefined : executor(planned.executor)?.outputs[source.output];
  const type = planned?.outputs[source.output];
  if (port === undefined || type === undefined) return { unit: "items" };
  const unit = port.sizeUnit ?? sizeUnitOf({ type });
  return port.bytesPerSec === undefined ? { unit } : { unit, bytesPerSec: port.bytesPerSec };
}

function outputSizes({ entry, outputs, effect }: ObservedAttempt): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [name, port] of Object.entries(entry.outputs)) {
    const value = outputs[name];
    if (value === undefined) continue;
    const unit = sizeUnitOf(port);
    const isBatch = effect.batchItems !== undefined;
    const size = isBatch
      ? sizeOfItems(value, unit, port.bytesPerSec)
      : sizeOfValue(value, unit, port.bytesPerSec);
    if (size !== null) sizes[name] = size;
  }
  return sizes;
}
