/**
 * What is believed of a share of right answers, from how many were right.
 *
 * Owns:      the policy's numbers, the posterior and its interval.
 * Does not:  know configurations (see quality-model.ts).
 *
 * Scores are Bernoulli trials (partial scores count in part), the belief is a Beta distribution, the
 * interval its middle `level` by quantiles. Users' feedback counts `feedbackWeight` of a label.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Provenance, QualityCount, QualityEstimate } from "@murakkab/model";
import { type Beta, betaMean, betaQuantile } from "./beta.ts";
import { clamp } from "./statistics.ts";

export interface QualityPolicy {
  /** Probability that the interval holds. 0.5 to 0.99; wider intervals promise less, safer. */
  readonly level: number;
  /** What a plan promises: the interval's lower end, or the mean. */
  readonly promise: "low" | "mean";
  /**
   * Belief before any run, as questions right and wrong. Default 4 : 1.5. Weak, and nearer to right:
   * what nobody would use is not kept. Jeffreys' 0.5 : 0.5 is up to 0.35 wide at 20 questions (0.31
   * at three right of four) and holds in 84 % only where nearly all answers are right; this one is
   * 0.28 wide there, and holds in 93 % over shares from 0.6 to 0.95.
   */
  readonly prior: Beta;
  /** Questions of other classes count for a class as at most this many. 0 to 100. */
  readonly classPseudoCount: number;
  /** Worth of a user's score against a label. 0 (ignored) to 1. */
  readonly feedbackWeight: number;
  /** Feedbacks before it alone may demote. 1 to 1,000; below about 5 a bad day would. */
  readonly demoteAfterCount: number;
  /** Share of jobs that may run what is uncertain. 0 to 0.1; 0 = off. */
  readonly explorationRatio: number;
  /** Part of the quality that an option keeps of which nothing is known, and sd of its logarithm. */
  readonly unknownRetention: number;
  readonly unknownRetentionSpread: number;
}

export const QUALITY_POLICY: QualityPolicy = {
  level: 0.9,
  promise: "low",
  prior: { alpha: 4, beta: 1.5 },
  classPseudoCount: 2,
  feedbackWeight: 0.5,
  demoteAfterCount: 5,
  explorationRatio: 0,
  unknownRetention: 0.85,
  unknownRetentionSpread: 0.3,
};

const RANGES: readonly (readonly [
  Exclude<keyof QualityPolicy, "promise" | "prior">,
  number,
  number,
])[] = [
  ["level", 0.5, 0.99],
  ["classPseudoCount", 0, 100],
  ["feedbackWeight", 0, 1],
  ["demoteAfterCount", 1, 1_000],
  ["explorationRatio", 0, 0.1],
  ["unknownRetention", 0.01, 1],
  ["unknownRetentionSpread", 0.01, 2],
];

/** Errors: `INVALID_ARGUMENT` naming the field and its range. */
export function checkQualityPolicy(policy: QualityPolicy): void {
  for (const [field, min, max] of RANGES) {
    if (policy[field] >= min && policy[field] <= max) continue;
    throw new InvalidArgumentError(
      `quality policy field "${field}" is ${policy[field]}, expected ${min} to ${max}`,
      { field },
    );
  }
  const { alpha, beta } = policy.prior;
  if (alpha > 0 && beta > 0 && alpha + beta <= 1e6) return;
  throw new InvalidArgumentError(
    `quality policy field "prior" is ${alpha} : ${beta}, expected two numbers above 0`,
    { field: "prior" },
  );
}

const JEFFREYS: Beta = { alpha: 0.5, beta: 0.5 };
export const NO_COUNT: QualityCount = { scoreSum: 0, count: 0 };

export interface QualityEvidence {
  readonly labelled: QualityCount;
  readonly feedback?: QualityCount;
  /** Default: the policy's. */
  readonly prior?: Beta;
}

export type EstimatePolicy = Pick<QualityPolicy, "level"> &
  Partial<Pick<QualityPolicy, "prior" | "feedbackWeight">>;

/** Posterior mean and interval. Source of the method: see the file's header. */
export function qualityEstimate(
  evidence: QualityEvidence,
  policy: EstimatePolicy = QUALITY_POLICY,
): QualityEstimate {
  const { labelled, feedback = NO_COUNT } = evidence;
  const told = feedback.count === 0 ? "" : ` and ${feedback.count} feedbacks`;
  return estimateOf(posterior(evidence, policy), policy.level, {
    kind: labelled.count + feedback.count > 0 ? "measured" : "prior",
    note: `${round(labelled.scoreSum)} of ${round(labelled.count)} labelled questions right${told}`,
    count: labelled.count,
  });
}

export function posterior(evidence: QualityEvidence, policy: EstimatePolicy): Beta {
  const { labelled, feedback = NO_COUNT } = evidence;
  const prior = evidence.prior ?? policy.prior ?? QUALITY_POLICY.prior;
  const weight = policy.feedbackWeight ?? QUALITY_POLICY.feedbackWeight;
  const right = labelled.scoreSum + weight * feedback.scoreSum;
  const all = labelled.count + weight * feedback.count;
  return { alpha: prior.alpha + right, beta: prior.beta + Math.max(0, all - right) };
}

export function estimateOf(belief: Beta, level: number, provenance: Provenance): QualityEstimate {
  const tail = (1 - level) / 2;
  return {
    mean: betaMean(belief),
    low: betaQuantile(tail, belief),
    high: betaQuantile(1 - tail, belief),
    provenance,
  };
}

/** Feedback on its own, with Jeffreys' prior: has it seen enough to contradict a promise? */
export function feedbackEstimate(feedback: QualityCount, level: number): QualityEstimate {
  const wrong = Math.max(0, feedback.count - feedback.scoreSum);
  const belief = { alpha: JEFFREYS.alpha + feedback.scoreSum, beta: JEFFREYS.beta + wrong };
  const note = `${round(feedback.scoreSum)} of ${round(feedback.count)} by users' feedback`;
  return estimateOf(belief, level, { kind: "measured", note, count: feedback.count });
}

/** The Beta with this mean and this variance of its logarithm (approximately). */
export function betaOfLog(mean: number, lnVariance: number): Beta {
  const centre = clamp(mean, 0.005, 0.995);
  const variance = Math.max(1e-9, centre * centre * lnVariance);
  const count = Math.max(1, (centre * (1 - centre)) / variance - 1);
  return { alpha: centre * count, beta: (1 - centre) * count };
}

/** Variance of ln of a share, to the first order. */
export function lnVarianceOf({ alpha, beta }: Beta): number {
  return beta / (alpha * (alpha + beta + 1));
}

export function addCounts(counts: readonly QualityCount[]): QualityCount {
  return {
    scoreSum: counts.reduce((sum, it) => sum + it.scoreSum, 0),
    count: counts.reduce((sum, it) => sum + it.count, 0),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
