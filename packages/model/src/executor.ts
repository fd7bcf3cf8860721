/**
 * Library entries: what implements a capability, with which knobs, needing what.
 *
 * A capability is the pair of a name and a typed interface. Several executors may share one; the
 * planner names capabilities, the chooser picks executors.
 */
export type KnobValue = string | number | boolean;
export type KnobValues = Readonly<Record<string, KnobValue>>;

export interface Knob {
  readonly description: string;
  /** Allowed values, cheapest first. The default is one of them. */
  readonly values: readonly KnobValue[];
  readonly default: KnobValue;
}

/**
 * What a value's size is counted in: `items` of a list, `bytes` of a file, `sec` of time spans
 * (`startSec`, `endSec`) or, for an input of the job, of the media; `one` where size says nothing.
 */
export const SIZE_UNITS = ["items", "bytes", "sec", "one"] as const;
export type SizeUnit = (typeof SIZE_UNITS)[number];

export interface Port {
  /** `name` or `list<name>`, see interface-type.ts. */
  readonly type: string;
  readonly description?: string;
  /** The step runs without it when nothing can produce it. Inputs only. */
  readonly isOptional?: boolean;
  /** Outputs only. Default: `items` for a list, else `bytes`. */
  readonly sizeUnit?: SizeUnit;
  /** Outputs only, with the unit `sec`: a file of a fixed rate lasts its bytes over this. */
  readonly bytesPerSec?: number;
}

/** Where a number comes from. Every number that a user sees carries one. */
export interface Provenance {
  readonly kind: "measured" | "published" | "prior" | "modelled";
  /** `published`: the citation; `prior`: the rule; else how it was got. */
  readonly note: string;
  /** Measured: ISO 8601 time of the newest observation. */
  readonly at?: string;
  /** Measured: the kind of node. */
  readonly nodeKind?: string;
  /** Measured: number of observations. */
  readonly count?: number;
}

/** A class of questions, known by words of the text; quality is kept for each. */
export interface QuestionClass {
  readonly name: string;
  /** Phrases, all of whose words must occur. The first class with a hit is the question's. */
  readonly phrases: readonly string[];
}

/**
 * A step that can judge how sure it is may be run on part of its inputs first: when the draft is
 * sure enough, the steps behind the other inputs are never run.
 */
export interface Staging {
  /** Output port and field with a number in [0, 1]. */
  readonly confidence: { readonly port: string; readonly field: string };
  /** Thresholds that a plan may choose from. */
  readonly atLeast: readonly number[];
  /** Output port that names where a closer look pays, for inputs of the same type downstream. */
  readonly focus?: string;
}

/**
 * One argument of a command: text with `${...}` holes, or arguments that appear only where a knob
 * has a value. Holes: `${input.NAME}` (path of an artifact input), `${knob.NAME}`,
 * `${output.NAME}` (path below the scratch directory that becomes an artifact), `${threads}`.
 */
export type CommandArg =
  | string
  | { readonly when: string; readonly equals?: KnobValue; readonly args: readonly string[] };

export interface CommandEngine {
  readonly kind: "command";
  /** Program name, looked up on the node's PATH. Never a shell line. */
  readonly program: string;
  readonly args: readonly CommandArg[];
  /** Environment variables to set, values with the same holes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files that the program writes: port name to file name in the scratch directory. */
  readonly files?: Readonly<Record<string, { readonly name: string; readonly mediaType: string }>>;
  /** Named parser that turns stdout and stderr into output values, for ports not in `files`. */
  readonly parse?: string;
  readonly stdoutLimitBytes?: number;
}

export interface FunctionEngine {
  readonly kind: "function";
  /** Name in the library's function table. */
  readonly function: string;
}

export type EngineSpec = CommandEngine | FunctionEngine;

export interface Resources {
  /**
   * Cores that one attempt uses; it runs with as many threads. May be a fraction. 0 = work so
   * small that reserving a core for it would cost more than it does.
   */
  readonly cores: number;
  /** MiB that an instance with its children needs at most. */
  readonly memoryMib: number;
  /** Attempts that one instance takes at a time. Default 1. Function engines only. */
  readonly concurrency?: number;
}

export interface ExecutorEntry {
  readonly id: string;
  readonly version: string;
  readonly kind: "llm" | "model" | "tool" | "composition";
  readonly capability: string;
  readonly description: string;
  /** Words that a job's description may use for this capability. */
  readonly keywords: readonly string[];
  readonly inputs: Readonly<Record<string, Port>>;
  readonly outputs: Readonly<Record<string, Port>>;
  readonly knobs: Readonly<Record<string, Knob>>;
  readonly engine: EngineSpec;
  /** Programs that must be on the node's PATH. */
  readonly programs: readonly string[];
  readonly resources: Resources;
  /** Longest time that one attempt may take, ms. */
  readonly timeLimitMs: number;
  /** No external effects: an attempt may be repeated freely. */
  readonly isPure: boolean;
  /** Equal inputs and knobs give equal outputs. */
  readonly isDeterministic: boolean;
  /** Dollars per core-hour; the price table's default where absent. */
  readonly pricePerCoreHourUsd?: number;
  readonly provenance: Provenance;
  /** What a plan loses when no node can run this capability, one clause. */
  readonly missingMeans?: string;
  /** Inputs whose size decides how long an attempt takes; the first that is connected counts. */
  readonly sizedBy?: readonly string[];
  /**
   * Most items of a fan-out that one attempt takes. Absent: one, passed alone. Otherwise a step may
   * set `batchItems`, and the executor then gets the fan-out's port, and gives every output, as a
   * list of equal length and order. Function engines only.
   */
  readonly batchMax?: number;
  readonly staging?: Staging;
  /** Kinds of questions; only of executors with an input of type `question`. */
  readonly questionClasses?: readonly QuestionClass[];
}

/** The library as the planner sees it. */
export interface Library {
  readonly executors: readonly ExecutorEntry[];
}

export function defaultKnobs(entry: ExecutorEntry): KnobValues {
  return Object.fromEntries(
    Object.entries(entry.knobs).map(([name, knob]) => [name, knob.default]),
  );
}
