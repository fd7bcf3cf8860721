/**
 * Scheduler, agents and workers on one in-memory bus under one virtual clock: the processes' own
 * protocol logic, one seed, one history.
 */
import { ActorSystem } from "@murakkab/actor";
import { type Bus, MemoryBroker } from "@murakkab/bus";
import { type Logger, SILENT_LOGGER, seededRandom, sha256Hex } from "@murakkab/kit";
import { artifactUri, type ExecutorEntry, type Workflow } from "@murakkab/model";
import { Scheduler } from "@murakkab/scheduler";
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
  /** Longest time of a message on the bus, ms. Default 2. */
  readonly latencyMsMax?: number;
  readonly log?: Logger;
}

const RATES = {
  pricePerCoreHourUsd: 0.04,
  busyWattsPerCore: 3.5,
  idleWattsPerCore: 0.7,
  memoryWattsPerGib: 0.4,
};

export class SimFleet {
  readonly clock = new VirtualClock();
  readonly broker: MemoryBroker;
  readonly scheduler: Scheduler;
  readonly hosts: readonly SimHost[];
  /** The submitter's connection. */
  readonly client: Bus;

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
    const bus = this.broker.connect("scheduler");
    const actors = new ActorSystem({ messaging: bus.messaging, clock: this.clock, random, log });
    this.scheduler = new Scheduler(
      {
        bus,
        actors,
        random: random.stream("scheduler"),
        clock: this.clock,
        log,
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
        idleStopMs: 600_000,
        startLimitMs: 20_000,
      },
    );
    this.hosts = options.hosts.map((host) => new SimHost(world, host));
  }

  /** Scheduler first, then every agent; returns when all are registered. */
  async start(): Promise<void> {
    await this.run(async () => {
      await this.scheduler.start();
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
