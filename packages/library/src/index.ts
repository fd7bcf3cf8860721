export * from "./catalogue/index.ts";
export * from "./catalogue-dir.ts";
export * from "./function-executor.ts";
export * from "./profiles/index.ts";
export * from "./questions/index.ts";
