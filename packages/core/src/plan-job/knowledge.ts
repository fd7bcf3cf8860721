/**
 * What the planner of one job is told about executors and quality: ports over profiles.
 */
import type { ExecutorEntry, ExecutorProfile, KnobValues, QualityEstimate } from "@murakkab/model";

/** A visited configuration: end to end, on labelled questions or by feedback. */
export interface VisitedConfiguration {
  readonly key: string;
  readonly pathKey: string;
  /** Step label (see profile/configuration.ts) to option key (`executor{knob=value,…}`). */
  readonly options: ReadonlyMap<string, string>;
  readonly quality: QualityEstimate;
  /** It disappointed: it is not promised any more. */
  readonly isDemoted: boolean;
}

export interface QualityKnowledge {
  /** Of the path with its reference options; null where the path was never visited. */
  pathBase(pathKey: string, questionClass: string): QualityEstimate | null;
  /** Share of quality that an option keeps against the path's reference. At most 1. */
  retention(capability: string, optionKey: string): { readonly mean: number; readonly low: number };
  visited(questionClass: string): readonly VisitedConfiguration[];
  /** Probability that the draft of a staged path is sure; null where never seen. */
  sureRatio(pathKey: string, questionClass: string): number | null;
}

export interface Knowledge {
  /** Null: nothing at all is known of it. */
  executor(entry: ExecutorEntry, knobs: KnobValues, nodeKind: string): ExecutorProfile | null;
  /** Null: this workflow's quality was never looked at. */
  readonly quality: QualityKnowledge | null;
}
