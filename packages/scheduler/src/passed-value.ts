/** Values between steps: how many items one has, which item, and how a fan-out is gathered. */
import { assert, InvalidArgumentError } from "@murakkab/kit";
import { type ArtifactRef, collectArtifactRefs, type PlannedStep } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";

/** Number of items of a list. Errors: `INVALID_ARGUMENT` when the value is no list. */
export function countOf(value: PassedValue): number {
  if (value.kind === "inline" && Array.isArray(value.value)) return value.value.length;
  if (value.kind === "list") return value.items.length;
  if (value.kind === "spilled" && value.count !== undefined) return value.count;
  throw new InvalidArgumentError(`a step's output is ${value.kind} and no list, expected a list`);
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

/** The outputs of a step: of its one item, or per port the list over all items. */
export function gather(
  planned: PlannedStep,
  outputs: readonly (Readonly<Record<string, PassedValue>> | null)[],
): Readonly<Record<string, PassedValue>> {
  if (planned.fanOut === undefined) {
    const only = outputs[0];
    assert(only !== undefined && only !== null, `step ${planned.step} has no outputs`);
    return only;
  }
  const gathered: Record<string, PassedValue> = {};
  for (const port of Object.keys(planned.outputs)) {
    const items = outputs.map(
      (output) => output?.[port] ?? ({ kind: "inline", value: null } as const),
    );
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
