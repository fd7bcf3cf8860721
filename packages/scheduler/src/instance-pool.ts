/**
 * Model instances as the scheduler starts and stops them, through the agents.
 *
 * Owns:      start and stop commands, back-off and giving up after failed starts, idle stops.
 * Does not:  decide where or when an instance is wanted (core/placement.ts, dispatcher.ts).
 *
 * Invariants:
 *   N1. An instance is in the fleet's ledger from before its start command until it is gone.
 *   N2. After START_FAILURES_MAX failed starts in a row the executor's waiting attempts are told.
 */
import { call, type Messaging } from "@murakkab/bus";
import type { Placement } from "@murakkab/core";
import {
  backoffMs,
  type Clock,
  isRuntimeError,
  type Logger,
  type Random,
  TerminalError,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import { instanceStartReplySchema, okReplySchema, subjects } from "@murakkab/protocol";
import type { Fleet, FleetInstance } from "./fleet.ts";

export interface InstancePoolSettings {
  /** An instance without work for this long is stopped, ms. */
  readonly idleStopMs: number;
  /** An instance must be ready within this time, ms. */
  readonly startLimitMs: number;
  readonly isConnected: () => boolean;
  /** Something started, stopped or may be tried again. */
  /** An instance is ready; how long its start took. */
  readonly onStarted?: (instance: FleetInstance, startMs: number) => void;
  readonly onChanged: () => void;
  /** Nobody answers for this node. */
  readonly onNodeGone: (node: string) => void;
  /** The leader's generation, on every command. */
  readonly generation: () => number;
  /** An agent obeyed a later leader than us. */
  readonly onStale: (highest: number) => void;
  /** No instance of this executor will come (N2). */
  readonly onGaveUp: (executor: ExecutorEntry, error: WireError) => void;
}

/** Consecutive failed starts of an executor after which its waiting attempts fail. */
const START_FAILURES_MAX = 3;
const START_BACKOFF = { baseMs: 200, maxMs: 5_000 };

export class InstancePool {
  private readonly fleet: Fleet;
  private readonly messaging: Messaging;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly settings: InstancePoolSettings;
  private readonly startFailures = new Map<string, { count: number; notBeforeMs: number }>();
  private readonly stopping = new Map<string, Promise<void>>();
  private instanceNumber = 0;

  constructor(
    components: {
      readonly fleet: Fleet;
      readonly messaging: Messaging;
      readonly clock: Clock;
      readonly random: Random;
      readonly log: Logger;
    },
    settings: InstancePoolSettings,
  ) {
    this.fleet = components.fleet;
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.random = components.random.stream("instances");
    this.log = components.log.child({ component: "instances" });
    this.settings = settings;
  }

  /** False while the back-off after a failed start runs. */
  mayStart(executorId: string): boolean {
    const failure = this.startFailures.get(executorId);
    return failure === undefined || this.clock.monotonicMs() >= failure.notBeforeMs;
  }

  start({ node, evict }: Extract<Placement, { kind: "start" }>, executor: ExecutorEntry): void {
    const stops = evict.map((idle) => this.stop(idle, "making room"));
    this.instanceNumber += 1;
    const suffix = this.random.uuid().slice(0, 8);
    const instance = this.fleet.addInstance({
      instance: `${executor.id}-${this.instanceNumber}-${suffix}`,
      node,
      executor,
    });
    void this.awaitStart(instance, stops);
  }

  private async awaitStart(
    instance: FleetInstance,
    stops: readonly Promise<void>[],
  ): Promise<void> {
    await Promise.all(stops); // before that the agent has no room, and would say so
    const { executor, node } = instance;
    const { startLimitMs } = this.settings;
    const startedAtMs = this.clock.monotonicMs();
    try {
      await call(
        this.messaging,
        {
          subject: subjects.instanceStart(node),
          value: {
            instance: instance.instance,
            executor,
            remainingMs: startLimitMs,
            generation: this.settings.generation(),
          },
          schema: instanceStartReplySchema,
        },
        { timeoutMs: startLimitMs + 1_000 },
      );
      if (instance.state === "starting") instance.state = "ready";
      this.startFailures.delete(executor.id);
      const startMs = this.clock.monotonicMs() - startedAtMs;
      this.settings.onStarted?.(instance, startMs);
      this.log.info(
        {
          event: "instance.started",
          instance: instance.instance,
          node,
          executor: executor.id,
          durationMs: Math.round(startMs),
        },
        "instance started",
      );
    } catch (error) {
      this.fleet.removeInstance(instance.instance);
      // Nobody listens on the agent's own subject: the host is gone, whatever its last beat was.
      const isNodeGone = isRuntimeError(error) && error.code === "NO_RESPONDERS";
      if (isRuntimeError(error) && error.code === "STALE_GENERATION") {
        this.settings.onStale(Number(error.context?.["highest"] ?? 0));
        this.clock.after(START_BACKOFF.baseMs, () => this.settings.onChanged());
      } else if (isNodeGone && this.settings.isConnected()) this.settings.onNodeGone(node);
      else this.onStartFailed(instance, error);
    }
    this.settings.onChanged();
  }

  private onStartFailed({ executor, node, instance }: FleetInstance, error: unknown): void {
    const count = (this.startFailures.get(executor.id)?.count ?? 0) + 1;
    const waitMs = backoffMs(count, START_BACKOFF, this.random);
    const notBeforeMs = this.clock.monotonicMs() + waitMs;
    this.startFailures.set(executor.id, { count, notBeforeMs });
    this.log.warn(
      { event: "instance.start-failed", instance, node, executor: executor.id, err: error, count },
      "instance did not start",
    );
    this.clock.after(waitMs, () => this.settings.onChanged());
    if (count < START_FAILURES_MAX) return;
    this.startFailures.delete(executor.id);
    const cause = isRuntimeError(error) ? error : new TerminalError("INTERNAL", String(error));
    this.settings.onGaveUp(executor, {
      ...toWireError(cause),
      code: "INSTANCE_START_FAILED",
      message: `executor ${executor.id} could not be started after ${count} tries: ${cause.message}`,
      retryable: false,
    });
  }

  /** Resolves when it is gone, or did not stop as told. */
  stop(instanceId: string, reason: string): Promise<void> {
    const instance = this.fleet.instance(instanceId);
    if (instance === undefined) return Promise.resolve();
    const underWay = this.stopping.get(instanceId);
    if (underWay !== undefined) return underWay;
    instance.state = "stopping";
    this.log.info(
      { event: "instance.stopped", instance: instanceId, node: instance.node, reason },
      "stopping instance",
    );
    const stopped = this.awaitStop(instance).finally(() => this.stopping.delete(instanceId));
    this.stopping.set(instanceId, stopped);
    return stopped;
  }

  private async awaitStop(instance: FleetInstance): Promise<void> {
    const graceMs = 2_000;
    try {
      await call(
        this.messaging,
        {
          subject: subjects.instanceStop(instance.node),
          value: { instance: instance.instance, graceMs, generation: this.settings.generation() },
          schema: okReplySchema,
        },
        { timeoutMs: graceMs + 3_000 },
      );
    } catch (error) {
      this.log.warn(
        { event: "instance.stop-failed", instance: instance.instance, err: error },
        "instance did not stop as told",
      );
    }
    this.fleet.removeInstance(instance.instance);
    this.settings.onChanged();
  }

  /** Stops instances that had no work for long. */
  sweepIdle(): void {
    const nowMs = this.clock.monotonicMs();
    for (const it of this.fleet.listInstances()) {
      const isIdle = it.state === "ready" && it.inFlightCount === 0;
      if (isIdle && nowMs - it.usedAtMs >= this.settings.idleStopMs) {
        void this.stop(it.instance, "idle");
      }
    }
  }
}
