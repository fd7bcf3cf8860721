export * from "./codec.ts";
export * from "./limits.ts";
export * from "./messages.ts";
export * from "./subjects.ts";
export * from "./validate.ts";
