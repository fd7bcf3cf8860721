/**
 * A host under virtual time: the node agent's and the worker's own logic over simulated ports.
 *
 * Owns:      the ports, what a crash of a worker or of the agent means, and what survives one.
 * Does not:  simulate work: an engine function says how long it takes and what comes out.
 */
import { ActorSystem } from "@murakkab/actor";
import type { MemoryBroker, Messaging } from "@murakkab/bus";
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
  AgentLink,
  type EngineCall,
  ModelWorker,
  type Values,
  WORKER_ACTOR_TYPE,
} from "@murakkab/worker";
import { MemoryBlobs, type MemoryDisk } from "./memory-blobs.ts";
import { MemorySpool } from "./memory-spool.ts";

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
  readonly cpus: number;
  readonly memoryMib: number;
  readonly programs: readonly string[];
}

/** Time from spawn to ready of a simulated worker process, ms. */
const WORKER_START_MS = 80;
const HOST_MEMORY_MIB = 8_192;
const STORE_LIMIT_BYTES = 64 * 1_048_576;

/** A worker process, whichever agent has it now. */
interface SimProcess {
  readonly request: SpawnRequest;
  readonly link: AgentLink;
  readonly handle: InstanceProcess;
  isReady: boolean;
  /** Of the agent that has it. */
  events: ProcessEvents;
  crash(): void;
}

const NO_EVENTS: ProcessEvents = {
  onReady: () => undefined,
  onStatus: () => undefined,
  onExit: () => undefined,
};

export class SimHost {
  readonly node: string;
  readonly spool = new MemorySpool();
  private readonly world: SimWorld;
  private readonly options: SimHostOptions;
  private readonly processes = new Map<string, SimProcess>();
  private current: NodeAgent;
  private store: ArtifactStore;
  private agentCount = 0;
  private generation = 0;

  constructor(world: SimWorld, options: SimHostOptions) {
    this.world = world;
    this.node = options.node;
    this.options = options;
    this.store = this.makeStore();
    this.current = this.makeAgent();
  }

  /** The one that runs now. */
  get agent(): NodeAgent {
    return this.current;
  }

  /** What `kill -9` of the agent process does: its workers go on. */
  crashAgent(): void {
    this.world.broker.cut(this.agentName);
    for (const process of [...this.processes.values()]) {
      process.events = NO_EVENTS;
      if (process.isReady) process.link.detach();
      else process.crash();
    }
  }

  /** Another agent on the same disk. Resolves once it is registered. */
  async restartAgent(): Promise<void> {
    this.store = this.makeStore();
    await this.store.open();
    this.current = this.makeAgent();
    await this.current.start();
  }

  private makeStore(): ArtifactStore {
    const { clock, disk } = this.world;
    return new ArtifactStore(
      { clock, blobs: new MemoryBlobs(disk, this.node) },
      { limitBytes: STORE_LIMIT_BYTES },
    );
  }

  /** The first keeps the plain name; a connection that was cut is never used again. */
  private get agentName(): string {
    return this.agentCount === 1 ? `agent-${this.node}` : `agent-${this.node}-${this.agentCount}`;
  }

  private makeAgent(): NodeAgent {
    const { options } = this;
    const { clock, broker, random, log, disk, inputs } = this.world;
    this.agentCount += 1;
    const name = this.agentName;
    const bus = broker.connect(name);
    return new NodeAgent(
      {
        clock,
        random: random.stream(name),
        messaging: bus.messaging,
        log,
        store: this.store,
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
          load: async () => ({ generation: this.generation, quarantinedAt: null }),
          save: async (generation) => {
            this.generation = generation;
          },
        },
        spool: this.spool,
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
      recover: async () =>
        [...this.processes.values()].map((process) => ({
          request: process.request,
          adopt: (events: ProcessEvents) => {
            process.events = events;
            return process.handle;
          },
        })),
    };
  }

  private spawn(request: SpawnRequest, events: ProcessEvents): InstanceProcess {
    const { broker, clock, random, log } = this.world;
    const { instance, executor } = request;
    const name = `worker-${instance}`;
    const { messaging } = broker.connect(name);
    const actors = new ActorSystem({ messaging, clock, random: random.stream(name), log });
    const client = new AgentClient({ messaging, clock }, { node: this.node, instance });
    let isGone = false;
    const exit = (code: number | null, signal: string | null): void => {
      if (isGone) return;
      isGone = true;
      process.link.stop();
      broker.cut(name);
      this.processes.delete(instance);
      process.events.onExit({ code, signal, stderrTail: "" });
    };
    const link = new AgentLink(
      { messaging, clock, log },
      {
        node: this.node,
        describe: () => ({ instance, holds: client.holds, queuedCount: 0, inFlightCount: 0 }),
        onNewAgent: () => client.onNewAgent(),
        onDisowned: () => exit(0, null),
      },
    );
    const process: SimProcess = {
      request,
      link,
      events,
      isReady: false,
      crash: () => exit(null, "SIGKILL"),
      handle: {
        scratchDir: `/${this.node}/scratch`,
        terminate: () => void actors.stop().then(() => exit(0, null)),
        kill: () => exit(null, "SIGKILL"),
        reap: async () => undefined,
        usage: () => null,
      },
    };
    this.processes.set(instance, process);
    clock.after(WORKER_START_MS, () => {
      if (isGone) return;
      const address = { type: WORKER_ACTOR_TYPE, key: instance };
      const concurrency = concurrencyOf(executor);
      actors.spawn(address, () => this.makeWorker(executor, client, messaging), { concurrency });
      process.isReady = true;
      process.events.onReady();
    });
    return process.handle;
  }

  private makeWorker(entry: ExecutorEntry, agent: AgentClient, messaging: Messaging): ModelWorker {
    const { clock, log, engines, disk } = this.world;
    const engine = engines[entry.id];
    if (engine === undefined) throw new NotFoundError(`no simulated engine for ${entry.id}`);
    let isBusThere = true;
    messaging.onStatus((status) => {
      isBusThere = status === "connected";
    });
    return new ModelWorker(
      {
        agent,
        clock,
        log,
        scratch: disk.scratch(this.node),
        spool: this.spool,
        isBusThere: () => isBusThere,
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
