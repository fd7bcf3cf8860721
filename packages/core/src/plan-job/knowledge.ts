/**
 * What the planner of one job is told about executors and quality: ports over profiles.
 */
import type { ExecutorEntry, ExecutorProfile, KnobValues, QualityEstimate } from "@murakkab/model";
import { configurationParts } from "../profile/configuration.ts";
import type { QualityModel } from "../profile/quality-model.ts";

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

/** A factor on quality whose logarithm has a variance. */
export interface UncertainFactor {
  readonly mean: number;
  readonly lnVariance: number;
}

export interface QualityKnowledge {
  /** Probability that intervals hold. */
  readonly level: number;
  /** What of an interval is promised. */
  readonly promise: "low" | "mean";
  /** Of the path with every step's best known option; null where the path was never visited. */
  pathBase(pathKey: string, questionClass: string): (UncertainFactor & QualityEstimate) | null;
  /** Share of quality that an option keeps against the step's best known one. */
  retention(label: string, optionKey: string, questionClass: string): UncertainFactor;
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

/** The beliefs of a workflow for the planner; remembers what it was asked. */
export function qualityKnowledge(
  model: QualityModel,
  promise: QualityKnowledge["promise"] = model.policy.promise,
): QualityKnowledge {
  const visitedByClass = new Map<string, readonly VisitedConfiguration[]>();
  const bases = new Map<string, ReturnType<QualityModel["pathBase"]>>();
  /** By class, label and option: asked for every option of every plan. */
  const retentions = new Map<string, Map<string, Map<string, UncertainFactor>>>();
  const visited = (questionClass: string): readonly VisitedConfiguration[] => {
    const known = visitedByClass.get(questionClass);
    if (known !== undefined) return known;
    const found = model.configurations().flatMap((key): VisitedConfiguration[] => {
      const quality = model.direct(key, questionClass);
      const parts = configurationParts(key);
      if (quality === null || parts === null) return [];
      const isDemoted = model.demotion(key, questionClass) !== null;
      return [{ key, pathKey: parts.path, options: parts.options, quality, isDemoted }];
    });
    visitedByClass.set(questionClass, found);
    return found;
  };
  return {
    level: model.policy.level,
    promise,
    visited,
    pathBase: (pathKey, questionClass) =>
      remember(bases, `${questionClass}\n${pathKey}`, () => model.pathBase(pathKey, questionClass)),
    retention: (label, option, questionClass) => {
      const byLabel = remember(retentions, questionClass, () => new Map());
      const byOption = remember(byLabel, label, () => new Map<string, UncertainFactor>());
      return remember(byOption, option, () => model.retention(label, option, questionClass));
    },
    sureRatio: (pathKey, questionClass) => {
      const some = visited(questionClass).find((it) => it.pathKey === pathKey);
      return some === undefined ? null : (model.sureRatio(some.key, questionClass)?.mean ?? null);
    },
  };
}

function remember<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
