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
}

export interface FleetInstance {
  readonly instance: string;
  readonly node: string;
  readonly executor: ExecutorEntry;
  /** Start of the agent's process that the instance belongs to: its ledger is that process's. */
  readonly incarnation: string;
  state: "starting" | "ready" | "stopping";
  inFlightCount: number;
  usedAtMs: number;
}

/** Slack for rounding: two agents that each offer half of a host may add up to a hair more. */
const OFFER_TOLERANCE = 1.001;

export class Fleet {
  private readonly clock: Clock;
  private readonly nodes = new Map<string, FleetNode>();
  private readonly instances = new Map<string, FleetInstance>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Takes a registration. Returns the instances that the node's former process had. Instances that
   * run there and are not known here are adopted: `executor` finds their library entry.
   * Errors: `NODE_NAME_TAKEN`, `OFFER_EXCEEDS_HOST` (naming both agents), `TOO_MANY_NODES`.
   */
  register(
    registration: NodeRegistration,
    executor: (id: string) => ExecutorEntry | undefined = () => undefined,
  ): readonly FleetInstance[] {
    const known = this.nodes.get(registration.node);
    const isSameHost =
      known !== undefined &&
      known.registration.host.machineId === registration.host.machineId &&
      known.registration.host.bootId === registration.host.bootId;
    if (known !== undefined && known.registration.incarnation !== registration.incarnation) {
      const isAlive = this.clock.monotonicMs() - known.lastHeardAtMs < NODE_LOST_AFTER_MS;
      if (isAlive && !isSameHost) {
        throw new TerminalError(
          "NODE_NAME_TAKEN",
          `node name "${registration.node}" is in use by a live agent on host ${known.registration.host.hostname}, expected a free name`,
          { field: "node" },
        );
      }
    }
    if (known === undefined && this.nodes.size >= NODE_COUNT_MAX) {
      throw new TerminalError(
        "TOO_MANY_NODES",
        `this scheduler keeps at most ${NODE_COUNT_MAX} nodes`,
      );
    }
    this.checkOffers(registration);
    const isRestart =
      known !== undefined && known.registration.incarnation !== registration.incarnation;
    const lost = isRestart ? this.removeInstancesOf(registration.node) : [];
    this.nodes.set(registration.node, {
      registration,
      lastHeardAtMs: this.clock.monotonicMs(),
      cpusReserved: isRestart || known === undefined ? 0 : known.cpusReserved,
      sample: null,
      sampleAtMs: 0,
    });
    for (const sample of registration.instances) {
      const entry = executor(sample.executor);
      const isServing = sample.state === "ready" || sample.state === "busy";
      if (entry === undefined || !isServing || this.instances.has(sample.instance)) continue;
      const { instance } = sample;
      this.addInstance({ instance, node: registration.node, executor: entry }).state = "ready";
    }
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
    return true;
  }

  sampled(sample: NodeSample): void {
    const known = this.nodes.get(sample.node);
    if (known === undefined) return;
    known.sample = sample;
    known.sampleAtMs = this.clock.monotonicMs() - sample.ageMs;
  }

  /** Nodes that were silent for too long. */
  silentNodes(): readonly string[] {
    const nowMs = this.clock.monotonicMs();
    return this.listNodes()
      .filter((node) => nowMs - node.lastHeardAtMs >= NODE_LOST_AFTER_MS)
      .map((node) => node.registration.node);
  }

  removeNode(node: string): readonly FleetInstance[] {
    this.nodes.delete(node);
    return this.removeInstancesOf(node);
  }

  private removeInstancesOf(node: string): readonly FleetInstance[] {
    const lost = [...this.instances.values()].filter((it) => it.node === node);
    for (const it of lost) this.instances.delete(it.instance);
    return lost;
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
      incarnation: this.nodes.get(settings.node)?.registration.incarnation ?? "",
      state: "starting",
      inFlightCount: 0,
      usedAtMs: this.clock.monotonicMs(),
    };
    this.instances.set(settings.instance, added);
    return added;
  }

  instance(instance: string): FleetInstance | undefined {
    return this.instances.get(instance);
  }

  removeInstance(instance: string): FleetInstance | undefined {
    const removed = this.instances.get(instance);
    this.instances.delete(instance);
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
    // A node whose agent started anew has an empty ledger: its former attempts are not booked on it.
    if (node !== undefined && node.registration.incarnation === instance.incarnation) {
      node.cpusReserved = Math.max(0, node.cpusReserved - instance.executor.resources.cores);
    }
  }

  snapshot(): PlacementSnapshot {
    const instances: PlacementInstance[] = this.listInstances().map((it) => ({
      instance: it.instance,
      node: it.node,
      executor: it.executor.id,
      state: it.state,
      inFlightCount: it.inFlightCount,
      memoryMib: it.executor.resources.memoryMib,
      usedAtMs: it.usedAtMs,
    }));
    const nodes: PlacementNode[] = this.listNodes().map((node) => {
      const { offer, labels, programs, node: name } = node.registration;
      const usedMib = instances
        .filter((it) => it.node === name)
        .reduce((sum, it) => sum + it.memoryMib, 0);
      return {
        node: name,
        cpusOffered: offer.cpus,
        cpusFree: offer.cpus - node.cpusReserved,
        memoryOfferedMib: offer.memoryMib,
        memoryFreeMib: offer.memoryMib - usedMib,
        labels,
        programs: new Set(Object.keys(programs)),
      };
    });
    return { nodes, instances };
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
