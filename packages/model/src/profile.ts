/**
 * What is known of an executor, and of a workflow's quality.
 *
 * Two layers, so that quality survives a change of hardware: an *executor profile* says what one
 * attempt takes on one kind of node, a *workflow profile* says how good the results are.
 */
import type { KnobValues, Provenance } from "./executor.ts";

/** A straight line in the size of an attempt's input, and how far observations lie from it. */
export interface LinearModel {
  readonly fixed: number;
  /** Per unit of size; 0 where the size says nothing. */
  readonly perUnit: number;
  /** Standard deviation of ln(observed / predicted): 0.2 is about a fifth. */
  readonly spread: number;
}

/** Profiles that hold on any node until one of its kind is measured. */
export const ANY_NODE_KIND = "any";

/**
 * One executor with one setting of its knobs on one kind of node.
 *
 * The size of an attempt: of the first input of the entry's `sizedBy` that is connected, in that
 * value's unit (see `SizeUnit`). For a step that is fanned out over it: the items of the attempt.
 */
export interface ExecutorProfile {
  readonly executor: string;
  /** Of the library entry: another version has other profiles. */
  readonly version: string;
  readonly knobs: KnobValues;
  readonly nodeKind: string;
  /** Time in the engine, ms. */
  readonly runMs: LinearModel;
  readonly cpuSec: LinearModel;
  /** Size of each output, in its unit, against the size of the attempt. */
  readonly outputSizes: Readonly<Record<string, LinearModel>>;
  readonly memoryBytesMax: number | null;
  /** From the start of a cold instance to its first attempt, ms; null where never seen. */
  readonly startMs: number | null;
  readonly provenance: Provenance;
}

/**
 * How many labelled runs of a configuration were right. Scores between 0 and 1 count in part.
 *
 * `scoreSum / count` is the plain mean; `count` may be a fraction after ageing.
 */
export interface QualityCount {
  readonly scoreSum: number;
  readonly count: number;
}

/**
 * End-to-end quality of one visited configuration of a workflow.
 *
 * `configuration` is its canonical text (see core's `configurationKey`): the path (what was left
 * out or deferred) and executor and knobs of every step on it.
 */
export interface ConfigurationQuality {
  readonly configuration: string;
  /** By class of question (see `QuestionClass`). */
  readonly byClass: Readonly<Record<string, QualityCount>>;
  /** From users' feedback; kept apart from labelled runs. */
  readonly feedback: Readonly<Record<string, QualityCount>>;
  readonly provenance: Provenance;
  /** Share of runs whose draft was sure enough, and so ended early; only with staged paths. */
  readonly sureRatio?: Readonly<Record<string, QualityCount>>;
}

export interface WorkflowProfile {
  /** Signature of the logical DAG (see core's `workflowSignature`), not its name. */
  readonly workflow: string;
  readonly configurations: readonly ConfigurationQuality[];
}

/** Everything that is known: what is stored, exported as YAML and shown. */
export interface ProfileSet {
  readonly executors: readonly ExecutorProfile[];
  readonly workflows: readonly WorkflowProfile[];
}

/** What one real attempt showed: the learner's input. */
export interface AttemptObservation {
  readonly executor: string;
  readonly version: string;
  readonly knobs: KnobValues;
  readonly node: string;
  readonly nodeKind: string;
  readonly size: number;
  readonly runMs: number;
  readonly cpuSec: number | null;
  readonly memoryBytesMax: number | null;
  readonly outputSizes: Readonly<Record<string, number>>;
  /** Unix ms, wall clock: for the age of the figures only. */
  readonly atMs: number;
}
