export type {
  ArtifactRef,
  CounterOffer,
  Evidence,
  JobConstraints,
  JobPlan,
  JobStatus,
  NodeSample,
  Objective,
  PlanExplanation,
  Prediction,
  ProfileSet,
  Receipt,
  SloAxis,
  Workflow,
} from "@murakkab/model";
export type { JobEvent, JobFeedbackReply, ProfilePutReply } from "@murakkab/protocol";
export * from "./client.ts";
export * from "./cluster-views.ts";
export * from "./connect.ts";
export * from "./current-cluster.ts";
export * from "./explain.ts";
export { isTerminalEvent } from "./job-events.ts";
export { JobHandle, JobNotSucceededError, type ResultOptions } from "./job-handle.ts";
export * from "./job-reply.ts";
export type { JobOptions, JobRequest } from "./job-request.ts";
export type { FeedbackOptions } from "./profiles.ts";
export { checkInputs } from "./resolve-inputs.ts";
export * from "./run.ts";
export type { SchedulersView, SchedulerView } from "./schedulers.ts";
export * from "./settings.ts";
export type { ByteStream, UploadOptions } from "./upload.ts";
export * from "./workflow-builder.ts";
export { formatSource } from "./workflow-source.ts";
export { workflowFromYaml } from "./workflow-yaml.ts";
