export * from "./bus.ts";
export * from "./messaging.ts";
export * from "./state.ts";
export * from "./rpc.ts";
