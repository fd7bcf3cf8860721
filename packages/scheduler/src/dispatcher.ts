/**
 * Attempts that wait, and the instances that take them.
 *
 * Owns:      the queues and one ask per attempt.
 * Does not:  decide placements (core/placement.ts) or retries (job-machine.ts), or know how an
 *            instance starts and stops (the InstanceStarter: this process's pool or the leader's).
 *
 * Invariants:
 *   Q1. Every submitted attempt is settled exactly once: finished, failed, or forgotten by its job.
 *   Q2. An attempt is sent to one instance; a lost instance fails it at once, not by time-out.
 *   Q3. Of waiting attempts of one executor and tenant the one that is due first goes first, of
 *       equal ones the one that came first; tenants take turns.
 *   Q4. What becomes free is offered first to the executor whose next attempt is due first.
 */
import type { ActorSystemPort } from "@murakkab/actor";
import {
  constraintsKey,
  type NodeConstraints,
  type Placement,
  pickWarm,
  vetoByConstraints,
} from "@murakkab/core";
import {
  AbortSource,
  type Cancel,
  type Clock,
  type Deadline,
  delay,
  isRuntimeError,
  type Logger,
  TerminalError,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { AttemptMeasure, AttemptReply, AttemptRequest, PassedValue } from "@murakkab/protocol";
import { FairQueue } from "./fair-queue.ts";
import type { Fleet, FleetInstance } from "./fleet.ts";
import type { AttemptPlace } from "./job-machine.ts";

export interface AttemptWork {
  readonly tenant: string;
  readonly executor: ExecutorEntry;
  readonly where: NodeConstraints;
  readonly avoidInstances: ReadonlySet<string>;
  readonly localBytes: ReadonlyMap<string, number>;
  readonly deadline: Deadline;
  /** When its job should be done, by this process's monotonic clock: an order, not a promise. */
  readonly dueAtMs: number;
  /** A former owner of the job sent it there: it is asked again. */
  readonly resumeAt: AttemptPlace | null;
  /** Builds the request once a place is known. May write large values into that node's store. */
  readonly makeRequest: (place: AttemptPlace) => Promise<Omit<AttemptRequest, "remainingMs">>;
  /** The attempt is sent once this resolves. */
  readonly onStarted: (place: AttemptPlace) => Promise<void>;
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
  readonly isSettled: boolean;
  /** Stops the attempt; it is settled with what the worker then tells. */
  abort(error: WireError): void;
  /** The job has another owner: nothing more is told to this one. The worker goes on. */
  forget(): void;
  /** Settles with a reply that came another way. False: it was settled before. */
  deliver(reply: AttemptReply): boolean;
}

/** Where instances come from. */
export interface InstanceStarter {
  /**
   * Attempts of this executor wait and no instance takes them. Called again while they do.
   * `onRefused` is told when no node could ever run it.
   */
  want(demand: {
    readonly executor: ExecutorEntry;
    readonly where: NodeConstraints;
    readonly waitingCount: number;
    readonly avoidInstances: ReadonlySet<string>;
    readonly onRefused: (error: WireError) => void;
  }): void;
}

export interface DispatcherComponents {
  readonly fleet: Fleet;
  readonly actors: ActorSystemPort;
  readonly starter: InstanceStarter;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Group {
  readonly key: string;
  readonly executor: ExecutorEntry;
  readonly where: NodeConstraints;
  readonly waiting: FairQueue<Entry>;
  /** The starter was asked at this time and need not be asked again at once. */
  wantedAtMs: number;
  /** Since when no node could run it; null = some can. */
  infeasibleSinceMs: number | null;
}

interface Entry {
  readonly work: AttemptWork;
  readonly group: Group;
  state: "waiting" | "running" | "settled";
  place: AttemptPlace | null;
  /** Asks the worker to stop and to tell what it had cost. */
  readonly source: AbortSource;
  /** Ends the wait for an answer that is known not to come. */
  giveUp: AbortSource;
  cancelTimer: Cancel;
}

/** Internal: an answer may have been lost with the connection. */
const BUS_WAS_AWAY = "BUS_WAS_AWAY";
/** A lost instance is known by event; this only bounds an answer that got lost on the way, ms. */
const ABORT_ANSWER_MS = 5_000;
/** How long attempts wait for a node that can run them, ms: agents are restarted within seconds. */
const INFEASIBLE_PATIENCE_MS = 15_000;
/** How long after the bus came back a worker may need to come back, too, ms. */
const REJOIN_MS = 3_000;
const REJOIN_PAUSE_MS = 50;
/** How often the starter is asked again while attempts wait, ms. */
const WANT_AGAIN_MS = 100;

export class Dispatcher {
  private readonly parts: DispatcherComponents;
  private readonly log: Logger;
  private readonly groups = new Map<string, Group>();
  private readonly running = new Set<Entry>();
  private cancelWant: Cancel | null = null;
  private isConnected = true;
  private connectedAtMs = Number.NEGATIVE_INFINITY;
  private readonly connectWaiters: (() => void)[] = [];

  constructor(components: DispatcherComponents) {
    this.parts = components;
    this.log = components.log.child({ component: "dispatcher" });
  }

  get waitingCount(): number {
    let count = 0;
    for (const group of this.groups.values()) count += group.waiting.count;
    return count;
  }

  submit(work: AttemptWork): AttemptHandle {
    const group = this.groupOf(work.executor, work.where);
    const entry: Entry = {
      work,
      group,
      state: "waiting",
      place: null,
      source: new AbortSource(),
      giveUp: new AbortSource(),
      cancelTimer: () => undefined,
    };
    if (work.resumeAt === null) {
      group.waiting.push(work.tenant, entry, work.dueAtMs);
      this.pumpGroup(group);
    } else void this.run(entry, work.resumeAt);
    return {
      get isSettled() {
        return entry.state === "settled";
      },
      abort: (error) => this.abort(entry, error),
      forget: () => this.forget(entry),
      deliver: (reply) => this.deliver(entry, reply),
    };
  }

  private groupOf(executor: ExecutorEntry, where: NodeConstraints): Group {
    const key = `${executor.id}|${constraintsKey(where)}`;
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const group = {
      key,
      executor,
      where,
      waiting: new FairQueue<Entry>(),
      wantedAtMs: -1e9,
      infeasibleSinceMs: null,
    };
    this.groups.set(key, group);
    return group;
  }

  /** Asks for a warm instance of each executor, in the order in which they will be needed. */
  prewarm(
    wanted: readonly { readonly executor: ExecutorEntry; readonly where: NodeConstraints }[],
  ): void {
    for (const { executor, where } of wanted) {
      if (this.isComing(executor, where)) continue;
      const avoidInstances = new Set<string>();
      const onRefused = (): void => undefined; // told when an attempt waits for it
      this.parts.starter.want({ executor, where, waitingCount: 0, avoidInstances, onRefused });
    }
  }

  /** An instance is there or starts, where the constraints allow it. */
  private isComing(executor: ExecutorEntry, where: NodeConstraints): boolean {
    if (this.parts.fleet.countOf(executor.id) === 0) return false;
    if (constraintsKey(where) === "") return true;
    const { nodes } = this.parts.fleet.candidates(executor.id);
    return nodes.some((node) => vetoByConstraints(node, where) === null);
  }

  /** Places what can be placed now. Called whenever something may have become free. */
  pump(): void {
    if (!this.isConnected) return;
    const open = [...this.groups.values()].sort(byDueTime);
    // Q4. After each placement the group waits its turn again, by its next attempt.
    for (let group = open.shift(); group !== undefined; group = open.shift()) {
      if (!this.placeNext(group)) {
        this.rest(group);
        continue;
      }
      const { dueAtMs } = group.waiting;
      const at = open.findIndex((it) => it.waiting.dueAtMs > dueAtMs);
      open.splice(at < 0 ? open.length : at, 0, group);
    }
  }

  private pumpGroup(group: Group): void {
    if (!this.isConnected) return;
    while (this.placeNext(group));
    this.rest(group);
  }

  /** False when nothing waits, or nothing that waits can be placed now. */
  private placeNext(group: Group): boolean {
    const entry = group.waiting.peek();
    if (entry === undefined) return false;
    const placement = this.place(entry.work, false) ?? this.placeOnSecondThought(entry);
    if (placement === null) return false;
    group.infeasibleSinceMs = null;
    group.waiting.take();
    void this.run(entry, { instance: placement.instance, node: placement.node });
    return true;
  }

  /** All that can be placed now is. */
  private rest(group: Group): void {
    if (group.waiting.count > 0) this.want(group);
    else if (this.groups.get(group.key) === group) this.groups.delete(group.key);
  }

  private place(
    { executor, where, localBytes, avoidInstances }: AttemptWork,
    isLastResort: boolean,
  ): Extract<Placement, { kind: "run" }> | null {
    const demand = { executor, ...where, localBytes };
    const { nodes, instances } = this.parts.fleet.candidates(executor.id);
    const allowed = instances.filter((it) => avoidInstances.has(it.instance) === isLastResort);
    return pickWarm(nodes, allowed, demand);
  }

  /** An instance that failed this work is used again when no fresh one came in time. */
  private placeOnSecondThought(entry: Entry): Extract<Placement, { kind: "run" }> | null {
    const { avoidInstances, executor } = entry.work;
    if (avoidInstances.size === 0) return null;
    const instances = this.parts.fleet.candidates(executor.id).instances;
    const isOtherComing = instances.some(
      (it) => it.state === "starting" || !avoidInstances.has(it.instance),
    );
    const wasAsked = entry.group.wantedAtMs >= 0;
    return isOtherComing || !wasAsked ? null : this.place(entry.work, true);
  }

  private want(group: Group): void {
    const nowMs = this.parts.clock.monotonicMs();
    if (nowMs - group.wantedAtMs >= WANT_AGAIN_MS) {
      group.wantedAtMs = nowMs;
      this.parts.starter.want({
        executor: group.executor,
        where: group.where,
        waitingCount: group.waiting.count,
        avoidInstances: group.waiting.peek()?.work.avoidInstances ?? new Set(),
        onRefused: (error) => this.onRefused(group, error),
      });
    }
    // Asked again as long as something waits: an answer or an event may get lost.
    this.cancelWant ??= this.parts.clock.after(WANT_AGAIN_MS, () => {
      this.cancelWant = null;
      this.pump();
    });
  }

  /** A fleet that lost its nodes a moment ago gets them back more often than not. */
  private onRefused(group: Group, error: WireError): void {
    const nowMs = this.parts.clock.monotonicMs();
    group.infeasibleSinceMs ??= nowMs;
    const waitedMs = nowMs - group.infeasibleSinceMs;
    if (error.code === "NO_FEASIBLE_NODE" && waitedMs < INFEASIBLE_PATIENCE_MS) return;
    this.failWaiting(group, error);
  }

  /** No instance of this executor will come. */
  private failWaiting(group: { readonly key: string }, error: WireError): void {
    const waiting = this.groups.get(group.key)?.waiting;
    for (const entry of waiting?.all() ?? []) this.settleFailed(entry, null, error);
  }

  failExecutor(executor: ExecutorEntry, error: WireError): void {
    for (const group of this.groups.values()) {
      if (group.executor.id === executor.id) this.failWaiting(group, error);
    }
  }

  private async run(entry: Entry, place: AttemptPlace): Promise<void> {
    const { work } = entry;
    const { fleet } = this.parts;
    entry.state = "running";
    entry.place = place;
    this.running.add(entry);
    // One that a former owner sent may run on an instance that this process never heard of.
    const instance = fleet.instance(place.instance);
    if (instance !== undefined) fleet.reserve(instance);
    try {
      if (work.resumeAt === null) await work.onStarted(place);
      const request = await work.makeRequest(place);
      const reply = await this.askUntilAnswered(entry, place, request);
      if (reply !== null) this.settleWith(entry, place, reply);
    } catch (error) {
      this.settleFailed(entry, place, this.explain(error, place));
    } finally {
      // Only now is the core free: an aborted attempt holds it until its program has ended.
      this.running.delete(entry);
      if (instance !== undefined) fleet.release(instance);
      if (work.executor.resources.cores > 0) this.pump();
      else this.pumpGroup(this.groupOf(work.executor, work.where));
    }
  }

  /**
   * An answer may be lost while the bus is away: after it came back the same attempt is asked for
   * again under the same key, which the worker answers from what it did.
   */
  private async askUntilAnswered(
    entry: Entry,
    place: AttemptPlace,
    request: Omit<AttemptRequest, "remainingMs">,
  ): Promise<AttemptReply | null> {
    for (;;) {
      if (entry.state === "settled") return null;
      const remainingMs = entry.work.deadline.remainingMs();
      try {
        return (await this.parts.actors.ask(
          { type: "worker", key: place.instance },
          { ...request, remainingMs },
          { deadlineMs: remainingMs, signal: entry.source.signal, giveUp: entry.giveUp.signal },
        )) as AttemptReply;
      } catch (error) {
        const code = isRuntimeError(error) ? error.code : "";
        const isOutage =
          isBusAway(entry.giveUp.signal) || (code === "UNAVAILABLE" && !this.isConnected);
        // After an outage the worker may be on its way back to the bus, too.
        const isBack = this.parts.clock.monotonicMs() - this.connectedAtMs >= REJOIN_MS;
        const isEarly = code === "NO_RESPONDERS" && !isBack;
        if ((!isOutage && !isEarly) || entry.state !== "running") throw error;
        if (isEarly) await delay(this.parts.clock, REJOIN_PAUSE_MS);
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
    this.connectedAtMs = this.parts.clock.monotonicMs();
    for (const resolve of this.connectWaiters.splice(0)) resolve();
    for (const entry of this.running) {
      entry.giveUp.abort(new TerminalError(BUS_WAS_AWAY, "the bus was away"));
    }
    this.pump();
  }

  private explain(error: unknown, { instance, node }: AttemptPlace): WireError {
    const wire = toWireError(error);
    if (!isRuntimeError(error)) {
      this.log.error({ event: "attempt.defect", err: error }, "attempt failed by a defect");
    }
    // Nobody listens on the instance's mailbox: it is gone, and this attempt did not run to an end.
    if (wire.code !== "NO_RESPONDERS") return wire;
    this.parts.fleet.removeInstance(instance);
    // What was sent to it a moment ago is not answered either.
    this.onInstanceLost({ instance, node }, "its process has ended");
    return {
      code: "INSTANCE_LOST",
      message: `instance ${instance} on node ${node} is gone`,
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
    entry.cancelTimer = this.parts.clock.after(ABORT_ANSWER_MS, () => {
      this.settleFailed(entry, entry.place, error);
      entry.giveUp.abort(new TerminalError(error.code, error.message));
    });
  }

  private forget(entry: Entry): void {
    if (!this.settle(entry)) return;
    entry.giveUp.abort(new TerminalError("FORGOTTEN", "the job has another owner"));
  }

  private deliver(entry: Entry, reply: AttemptReply): boolean {
    const { place } = entry;
    if (entry.state !== "running" || place === null) return false;
    this.settleWith(entry, place, reply);
    entry.giveUp.abort(new TerminalError("DELIVERED", "the result came another way"));
    return true;
  }

  private settleWith(entry: Entry, place: AttemptPlace, reply: AttemptReply): void {
    if ("failure" in reply) this.settleFailed(entry, place, reply.failure, reply.measure);
    else if (this.settle(entry)) entry.work.onFinished(place, reply.outputs, reply.measure);
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
    if (entry.state === "waiting") entry.group.waiting.remove(entry.work.tenant, entry);
    entry.state = "settled";
    entry.cancelTimer();
    return true;
  }

  /** An instance ended or its node was lost: its attempts fail now (Q2). */
  onInstanceLost(instance: Pick<FleetInstance, "instance" | "node">, reason: string): void {
    for (const entry of [...this.running]) {
      if (entry.place?.instance !== instance.instance) continue;
      this.settleFailed(entry, entry.place, {
        code: "INSTANCE_LOST",
        message: `instance ${instance.instance} on node ${instance.node} was lost: ${reason}`,
        retryable: true,
      });
      // Ends the ask that nobody will answer, which frees the ledger.
      entry.giveUp.abort(new TerminalError("INSTANCE_LOST", reason));
    }
    this.pump();
  }

  stop(): void {
    this.cancelWant?.();
    this.cancelWant = null;
  }
}

function byDueTime(a: Group, b: Group): number {
  return a.waiting.dueAtMs - b.waiting.dueAtMs;
}

function isBusAway({ aborted, reason }: AbortSource["signal"]): boolean {
  return aborted && isRuntimeError(reason) && reason.code === BUS_WAS_AWAY;
}
