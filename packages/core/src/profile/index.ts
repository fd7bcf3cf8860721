export { type Beta, betaCdf, betaMean, betaQuantile } from "./beta.ts";
export * from "./configuration.ts";
export { DemotionWatch, type QualityEvent } from "./demotion-watch.ts";
export {
  type ExperimentState,
  frontierOf,
  nextRound,
  type PlannedRuns,
  type Round,
  type StoppedSetting,
  type Trial,
} from "./experiments.ts";
export { fitLine, type LinePrior, predictLine, type SizedValue } from "./fit-line.ts";
export * from "./learner.ts";
export {
  checkQualityPolicy,
  QUALITY_POLICY,
  type QualityEvidence,
  type QualityPolicy,
  qualityEstimate,
} from "./quality-belief.ts";
export { type Demotion, type PathBase, QualityModel, type Retention } from "./quality-model.ts";
export {
  addScore,
  EMPTY_QUALITY_RECORD,
  hasScore,
  importQuality,
  type JobScore,
  NO_CLASS,
  type QualityRecord,
  toWorkflowProfile,
} from "./quality-record.ts";
export { type ProfileSample, SAMPLES_MAX } from "./sample-set.ts";
export { nearestRank } from "./statistics.ts";
