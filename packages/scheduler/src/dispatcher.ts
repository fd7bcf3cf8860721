/**
 * Attempts that wait, and the instances that take them.
 *
 * Owns:      the queue and one ask per attempt.
 * Does not:  decide placements (core/placement.ts) or retries (job-machine.ts), or know how an
 *            instance starts and stops (instance-pool.ts).
 *
 * Invariants:
 *   Q1. Every submitted attempt is settled exactly once: finished or failed.
 *   Q2. An attempt is sent to one instance; a lost instance fails it at once, not by time-out.
 *   Q3. Waiting attempts of one executor keep their order.
 */
import type { ActorSystemPort } from "@murakkab/actor";
import type { Messaging } from "@murakkab/bus";
import { type Placement, placeAttempt } from "@murakkab/core";
import {
  AbortSource,
  assert,
  type Cancel,
  type Clock,
  type Deadline,
  isRuntimeError,
  type Logger,
  type Random,
  TerminalError,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { AttemptMeasure, AttemptReply, AttemptRequest, PassedValue } from "@murakkab/protocol";
import type { Fleet, FleetInstance } from "./fleet.ts";
import { InstancePool, type InstancePoolSettings } from "./instance-pool.ts";
import type { AttemptPlace } from "./job-machine.ts";

export interface AttemptWork {
  readonly jobId: string;
  readonly key: string;
  readonly executor: ExecutorEntry;
  readonly labels: Readonly<Record<string, string>>;
  readonly avoidInstances: ReadonlySet<string>;
  readonly localBytes: ReadonlyMap<string, number>;
  readonly deadline: Deadline;
  /** Builds the request once a place is known. May write large values into that node's store. */
  readonly makeRequest: (place: AttemptPlace) => Promise<Omit<AttemptRequest, "remainingMs">>;
  readonly onStarted: (place: AttemptPlace) => void;
  readonly onFinished: (
    place: AttemptPlace,
    outputs: Readonly<Record<string, PassedValue>>,
    measure: AttemptMeasure,
  ) => void;
  readonly onFailed: (
    place: AttemptPlace | null,
    error: WireError,
    measure: AttemptMeasure | null,
  ) => void;
}

export interface AttemptHandle {
  abort(error: WireError): void;
}

interface Entry {
  readonly work: AttemptWork;
  state: "waiting" | "running" | "settled";
  instance: FleetInstance | null;
  /** Asks the worker to stop and to tell what it had cost. */
  readonly source: AbortSource;
  /** Ends the wait for an answer that is known not to come. */
  giveUp: AbortSource;
  cancelTimer: Cancel;
}

export type DispatcherSettings = Pick<
  InstancePoolSettings,
  "idleStopMs" | "startLimitMs" | "onNodeGone"
>;

/** Internal: an answer may have been lost with the connection. */
const BUS_WAS_AWAY = "BUS_WAS_AWAY";
/** A lost instance is known by event; this only bounds an answer that got lost on the way, ms. */
const ABORT_ANSWER_MS = 5_000;

export class Dispatcher {
  private readonly fleet: Fleet;
  private readonly actors: ActorSystemPort;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly waiting: Entry[] = [];
  private readonly running = new Set<Entry>();
  private readonly wanted = new Map<
    string,
    { executor: ExecutorEntry; labels: AttemptWork["labels"] }
  >();
  private readonly pool: InstancePool;
  private isConnected = true;
  private readonly connectWaiters: (() => void)[] = [];

  constructor(
    components: {
      readonly fleet: Fleet;
      readonly actors: ActorSystemPort;
      readonly messaging: Messaging;
      readonly clock: Clock;
      readonly random: Random;
      readonly log: Logger;
    },
    settings: DispatcherSettings,
  ) {
    this.fleet = components.fleet;
    this.actors = components.actors;
    this.clock = components.clock;
    this.log = components.log.child({ component: "dispatcher" });
    this.pool = new InstancePool(components, {
      ...settings,
      isConnected: () => this.isConnected,
      onChanged: () => this.pump(),
      onGaveUp: (executor, error) => this.failWaiting(executor, error),
    });
  }

  submit(work: AttemptWork): AttemptHandle {
    const entry: Entry = {
      work,
      state: "waiting",
      instance: null,
      source: new AbortSource(),
      giveUp: new AbortSource(),
      cancelTimer: () => undefined,
    };
    this.waiting.push(entry);
    this.pump();
    return { abort: (error) => this.abort(entry, error) };
  }

  /** Asks for a warm instance of each executor, in the order in which they will be needed. */
  prewarm(executors: readonly ExecutorEntry[], labels: AttemptWork["labels"]): void {
    const have = new Set(this.fleet.listInstances().map((it) => it.executor.id));
    for (const executor of executors) {
      if (!have.has(executor.id)) this.wanted.set(executor.id, { executor, labels });
    }
    this.pump();
  }

  /** Places what can be placed now. Called whenever something may have become free. */
  pump(): void {
    if (!this.isConnected) return;
    const blocked = new Set<string>();
    for (const entry of [...this.waiting]) {
      if (entry.state !== "waiting") continue;
      const { executor, labels } = entry.work;
      const group = `${executor.id}|${JSON.stringify(labels)}`;
      if (blocked.has(group)) continue; // Q3
      const placement = this.place(entry.work);
      this.act(entry, placement);
      if (placement.kind === "wait") blocked.add(group);
      // A started instance serves this executor's first waiter; more may be started for the next.
      if (placement.kind === "start") this.startForOthers(entry, blocked, group);
    }
    for (const [id, { executor, labels }] of this.wanted) {
      const placement = this.placeAhead(executor, labels);
      if (placement.kind === "start") this.startInstance(placement, executor);
      if (placement.kind !== "wait") this.wanted.delete(id);
    }
  }

  /** Further waiters of the same executor may deserve instances on other free nodes. */
  private startForOthers(entry: Entry, blocked: Set<string>, group: string): void {
    blocked.add(group);
    for (;;) {
      const placement = this.place(entry.work);
      if (placement.kind !== "start") return;
      this.startInstance(placement, entry.work.executor);
    }
  }

  private place(work: AttemptWork): Placement {
    const mustWait = !this.pool.mayStart(work.executor.id);
    const waitingCount = this.waiting.filter(
      (it) => it.work.executor.id === work.executor.id,
    ).length;
    return placeAttempt(this.fleet.snapshot(), {
      ...work,
      waitingCount: mustWait ? 0 : waitingCount,
    });
  }

  /** An instance that is only to be warm needs memory, not a free core. */
  private placeAhead(executor: ExecutorEntry, labels: AttemptWork["labels"]): Placement {
    const { nodes, instances } = this.fleet.snapshot();
    const idle = nodes.map((node) => ({ ...node, cpusFree: node.cpusOffered }));
    return placeAttempt(
      { nodes: idle, instances },
      {
        executor,
        labels,
        avoidInstances: new Set(),
        localBytes: new Map(),
        waitingCount: this.pool.mayStart(executor.id) ? 1 : 0,
      },
    );
  }

  private act(entry: Entry, placement: Placement): void {
    const { executor } = entry.work;
    if (placement.kind === "run") {
      const instance = this.fleet.instance(placement.instance);
      assert(instance !== undefined, `placed on the unknown instance ${placement.instance}`);
      this.waiting.splice(this.waiting.indexOf(entry), 1);
      void this.run(entry, instance);
    } else if (placement.kind === "start") {
      this.startInstance(placement, executor);
    } else if (placement.kind === "infeasible") {
      const reasons = placement.rejected.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
      this.settleFailed(entry, null, {
        code: "NO_FEASIBLE_NODE",
        message: `no node can run executor ${executor.id}: ${reasons || "no node is registered"}`,
        retryable: true,
      });
    }
  }

  private startInstance(
    placement: Extract<Placement, { kind: "start" }>,
    executor: ExecutorEntry,
  ): void {
    this.wanted.delete(executor.id);
    this.pool.start(placement, executor);
  }

  private failWaiting(executor: ExecutorEntry, error: WireError): void {
    for (const entry of this.waiting.filter((it) => it.work.executor.id === executor.id)) {
      this.settleFailed(entry, null, error);
    }
  }

  private async run(entry: Entry, instance: FleetInstance): Promise<void> {
    const { work } = entry;
    const place = { instance: instance.instance, node: instance.node };
    entry.state = "running";
    entry.instance = instance;
    this.running.add(entry);
    this.fleet.reserve(instance);
    work.onStarted(place);
    try {
      const request = await work.makeRequest(place);
      const reply = await this.askUntilAnswered(entry, instance, request);
      if ("failure" in reply) this.settleFailed(entry, place, reply.failure, reply.measure);
      else this.settleFinished(entry, place, reply);
    } catch (error) {
      this.settleFailed(entry, place, this.explain(error, instance));
    } finally {
      // Only now is the core free: an aborted attempt holds it until its program has ended.
      this.running.delete(entry);
      this.fleet.release(instance);
      this.pump();
    }
  }

  /**
   * An answer may be lost while the bus is away: after it came back the same attempt is asked for
   * again under the same key, which the worker answers from what it did.
   */
  private async askUntilAnswered(
    entry: Entry,
    instance: FleetInstance,
    request: Omit<AttemptRequest, "remainingMs">,
  ): Promise<AttemptReply> {
    for (;;) {
      const remainingMs = entry.work.deadline.remainingMs();
      try {
        return (await this.actors.ask(
          { type: "worker", key: instance.instance },
          { ...request, remainingMs },
          { deadlineMs: remainingMs, signal: entry.source.signal, giveUp: entry.giveUp.signal },
        )) as AttemptReply;
      } catch (error) {
        const code = isRuntimeError(error) ? error.code : "";
        const isOutage =
          isBusAway(entry.giveUp.signal) || (code === "UNAVAILABLE" && !this.isConnected);
        if (!isOutage || entry.state !== "running") throw error;
        await this.connected();
        entry.giveUp = new AbortSource();
      }
    }
  }

  private connected(): Promise<void> {
    if (this.isConnected) return Promise.resolve();
    return new Promise((resolve) => this.connectWaiters.push(resolve));
  }

  /** Told of the bus connection's end and return. */
  onBus(isConnected: boolean): void {
    this.isConnected = isConnected;
    if (!isConnected) return;
    for (const resolve of this.connectWaiters.splice(0)) resolve();
    for (const entry of this.running) {
      entry.giveUp.abort(new TerminalError(BUS_WAS_AWAY, "the bus was away"));
    }
    this.pump();
  }

  private explain(error: unknown, instance: FleetInstance): WireError {
    const wire = toWireError(error);
    if (!isRuntimeError(error)) {
      this.log.error({ event: "attempt.defect", err: error }, "attempt failed by a defect");
    }
    // Nobody listens on the instance's mailbox: it is gone, and this attempt did not run.
    if (wire.code !== "NO_RESPONDERS") return wire;
    this.fleet.removeInstance(instance.instance);
    return {
      code: "INSTANCE_LOST",
      message: `instance ${instance.instance} on node ${instance.node} is gone`,
      retryable: true,
    };
  }

  private abort(entry: Entry, error: WireError): void {
    if (entry.state === "waiting") {
      this.settleFailed(entry, null, error);
      return;
    }
    if (entry.state !== "running" || entry.source.signal.aborted) return;
    entry.source.abort(new TerminalError(error.code, error.message));
    entry.cancelTimer = this.clock.after(ABORT_ANSWER_MS, () => {
      this.settleFailed(entry, entry.instance === null ? null : placeOf(entry.instance), error);
      entry.giveUp.abort(new TerminalError(error.code, error.message));
    });
  }

  private settleFinished(
    entry: Entry,
    place: AttemptPlace,
    reply: Extract<AttemptReply, { outputs: unknown }>,
  ): void {
    if (!this.settle(entry)) return;
    entry.work.onFinished(place, reply.outputs, reply.measure);
  }

  private settleFailed(
    entry: Entry,
    place: AttemptPlace | null,
    error: WireError,
    measure: AttemptMeasure | null = null,
  ): void {
    if (!this.settle(entry)) return;
    entry.work.onFailed(place, error, measure);
  }

  /** False when it was settled before (Q1). */
  private settle(entry: Entry): boolean {
    if (entry.state === "settled") return false;
    const index = this.waiting.indexOf(entry);
    if (index >= 0) this.waiting.splice(index, 1);
    entry.state = "settled";
    entry.cancelTimer();
    return true;
  }

  /** Stops instances that had no work for long. */
  sweepIdle(): void {
    this.pool.sweepIdle();
  }

  /** An instance ended or its node was lost: its attempts fail now (Q2). */
  onInstanceLost(instance: FleetInstance, reason: string): void {
    for (const entry of [...this.running]) {
      if (entry.instance !== instance) continue;
      this.settleFailed(entry, placeOf(instance), {
        code: "INSTANCE_LOST",
        message: `instance ${instance.instance} on node ${instance.node} was lost: ${reason}`,
        retryable: true,
      });
      // Ends the ask that nobody will answer, which frees the ledger.
      entry.giveUp.abort(new TerminalError("INSTANCE_LOST", reason));
    }
    this.pump();
  }
}

function isBusAway({ aborted, reason }: AbortSource["signal"]): boolean {
  return aborted && isRuntimeError(reason) && reason.code === BUS_WAS_AWAY;
}

function placeOf(instance: FleetInstance): AttemptPlace {
  return { instance: instance.instance, node: instance.node };
}
