/**
 * A whole cluster on this host whose processes can be killed, paused and started again.
 *
 * Owns:      the processes and their restarts, the files, and that nothing of it is left.
 * Does not:  decide what breaks when (packages/chaos).
 *
 * Invariants:
 *   B1. A process is started again as it was started first: same name, same arguments, same data.
 *   B2. A scheduler or agent that ends by itself is told of and started again, as a supervisor does.
 *   B3. After `stop` no process of the cluster lives, workers and their programs included, whatever
 *       was killed or paused when it was called.
 */
import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { NatsServerProcess } from "@murakkab/bus/nats-server";
import { startNatsServer } from "@murakkab/bus/nats-server";
import type { Breakable, BreakableProcess, WorkerProcess } from "@murakkab/chaos";
import { assert, describeError } from "@murakkab/kit";
import { Child } from "./child.ts";
import type { DataDir } from "./data-dir.ts";
import { openDataDir } from "./data-dir.ts";
import { HostProcesses } from "./host-processes.ts";
import { programPath, rootPath } from "./process-paths.ts";
import type { ProcessSpec } from "./process-spec.ts";
import { agentSpec, childSpec, schedulerSpec } from "./process-spec.ts";
import { shareHost, thisHost } from "./share-host.ts";

export interface BreakableClusterOptions {
  readonly schedulerCount: number;
  readonly agentCount: number;
  /** Kept afterwards. Absent: a temporary directory. */
  readonly dataDir?: string;
  /** Writes library files into the directory, given the data directory; answers that directory. */
  readonly prepareLibrary: (dataDir: string) => string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

const NATS_NAME = "nats-server";
/** Why 5 s: the processes' own bound for an orderly end is below it. */
const STOP_GRACE_MS = 5_000;
/** What a supervisor waits before it starts a process again that ended by itself, ms. */
const SUPERVISOR_PAUSE_MS = 500;
/** Inherited by workers, which is how they are found when no agent holds them. */
const RUN_VARIABLE = "MURAKKAB_CHAOS_RUN";
const ARTIFACTS_DIR = "artifacts";

export class BreakableCluster implements Breakable {
  readonly agentNames: readonly string[];
  private readonly options: BreakableClusterOptions;
  private readonly dataDir: DataDir;
  private readonly processes: HostProcesses;
  private readonly specs: ReadonlyMap<string, ProcessSpec>;
  private readonly schedulerNames: readonly string[];
  private readonly runId = randomUUID();
  private readonly running = new Map<string, Child>();
  private readonly removeFiles: () => void;
  private nats: NatsServerProcess | null = null;
  private isNatsUp = false;
  private isStopping = false;

  private constructor(options: BreakableClusterOptions) {
    const shares = shareHost(thisHost(), options.agentCount); // Fails before anything is made.
    const paths = { scheduler: programPath("scheduler"), agent: programPath("node-agent") };
    this.options = options;
    this.dataDir = openDataDir(options.dataDir);
    this.removeFiles = () => this.dataDir.remove();
    process.once("exit", this.removeFiles);
    this.processes = new HostProcesses({ marker: `${RUN_VARIABLE}=${this.runId}` });
    const libraries = [options.prepareLibrary(this.dataDir.path)];
    const schedulers = Array.from({ length: options.schedulerCount }, (_, index) =>
      schedulerSpec(`scheduler-${index + 1}`, { program: paths.scheduler, libraries }),
    );
    const agents = shares.map((share, index) => {
      const name = `node-${index + 1}`;
      const data = this.dataDir.sub(name);
      return agentSpec(name, { program: paths.agent, share, data, inputRoot: data });
    });
    this.specs = new Map([...schedulers, ...agents].map((spec) => [spec.name, spec]));
    this.schedulerNames = schedulers.map(({ name }) => name);
    this.agentNames = agents.map(({ name }) => name);
  }

  /** Errors: as `startCluster`; a failed or interrupted start leaves nothing. */
  static async start(options: BreakableClusterOptions): Promise<BreakableCluster> {
    const cluster = new BreakableCluster(options);
    try {
      await cluster.startAll();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get natsUrl(): string {
    return this.nats?.url ?? "";
  }

  get dataPath(): string {
    return this.dataDir.path;
  }

  get natsVersion(): string {
    return this.nats?.version ?? "unknown";
  }

  schedulers(): readonly BreakableProcess[] {
    return this.runningOf(this.schedulerNames);
  }

  agents(): readonly BreakableProcess[] {
    return this.runningOf(this.agentNames);
  }

  natsServer(): BreakableProcess | null {
    return this.nats !== null && this.isNatsUp ? { name: NATS_NAME, pid: this.nats.pid } : null;
  }

  workers(): Promise<readonly WorkerProcess[]> {
    return this.processes.workers();
  }

  async kill(name: string): Promise<void> {
    if (name === NATS_NAME) {
      assert(this.nats !== null && this.isNatsUp, "a killed process ran");
      this.isNatsUp = false;
      sendSignal(this.nats.pid, "SIGKILL");
      return;
    }
    const child = this.running.get(name);
    assert(child !== undefined, `${name} runs before it is killed`);
    this.running.delete(name); // At once: nobody may pick it a second time.
    await child.kill();
  }

  killWorker({ pid }: WorkerProcess): void {
    sendSignal(pid, "SIGKILL");
  }

  /** B1. */
  async start(name: string): Promise<void> {
    if (name === NATS_NAME) {
      await this.nats?.restart({ isKill: true });
      this.isNatsUp = true;
      return;
    }
    const spec = this.specs.get(name);
    assert(spec !== undefined, `${name} is a process of this cluster`);
    const { env, signal } = this.options;
    const surroundings = {
      ...{ natsUrl: this.natsUrl, dataDir: this.dataDir, isInsecure: false },
      env: { ...env, [RUN_VARIABLE]: this.runId },
    };
    const child = await Child.start(childSpec(spec, surroundings), signal);
    if (this.isStopping) await child.kill();
    else this.running.set(name, child);
    void child.exited.then((reason) => this.onExit(child, reason));
  }

  pause(pid: number): void {
    sendSignal(pid, "SIGSTOP");
  }

  resume(pid: number): void {
    sendSignal(pid, "SIGCONT");
  }

  async artifactCount(agent: string): Promise<number> {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await readdir(this.storeOf(agent), options).catch(() => []);
    return entries.filter((entry) => entry.isFile()).length;
  }

  async wipeArtifacts(agent: string): Promise<number> {
    const count = await this.artifactCount(agent);
    const store = this.storeOf(agent);
    for (const name of await readdir(store).catch(() => [])) {
      // The agent writes meanwhile: what appears behind the deletion stays, as on a real disk.
      const options = { recursive: true, force: true, maxRetries: 3 };
      await rm(join(store, name), options).catch(() => undefined);
    }
    return count;
  }

  /** B3. */
  async stop(): Promise<void> {
    this.isStopping = true;
    const workers = await this.processes.workers();
    for (const { pid } of [...this.running.values(), ...workers]) sendSignal(pid, "SIGCONT");
    await this.stopAll(this.schedulerNames);
    await this.stopAll(this.agentNames);
    await this.nats?.stop();
    for (const pid of await this.processes.leftovers()) sendSignal(pid, "SIGKILL");
    process.removeListener("exit", this.removeFiles);
    this.removeFiles();
  }

  private async stopAll(names: readonly string[]): Promise<void> {
    const children = names.flatMap((name) => this.running.get(name) ?? []);
    await Promise.all(children.map((child) => child.stop(STOP_GRACE_MS)));
  }

  private async startAll(): Promise<void> {
    const { env, signal, onProgress } = this.options;
    const binary = env["MURAKKAB_NATS_SERVER"];
    this.nats = await startNatsServer({
      directory: this.dataDir.sub("nats"),
      projectDirectory: rootPath("."),
      ...(binary === undefined || binary === "" ? {} : { binary }),
    });
    this.isNatsUp = true;
    signal.throwIfAborted();
    onProgress(`nats-server is ready at ${this.natsUrl}`);
    // Each outcome is awaited, so that after a failure none is started behind `stop`'s back.
    const starts = [...this.specs.keys()].map(async (name) => {
      await this.start(name);
      onProgress(`${name} is ready`);
    });
    for (const outcome of await Promise.allSettled(starts)) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  /** B2. */
  private async onExit(child: Child, reason: string): Promise<void> {
    if (child.isStopping || this.running.get(child.name) !== child) return;
    this.running.delete(child.name);
    this.options.onProgress(child.failure(reason).message);
    while (!this.isStopping) {
      await pause(SUPERVISOR_PAUSE_MS);
      try {
        await this.start(child.name);
        this.options.onProgress(`${child.name} was started again`);
        return;
      } catch (error) {
        this.options.onProgress(`${child.name} did not start: ${describeError(error)}`);
      }
    }
  }

  private storeOf(agent: string): string {
    return join(this.dataDir.path, agent, ARTIFACTS_DIR);
  }

  private runningOf(names: readonly string[]): readonly BreakableProcess[] {
    return names.flatMap((name) => {
      const child = this.running.get(name);
      if (child === undefined) return [];
      const { pid, readyLine } = child;
      const busId = readyLine["scheduler"];
      return [{ name, pid, ...(typeof busId === "string" ? { busId } : {}) }];
    });
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in this moment.
  }
}
