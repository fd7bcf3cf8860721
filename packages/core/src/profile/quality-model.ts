/**
 * What is believed of the quality of a workflow's configurations, visited or not.
 *
 * Owns:      the hierarchy of classes, the model of configurations that were not visited.
 * Does not:  change counts (see quality-record.ts).
 *
 * Visited:     Beta posterior of the question's class; questions of other classes count as at most
 *              `classPseudoCount` of their mean.
 * Not visited: quality(path's reference) × product over steps of retention(option) / retention(the
 *              reference's option); logarithms add, and so do their variances. The reference of a
 *              path is its configuration with the most labelled questions. An error of the model:
 *              steps are taken to act independently.
 * A path that was never visited has no estimate: leaving a step out may cost everything.
 */
import type {
  ConfigurationQuality,
  Provenance,
  QualityCount,
  QualityEstimate,
  WorkflowProfile,
} from "@murakkab/model";
import { type Beta, betaMean } from "./beta.ts";
import { capabilityOfLabel, optionKey, parseConfiguration } from "./configuration.ts";
import {
  addCounts,
  betaOfLog,
  estimateOf,
  feedbackEstimate,
  lnVarianceOf,
  NO_COUNT,
  posterior,
  QUALITY_POLICY,
  type QualityPolicy,
  qualityEstimate,
} from "./quality-belief.ts";
import { type LnFactor, Retentions, type VisitedConfiguration } from "./retention.ts";

/** Factor on quality, relative to the step's best known option (1). */
export interface Retention {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Variance of its logarithm: what adds up over steps. */
  readonly lnVariance: number;
  readonly provenance: Provenance;
}

export interface PathBase extends QualityEstimate {
  readonly lnVariance: number;
  /** The configuration that it was taken from. */
  readonly reference: string;
}

export interface Demotion {
  readonly configuration: string;
  /** Null: over all classes. */
  readonly questionClass: string | null;
  readonly promised: number;
  readonly believed: QualityEstimate;
}

interface Visited {
  readonly quality: ConfigurationQuality;
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
}

/** Direct questions from which the model's opinion no longer counts. */
const DIRECT_COUNT = 10;
/** What the model's opinion counts for below that, in questions, at most. */
const MODEL_COUNT_MAX = 10;
const ALL_CLASSES = "";

export class QualityModel {
  readonly policy: QualityPolicy;
  private readonly zScore: number;
  private readonly visited = new Map<string, Visited>();
  private readonly retentions = new Map<string, Retentions>();
  private readonly beliefs = new Map<string, Beta>();

  constructor(profile: WorkflowProfile | null, policy: QualityPolicy = QUALITY_POLICY) {
    this.policy = policy;
    this.zScore = zScoreOf(policy.level);
    for (const quality of profile?.configurations ?? []) {
      const parsed = parseConfiguration(quality.configuration);
      if (parsed === null) continue;
      const options = [...parsed.options].map(([label, it]) => [label, optionKey(it)] as const);
      this.visited.set(quality.configuration, {
        quality,
        path: parsed.path,
        options: new Map(options),
      });
    }
  }

  /** Visited configurations, in no order. */
  configurations(): readonly string[] {
    return [...this.visited.keys()];
  }

  /** What was measured of this very configuration; null where nothing was. */
  direct(configuration: string, questionClass: string | null): QualityEstimate | null {
    const visited = this.visited.get(configuration);
    if (visited === undefined) return null;
    const own = countsOf(visited.quality, questionClass);
    const all = countsOf(visited.quality, null);
    if (all.labelled.count + all.feedback.count === 0) return null;
    const isOwn = own.labelled.count + own.feedback.count > 0;
    const { provenance } = qualityEstimate(isOwn ? own : all, this.policy);
    const { at } = visited.quality.provenance;
    return estimateOf(this.belief(visited, questionClass), this.policy.level, {
      ...provenance,
      kind: isOwn ? "measured" : "modelled",
      note: isOwn ? provenance.note : `${provenance.note}, all of other classes of questions`,
      ...(at === undefined ? {} : { at }),
    });
  }

  /** Best opinion of any configuration; null where its path was never visited. */
  estimate(configuration: string, questionClass: string | null): QualityEstimate | null {
    const visited = this.visited.get(configuration);
    const direct = this.direct(configuration, questionClass);
    const count = visited === undefined ? 0 : countsOf(visited.quality, null).labelled.count;
    if (direct !== null && count >= DIRECT_COUNT) return direct;
    const modelled = this.modelled(configuration, questionClass);
    if (modelled === null || visited === undefined) return direct ?? modelled?.estimate ?? null;
    const { mean, lnVariance } = modelled;
    const { alpha, beta } = betaOfLog(mean, lnVariance);
    const weight = Math.min(1, MODEL_COUNT_MAX / (alpha + beta));
    const prior = { alpha: alpha * weight, beta: beta * weight };
    const evidence = countsOf(visited.quality, questionClass);
    const belief = posterior({ ...evidence, prior }, this.policy);
    const note = `${direct?.provenance.note ?? "never run"}; else ${modelled.estimate.provenance.note}`;
    return estimateOf(belief, this.policy.level, { kind: "modelled", note });
  }

  /** Of one option of a step; `label` is the step's capability (see `labelSteps`). */
  retention(label: string, option: string, questionClass: string | null = null): Retention {
    const factor = this.factor(label, option, questionClass);
    const mean = Math.exp(factor.ln);
    // Normal in the logarithm; Beta quantiles would not reach above 1.
    const width = Math.exp(this.zScore * Math.sqrt(factor.variance));
    return {
      ...{ mean, low: mean / width, high: mean * width, lnVariance: factor.variance },
      provenance: {
        kind: factor.kind === "measured" ? "modelled" : factor.kind,
        note: NOTES[factor.kind],
      },
    };
  }

  /**
   * Quality of a path when every step runs its best known option: times the retentions of a
   * configuration's options that is the configuration's quality. Null for paths never visited.
   */
  pathBase(path: string, questionClass: string | null): PathBase | null {
    const reference = this.reference(path);
    if (reference === null) return null;
    const belief = this.belief(reference, questionClass);
    let ln = Math.log(betaMean(belief));
    let lnVariance = lnVarianceOf(belief);
    for (const [label, option] of reference.options) {
      const factor = this.factor(label, option, questionClass);
      ln -= factor.ln;
      lnVariance += factor.variance;
    }
    const { configuration } = reference.quality;
    const estimate = estimateOf(
      betaOfLog(Math.min(1, Math.exp(ln)), lnVariance),
      this.policy.level,
      {
        kind: "modelled",
        note: `from a configuration with ${this.noteOf(reference, questionClass)}`,
      },
    );
    return { ...estimate, mean: Math.exp(ln), lnVariance, reference: configuration };
  }

  /** Share of runs whose draft was sure enough; over the path where this configuration has none. */
  sureRatio(configuration: string, questionClass: string | null): QualityEstimate | null {
    const path = parseConfiguration(configuration)?.path;
    const own = this.visited.get(configuration);
    const same = [...this.visited.values()].filter((it) => it.path === path);
    for (const [group, kind] of [
      [own === undefined ? [] : [own], "measured"],
      [same, "modelled"],
    ] as const) {
      const counts = group.map((it) => sureCount(it.quality, questionClass));
      const all = addCounts(counts);
      if (all.count === 0) continue;
      const estimate = feedbackEstimate(all, this.policy.level);
      const note = `draft sure in ${all.scoreSum} of ${all.count} runs`;
      return { ...estimate, provenance: { kind, note, count: all.count } };
    }
    return null;
  }

  /** What the policy promises of an estimate. */
  promise(estimate: QualityEstimate): number {
    return this.policy.promise === "low" ? estimate.low : estimate.mean;
  }

  /**
   * Non-null where feedback contradicts what was promised on the labelled runs: the upper end of
   * its own interval (or of all evidence together) lies below.
   */
  demotion(configuration: string, questionClass: string | null): Demotion | null {
    const visited = this.visited.get(configuration);
    if (visited === undefined) return null;
    const { labelled, feedback } = countsOf(visited.quality, questionClass);
    const isEnough = feedback.count >= this.policy.demoteAfterCount;
    if (!isEnough || labelled.count === 0) {
      return questionClass === null ? null : this.demotion(configuration, null);
    }
    const promised = this.promise(qualityEstimate({ labelled }, this.policy));
    const told = feedbackEstimate(feedback, this.policy.level);
    const all = qualityEstimate({ labelled, feedback }, this.policy);
    const believed = told.high < all.high ? told : all;
    return believed.high < promised ? { configuration, questionClass, promised, believed } : null;
  }

  /** Every configuration that is demoted now, as a whole or for a class. */
  demotions(): readonly Demotion[] {
    return [...this.visited.values()].flatMap(({ quality }) => {
      const classes = [null, ...Object.keys(quality.feedback).sort()];
      return classes.flatMap((questionClass) => {
        const found = this.demotion(quality.configuration, questionClass);
        return found === null || found.questionClass !== questionClass ? [] : [found];
      });
    });
  }

  // ---- the model -----------------------------------------------------------------------------

  private modelled(configuration: string, questionClass: string | null) {
    const parsed = parseConfiguration(configuration);
    const reference = parsed === null ? null : this.reference(parsed.path, configuration);
    if (parsed === null || reference === null) return null;
    const belief = this.belief(reference, questionClass);
    let ln = Math.log(betaMean(belief));
    let lnVariance = lnVarianceOf(belief);
    const changed: string[] = [];
    for (const [label, option] of parsed.options) {
      const before = reference.options.get(label) ?? "";
      const after = optionKey(option);
      if (before === after) continue;
      const from = this.factor(label, before, questionClass);
      const to = this.factor(label, after, questionClass);
      ln += to.ln - from.ln;
      lnVariance += to.variance + from.variance;
      changed.push(to.kind === "prior" ? `${label} (unknown)` : label);
    }
    const mean = Math.min(1, Math.exp(ln));
    const note = `from a configuration with ${this.noteOf(reference, questionClass)}, with other options for ${changed.join(", ") || "nothing"}`;
    const estimate = estimateOf(betaOfLog(mean, lnVariance), this.policy.level, {
      kind: "modelled",
      note,
    });
    return { estimate, mean, lnVariance };
  }

  /** What is known of it in a few words: a configuration's own key fills a screen. */
  private noteOf(visited: Visited, questionClass: string | null): string {
    return this.direct(visited.quality.configuration, questionClass)?.provenance.note ?? "no runs";
  }

  /** Of the path, the configuration with the most labelled questions; never `except` itself. */
  private reference(path: string, except?: string): Visited | null {
    let best: Visited | null = null;
    let bestCount = 0;
    for (const [configuration, visited] of this.visited) {
      if (visited.path !== path || configuration === except) continue;
      const { count } = countsOf(visited.quality, null).labelled;
      const isFirst = best === null || configuration < best.quality.configuration;
      if (count > bestCount || (count === bestCount && count > 0 && isFirst)) {
        best = visited;
        bestCount = count;
      }
    }
    return best;
  }

  private factor(label: string, option: string, questionClass: string | null): LnFactor {
    const retentions = this.retentionsOf(questionClass);
    const found = retentions.of(label, option);
    const capability = capabilityOfLabel(label);
    if (found.kind !== "prior" || capability === label) return found;
    return retentions.of(capability, option);
  }

  private retentionsOf(questionClass: string | null): Retentions {
    const key = questionClass ?? ALL_CLASSES;
    const known = this.retentions.get(key);
    if (known !== undefined) return known;
    const visited = [...this.visited.values()].flatMap((it): VisitedConfiguration[] => {
      const { count } = countsOf(it.quality, null).labelled;
      if (count === 0) return [];
      const belief = this.belief(it, questionClass);
      const { path, options } = it;
      return [
        { path, options, count, ln: Math.log(betaMean(belief)), variance: lnVarianceOf(belief) },
      ];
    });
    const made = new Retentions(visited, this.policy);
    this.retentions.set(key, made);
    return made;
  }

  /** Posterior for a class: other classes' questions count as a few of their mean. */
  private belief(visited: Visited, questionClass: string | null): Beta {
    const key = `${questionClass ?? ALL_CLASSES}\n${visited.quality.configuration}`;
    const known = this.beliefs.get(key);
    if (known !== undefined) return known;
    const belief = posterior(
      {
        ...countsOf(visited.quality, questionClass),
        prior: this.classPrior(visited, questionClass),
      },
      this.policy,
    );
    this.beliefs.set(key, belief);
    return belief;
  }

  private classPrior({ quality }: Visited, questionClass: string | null): Beta {
    const { prior, classPseudoCount, feedbackWeight } = this.policy;
    if (questionClass === null) return prior;
    const all = countsOf(quality, null);
    const own = countsOf(quality, questionClass);
    const count =
      all.labelled.count -
      own.labelled.count +
      feedbackWeight * (all.feedback.count - own.feedback.count);
    if (count <= 0) return prior;
    const right =
      all.labelled.scoreSum -
      own.labelled.scoreSum +
      feedbackWeight * (all.feedback.scoreSum - own.feedback.scoreSum);
    const share = Math.min(count, classPseudoCount) / count;
    return {
      alpha: prior.alpha + right * share,
      beta: prior.beta + Math.max(0, count - right) * share,
    };
  }
}

/** Half-width of the normal distribution's middle `level`, in standard deviations. */
function zScoreOf(level: number): number {
  // A Beta with equal, large parameters is normal: its quantile gives the normal's.
  const wide = { alpha: 5e4, beta: 5e4 };
  const sd = Math.sqrt(1 / (4 * (wide.alpha + wide.beta + 1)));
  const { high, mean } = estimateOf(wide, level, { kind: "prior", note: "" });
  return (high - mean) / sd;
}

const NOTES: Readonly<Record<LnFactor["kind"], string>> = {
  measured: "from configurations that differ in this step only",
  modelled: "knob by knob from known settings",
  prior: "nothing is known of this option: the policy's guess",
};

function countsOf(quality: ConfigurationQuality, questionClass: string | null) {
  const { byClass, feedback } = quality;
  if (questionClass === null) {
    return {
      labelled: addCounts(Object.values(byClass)),
      feedback: addCounts(Object.values(feedback)),
    };
  }
  return {
    labelled: byClass[questionClass] ?? NO_COUNT,
    feedback: feedback[questionClass] ?? NO_COUNT,
  };
}

function sureCount(quality: ConfigurationQuality, questionClass: string | null): QualityCount {
  const counts = quality.sureRatio ?? {};
  const own = questionClass === null ? undefined : counts[questionClass];
  return own !== undefined && own.count > 0 ? own : addCounts(Object.values(counts));
}
