/**
 * Finds a process for each keyed actor that gets a message and has none.
 *
 * Owns:      the placements: which host has which address, in which generation.
 * Does not:  carry messages (they go to the actor's subject), or guard state (state-fence.ts).
 *
 * Invariants:
 *   D1. A placement is written by compare-and-set with a generation above the one before it, so
 *       that several directories may run at once.
 *   D2. An address moves away from a host only when the host is known to be gone (nobody listens
 *       on its subject, or the store forgot its lease) or says that it does not take it.
 *   D3. Requests for one address that come while one is under way share its outcome.
 *
 * A host on whose subject nobody listens may only have lost its connection. Its lease is deleted, so
 * that it has to confirm what it holds before it acts again.
 */
import type { KeyValue, Messaging, State, Subscription } from "@murakkab/bus";
import { call, serve } from "@murakkab/bus";
import type { Clock, Deadline, Logger, Random } from "@murakkab/kit";
import { deadlineAfter, isRuntimeError, OverloadedError, UnavailableError } from "@murakkab/kit";
import type { ActorActivated } from "@murakkab/protocol";
import {
  ACTOR_LEASE_MS,
  actorActivateSchema,
  actorHostBeatSchema,
  actorHostReplySchema,
  subjects,
} from "@murakkab/protocol";
import type { ActorAddress } from "./actor.ts";
import { keyOf } from "./actor-host.ts";
import type { HostView } from "./host-table.ts";
import { HostTable } from "./host-table.ts";
import type { Placed } from "./placement-store.ts";
import { ACTORS_BUCKET, PlacementStore } from "./placement-store.ts";
import { ACTOR_HOSTS_BUCKET } from "./process-lease.ts";

export interface ActorDirectoryComponents {
  readonly messaging: Messaging;
  readonly state: State;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ActorDirectoryOptions {
  /**
   * Picks one of the hosts that take the type; null: none of them. Default: the one with the
   * fewest activations, ties by chance.
   */
  readonly choose?: (address: ActorAddress, hosts: readonly HostView[]) => string | null;
  /** Lease of hosting processes, ms. Default ACTOR_LEASE_MS; the same in all processes. */
  readonly leaseMs?: number;
}

/** Hosts tried for one request. */
const HOST_TRIES_MAX = 8;
/** A host that loads a state from a slow store may take a while; the request is repeated then. */
const COMMAND_TIMEOUT_MS = 2_000;
/** Activations under way: a few seconds' worth of the store's writes. More are told to come again. */
const UNDER_WAY_MAX = 10_000;
const QUEUE_GROUP = "actor-directory";

interface Stores {
  readonly placements: PlacementStore;
  readonly leases: KeyValue;
}

/** What became of a command to activate. */
type Outcome =
  | { readonly kind: "active"; readonly wasActive: boolean }
  /** The host is gone or does not take it: another one may (D2). */
  | { readonly kind: "free"; readonly newerGeneration: number }
  /** It hangs, and its lease still runs. */
  | { readonly kind: "unknown"; readonly cause: unknown };

export class ActorDirectory {
  private readonly components: ActorDirectoryComponents;
  private readonly options: ActorDirectoryOptions;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly table: HostTable;
  private readonly underWay = new Map<string, Promise<ActorActivated>>();
  private subscriptions: Subscription[] = [];
  private stores: Stores | null = null;

  constructor(components: ActorDirectoryComponents, options: ActorDirectoryOptions = {}) {
    this.components = components;
    this.options = options;
    this.random = components.random.stream("actor-directory");
    this.log = components.log.child({ component: "actor-directory" });
    this.table = new HostTable(components.clock);
  }

  /** Errors: `UNAVAILABLE` when the store cannot be reached. */
  async start(): Promise<void> {
    const { messaging, state } = this.components;
    const ttlMs = this.options.leaseMs ?? ACTOR_LEASE_MS;
    this.stores = {
      placements: new PlacementStore(await state.openKeyValue(ACTORS_BUCKET)),
      leases: await state.openKeyValue(ACTOR_HOSTS_BUCKET, { ttlMs }),
    };
    const onDefect = (error: unknown): void =>
      this.log.error({ event: "actor-directory.defect", err: error }, "defect");
    const beats = serve(
      messaging,
      { subject: subjects.actorHostBeat, schema: actorHostBeatSchema, what: "host beat", onDefect },
      (beat) => this.table.take(beat),
    );
    const requests = serve(
      messaging,
      {
        subject: subjects.actorActivate,
        schema: actorActivateSchema,
        what: "actor activation",
        queueGroup: QUEUE_GROUP,
        onDefect,
      },
      ({ type, key, remainingMs }) => this.activate({ type, key }, remainingMs),
    );
    this.subscriptions = [beats, requests];
    await messaging.flush();
  }

  /** What is under way is finished. */
  async stop(): Promise<void> {
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    await Promise.allSettled([...this.underWay.values()]);
  }

  /** The processes that host actors, as far as this directory has heard. */
  hosts(): readonly HostView[] {
    return this.table.all();
  }

  /** Errors: `UNAVAILABLE`: no host takes it now, or the one that has it hangs. */
  activate(address: ActorAddress, remainingMs: number): Promise<ActorActivated> {
    const key = keyOf(address);
    const found = this.underWay.get(key);
    if (found !== undefined) return found; // D3
    if (this.underWay.size >= UNDER_WAY_MAX) {
      const error = new OverloadedError(`${UNDER_WAY_MAX} actors are being activated`);
      return Promise.reject(error);
    }
    const result = this.place(address, deadlineAfter(this.components.clock, remainingMs)).finally(
      () => this.underWay.delete(key),
    );
    this.underWay.set(key, result);
    return result;
  }

  private async place(address: ActorAddress, deadline: Deadline): Promise<ActorActivated> {
    const { placements } = this.open();
    const key = keyOf(address);
    const tried = new Set<string>();
    let newestGeneration = 0;
    let placed = await placements.read(key);
    for (let tries = 0; tries < HOST_TRIES_MAX && deadline.remainingMs() > 0; tries += 1) {
      if (placed !== null && !tried.has(placed.host)) {
        const { host, generation } = placed;
        const outcome = await this.command(address, placed, deadline);
        if (outcome.kind === "active") return { host, generation, wasActive: outcome.wasActive };
        if (outcome.kind === "unknown") throw this.hangsError(key, host, outcome.cause);
        newestGeneration = Math.max(newestGeneration, outcome.newerGeneration);
        // A host that has seen a newer generation takes the next one; others are not asked again.
        if (outcome.newerGeneration === 0) tried.add(host);
      }
      placed = await this.placeAnew(address, { placed, tried, newestGeneration });
    }
    throw new UnavailableError(`no host could activate actor ${key}`, { retryAfterMs: 200 });
  }

  /** D1. The placement that stands now: ours, or the one of whoever was faster. */
  private async placeAnew(
    address: ActorAddress,
    at: { placed: Placed | null; tried: ReadonlySet<string>; newestGeneration: number },
  ): Promise<Placed | null> {
    const { placements } = this.open();
    const key = keyOf(address);
    const host = this.choose(address, at.tried);
    const generation = Math.max(at.placed?.generation ?? 0, at.newestGeneration) + 1;
    const written = await placements.replace(key, at.placed, { host, generation });
    if (written === null) return placements.read(key);
    this.table.countOneMore(host);
    this.log.debug({ event: "actor.placed", actor: key, host, generation }, "actor placed");
    return written;
  }

  private choose(address: ActorAddress, tried: ReadonlySet<string>): string {
    const hosts = this.table
      .all()
      .filter(({ host, types }) => !tried.has(host) && types.includes(address.type));
    const chosen =
      this.options.choose === undefined
        ? this.leastLoaded(hosts)
        : this.options.choose(address, hosts);
    if (chosen !== null) return chosen;
    throw new UnavailableError(`no host takes actors of type ${address.type} now`, {
      retryAfterMs: 200,
    });
  }

  private leastLoaded(hosts: readonly HostView[]): string | null {
    const fewest = Math.min(...hosts.map((it) => it.activationCount));
    const best = hosts.filter((it) => it.activationCount === fewest);
    return best[this.random.index(best.length)]?.host ?? null;
  }

  private async command(
    { type, key }: ActorAddress,
    { host, generation }: Placed,
    deadline: Deadline,
  ): Promise<Outcome> {
    if (!this.table.isHeard(host) && !(await this.hasLease(host))) {
      return { kind: "free", newerGeneration: 0 };
    }
    const timeoutMs = Math.min(COMMAND_TIMEOUT_MS, Math.max(1, deadline.remainingMs()));
    try {
      const { wasActive } = await call(
        this.components.messaging,
        {
          subject: subjects.actorHost(host),
          value: { kind: "activate", type, key, generation },
          schema: actorHostReplySchema,
        },
        { timeoutMs },
      );
      return { kind: "active", wasActive };
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      return this.outcomeOf(error, host);
    }
  }

  private async outcomeOf(
    error: { code: string; context: Readonly<Record<string, unknown>> } & Error,
    host: string,
  ): Promise<Outcome> {
    switch (error.code) {
      case "NO_RESPONDERS":
        this.table.forget(host);
        await this.open().leases.delete(host);
        return { kind: "free", newerGeneration: 0 };
      case "TIMEOUT":
        if (await this.hasLease(host)) return { kind: "unknown", cause: error };
        return { kind: "free", newerGeneration: 0 };
      case "STALE_GENERATION": {
        const { newerGeneration } = error.context;
        return {
          kind: "free",
          newerGeneration: typeof newerGeneration === "number" ? newerGeneration : 0,
        };
      }
      case "UNAVAILABLE":
      case "OVERLOADED":
      case "NOT_FOUND":
        return { kind: "free", newerGeneration: 0 };
      default:
        throw error; // the actor's own trouble: elsewhere it would be the same
    }
  }

  private async hasLease(host: string): Promise<boolean> {
    return (await this.open().leases.get(host)) !== null;
  }

  private hangsError(key: string, host: string, cause: unknown): UnavailableError {
    return new UnavailableError(`host ${host} of actor ${key} gives no answer, its lease runs`, {
      retryAfterMs: 500,
      cause,
    });
  }

  private open(): Stores {
    if (this.stores === null) throw new UnavailableError("the actor directory is not started");
    return this.stores;
  }
}
