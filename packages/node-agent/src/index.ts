/** The agent's protocol logic and its ports. The process with its adapters is `main.ts`. */
export type { AgentComponents, AgentOptions } from "./agent.ts";
export { NodeAgent } from "./agent.ts";
export { ArtifactStore } from "./artifacts/artifact-store.ts";
export { CoreGate } from "./core-gate.ts";
export type * from "./ports.ts";
