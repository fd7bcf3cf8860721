export * from "./dispatcher.ts";
export * from "./fleet.ts";
export * from "./job-machine.ts";
export * from "./ports.ts";
export * from "./scheduler.ts";
