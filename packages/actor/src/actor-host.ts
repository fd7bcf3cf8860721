/**
 * The keyed actors of one process.
 *
 * Owns:      which of them are live here, their passivation, the answers to the directory.
 * Does not:  choose what it hosts (actor-directory.ts does), or guard what is stored (state-fence.ts).
 *
 * Invariants:
 *   H1. At most one activation per address is live here, the one of the highest generation.
 *   H2. Nothing here handles or answers while the process' lease is not held, nor after that before
 *       its placement was read again and named this host and this generation.
 *   H3. An address is answered for only once its activation has its state.
 */
import type { KeyValue, Messaging, Subscription } from "@murakkab/bus";
import { publishValue, serve } from "@murakkab/bus";
import type { Cancel, Clock, Logger } from "@murakkab/kit";
import {
  assert,
  delay,
  every,
  isRuntimeError,
  NotFoundError,
  OverloadedError,
  StaleGenerationError,
  UnavailableError,
} from "@murakkab/kit";
import type { ActorHostBeat, ActorHostCommand } from "@murakkab/protocol";
import {
  ACTIVATION_COUNT_MAX,
  ACTOR_HOST_BEAT_MS,
  actorHostCommandSchema,
  subjects,
} from "@murakkab/protocol";
import type { ActivationComponents, ActivationOwner, Gate } from "./activation.ts";
import { Activation } from "./activation.ts";
import type { ActorAddress, HostedType } from "./actor.ts";
import type { ResolvedOptions } from "./actor-options.ts";
import { resolveOptions } from "./actor-options.ts";
import { AnswerWindow } from "./answer-window.ts";
import { IdleWheel } from "./idle-wheel.ts";
import { Inlet } from "./inlet.ts";
import type { Directive, Failure } from "./lifecycle.ts";
import type { PlacementStore } from "./placement-store.ts";
import { ProcessLease } from "./process-lease.ts";
import { StateFence } from "./state-fence.ts";

export interface ActorHostComponents extends Omit<ActivationComponents, "owner" | "recentAnswers"> {
  readonly messaging: Messaging;
  readonly hosts: KeyValue;
  readonly placements: PlacementStore;
  readonly states: KeyValue;
  readonly supervise: ActivationOwner["supervise"];
}

export interface ActorHostOptions {
  readonly hostId: string;
  readonly leaseMs: number;
}

interface Hosted {
  readonly make: HostedType["make"];
  readonly options: ResolvedOptions;
  readonly idleMs: number;
  readonly lookMs: number;
  readonly stateVersion: number;
}

interface Local {
  readonly activation: Activation;
  readonly hosted: Hosted;
  inlet: Inlet | null;
  /** Those who wait until it answers for its address; null once it does. */
  waiters: ((error: unknown) => void)[] | null;
}

/** Some 50 ms at the greatest rate that one process reaches; messages cross within a few. */
const RECENT_ANSWERS_MAX = 1_024;
const IDLE_MS_DEFAULT = 5 * 60_000;
/** Placements read at the same time after the lease was away. */
const CONFIRM_CONCURRENCY = 64;
const CONFIRM_PAUSE_MS = 200;
/** Longest wait for messages on their way to actors that stop. */
const DRAIN_MS_MAX = 1_000;

export class ActorHost implements ActivationOwner {
  readonly hostId: string;
  private readonly components: ActorHostComponents;
  private readonly shared: ActivationComponents;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly lease: ProcessLease;
  private readonly types = new Map<string, Hosted>();
  private readonly locals = new Map<string, Local>();
  private readonly wheel: IdleWheel<Local>;
  private readonly subscriptions: Subscription[] = [];
  private stopBeat: Cancel = () => undefined;
  private isLeaving = false;

  constructor(components: ActorHostComponents, options: ActorHostOptions) {
    this.components = components;
    this.clock = components.clock;
    this.log = components.log;
    this.hostId = options.hostId;
    this.shared = {
      clock: components.clock,
      log: components.log,
      alarm: components.alarm,
      letters: components.letters,
      owner: this,
      recentAnswers: new AnswerWindow(RECENT_ANSWERS_MAX),
    };
    this.wheel = new IdleWheel(this.clock, (local, nowMs) => this.look(local, nowMs));
    this.lease = new ProcessLease(
      { ...components, store: components.hosts },
      { ...options, onRegained: () => void this.confirmAll() },
    );
  }

  get activationCount(): number {
    return this.locals.size;
  }

  async start(): Promise<void> {
    const { messaging } = this.components;
    await this.lease.start();
    const commands = serve(
      messaging,
      {
        subject: subjects.actorHost(this.hostId),
        schema: actorHostCommandSchema,
        what: "actor host command",
        onDefect: (error) => this.log.error({ event: "actor-host.defect", err: error }, "defect"),
      },
      (command) => this.obey(command),
    );
    const status = messaging.onStatus((now) => {
      if (now === "connected") this.beat();
    });
    this.subscriptions.push(commands, status);
    await messaging.flush();
    this.stopBeat = every(this.clock, ACTOR_HOST_BEAT_MS, () => this.beat());
  }

  add({ type, make, options = {} }: HostedType): void {
    assert(!this.types.has(type), `actors of type ${type} are already hosted here`);
    const { idleMs = IDLE_MS_DEFAULT, stateVersion = 1, ...rest } = options;
    assert(stateVersion >= 1, `state version ${stateVersion} of type ${type} is not >= 1`);
    const resolved = resolveOptions(rest, { isHosted: true });
    const lookMs = Math.min(idleMs, resolved.answersKeptMs);
    this.types.set(type, { make, options: resolved, idleMs, lookMs, stateVersion });
    this.beat();
  }

  /** Saves and lets go of the actors of a type; takes no new ones. */
  async remove(type: string, graceMs: number): Promise<void> {
    this.types.delete(type);
    this.beat();
    await this.stopWhere((address) => address.type === type, graceMs);
  }

  async stop(graceMs: number): Promise<void> {
    this.isLeaving = true;
    this.beat();
    await this.stopWhere(() => true, graceMs);
    this.stopBeat();
    this.wheel.stop();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    try {
      await this.lease.stop();
    } catch (error) {
      if (!isRuntimeError(error)) throw error; // the bus is away: it runs out by itself
    }
  }

  gate(activation: Activation, nowMs: number): Gate {
    if (!this.lease.isHeld(nowMs)) return "closed";
    return activation.confirmedEpoch === this.lease.epoch ? "open" : "wait"; // H2
  }

  onStarted(activation: Activation): void {
    const local = this.locals.get(keyOf(activation.address));
    if (local === undefined || local.inlet !== null) return;
    local.inlet = new Inlet(this.components, activation); // H3
    settleWaiters(local, undefined);
    this.wheel.add(local, local.hosted.lookMs);
  }

  onReleased(activation: Activation, error: unknown): void {
    const key = keyOf(activation.address);
    const local = this.locals.get(key);
    if (local?.activation !== activation) return;
    this.locals.delete(key);
    void local.inlet?.close();
    settleWaiters(local, error ?? new UnavailableError(`actor ${key} stopped before it started`));
  }

  supervise(failure: Failure): Directive {
    return this.components.supervise(failure);
  }

  fenceFor({ address, generation }: Activation): StateFence {
    const version = this.types.get(address.type)?.stateVersion ?? 1;
    return new StateFence(this.components.states, { key: keyOf(address), generation, version });
  }

  private async obey(command: ActorHostCommand): Promise<{ wasActive: boolean }> {
    const key = keyOf(command);
    if (command.kind === "activate") return this.activate(command);
    const local = this.locals.get(key);
    local?.activation.passivate();
    return { wasActive: local !== undefined };
  }

  private async activate(command: Extract<ActorHostCommand, { kind: "activate" }>) {
    const { type, key, generation } = command;
    const name = keyOf(command);
    if (this.isLeaving || !this.lease.isHeld(this.clock.monotonicMs())) {
      throw new UnavailableError(`host ${this.hostId} takes no actors now`);
    }
    const hosted = this.types.get(type);
    if (hosted === undefined) {
      throw new NotFoundError(`host ${this.hostId} does not take actors of type ${type}`);
    }
    let local = this.locals.get(name);
    if (local !== undefined && local.activation.generation > generation) {
      throw new StaleGenerationError(`actor ${name} is here with a newer generation`, {
        context: { generation, newerGeneration: local.activation.generation },
      });
    }
    if (local !== undefined && local.activation.generation < generation) {
      local.activation.abandon(new UnavailableError(`actor ${name} was placed anew`)); // H1
      local = undefined;
    }
    const wasActive = local?.inlet != null;
    local?.activation.touch();
    local ??= this.create({ type, key, isKeyed: true }, hosted, generation);
    await started(local);
    return { wasActive };
  }

  private create(address: ActorAddress, hosted: Hosted, generation: number): Local {
    if (this.locals.size >= ACTIVATION_COUNT_MAX) {
      throw new OverloadedError(`host ${this.hostId} has ${ACTIVATION_COUNT_MAX} actors`);
    }
    const { make, options } = hosted;
    const activation = new Activation(this.shared, { address, make, options, generation });
    activation.confirmedEpoch = this.lease.epoch;
    const local: Local = { activation, hosted, inlet: null, waiters: [] };
    this.locals.set(keyOf(address), local);
    activation.begin();
    return local;
  }

  private look(local: Local, nowMs: number): number | null {
    const { activation, hosted } = local;
    if (activation.isStopped) return null;
    activation.sweep(nowMs, hosted.idleMs);
    return hosted.lookMs;
  }

  /** H2: after the lease was away, each placement is read before its activation acts again. */
  private async confirmAll(): Promise<void> {
    const { epoch } = this.lease;
    const all = [...this.locals.values()].map((local) => local.activation);
    let next = 0;
    const confirmInTurn = async (): Promise<void> => {
      for (let at = all[next++]; at !== undefined; at = all[next++]) {
        if (epoch !== this.lease.epoch) return; // a later round confirms all again
        await this.confirm(at, epoch);
      }
    };
    await Promise.all(Array.from({ length: CONFIRM_CONCURRENCY }, confirmInTurn));
  }

  private async confirm(activation: Activation, epoch: number): Promise<void> {
    const { address, generation } = activation;
    while (!activation.isStopped && epoch === this.lease.epoch) {
      try {
        const placed = await this.components.placements.read(keyOf(address));
        if (placed?.host === this.hostId && placed.generation === generation) {
          activation.confirmedEpoch = epoch;
          activation.pump();
        } else {
          activation.abandon(new UnavailableError(`actor ${keyOf(address)} was placed elsewhere`));
        }
        return;
      } catch (error) {
        if (!isRuntimeError(error)) throw error;
        await delay(this.clock, CONFIRM_PAUSE_MS);
      }
    }
  }

  private async stopWhere(
    matches: (address: ActorAddress) => boolean,
    graceMs: number,
  ): Promise<void> {
    const leaving = [...this.locals.values()].filter((it) => matches(it.activation.address));
    await Promise.all(
      leaving.map(async ({ activation, inlet }) => {
        await activation.stop(graceMs);
        // What was on its way is answered; a bus that is away has nothing on its way.
        await Promise.race([inlet?.close(), delay(this.clock, DRAIN_MS_MAX)]);
      }),
    );
  }

  private beat(): void {
    const beat: ActorHostBeat = {
      host: this.hostId,
      types: this.isLeaving ? [] : [...this.types.keys()],
      activationCount: this.locals.size,
      isLeaving: this.isLeaving,
    };
    try {
      publishValue(this.components.messaging, subjects.actorHostBeat, beat);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== "UNAVAILABLE") throw error; // the bus was closed
    }
  }
}

export function keyOf({ type, key }: { readonly type: string; readonly key: string }): string {
  return `${type}.${key}`;
}

/** Resolves once it answers for its address; rejects with why it ended before. */
function started(local: Local): Promise<void> {
  const { waiters } = local;
  if (waiters === null) return Promise.resolve();
  return new Promise((resolve, reject) => {
    waiters.push((error) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}

function settleWaiters(local: Local, error: unknown): void {
  const { waiters } = local;
  local.waiters = null;
  for (const waiter of waiters ?? []) waiter(error);
}
