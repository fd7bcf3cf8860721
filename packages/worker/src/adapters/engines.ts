/** The engines without a worker around them: for whoever measures executors in its own process. */
export { GroupLedger } from "./group-ledger.ts";
export { makeEngine } from "./make-engine.ts";
export { readChildrenCpuSec } from "./process-tree.ts";
export { ProgramRunner } from "./program.ts";
export { UsageMeter } from "./usage-meter.ts";
