/**
 * A host under virtual time: the node agent's and the worker's own logic over simulated ports.
 *
 * Owns:      the ports, and what a crash of a worker process means.
 * Does not:  simulate work: an engine function says how long it takes and what comes out.
 */
import { ActorSystem } from "@murakkab/actor";
import type { MemoryBroker } from "@murakkab/bus";
import { type Clock, delay, type Logger, NotFoundError, type Random } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import {
  ArtifactStore,
  type InstanceProcess,
  NodeAgent,
  type ProcessEvents,
  type ProcessPort,
  type SpawnRequest,
} from "@murakkab/node-agent";
import {
  AgentClient,
  type EngineCall,
  ModelWorker,
  NO_SPOOL,
  type Values,
  WORKER_ACTOR_TYPE,
} from "@murakkab/worker";
import { MemoryBlobs, type MemoryDisk } from "./memory-blobs.ts";

/** What an executor's engine does in the simulation. */
export interface SimEngine {
  readonly runMs: number;
  readonly outputs: (call: EngineCall) => Promise<Values> | Values;
}

export interface SimWorld {
  readonly clock: Clock;
  readonly broker: MemoryBroker;
  readonly random: Random;
  readonly log: Logger;
  readonly disk: MemoryDisk;
  readonly engines: Readonly<Record<string, SimEngine>>;
  /** Content of files that jobs may name, by path. */
  readonly inputs: ReadonlyMap<string, Uint8Array>;
}

export interface SimHostOptions {
  readonly node: string;
  /** Name of the agent's connection. Default `agent-<node>`: another one is another process. */
  readonly process?: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly programs: readonly string[];
}

/** Time from spawn to ready of a simulated worker process, ms. */
const WORKER_START_MS = 80;
const HOST_MEMORY_MIB = 8_192;

export class SimHost {
  readonly agent: NodeAgent;
  readonly node: string;
  private readonly world: SimWorld;
  private readonly processes = new Map<string, { crash: () => void }>();

  constructor(world: SimWorld, options: SimHostOptions) {
    this.world = world;
    this.node = options.node;
    const { clock, broker, random, log, disk, inputs } = world;
    const process = options.process ?? `agent-${options.node}`;
    const bus = broker.connect(process);
    const store = new ArtifactStore(
      { clock, blobs: new MemoryBlobs(disk, options.node) },
      { limitBytes: 64 * 1_048_576 },
    );
    this.agent = new NodeAgent(
      {
        clock,
        random: random.stream(process),
        messaging: bus.messaging,
        log,
        store,
        host: {
          identity: () => ({
            machineId: `machine-${options.node}`,
            bootId: "boot",
            hostname: options.node,
            cores: options.cpus,
            memoryBytes: HOST_MEMORY_MIB * 1_048_576,
          }),
          programs: async () => Object.fromEntries(options.programs.map((name) => [name, "1.0"])),
          hasProgram: async (name) => options.programs.includes(name),
        },
        processes: this.makeProcesses(),
        sampler: {
          sample: async () => ({
            cpu: {
              cores: options.cpus,
              busyRatio: 0,
              perCore: Array(options.cpus).fill(0) as number[],
            },
            memory: { totalBytes: HOST_MEMORY_MIB * 1_048_576, usedBytes: 0 },
            disk: { totalBytes: null, usedBytes: null },
            network: { rxBytesPerSec: null, txBytesPerSec: null },
            gpus: [],
          }),
        },
        source: {
          open: async (path) => {
            const data = inputs.get(path);
            if (data === undefined) throw new NotFoundError(`file ${path} does not exist`);
            return { bytes: data.length, mediaType: "video/mp4", name: path, stream: once(data) };
          },
        },
        fetcher: {
          fetch: async (holder, hash) => once(disk.read(`/${holder.node}/artifacts/${hash}`)),
        },
        probe: {
          probe: async () => ({
            media: { type: "video", hasAudio: true, hasPictures: true, durationSec: 60 },
          }),
        },
        paths: { resolveBelow: async (root, path) => (path.startsWith(root) ? path : null) },
        generations: {
          load: async () => ({ generation: 0, quarantinedAt: null }),
          save: async () => undefined,
        },
        spool: {
          list: async () => [],
          read: async () => null,
          remove: async () => undefined,
          quarantine: async (name) => name,
        },
      },
      {
        node: options.node,
        offer: { cpus: options.cpus, memoryMib: options.memoryMib },
        labels: {},
        artifactUrl: `http://${options.node}:1`,
        version: "0.0.0",
        onRefused: (error) => {
          throw error;
        },
      },
    );
  }

  get instances(): readonly string[] {
    return [...this.processes.keys()];
  }

  /** What `kill -9` of a worker process does. */
  crash(instance: string): void {
    this.processes.get(instance)?.crash();
  }

  private makeProcesses(): ProcessPort {
    return {
      spawn: (request, events) => this.spawn(request, events),
      recover: async () => [],
    };
  }

  private spawn({ instance, executor }: SpawnRequest, events: ProcessEvents): InstanceProcess {
    const { broker, clock, random, log, disk } = this.world;
    const name = `worker-${instance}`;
    const { messaging } = broker.connect(name);
    const actors = new ActorSystem({ messaging, clock, random: random.stream(name), log });
    const scratchDir = `/${this.node}/scratch`;
    let isGone = false;
    const exit = (code: number | null, signal: string | null): void => {
      if (isGone) return;
      isGone = true;
      broker.cut(name);
      this.processes.delete(instance);
      events.onExit({ code, signal, stderrTail: "" });
    };
    clock.after(WORKER_START_MS, () => {
      if (isGone) return;
      actors.spawn(
        { type: WORKER_ACTOR_TYPE, key: instance },
        () =>
          this.makeWorker(
            executor,
            new AgentClient({ messaging, clock }, { node: this.node, instance }),
            disk,
          ),
        { concurrency: concurrencyOf(executor) },
      );
      events.onReady();
    });
    this.processes.set(instance, { crash: () => exit(null, "SIGKILL") });
    return {
      scratchDir,
      terminate: () => void actors.stop().then(() => exit(0, null)),
      kill: () => exit(null, "SIGKILL"),
      reap: async () => undefined,
      usage: () => null,
    };
  }

  private makeWorker(entry: ExecutorEntry, agent: AgentClient, disk: MemoryDisk): ModelWorker {
    const { clock, log, engines } = this.world;
    const engine = engines[entry.id];
    if (engine === undefined) throw new NotFoundError(`no simulated engine for ${entry.id}`);
    return new ModelWorker(
      {
        agent,
        clock,
        log,
        scratch: disk.scratch(this.node),
        spool: NO_SPOOL,
        isBusThere: () => true,
        usage: { begin: () => () => ({ cpuSec: engine.runMs / 1_000, memoryBytesMax: 1_048_576 }) },
        engine: {
          capabilities: { concurrencyMax: concurrencyOf(entry) },
          start: async () => undefined,
          stop: async () => undefined,
          run: async (call) => {
            await delay(clock, engine.runMs, call.signal);
            return engine.outputs(call);
          },
        },
      },
      { entry, threads: 1, node: this.node },
    );
  }
}

function concurrencyOf({ resources }: ExecutorEntry): number {
  return resources.concurrency ?? 1;
}

async function* once(data: Uint8Array): AsyncIterable<Uint8Array> {
  yield data;
}
