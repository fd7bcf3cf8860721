/** The port to a cluster whose processes can be broken and mended. */
import type { WorkerProcess } from "./observation.ts";

export interface BreakableProcess {
  /** Unique in the cluster; stays the same over restarts. */
  readonly name: string;
  readonly pid: number;
  /** What the process calls itself on the bus; another one after each start. Schedulers only. */
  readonly busId?: string;
}

export interface Breakable {
  readonly natsUrl: string;
  /** Those that run now, in order of their names. */
  schedulers(): readonly BreakableProcess[];
  agents(): readonly BreakableProcess[];
  /** All that the cluster has, running or not, by name. */
  readonly agentNames: readonly string[];
  /** The bus's server while it runs. */
  natsServer(): BreakableProcess | null;
  /** Worker processes on this host, whichever agent holds them. */
  workers(): Promise<readonly WorkerProcess[]>;
  /** SIGKILL; resolves once the process is gone. */
  kill(name: string): Promise<void>;
  killWorker(worker: WorkerProcess): void;
  /** Starts a killed process as it was started first; resolves when it is ready. */
  start(name: string): Promise<void>;
  /** SIGSTOP and SIGCONT. A process that is gone is left alone. */
  pause(pid: number): void;
  resume(pid: number): void;
  artifactCount(agent: string): Promise<number>;
  /** Deletes everything in the directory of the agent's artifact store; answers how many files. */
  wipeArtifacts(agent: string): Promise<number>;
}
