export { AgentClient, type AgentClientOptions } from "./agent-client.ts";
export { AgentLink, type LinkComponents, type LinkOptions } from "./agent-link.ts";
export type { Engine, EngineCall, EngineCapabilities, Values } from "./engine.ts";
export { ModelWorker, type ModelWorkerComponents, WORKER_ACTOR_TYPE } from "./model-worker.ts";
export type {
  AgentPort,
  CoresRequest,
  ScratchPort,
  SpoolPort,
  Usage,
  UsagePort,
} from "./ports.ts";
