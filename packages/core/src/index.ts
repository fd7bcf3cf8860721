export * from "./accounting.ts";
export * from "./availability.ts";
export * from "./capability.ts";
export * from "./choose.ts";
export * from "./derive.ts";
export * from "./placement.ts";
export * from "./plan-workflow.ts";
export * from "./text-match.ts";
