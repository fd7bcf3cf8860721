export * from "./function-executor.ts";
