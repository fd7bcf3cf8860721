/**
 * The actors of one process, and how any process talks to any actor.
 *
 * Owns:      the spawned activations, and what all activations of the process share.
 * Does not:  carry messages (actor-client.ts, inlet.ts), keep keyed actors (actor-host.ts) or place
 *            them (actor-directory.ts).
 */
import type { KeyValue, State } from "@murakkab/bus";
import { assert, InvalidArgumentError } from "@murakkab/kit";
import { ACTOR_LEASE_MS, subjects } from "@murakkab/protocol";
import type { ActivationComponents, ActivationOwner, Gate } from "./activation.ts";
import { Activation } from "./activation.ts";
import type {
  ActorAddress,
  ActorHandle,
  ActorRef,
  ActorSystemComponents,
  ActorSystemOptions,
  ActorSystemPort,
  AskOptions,
  Behaviour,
  HostedType,
  TellOptions,
} from "./actor.ts";
import { addressText } from "./actor.ts";
import { ActorClient } from "./actor-client.ts";
import { ActorHost } from "./actor-host.ts";
import type { ActorOptions } from "./actor-options.ts";
import { resolveOptions } from "./actor-options.ts";
import type { DeadLetterReport } from "./dead-letters.ts";
import { DeadLetters } from "./dead-letters.ts";
import { DeadlineAlarm } from "./deadline-alarm.ts";
import { Inlet } from "./inlet.ts";
import type { Directive, Failure } from "./lifecycle.ts";
import { ACTORS_BUCKET, PlacementStore } from "./placement-store.ts";
import { ACTOR_HOSTS_BUCKET } from "./process-lease.ts";
import { ACTOR_STATE_BUCKET } from "./state-fence.ts";

export interface Hosting {
  /** Saves and lets go of the actors of this type; takes no new ones. */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export class ActorSystem implements ActorSystemPort {
  private readonly components: ActorSystemComponents;
  private readonly options: ActorSystemOptions;
  private readonly letters: DeadLetters;
  private readonly client: ActorClient;
  private readonly shared: ActivationComponents;
  private readonly spawned = new Map<Activation, { readonly subject: string; inlet: Inlet }>();
  private readonly spawnedSubjects = new Set<string>();
  private hostStarted: Promise<ActorHost> | null = null;

  constructor(components: ActorSystemComponents, options: ActorSystemOptions = {}) {
    const log = components.log.child({ component: "actor" });
    this.components = { ...components, log };
    this.options = options;
    const { clock } = components;
    this.letters = new DeadLetters(clock, options.onDeadLetter);
    this.client = new ActorClient({ ...this.components, letters: this.letters });
    const owner: ActivationOwner = {
      gate: (): Gate => "open",
      onStarted: () => undefined,
      onReleased: (activation) => this.onReleased(activation),
      supervise: (failure) => this.supervise(failure),
      fenceFor: () => null,
    };
    const alarm = new DeadlineAlarm(clock);
    this.shared = { clock, log, alarm, letters: this.letters, owner, recentAnswers: null };
  }

  /**
   * An actor that lives here until it is stopped, under an address that the caller answers for:
   * no lease, no directory, no stored state.
   */
  spawn(address: ActorAddress, make: () => Behaviour, options: ActorOptions = {}): ActorHandle {
    const subject = subjects.actor(address.type, address.key);
    assert(!this.spawnedSubjects.has(subject), `actor ${addressText(address)} is already here`);
    const resolved = resolveOptions(options, { isHosted: false });
    const settings = { address, make, options: resolved, generation: 0 };
    const activation = new Activation(this.shared, settings);
    this.spawnedSubjects.add(subject);
    this.spawned.set(activation, { subject, inlet: new Inlet(this.components, activation) });
    activation.begin();
    return {
      address,
      get queuedCount() {
        return activation.queuedCount;
      },
      get inFlightCount() {
        return activation.inFlightCount;
      },
      stop: (stopOptions) => activation.stop(stopOptions?.graceMs ?? 0),
    };
  }

  /**
   * From now on this process takes keyed actors of a type: the directory places them here, they
   * live while they are used, and what they save outlives the process. Needs the `state` port.
   */
  async host(type: HostedType): Promise<Hosting> {
    const { state } = this.components;
    if (state === undefined) throw new InvalidArgumentError("hosting actors needs the state port");
    this.hostStarted ??= this.startHost(state);
    const host = await this.hostStarted;
    host.add(type);
    return { stop: (options) => host.remove(type.type, options?.graceMs ?? 0) };
  }

  /** A keyed actor: wherever it is, and also when it is nowhere yet. */
  actor(type: string, key: string): ActorRef {
    const address: ActorAddress = { type, key, isKeyed: true };
    return {
      address,
      ask: (message, options) => this.client.ask(address, message, options),
      tell: (message, options) => this.client.deliver(address, message, options),
      stream: (message, options) => this.client.stream(address, message, options),
    };
  }

  ask(address: ActorAddress, message: unknown, options: AskOptions): Promise<unknown> {
    return this.client.ask(address, message, options);
  }

  /** To a keyed actor it is delivered in the background; what fails becomes a dead letter. */
  tell(address: ActorAddress, message: unknown, options: TellOptions = {}): void {
    if (address.isKeyed !== true) this.client.tell(address, message, options);
    else this.client.deliver(address, message, options).catch(() => undefined); // counted there
  }

  stream(address: ActorAddress, message: unknown, options: AskOptions): AsyncIterable<unknown> {
    return this.client.stream(address, message, options);
  }

  /** What was sent to actors here and will not be handled, and tells from here that got nowhere. */
  deadLetters(): DeadLetterReport {
    return this.letters.report();
  }

  /** Of keyed actors. */
  async activationCount(): Promise<number> {
    return (await this.hostStarted)?.activationCount ?? 0;
  }

  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const graceMs = options.graceMs ?? 0;
    const host = await this.hostStarted;
    await Promise.all([
      host?.stop(graceMs),
      ...[...this.spawned.keys()].map((activation) => activation.stop(graceMs)),
    ]);
    this.client.stop();
  }

  private async startHost(state: State): Promise<ActorHost> {
    const leaseMs = this.options.leaseMs ?? ACTOR_LEASE_MS;
    const hostId = this.options.hostId ?? this.components.random.stream("actor-host").uuid();
    const open = (bucket: string, ttlMs = 0): Promise<KeyValue> =>
      state.openKeyValue(bucket, { ttlMs });
    const host = new ActorHost(
      {
        ...this.components,
        alarm: this.shared.alarm,
        letters: this.letters,
        supervise: (failure) => this.supervise(failure),
        hosts: await open(ACTOR_HOSTS_BUCKET, leaseMs),
        placements: new PlacementStore(await open(ACTORS_BUCKET)),
        states: await open(ACTOR_STATE_BUCKET),
      },
      { hostId, leaseMs },
    );
    await host.start();
    return host;
  }

  private onReleased(activation: Activation): void {
    const local = this.spawned.get(activation);
    if (local === undefined) return;
    this.spawned.delete(activation);
    this.spawnedSubjects.delete(local.subject);
    void local.inlet.close();
  }

  private supervise(failure: Failure): Directive {
    return this.options.supervise?.(failure) ?? "escalate";
  }
}
