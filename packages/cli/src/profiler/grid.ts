/**
 * Which settings the profiler tries.
 *
 * Owns:      the grid: a base, and what each setting changes of it.
 * Does not:  decide how often each is run (core's experiments do).
 *
 * Without `--knob` one thing is changed at a time: every other value of every knob, every other
 * executor of a step, and every other way through the workflow. That is what the model of quality learns from (pairs that differ in one
 * step), and grows with the sum of the values, not with their product. With `--knob` exactly the
 * named values are tried, in all combinations.
 */
import { changeOptions } from "@murakkab/core";
import {
  defaultKnobs,
  type JobConstraints,
  type KnobValue,
  type KnobValues,
} from "@murakkab/model";
import type { ExecutorView } from "@murakkab/sdk";
import { UsageError } from "../context.ts";

export type SettingChange =
  | {
      readonly kind: "knob";
      readonly executor: string;
      readonly knob: string;
      readonly value: KnobValue;
    }
  | { readonly kind: "executor"; readonly capability: string; readonly executor: string }
  /** Another way through the workflow: parts left out, or answered in stages. */
  | { readonly kind: "path"; readonly name: string; readonly configuration: string };

export interface Setting {
  /** `base`, or what it changes: `ocr.width=320`. */
  readonly name: string;
  readonly changes: readonly SettingChange[];
}

export interface GridRequest {
  /** Of the steps, in their order. */
  readonly capabilities: readonly string[];
  readonly executors: readonly ExecutorView[];
  /** Capability to executor: fixed by the user. */
  readonly fixed: Readonly<Record<string, string>>;
  /** `executor.knob=value,value…`. */
  readonly knobs: readonly KnobRange[];
  /** Only this executor's knobs are varied. */
  readonly only?: string;
  /** Ways through the workflow, the whole one first; empty for an executor. */
  readonly paths?: readonly WorkflowPath[];
  /** Only paths whose name has this text, and settings of knobs on the first of them. */
  readonly path?: string;
}

export interface WorkflowPath {
  /** `whole`, `without transcript`, `texts first, sure from 0.7`. */
  readonly name: string;
  /** With the base's executors and knobs. */
  readonly configuration: string;
}

export interface KnobRange {
  readonly executor: string;
  readonly knob: string;
  readonly values: readonly KnobValue[];
}

export interface Grid {
  /** Capability to the executor of the base. */
  readonly base: ReadonlyMap<string, ExecutorView>;
  readonly settings: readonly Setting[];
  /** Configuration of the whole workflow by the base; absent for an executor. */
  readonly whole?: string;
}

/** More settings than a budget of minutes can tell apart. */
export const SETTINGS_MAX = 200;
const BASE: Setting = { name: "base", changes: [] };

/** Errors: UsageError for executors, knobs and values that the library does not have. */
export function buildGrid(request: GridRequest): Grid {
  const base = new Map(
    request.capabilities.map((capability) => [capability, baseExecutor(request, capability)]),
  );
  for (const range of request.knobs) checkRange(request, range);
  const { paths = [] } = request;
  const chosen = choosePaths(request);
  const varied = request.knobs.length > 0 ? product(request.knobs) : oneAtATime(request, [...base]);
  // On named paths the base alone, or the named values.
  const onThem = request.knobs.length > 0 ? varied : [BASE];
  const settings = request.path === undefined ? [...varied, ...chosen] : onPaths(onThem, chosen);
  if (settings.length > SETTINGS_MAX) {
    throw new UsageError(
      `the grid has ${settings.length} settings, expected at most ${SETTINGS_MAX}: name fewer values with --knob`,
      { field: "knob" },
    );
  }
  const whole = paths[0]?.configuration;
  return { base, settings, ...(whole === undefined ? {} : { whole }) };
}

/** Settings that go another way than the whole one, each by the base. */
function choosePaths({ paths = [], path, knobs }: GridRequest): readonly Setting[] {
  const others = paths.slice(1).filter((it) => path === undefined || it.name.includes(path));
  if (path !== undefined && others.length === 0) {
    const names = paths.slice(1).map((it) => `"${it.name}"`);
    throw new UsageError(
      `--path is "${path}", expected part of one of ${names.join(", ") || "none: there is one way only"}`,
      { field: "path" },
    );
  }
  // Named values are tried on the whole workflow, unless a path is named, too.
  if (path === undefined && knobs.length > 0) return [];
  return others.map((it) => ({ name: it.name, changes: [{ kind: "path", ...it }] }));
}

function onPaths(varied: readonly Setting[], paths: readonly Setting[]): readonly Setting[] {
  return paths.flatMap((path) =>
    varied.map((setting) => ({
      name: setting.changes.length === 0 ? path.name : `${path.name} ${setting.name}`,
      changes: [...path.changes, ...setting.changes],
    })),
  );
}

/** Everything is fixed, so that no optimizer chooses anything itself. */
export function constraintsOf(
  { base, whole }: Grid,
  setting: Setting,
  library: readonly ExecutorView[],
): JobConstraints {
  if (whole !== undefined) return { configuration: configurationOf(whole, setting, library) };
  const executors: Record<string, string> = {};
  for (const [capability, entry] of base) executors[capability] = entry.id;
  for (const change of setting.changes) {
    if (change.kind === "executor") executors[change.capability] = change.executor;
  }
  const knobs: Record<string, KnobValues> = {};
  for (const id of Object.values(executors)) {
    const entry = library.find((it) => it.id === id);
    if (entry !== undefined && Object.keys(entry.knobs).length > 0) knobs[id] = defaultKnobs(entry);
  }
  for (const change of setting.changes) {
    if (change.kind === "knob" && knobs[change.executor] !== undefined) {
      knobs[change.executor] = { ...knobs[change.executor], [change.knob]: change.value };
    }
  }
  return { executors, knobs };
}

/** The text of a setting's configuration: its path's, with what it changes. */
function configurationOf(
  whole: string,
  { changes }: Setting,
  library: readonly ExecutorView[],
): string {
  const path = changes.find((it) => it.kind === "path");
  const text = path === undefined ? whole : path.configuration;
  return changeOptions(text, (capability, option) => {
    let { executor, knobs } = option;
    for (const change of changes) {
      if (change.kind === "executor" && change.capability === capability) {
        const entry = library.find((it) => it.id === change.executor);
        ({ executor } = change);
        knobs = entry === undefined ? {} : defaultKnobs(entry);
      }
    }
    for (const change of changes) {
      if (change.kind === "knob" && change.executor === executor) {
        knobs = { ...knobs, [change.knob]: change.value };
      }
    }
    return { executor, knobs };
  });
}

/** One setting with the changes of all of these; null when that is none of its own. */
export function combine(settings: readonly Setting[]): Setting | null {
  const changes = settings.flatMap((it) => it.changes);
  const places = new Set(changes.map(placeOf));
  if (settings.length < 2 || places.size < changes.length) return null;
  return { name: changes.map(changeText).join(" "), changes };
}

/** What it changes: two changes of one place exclude each other. */
export function placeOf(change: SettingChange): string {
  if (change.kind === "path") return "path";
  return change.kind === "knob" ? `${change.executor}.${change.knob}` : change.capability;
}

function changeText(change: SettingChange): string {
  if (change.kind === "path") return change.name;
  if (change.kind === "executor") return `${change.capability}=${change.executor}`;
  return `${change.executor}.${change.knob}=${String(change.value)}`;
}

function baseExecutor({ executors, fixed }: GridRequest, capability: string): ExecutorView {
  const candidates = executors.filter((it) => it.capability === capability);
  const wanted = fixed[capability];
  const found =
    wanted === undefined
      ? (candidates.find((it) => it.unavailable === null) ?? candidates[0])
      : candidates.find((it) => it.id === wanted);
  if (found === undefined) {
    const names = candidates.map((it) => it.id).join(", ") || "none in the library";
    throw new UsageError(
      `--executor ${capability}=${wanted ?? ""} is not known, expected one of ${names}`,
      { field: "executor" },
    );
  }
  return found;
}

function checkRange({ executors }: GridRequest, { executor, knob, values }: KnobRange): void {
  const entry = executors.find((it) => it.id === executor);
  if (entry === undefined) {
    throw new UsageError(
      `--knob names the executor "${executor}", expected one of ${executors.map((it) => it.id).join(", ")}`,
      { field: "knob" },
    );
  }
  const known = Object.hasOwn(entry.knobs, knob) ? entry.knobs[knob] : undefined;
  if (known === undefined) {
    throw new UsageError(
      `--knob names "${executor}.${knob}", expected one of the knobs ${Object.keys(entry.knobs).join(", ") || "(it has none)"}`,
      { field: "knob" },
    );
  }
  const wrong = values.find((value) => !known.values.includes(value));
  if (wrong === undefined) return;
  throw new UsageError(
    `--knob ${executor}.${knob} has the value ${JSON.stringify(wrong)}, expected some of ${known.values.map((it) => JSON.stringify(it)).join(", ")}`,
    { field: "knob" },
  );
}

function product(ranges: readonly KnobRange[]): readonly Setting[] {
  let combinations: readonly (readonly SettingChange[])[] = [[]];
  for (const { executor, knob, values } of ranges) {
    combinations = combinations.flatMap((changes) =>
      values.map((value) => [...changes, { kind: "knob", executor, knob, value } as const]),
    );
    if (combinations.length > 10 * SETTINGS_MAX) break; // refused by the caller
  }
  return combinations.map((changes) => ({ name: changes.map(changeText).join(" "), changes }));
}

function oneAtATime(
  { executors, fixed, only }: GridRequest,
  base: readonly (readonly [string, ExecutorView])[],
): readonly Setting[] {
  const changes: SettingChange[] = [];
  for (const [capability, entry] of base) {
    if (only !== undefined && entry.id !== only) continue;
    for (const [knob, { values, default: preset }] of Object.entries(entry.knobs)) {
      for (const value of values) {
        if (value !== preset) changes.push({ kind: "knob", executor: entry.id, knob, value });
      }
    }
    if (only !== undefined || fixed[capability] !== undefined) continue;
    for (const other of executors) {
      const isOther = other.capability === capability && other.id !== entry.id;
      if (isOther && other.unavailable === null) {
        changes.push({ kind: "executor", capability, executor: other.id });
      }
    }
  }
  return [BASE, ...changes.map((change) => ({ name: changeText(change), changes: [change] }))];
}
