/** Values between steps: how many items one has, which of them, and how a fan-out is gathered. */
import { assert, InvalidArgumentError } from "@murakkab/kit";
import { type ArtifactRef, collectArtifactRefs, type PlannedStep } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";

/** Number of items of a list. Errors: `INVALID_ARGUMENT` when the value is no list. */
export function countOf(value: PassedValue): number {
  const length = lengthOf(value);
  if (length !== null) return length;
  throw new InvalidArgumentError(`a step's output is ${value.kind} and no list, expected a list`);
}

/** Null when the value is no list. */
export function lengthOf(value: PassedValue): number | null {
  if (value.kind === "inline" && Array.isArray(value.value)) return value.value.length;
  if (value.kind === "list") return value.items.length;
  if (value.kind === "spilled" && value.index === undefined) return value.count ?? null;
  return null;
}

export function itemOf(value: PassedValue, index: number): PassedValue {
  if (value.kind === "inline" && Array.isArray(value.value)) {
    return { kind: "inline", value: value.value[index] as unknown };
  }
  if (value.kind === "list") {
    const item = value.items[index];
    assert(item !== undefined, `no item ${index} in a list of ${value.items.length}`);
    return item;
  }
  assert(value.kind === "spilled", `a ${value.kind} value has no items`);
  const { artifact } = value;
  return { kind: "spilled", artifact, index };
}

/** Items `start` to before `end`, as a list. */
export function sliceOf(value: PassedValue, start: number, end: number): PassedValue {
  if (value.kind === "inline" && Array.isArray(value.value)) {
    return { kind: "inline", value: value.value.slice(start, end) as unknown[] };
  }
  if (value.kind === "list") return { kind: "list", items: value.items.slice(start, end) };
  const indexes = Array.from({ length: end - start }, (_, offset) => start + offset);
  return { kind: "list", items: indexes.map((index) => itemOf(value, index)) };
}

function itemsOf(value: PassedValue): readonly PassedValue[] {
  return Array.from({ length: countOf(value) }, (_, index) => itemOf(value, index));
}

const NOTHING: PassedValue = { kind: "inline", value: null };

/** The outputs of a step: of its one unit, or per port the list over all items of all units. */
export function gather(
  planned: PlannedStep,
  units: readonly {
    readonly outputs: Readonly<Record<string, PassedValue>> | null;
  }[],
): Readonly<Record<string, PassedValue>> {
  if (planned.fanOut === undefined) {
    const only = units[0]?.outputs;
    assert(only !== undefined && only !== null, `step ${planned.step} has no outputs`);
    return only;
  }
  const gathered: Record<string, PassedValue> = {};
  for (const port of Object.keys(planned.outputs)) {
    const values = units.map(({ outputs }) => outputs?.[port] ?? NOTHING);
    const items =
      planned.batchItems === undefined ? values : values.flatMap((value) => itemsOf(value));
    gathered[port] = items.every((item) => item.kind === "inline")
      ? { kind: "inline", value: items.map((item) => item.value) }
      : { kind: "list", items };
  }
  return gathered;
}

/** Every artifact that a value needs. */
export function artifactsIn(value: PassedValue): readonly ArtifactRef[] {
  if (value.kind === "inline") return collectArtifactRefs(value.value);
  if (value.kind === "list") return value.items.flatMap((item) => artifactsIn(item));
  return [value.artifact];
}
