/** What differs between two sets of profiles, as data. Order of the sets does not matter. */
import type { ProfileSet } from "@murakkab/model";
import { profileName } from "./format-profiles.ts";
import { identity } from "./load-profiles.ts";

export interface FieldChange {
  /** Dotted path such as `runMs.perUnit`. */
  readonly field: string;
  /** Null: was not there. */
  readonly before: string | number | boolean | null;
  /** Null: is no longer there. */
  readonly after: string | number | boolean | null;
}

export interface ProfileChange {
  readonly kind: "added" | "removed" | "changed";
  readonly what: "executor" | "configuration";
  /** For people: what it is a profile of. */
  readonly name: string;
  /** Empty unless changed. */
  readonly fields: readonly FieldChange[];
}

interface Item {
  readonly what: ProfileChange["what"];
  readonly name: string;
  readonly leaves: ReadonlyMap<string, string | number | boolean>;
}

/** Relative differences below this are rounding. */
const ROUNDING = 1e-5;

/** From `before` to `after`, sorted by what and name. */
export function diffProfiles(before: ProfileSet, after: ProfileSet): readonly ProfileChange[] {
  const old = itemsOf(before);
  const now = itemsOf(after);
  const changes: ProfileChange[] = [];
  for (const [key, { what, name, leaves }] of now) {
    const earlier = old.get(key);
    if (earlier === undefined) changes.push({ kind: "added", what, name, fields: [] });
    else {
      const fields = diffLeaves(earlier.leaves, leaves);
      if (fields.length > 0) changes.push({ kind: "changed", what, name, fields });
    }
  }
  for (const [key, { what, name }] of old) {
    if (!now.has(key)) changes.push({ kind: "removed", what, name, fields: [] });
  }
  const order = (it: ProfileChange): string => `${it.what === "executor" ? 0 : 1} ${it.name}`;
  return changes.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

function itemsOf({ executors, workflows }: ProfileSet): ReadonlyMap<string, Item> {
  const items = new Map<string, Item>();
  for (const profile of executors) {
    const { executor: _e, version: _v, knobs: _k, nodeKind: _n, ...values } = profile;
    const name = profileName(profile);
    items.set(identity(profile), { what: "executor", name, leaves: leavesOf(values) });
  }
  for (const { workflow, configurations } of workflows) {
    for (const { configuration, ...values } of configurations) {
      const name = `${workflow}: ${configuration}`;
      items.set(name, { what: "configuration", name, leaves: leavesOf(values) });
    }
  }
  return items;
}

function leavesOf(
  value: unknown,
  path = "",
  leaves = new Map<string, string | number | boolean>(),
): ReadonlyMap<string, string | number | boolean> {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    leaves.set(path, value);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      leavesOf(inner, path === "" ? key : `${path}.${key}`, leaves);
    }
  }
  return leaves;
}

function diffLeaves(before: Item["leaves"], after: Item["leaves"]): readonly FieldChange[] {
  const fields = [...new Set([...before.keys(), ...after.keys()])].sort();
  return fields.flatMap((field) => {
    const a = before.get(field) ?? null;
    const b = after.get(field) ?? null;
    return isSame(a, b) ? [] : [{ field, before: a, after: b }];
  });
}

function isSame(a: FieldChange["before"], b: FieldChange["after"]): boolean {
  if (typeof a !== "number" || typeof b !== "number") return a === b;
  return Math.abs(a - b) <= ROUNDING * Math.max(Math.abs(a), Math.abs(b));
}
