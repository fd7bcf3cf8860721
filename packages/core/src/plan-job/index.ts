export type { NodeKind } from "./step-options.ts";
export { describePaths } from "./configured-plan.ts";
export * from "./knowledge.ts";
export * from "./paths.ts";
export * from "./plan-job.ts";
export { classifyQuestion, OTHER_CLASS, questionClassOf } from "./question-class.ts";
export * from "./rechoose.ts";
export * from "./simulate-schedule.ts";
export { type InputSize, sourceName } from "./sizes.ts";
