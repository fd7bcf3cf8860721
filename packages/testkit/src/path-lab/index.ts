/** Comparing plans offline: executors in this process, figures over labelled questions. */
export * from "./cpu-clock.ts";
export * from "./evaluate-path.ts";
export * from "./executor-lab.ts";
export * from "./run-plan.ts";
export * from "./video-qa-plan.ts";
