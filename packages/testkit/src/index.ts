export * from "./virtual-clock.ts";
export * from "./executor-builder.ts";
