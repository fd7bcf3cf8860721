export * from "./bus.ts";
export * from "./call-idempotent.ts";
export * from "./memory/memory-broker.ts";
export * from "./messaging.ts";
export * from "./rpc.ts";
export * from "./state.ts";
export * from "./store-missing-error.ts";
export * from "./subject.ts";
