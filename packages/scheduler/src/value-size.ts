/** How large a value is, in the unit that its port names. Pure. */
import { type Port, parseInterfaceType, type SizeUnit } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { artifactsIn, itemOf, lengthOf } from "./passed-value.ts";

/** `items` for a list, else `bytes`, where a port does not say. */
export function sizeUnitOf({ type, sizeUnit }: Port): SizeUnit {
  return sizeUnit ?? (parseInterfaceType(type).isList ? "items" : "bytes");
}

/**
 * Size of a value.
 *
 * Units:  `items`: entries of a list, 1 for anything else; `sec`: sum over time spans
 *         (`startSec`, `endSec`), or of a file of a fixed rate; `bytes`: of the artifacts in it, else of its JSON; `one`: 1.
 * Range:  >= 0; null where the value lies elsewhere and its place does not tell.
 */
export function sizeOfValue(
  value: PassedValue,
  unit: SizeUnit,
  bytesPerSec?: number,
): number | null {
  if (unit === "one") return 1;
  if (unit === "items") return lengthOf(value) ?? 1;
  if (unit !== "sec") return bytesOf(value);
  if (bytesPerSec === undefined) return secondsOf(value);
  const bytes = bytesOf(value);
  return bytes === null ? null : bytes / bytesPerSec;
}

/** The same over the entries of a list that a batch took or gave. */
export function sizeOfItems(
  list: PassedValue,
  unit: SizeUnit,
  bytesPerSec?: number,
): number | null {
  const length = lengthOf(list);
  if (length === null) return null;
  let sum = 0;
  for (let index = 0; index < length; index += 1) {
    const size = sizeOfValue(itemOf(list, index), unit, bytesPerSec);
    if (size === null) return null;
    sum += size;
  }
  return sum;
}

function secondsOf(value: PassedValue): number | null {
  if (value.kind === "list") return sizeOfItems(value, "sec");
  if (value.kind !== "inline") return null;
  const spans = Array.isArray(value.value) ? (value.value as unknown[]) : [value.value];
  let sum = 0;
  for (const span of spans) {
    const { startSec, endSec } = (span ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof startSec !== "number" || typeof endSec !== "number") return null;
    if (!Number.isFinite(endSec - startSec)) return null;
    sum += Math.max(0, endSec - startSec);
  }
  return sum;
}

function bytesOf(value: PassedValue): number | null {
  if (value.kind === "list") return sizeOfItems(value, "bytes");
  // One item of a file with many: how much of it is not known here.
  if (value.kind === "spilled" && value.index !== undefined) return null;
  if (value.kind !== "inline") return value.artifact.bytes;
  const refs = artifactsIn(value);
  if (refs.length > 0) return refs.reduce((sum, ref) => sum + ref.bytes, 0);
  return new TextEncoder().encode(JSON.stringify(value.value) ?? "null").length;
}
