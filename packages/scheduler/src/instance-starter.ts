/**
 * Decides which instances are started when attempts wait: here when this process leads, else by
 * asking the leader.
 *
 * Owns:      the demand that could not be met yet.
 * Does not:  place attempts on warm instances (dispatcher.ts) or send commands (instance-pool.ts).
 *
 * Invariants:
 *   S1. Only the leader starts instances; what others want is asked for again while it is wanted.
 */
import { call, type Messaging } from "@murakkab/bus";
import { constraintsKey, type NodeConstraints, type Placement, placeAttempt } from "@murakkab/core";
import { isRuntimeError, toWireError, type WireError } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import { okReplySchema, subjects } from "@murakkab/protocol";
import type { InstanceStarter } from "./dispatcher.ts";
import type { Fleet } from "./fleet.ts";
import type { InstancePool } from "./instance-pool.ts";

export type Demand = Parameters<InstanceStarter["want"]>[0];

export interface StarterComponents {
  readonly fleet: Fleet;
  readonly pool: InstancePool;
  readonly messaging: Messaging;
}

export interface StarterOptions {
  readonly mayDecide: () => boolean;
  readonly isLeader: () => boolean;
}

/** The leader answers from memory; longer means that it is about to be replaced, ms. */
const WANT_TIMEOUT_MS = 1_000;

export class FleetStarter implements InstanceStarter {
  private readonly parts: StarterComponents;
  private readonly options: StarterOptions;
  /** Executors that are to be warm before anything waits for them. */
  private readonly wanted = new Map<string, Demand>();
  private readonly asking = new Set<string>();

  constructor(components: StarterComponents, options: StarterOptions) {
    this.parts = components;
    this.options = options;
  }

  want(demand: Demand): void {
    if (!this.options.isLeader()) {
      void this.askLeader(demand); // S1
      return;
    }
    if (!this.options.mayDecide()) return;
    if (demand.waitingCount === 0) {
      this.wanted.set(keyOf(demand), demand);
      this.pump();
    } else this.startFor(demand);
  }

  /** Something became free: warm what is still wanted. */
  pump(): void {
    if (!this.options.isLeader() || !this.options.mayDecide()) return;
    for (const [key, { executor, where }] of this.wanted) {
      const placement = this.placeAhead(executor, where);
      if (placement.kind === "start") this.parts.pool.start(placement, executor);
      if (placement.kind !== "wait") this.wanted.delete(key);
    }
  }

  private startFor(demand: Demand): void {
    const { executor, where, waitingCount, avoidInstances, onRefused } = demand;
    const { fleet, pool } = this.parts;
    this.wanted.delete(keyOf(demand));
    if (!pool.mayStart(executor.id)) return;
    for (;;) {
      const placement = placeAttempt(fleet.snapshot(), {
        ...{ executor, ...where, waitingCount, avoidInstances },
        localBytes: new Map(),
      });
      if (placement.kind === "infeasible") onRefused(infeasible(executor, placement));
      if (placement.kind !== "start") return;
      pool.start(placement, executor);
    }
  }

  /** An instance that is only to be warm needs memory, not a free core. */
  private placeAhead(executor: ExecutorEntry, where: NodeConstraints): Placement {
    const { fleet, pool } = this.parts;
    const { nodes, instances } = fleet.snapshot();
    const idle = nodes.map((node) => ({ ...node, cpusFree: node.cpusOffered }));
    return placeAttempt(
      { nodes: idle, instances },
      {
        executor,
        ...where,
        avoidInstances: new Set(),
        localBytes: new Map(),
        waitingCount: pool.mayStart(executor.id) ? 1 : 0,
      },
    );
  }

  private async askLeader(demand: Demand): Promise<void> {
    const { executor, where, waitingCount, avoidInstances, onRefused } = demand;
    const key = keyOf(demand);
    if (this.asking.has(key)) return;
    this.asking.add(key);
    try {
      await call(
        this.parts.messaging,
        {
          subject: subjects.instanceWant,
          value: {
            executor: executor.id,
            ...where,
            waitingCount,
            avoidInstances: [...avoidInstances],
          },
          schema: okReplySchema,
        },
        { timeoutMs: WANT_TIMEOUT_MS },
      );
    } catch (error) {
      const wire = toWireError(error);
      // Without a leader for the moment: the dispatcher asks again.
      if (REFUSALS.has(wire.code) && isRuntimeError(error)) onRefused(wire);
    } finally {
      this.asking.delete(key);
    }
  }
}

function keyOf({ executor, where }: Demand): string {
  return `${executor.id}|${constraintsKey(where)}`;
}

const REFUSALS: ReadonlySet<string> = new Set(["NO_FEASIBLE_NODE", "INSTANCE_START_FAILED"]);

function infeasible(
  executor: ExecutorEntry,
  placement: Extract<Placement, { kind: "infeasible" }>,
): WireError {
  const reasons = placement.rejected.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
  return {
    code: "NO_FEASIBLE_NODE",
    message: `no node can run executor ${executor.id}: ${reasons || "no node is registered"}`,
    retryable: true,
  };
}
