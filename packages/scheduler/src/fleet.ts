/**
 * The scheduler's view of the fleet: nodes, their instances, and the ledger of cores and memory.
 *
 * Owns:      registration rules, heartbeats, who is lost, what is reserved.
 * Does not:  decide placements (core) or send commands (dispatcher).
 *
 * Invariants:
 *   F1. The offers of all agents on one host never sum to more than the host.
 *   F2. Reserved cores of a node = sum over its attempts in flight.
 */

import type { PlacementInstance, PlacementNode, PlacementSnapshot } from "@murakkab/core";
import { type Clock, TerminalError } from "@murakkab/kit";
import type { ExecutorEntry, InstanceSample, NodeRegistration, NodeSample } from "@murakkab/model";
import { NODE_COUNT_MAX, NODE_LOST_AFTER_MS } from "@murakkab/protocol";

export interface FleetNode {
  readonly registration: NodeRegistration;
  lastHeardAtMs: number;
  cpusReserved: number;
  sample: NodeSample | null;
  sampleAtMs: number;
  /** Its agent's process has ended, its workers may live: nothing is started there. */
  isAgentGone: boolean;
}

export interface FleetInstance {
  readonly instance: string;
  readonly node: string;
  readonly executor: ExecutorEntry;
  state: "starting" | "ready" | "stopping";
  inFlightCount: number;
  /** What the agent said last: attempts of other schedulers are in it. */
  sampledInFlightCount: number;
  sampledCpuSec: number;
  usedAtMs: number;
}

/** Slack for rounding: two agents that each offer half of a host may add up to a hair more. */
const OFFER_TOLERANCE = 1.001;
/** A worker that only waits uses less than this between two samples. */
const WORK_CPU_SEC_MIN = 0.02;
const ENDED_REMEMBERED_COUNT = 1_024;

export class Fleet {
  private readonly clock: Clock;
  private readonly nodes = new Map<string, FleetNode>();
  private readonly instances = new Map<string, FleetInstance>();
  private readonly byExecutor = new Map<string, Set<FleetInstance>>();
  /** Ids of instances that have ended, oldest first. */
  private readonly ended = new Set<string>();
  private versionNumber = 0;
  private readonly programSets = new WeakMap<object, ReadonlySet<string>>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Takes a registration. Returns the instances that the node's former process had and that it
   * does not name any more. Instances that run there and are not known here are adopted:
   * `executor` finds their library entry.
   * Errors: `OFFER_EXCEEDS_HOST` (naming both agents), `TOO_MANY_NODES`.
   */
  register(
    registration: NodeRegistration,
    executor: (id: string) => ExecutorEntry | undefined = () => undefined,
  ): readonly FleetInstance[] {
    const known = this.nodes.get(registration.node);
    if (known === undefined && this.nodes.size >= NODE_COUNT_MAX) {
      throw new TerminalError(
        "TOO_MANY_NODES",
        `this scheduler keeps at most ${NODE_COUNT_MAX} nodes`,
      );
    }
    this.checkOffers(registration);
    const isRestart =
      known !== undefined && known.registration.incarnation !== registration.incarnation;
    const named = new Set(registration.instances.map((sample) => sample.instance));
    const lost = isRestart ? this.removeInstancesOf(registration.node, named) : [];
    const inFlightCores = this.instancesOf(registration.node).reduce(
      (sum, it) => sum + it.inFlightCount * it.executor.resources.cores,
      0,
    );
    this.versionNumber += 1;
    this.nodes.set(registration.node, {
      registration,
      lastHeardAtMs: this.clock.monotonicMs(),
      cpusReserved: inFlightCores,
      sample: null,
      sampleAtMs: 0,
      isAgentGone: false,
    });
    for (const sample of registration.instances) this.adopt(registration.node, sample, executor);
    return lost;
  }

  /** The scheduler itself was cut off: the nodes' silence in that time says nothing about them. */
  forgiveSilence(): void {
    const nowMs = this.clock.monotonicMs();
    for (const node of this.nodes.values()) node.lastHeardAtMs = nowMs;
  }

  private checkOffers(registration: NodeRegistration): void {
    const { host, offer, node } = registration;
    const others = [...this.nodes.values()]
      .map((other) => other.registration)
      .filter(
        (other) =>
          other.node !== node &&
          other.host.machineId === host.machineId &&
          other.host.bootId === host.bootId,
      );
    const cpus = others.reduce((sum, other) => sum + other.offer.cpus, offer.cpus);
    const memoryMib = others.reduce((sum, other) => sum + other.offer.memoryMib, offer.memoryMib);
    const hostMib = host.memoryBytes / 1_048_576;
    const names = [...others.map((other) => other.node), node].join(" and ");
    const who =
      others.length === 0
        ? `node ${names} offers`
        : `nodes ${names} on host ${host.hostname} offer`;
    if (cpus > host.cores * OFFER_TOLERANCE) {
      throw new TerminalError(
        "OFFER_EXCEEDS_HOST",
        `${who} ${cpus} cores together, expected at most the host's ${host.cores}`,
        { field: "offer.cpus" },
      );
    }
    if (memoryMib > hostMib * OFFER_TOLERANCE) {
      throw new TerminalError(
        "OFFER_EXCEEDS_HOST",
        `${who} ${Math.round(memoryMib)} MiB together, expected at most the host's ${Math.round(hostMib)} MiB`,
        { field: "offer.memoryMib" },
      );
    }
  }

  /** False when the node (or this incarnation of it) is not known: it should register again. */
  heartbeat(node: string, incarnation: string): boolean {
    const known = this.nodes.get(node);
    if (known === undefined || known.registration.incarnation !== incarnation) return false;
    known.lastHeardAtMs = this.clock.monotonicMs();
    known.isAgentGone = false;
    return true;
  }

  /** Takes a sample. Returns how many instances were found by it that were not known here. */
  sampled(
    sample: NodeSample,
    executor: (id: string) => ExecutorEntry | undefined = () => undefined,
  ): number {
    const known = this.nodes.get(sample.node);
    if (known === undefined) return 0;
    let foundCount = 0;
    known.sample = sample;
    known.sampleAtMs = this.clock.monotonicMs() - sample.ageMs;
    for (const it of sample.instances) {
      const instance = this.instances.get(it.instance);
      if (instance === undefined) {
        // It was given up too early, or started while this process did not listen.
        foundCount += this.adopt(sample.node, it, executor) ? 1 : 0;
        continue;
      }
      instance.sampledInFlightCount = it.inFlightCount + it.queuedCount;
      // Work between two samples shows in the processor time only.
      const cpuSec = it.cpuSec ?? 0;
      const hasWorked = cpuSec - instance.sampledCpuSec > WORK_CPU_SEC_MIN;
      instance.sampledCpuSec = cpuSec;
      if (hasWorked || instance.sampledInFlightCount > 0) {
        instance.usedAtMs = this.clock.monotonicMs();
      }
    }
    return foundCount;
  }

  /** True when the instance serves, is new here, and its executor is known. */
  private adopt(
    node: string,
    { instance, executor, state }: InstanceSample,
    find: (id: string) => ExecutorEntry | undefined,
  ): boolean {
    const entry = find(executor);
    const isServing = state === "ready" || state === "busy";
    if (entry === undefined || !isServing) return false;
    if (this.instances.has(instance) || this.ended.has(instance)) return false;
    this.addInstance({ instance, node, executor: entry }).state = "ready";
    return true;
  }

  /** Its agent says that it has ended: a late sample must not bring it back. */
  exited(instance: string): void {
    this.removeInstance(instance);
    this.ended.add(instance);
    if (this.ended.size <= ENDED_REMEMBERED_COUNT) return;
    const oldest = this.ended.values().next().value;
    if (oldest !== undefined) this.ended.delete(oldest);
  }

  /** Nodes that were silent for too long. */
  silentNodes(): readonly string[] {
    const nowMs = this.clock.monotonicMs();
    return this.listNodes()
      .filter((node) => nowMs - node.lastHeardAtMs >= NODE_LOST_AFTER_MS)
      .map((node) => node.registration.node);
  }

  removeNode(node: string): readonly FleetInstance[] {
    this.versionNumber += 1;
    this.nodes.delete(node);
    return this.removeInstancesOf(node);
  }

  instancesOf(node: string): readonly FleetInstance[] {
    return [...this.instances.values()].filter((it) => it.node === node);
  }

  private removeInstancesOf(
    node: string,
    except: ReadonlySet<string> = new Set(),
  ): readonly FleetInstance[] {
    const lost = this.instancesOf(node).filter((it) => !except.has(it.instance));
    for (const it of lost) this.removeInstance(it.instance);
    return lost;
  }

  /** Changes with every node that comes, changes or goes. */
  get version(): number {
    return this.versionNumber;
  }

  get nodeCount(): number {
    return this.nodes.size;
  }

  node(node: string): FleetNode | undefined {
    return this.nodes.get(node);
  }

  listNodes(): readonly FleetNode[] {
    return [...this.nodes.values()].sort((a, b) =>
      a.registration.node < b.registration.node ? -1 : 1,
    );
  }

  listInstances(): readonly FleetInstance[] {
    return [...this.instances.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  addInstance(settings: {
    instance: string;
    node: string;
    executor: ExecutorEntry;
  }): FleetInstance {
    const added: FleetInstance = {
      ...settings,
      state: "starting",
      inFlightCount: 0,
      sampledInFlightCount: 0,
      sampledCpuSec: 0,
      usedAtMs: this.clock.monotonicMs(),
    };
    this.instances.set(settings.instance, added);
    const group = this.byExecutor.get(settings.executor.id);
    if (group === undefined) this.byExecutor.set(settings.executor.id, new Set([added]));
    else group.add(added);
    return added;
  }

  /** Instances of an executor, in whatever state. */
  countOf(executorId: string): number {
    return this.byExecutor.get(executorId)?.size ?? 0;
  }

  /** The part of the snapshot that one executor's warm instances need. */
  candidates(executorId: string): PlacementSnapshot {
    const instances = [...(this.byExecutor.get(executorId) ?? [])];
    const nodes = new Map<string, PlacementNode>();
    for (const { node } of instances) {
      const known = this.nodes.get(node);
      // The memory is the instance's already: only cores and labels matter here.
      if (known !== undefined && !nodes.has(node)) nodes.set(node, this.placementNode(known, 0));
    }
    return { nodes: [...nodes.values()], instances: instances.map((it) => placementInstance(it)) };
  }

  instance(instance: string): FleetInstance | undefined {
    return this.instances.get(instance);
  }

  removeInstance(instance: string): FleetInstance | undefined {
    const removed = this.instances.get(instance);
    this.instances.delete(instance);
    if (removed === undefined) return undefined;
    const node = this.nodes.get(removed.node);
    if (node !== undefined) {
      const cores = removed.inFlightCount * removed.executor.resources.cores;
      node.cpusReserved = Math.max(0, node.cpusReserved - cores); // F2
    }
    const group = this.byExecutor.get(removed.executor.id);
    group?.delete(removed);
    if (group?.size === 0) this.byExecutor.delete(removed.executor.id);
    return removed;
  }

  /** Books an attempt on an instance and its node (F2). */
  reserve(instance: FleetInstance): void {
    instance.inFlightCount += 1;
    instance.usedAtMs = this.clock.monotonicMs();
    const node = this.nodes.get(instance.node);
    if (node !== undefined) node.cpusReserved += instance.executor.resources.cores;
  }

  release(instance: FleetInstance): void {
    instance.inFlightCount = Math.max(0, instance.inFlightCount - 1);
    instance.usedAtMs = this.clock.monotonicMs();
    const node = this.nodes.get(instance.node);
    // An instance that is gone has taken its cores with it.
    if (node !== undefined && this.instances.get(instance.instance) === instance) {
      node.cpusReserved = Math.max(0, node.cpusReserved - instance.executor.resources.cores);
    }
  }

  snapshot(): PlacementSnapshot {
    const instances = this.listInstances().map((it) => ({
      ...placementInstance(it),
      inFlightCount: Math.max(it.inFlightCount, it.sampledInFlightCount),
    }));
    const nodes = this.listNodes().map((node) => {
      const usedMib = instances
        .filter((it) => it.node === node.registration.node)
        .reduce((sum, it) => sum + it.memoryMib, 0);
      return this.placementNode(node, usedMib);
    });
    return { nodes, instances };
  }

  private placementNode(node: FleetNode, usedMib: number): PlacementNode {
    const { offer, labels, programs, node: name, host } = node.registration;
    let programSet = this.programSets.get(programs);
    if (programSet === undefined) {
      programSet = new Set(Object.keys(programs));
      this.programSets.set(programs, programSet);
    }
    return {
      node: name,
      ...(host.kind === undefined ? {} : { kind: host.kind }),
      cpusOffered: offer.cpus,
      // Cores are given out by the agent: without it only work that needs none can run.
      cpusFree: node.isAgentGone ? 0 : offer.cpus - node.cpusReserved,
      memoryOfferedMib: offer.memoryMib,
      memoryFreeMib: node.isAgentGone ? 0 : offer.memoryMib - usedMib,
      labels,
      programs: programSet,
    };
  }

  instanceSamples(): readonly (InstanceSample & { readonly node: string })[] {
    return this.listInstances().map((it) => {
      const sampled = this.nodes
        .get(it.node)
        ?.sample?.instances.find((sample) => sample.instance === it.instance);
      const state = it.state === "ready" && it.inFlightCount > 0 ? "busy" : it.state;
      return {
        instance: it.instance,
        executor: it.executor.id,
        node: it.node,
        state,
        cpuSec: sampled?.cpuSec ?? null,
        memoryBytes: sampled?.memoryBytes ?? null,
        queuedCount: sampled?.queuedCount ?? 0,
        inFlightCount: it.inFlightCount,
      };
    });
  }
}

function placementInstance(it: FleetInstance): PlacementInstance {
  return {
    instance: it.instance,
    node: it.node,
    executor: it.executor.id,
    state: it.state,
    inFlightCount: it.inFlightCount,
    memoryMib: it.executor.resources.memoryMib,
    usedAtMs: it.usedAtMs,
  };
}
