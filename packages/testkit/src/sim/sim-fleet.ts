/**
 * Scheduler, agents and workers on one in-memory bus under one virtual clock: the processes' own
 * protocol logic, one seed, one history.
 */
import { ActorSystem } from "@murakkab/actor";
import { type Bus, MemoryBroker } from "@murakkab/bus";
import { type Logger, SILENT_LOGGER, seededRandom, sha256Hex } from "@murakkab/kit";
import { artifactUri, type ExecutorEntry, type Workflow } from "@murakkab/model";
import { JOB_RETENTION_MS, PARTITION_COUNT } from "@murakkab/protocol";
import { Scheduler, type SchedulerComponents } from "@murakkab/scheduler";
import { VirtualClock } from "../virtual-clock.ts";
import { MemoryDisk } from "./memory-blobs.ts";
import { type SimEngine, SimHost, type SimHostOptions, type SimWorld } from "./sim-host.ts";

export interface SimFleetOptions {
  readonly seed: string;
  readonly executors: readonly ExecutorEntry[];
  readonly workflows?: readonly Workflow[];
  readonly engines: Readonly<Record<string, SimEngine>>;
  readonly hosts: readonly SimHostOptions[];
  readonly inputs?: ReadonlyMap<string, Uint8Array>;
  /** Unfinished jobs that one scheduler takes. Default 10,000. */
  readonly activeJobsMax?: number;
  /** Default: that of a real fleet, 7 days. */
  readonly retentionMs?: number;
  /** Default 1. */
  readonly schedulers?: number;
  /** Longest time of a message on the bus, ms. Default 2. */
  readonly latencyMsMax?: number;
  readonly log?: Logger;
  readonly observe?: SchedulerComponents["observe"];
  readonly rechooser?: SchedulerComponents["rechooser"];
}

const RATES = {
  pricePerCoreHourUsd: 0.04,
  busyWattsPerCore: 3.5,
  idleWattsPerCore: 0.7,
  memoryWattsPerGib: 0.4,
};

export interface SimScheduler {
  readonly id: string;
  readonly bus: Bus;
  readonly scheduler: Scheduler;
}

export class SimFleet {
  readonly clock = new VirtualClock();
  readonly broker: MemoryBroker;
  readonly schedulers: SimScheduler[] = [];
  readonly hosts: readonly SimHost[];
  /** The submitter's connection. */
  readonly client: Bus;
  private readonly world: SimWorld;
  private readonly options: SimFleetOptions;

  constructor(options: SimFleetOptions) {
    const random = seededRandom(options.seed);
    const log = options.log ?? SILENT_LOGGER;
    const disk = new MemoryDisk();
    this.broker = new MemoryBroker(
      { clock: this.clock, random: random.stream("bus") },
      { latencyMsMax: options.latencyMsMax ?? 2 },
    );
    this.client = this.broker.connect("client");
    const world: SimWorld = {
      clock: this.clock,
      broker: this.broker,
      random,
      log,
      disk,
      engines: options.engines,
      inputs: options.inputs ?? new Map(),
    };
    this.world = world;
    this.options = options;
    for (let number = 1; number <= (options.schedulers ?? 1); number += 1) this.addScheduler();
    this.hosts = options.hosts.map((host) => new SimHost(world, host));
  }

  /** Makes one more scheduler; its `start` is the caller's. */
  addScheduler(changes: { readonly config?: string } = {}): SimScheduler {
    const { clock, random, log, disk } = this.world;
    const { options } = this;
    const id = `scheduler-${this.schedulers.length + 1}`;
    const bus = this.broker.connect(id);
    const own = random.stream(id);
    const actors = new ActorSystem({ messaging: bus.messaging, clock, random: own, log });
    const scheduler = new Scheduler(
      {
        bus,
        actors,
        random: own,
        clock,
        log,
        ...(options.observe === undefined ? {} : { observe: options.observe }),
        ...(options.rechooser === undefined ? {} : { rechooser: options.rechooser }),
        addressProbe: { check: async () => undefined },
        tickets: { ticket: () => "ticket" },
        uplink: {
          put: async (holder, { data, mediaType }) => {
            const hash = sha256Hex(data);
            disk.files.set(`/${holder.node}/artifacts/${hash}`, data);
            return { artifact: artifactUri(hash), bytes: data.length, mediaType };
          },
        },
      },
      {
        library: { executors: options.executors, workflows: options.workflows ?? [] },
        rates: RATES,
        energyMethod: "simulated",
        version: "0.0.0",
        id,
        config: changes.config ?? "simulated",
        partitionCount: PARTITION_COUNT,
        retentionMs: options.retentionMs ?? JOB_RETENTION_MS,
        leaseMs: 1_500,
        activeJobsMax: options.activeJobsMax ?? 10_000,
        idleStopMs: 600_000,
        startLimitMs: 20_000,
      },
    );
    const added = { id, bus, scheduler };
    this.schedulers.push(added);
    return added;
  }

  /** Makes one more host; starting its agent is the caller's. */
  makeHost(options: SimHostOptions): SimHost {
    return new SimHost(this.world, options);
  }

  /** The first one. */
  get scheduler(): Scheduler {
    const first = this.schedulers[0];
    if (first === undefined) throw new Error("the fleet has no scheduler");
    return first.scheduler;
  }

  /** As SIGKILL would: its connection ends in the middle of whatever it does. */
  async killScheduler(id: string): Promise<void> {
    const found = this.schedulers.find((it) => it.id === id);
    if (found === undefined) throw new Error(`no scheduler ${id}`);
    // First the connection: a killed process does not answer on its way out.
    this.broker.cut(id);
    found.scheduler.halt();
    await found.bus.close();
  }

  /** Schedulers first, then every agent; returns when all are registered. */
  async start(): Promise<void> {
    await this.run(async () => {
      for (const { scheduler } of this.schedulers) await scheduler.start();
      await Promise.all(this.hosts.map((host) => host.agent.start()));
    });
  }

  /** Drives the clock until the promise that `work` returns has settled. */
  async run<T>(work: () => Promise<T>, untilMs?: number): Promise<T> {
    let isSettled = false;
    const settled = work().finally(() => {
      isSettled = true;
    });
    // Its rejection is handled below; without this a rejection while the clock runs is unhandled.
    settled.catch(() => undefined);
    await this.clock.runUntil(() => isSettled, untilMs);
    return settled;
  }
}
