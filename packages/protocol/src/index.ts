export * from "./codec.ts";
export * from "./envelope.ts";
export * from "./limits.ts";
export * from "./messages.ts";
export * from "./subjects.ts";
export * from "./ticket.ts";
export * from "./validate.ts";
export * from "./worker-spec.ts";
