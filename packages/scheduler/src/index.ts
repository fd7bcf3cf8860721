export * from "./dispatcher.ts";
export * from "./fleet.ts";
export * from "./job-machine.ts";
export * from "./ports.ts";
export { type FeedbackTarget, feedbackTarget } from "./profiles/feedback-target.ts";
export { pageOf } from "./profiles/profile-service.ts";
export * from "./profiles/profile-store.ts";
export * from "./scheduler.ts";
