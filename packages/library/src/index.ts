export * from "./function-executor.ts";
export * from "./catalogue/index.ts";
export * from "./catalogue-dir.ts";
