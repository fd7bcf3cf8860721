/**
 * The executors of the load, as library files in a directory that the cluster is started with.
 *
 * JSON is YAML: what is written here is what `--library DIR` reads. The functions are
 * packages/library/src/executors/chaos.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface LoadLibraryOptions {
  /** Made if need be. */
  readonly directory: string;
  /** One line per effect is appended to it. */
  readonly effectsFile: string;
}

/** Small: the load is to meet faults, not to wait for cores. */
const RESOURCES = { cores: 0.5, memoryMib: 96 };
/** Tasks of the recovery bench wait; a share of a core bounds how many workers are started. */
const TASK_RESOURCES = { cores: 0, memoryMib: 96, concurrency: 16 };
const TIME_LIMIT_SEC = 30;
const TASK_MS = 100;
/**
 * An effect in the middle of some waiting, so that a kill finds attempts on both sides of it. `>>`
 * appends, and one printf is one write: lines of different processes do not mix.
 */
const MARK_SCRIPT = [
  "sleep 0.05",
  "read -r token < /proc/sys/kernel/random/uuid",
  'printf "%s %s\\n" "$1" "$token" >> "$2"',
  "sleep 0.05",
  'printf \'{"mark":"%s %s"}\' "$1" "$token"',
].join("; ");

export function writeLoadLibrary({ directory, effectsFile }: LoadLibraryOptions): void {
  mkdirSync(directory, { recursive: true });
  for (const executor of [split, mark, make, use, task]) {
    const file = { ...shared, ...executor(effectsFile) };
    writeFileSync(join(directory, `${file.id}.yaml`), JSON.stringify(file, null, 2));
  }
}

const shared = {
  version: "1",
  kind: "tool",
  keywords: [],
  knobs: {},
  programs: [],
  resources: RESOURCES,
  timeLimitSec: TIME_LIMIT_SEC,
  pure: true,
  deterministic: true,
  provenance: { kind: "prior", note: "load of the chaos command, no figures" },
};

const split = () => ({
  id: "chaos-split",
  capability: "chaos-splitting",
  description: "Makes three items of a text.",
  inputs: { question: { type: "question" } },
  outputs: { items: { type: "list<question>" } },
  engine: { kind: "function", function: "chaos-split" },
});

const mark = (effectsFile: string) => ({
  id: "chaos-mark",
  capability: "chaos-marking",
  description: "Appends a line to the effects file.",
  inputs: { item: { type: "question" } },
  outputs: { mark: { type: "chaos-mark" } },
  engine: {
    kind: "command",
    program: "sh",
    args: ["-c", MARK_SCRIPT, "chaos-mark", "${input.item}", effectsFile],
    parse: "json",
  },
  programs: ["sh"],
  pure: false,
  deterministic: false,
});

const make = () => ({
  id: "chaos-make",
  capability: "chaos-making",
  description: "Makes a file that holds the marks.",
  inputs: { marks: { type: "list<chaos-mark>" } },
  outputs: { file: { type: "chaos-file" } },
  engine: { kind: "function", function: "chaos-make" },
});

const use = () => ({
  id: "chaos-use",
  capability: "chaos-using",
  description: "Reads the file and tells its marks and those it was given.",
  inputs: { file: { type: "chaos-file" }, marks: { type: "list<chaos-mark>" } },
  outputs: { used: { type: "chaos-used" } },
  engine: { kind: "function", function: "chaos-use" },
});

const task = (effectsFile: string) => ({
  id: "chaos-task",
  capability: "chaos-waiting",
  description: "Waits without using a core and leaves one line in the effects file.",
  inputs: { question: { type: "question" } },
  outputs: { mark: { type: "chaos-mark" } },
  knobs: {
    effectsFile: {
      description: "where the line goes",
      values: [effectsFile],
      default: effectsFile,
    },
    effect: {
      description: "whether the line is written before or after the wait",
      values: ["before", "after"],
      default: "after",
    },
    waitMs: { description: "length of the wait", values: [TASK_MS], default: TASK_MS },
  },
  engine: { kind: "function", function: "chaos-task" },
  resources: TASK_RESOURCES,
  pure: false,
  deterministic: false,
});
