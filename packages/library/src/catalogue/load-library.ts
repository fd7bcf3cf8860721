/**
 * Loads executors and workflows from folders of YAML files, and tells what is wrong with them.
 *
 * Owns:      which file is what: files in a folder named `workflows` are workflows, the price
 *            table is left to load-prices.ts, folders named `profiles` to load-profiles.ts; every
 *            other YAML file is an executor.
 * Does not:  throw on bad content. A file with an error is left out; the others are loaded.
 *
 * Invariants:
 *   L1. What is loaded has no error in `problems`.
 *   L2. Order is that of the folders, then of the file names: equal folders give equal libraries.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { ExecutorEntry, Library, Workflow } from "@murakkab/model";
import { readExecutor } from "./executor-file.ts";
import { type KnownNames, lintExecutor } from "./lint-executor.ts";
import { lintExecutors, type SourcedExecutor } from "./lint-library.ts";
import { lintSecrets } from "./lint-secrets.ts";
import { lintWorkflow } from "./lint-workflow.ts";
import type { LibraryProblem } from "./problem.ts";
import { readWorkflow } from "./workflow-file.ts";
import { YamlSource } from "./yaml-source.ts";

export interface LoadedLibrary extends Library {
  readonly executors: readonly ExecutorEntry[];
  readonly workflows: readonly Workflow[];
  /** In the order of the files. Empty for a library without mistakes. */
  readonly problems: readonly LibraryProblem[];
}

export const PRICES_FILE = "prices.yaml";
const WORKFLOWS_FOLDER = "workflows";
/** Holds no executors: profiles are loaded by themselves (see ../profiles/load-profiles.ts). */
const PROFILES_FOLDER = "profiles";
/** Folders below a library folder that are looked into: a link to itself must end somewhere. */
const DEPTH_MAX = 8;

interface Found {
  readonly executors: string[];
  readonly workflows: string[];
  readonly problems: LibraryProblem[];
}

/**
 * The library in `dirs`. Give `known` where functions and parsers are at hand, so that their names
 * are checked too.
 */
export function loadLibrary(dirs: readonly string[], known: KnownNames = {}): LoadedLibrary {
  const found: Found = { executors: [], workflows: [], problems: [] };
  for (const dir of dirs) findFiles(found, dir, { isWorkflows: false, depth: 0 });

  const executors = loadExecutors(found, known);
  const entries = executors.filter(({ source }) => source.isSound).map(({ entry }) => entry);
  const workflows = loadWorkflows(found, entries);
  return { executors: entries, workflows, problems: found.problems };
}

function loadExecutors(found: Found, known: KnownNames): SourcedExecutor[] {
  const sources = readSources(found, found.executors);
  const executors: SourcedExecutor[] = [];
  for (const source of sources) {
    const entry = readExecutor(source);
    lintSecrets(source);
    if (entry === null) continue;
    lintExecutor(source, entry, known);
    executors.push({ source, entry });
  }
  lintExecutors(executors);
  found.problems.push(...sources.flatMap(({ problems }) => problems));
  return executors;
}

function loadWorkflows(found: Found, executors: readonly ExecutorEntry[]): Workflow[] {
  const workflows = new Map<string, { readonly workflow: Workflow; readonly file: string }>();
  for (const source of readSources(found, found.workflows)) {
    const workflow = readWorkflow(source);
    lintSecrets(source);
    if (workflow !== null) {
      lintWorkflow(source, workflow, executors);
      const twin = workflows.get(workflow.name);
      if (twin !== undefined) {
        const message = `name "${workflow.name}" is taken by ${twin.file}, expected a name of its own`;
        source.error(["name"], message);
      }
      if (source.isSound) workflows.set(workflow.name, { workflow, file: source.file });
    }
    found.problems.push(...source.problems);
  }
  return [...workflows.values()].map(({ workflow }) => workflow);
}

function readSources({ problems }: Found, files: readonly string[]): YamlSource[] {
  return files.flatMap((file) => {
    try {
      return [new YamlSource(file, readFileSync(file, "utf8"))];
    } catch (error) {
      problems.push(unreadable(file, error));
      return [];
    }
  });
}

function findFiles(
  found: Found,
  dir: string,
  { isWorkflows, depth }: { readonly isWorkflows: boolean; readonly depth: number },
): void {
  let children;
  try {
    children = readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    found.problems.push(unreadable(dir, error));
    return;
  }
  for (const child of children.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(dir, child.name);
    if (child.isDirectory()) {
      if (child.name === PROFILES_FOLDER) continue;
      const inner = {
        isWorkflows: isWorkflows || child.name === WORKFLOWS_FOLDER,
        depth: depth + 1,
      };
      if (depth < DEPTH_MAX) findFiles(found, path, inner);
    } else if (/\.ya?ml$/.test(child.name) && basename(path) !== PRICES_FILE) {
      (isWorkflows ? found.workflows : found.executors).push(path);
    }
  }
}

function unreadable(file: string, error: unknown): LibraryProblem {
  const reason = error instanceof Error ? error.message : String(error);
  return { file, line: 1, field: "", message: `cannot be read: ${reason}`, severity: "error" };
}
