export * from "./abort-source.ts";
export * from "./backoff.ts";
export * from "./clock.ts";
export * from "./errors.ts";
export * from "./hash.ts";
export * from "./logger.ts";
export * from "./random.ts";
export * from "./redact.ts";
