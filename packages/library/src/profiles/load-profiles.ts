/**
 * Loads profile files, and tells what is wrong with them.
 *
 * Owns:      which files are read; what a profile must agree on with the library.
 * Does not:  throw on bad content. A file with an error is left out whole.
 *
 * Invariants:
 *   P1. What is loaded has no error in `problems`.
 *   P2. Of two profiles of the same thing the later file's stands: folders in their order, then the
 *       names of the files.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson } from "@murakkab/kit";
import type {
  ConfigurationQuality,
  ExecutorEntry,
  ExecutorProfile,
  ProfileSet,
} from "@murakkab/model";
import type { LibraryProblem } from "../catalogue/problem.ts";
import { YamlSource } from "../catalogue/yaml-source.ts";
import { sizeUnitOf } from "./format-profiles.ts";
import { readProfiles } from "./profile-file.ts";

export interface LoadedProfiles extends ProfileSet {
  readonly problems: readonly LibraryProblem[];
}

/** Below a library folder. The library's loader leaves it alone. */
export const PROFILES_FOLDER = "profiles";

/**
 * `paths`: files, and folders whose YAML files are read; a folder that is absent is an empty one.
 * `executors`: the library that the profiles must agree with; absent = not checked.
 */
export function loadProfiles(
  paths: readonly string[],
  executors?: readonly ExecutorEntry[],
): LoadedProfiles {
  const problems: LibraryProblem[] = [];
  const profiles = new Map<string, ExecutorProfile>();
  const workflows = new Map<string, Map<string, ConfigurationQuality>>();
  for (const file of paths.flatMap((path) => filesOf(path, problems))) {
    const set = loadFile(file, { executors, problems });
    for (const profile of set?.executors ?? []) profiles.set(identity(profile), profile);
    for (const { workflow, configurations } of set?.workflows ?? []) {
      const known = workflows.get(workflow) ?? new Map<string, ConfigurationQuality>();
      workflows.set(workflow, known);
      for (const it of configurations) known.set(it.configuration, it);
    }
  }
  return {
    executors: [...profiles.values()],
    workflows: [...workflows].map(([workflow, known]) => ({
      workflow,
      configurations: [...known.values()],
    })),
    problems,
  };
}

/** What a profile is of; the same for two profiles of which only one can stand. */
export function identity({ executor, version, knobs, nodeKind }: ExecutorProfile): string {
  return canonicalJson({ executor, version, knobs, nodeKind });
}

function loadFile(
  file: string,
  {
    executors,
    problems,
  }: {
    readonly executors: readonly ExecutorEntry[] | undefined;
    readonly problems: LibraryProblem[];
  },
): ProfileSet | null {
  const text = readText(file, problems);
  if (text === null) return null;
  const source = new YamlSource(file, text);
  const set = readProfiles(source);
  if (set !== null) {
    lintTwins(source, set);
    if (executors !== undefined) lintAgainstLibrary(source, executors);
  }
  problems.push(...source.problems);
  return source.isSound ? set : null;
}

function lintTwins(source: YamlSource, { executors, workflows }: ProfileSet): void {
  const seen = new Set<string>();
  const check = (path: readonly (string | number)[], key: string): void => {
    if (seen.has(key)) source.error(path, "the same profile is there twice, expected it once");
    seen.add(key);
  };
  for (const [i, profile] of executors.entries()) check(["executors", i], identity(profile));
  for (const [i, { workflow, configurations }] of workflows.entries()) {
    for (const [j, { configuration }] of configurations.entries()) {
      check(["workflows", i, "configurations", j], `${workflow}\n${configuration}`);
    }
  }
}

interface ProfileInFile {
  readonly executor: string;
  readonly version: string;
  readonly knobs?: Readonly<Record<string, string | number | boolean>>;
  readonly outputSizes?: Readonly<Record<string, { readonly unit: string }>>;
}

/** The shape is sound: what is left is whether the names mean something here. */
function lintAgainstLibrary(source: YamlSource, executors: readonly ExecutorEntry[]): void {
  const entries = new Map(executors.map((entry) => [entry.id, entry]));
  const file = source.value as { readonly executors?: readonly ProfileInFile[] };
  for (const [index, profile] of (file.executors ?? []).entries()) {
    const path = ["executors", index] as const;
    const entry = entries.get(profile.executor);
    if (entry === undefined) {
      const known = [...entries.keys()].sort().join(", ");
      source.error(
        [...path, "executor"],
        `"${profile.executor}" is no executor of the library, expected one of ${known}`,
      );
      continue;
    }
    if (profile.version !== entry.version) {
      // Another version may have had other knobs: what is said of it can't be checked here.
      source.warn(
        [...path, "version"],
        `"${profile.version}" is not the library's version ${entry.version}: it counts as that of another version`,
      );
      continue;
    }
    lintKnobs(source, path, { profile, entry });
    lintOutputs(source, path, { profile, entry });
  }
}

interface Checked {
  readonly profile: ProfileInFile;
  readonly entry: ExecutorEntry;
}

function lintKnobs(
  source: YamlSource,
  path: readonly (string | number)[],
  { profile, entry }: Checked,
): void {
  for (const [name, value] of Object.entries(profile.knobs ?? {})) {
    const knob = Object.hasOwn(entry.knobs, name) ? entry.knobs[name] : undefined;
    if (knob === undefined) {
      const known = Object.keys(entry.knobs).sort().join(", ") || "none";
      source.error(
        [...path, "knobs", name],
        `"${name}" is no knob of ${entry.id}, expected ${known}`,
      );
    } else if (!knob.values.includes(value)) {
      const allowed = knob.values.map((it) => JSON.stringify(it)).join(", ");
      source.error(
        [...path, "knobs", name],
        `${JSON.stringify(value)} is no value of it, expected one of ${allowed}`,
      );
    }
  }
  const missing = Object.keys(entry.knobs).filter(
    (name) => !Object.hasOwn(profile.knobs ?? {}, name),
  );
  if (missing.length > 0) {
    const names = missing.sort().join(", ");
    source.error(
      [...path, "knobs"],
      `${names} missing, expected a value for every knob of ${entry.id}`,
    );
  }
}

function lintOutputs(
  source: YamlSource,
  path: readonly (string | number)[],
  { profile, entry }: Checked,
): void {
  for (const [port, { unit }] of Object.entries(profile.outputSizes ?? {})) {
    const expected = sizeUnitOf(entry, port);
    if (expected === "unknown") {
      const known = Object.keys(entry.outputs).sort().join(", ");
      source.error(
        [...path, "outputSizes", port],
        `"${port}" is no output of ${entry.id}, expected ${known}`,
      );
    } else if (unit !== expected) {
      source.error(
        [...path, "outputSizes", port, "unit"],
        `"${unit}" is not the unit of ${entry.id}.${port}, expected ${expected}`,
      );
    }
  }
}

function filesOf(path: string, problems: LibraryProblem[]): readonly string[] {
  if (!existsSync(path)) {
    // A file that was named must be there; a folder of profiles need not be.
    if (/\.ya?ml$/.test(path)) problems.push(unreadable(path, "it does not exist"));
    return [];
  }
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

function readText(file: string, problems: LibraryProblem[]): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    problems.push(unreadable(file, error instanceof Error ? error.message : String(error)));
    return null;
  }
}

function unreadable(file: string, reason: string): LibraryProblem {
  return { file, line: 1, field: "", message: `cannot be read: ${reason}`, severity: "error" };
}
