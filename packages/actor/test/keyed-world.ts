/** Processes with keyed actors on the in-memory bus under virtual time, which can be killed, cut and hung. */
import type { ActorDirectoryOptions, HostedOptions } from "@murakkab/actor";
import {
  type ActorContext,
  ActorDirectory,
  ActorSystem,
  type ActorSystemOptions,
  type Behaviour,
} from "@murakkab/actor";
import { type Bus, MemoryBroker, type Messaging, type State } from "@murakkab/bus";
import {
  type Clock,
  delay,
  isRuntimeError,
  type Random,
  SILENT_LOGGER,
  seededRandom,
  UnavailableError,
} from "@murakkab/kit";
import { VirtualClock } from "@murakkab/testkit";

export const LEASE_MS = 3_000;

export interface Process {
  readonly name: string;
  readonly system: ActorSystem;
  /** Ends as kill -9 would: nothing is said or saved. */
  kill(): Promise<void>;
  cut(): void;
  heal(): void;
  /** As SIGSTOP: connections stay, nothing runs. */
  hang(): void;
  resume(): void;
  /** The store gives no answer; messages still pass. */
  setStoreAway(isAway: boolean): void;
}

export class World {
  readonly clock = new VirtualClock();
  readonly broker: MemoryBroker;
  readonly random: Random;
  readonly directories: ActorDirectory[] = [];

  constructor(seed: string | number = "keyed") {
    this.random = seededRandom(seed);
    this.broker = new MemoryBroker(
      { clock: this.clock, random: this.random.stream("latency") },
      { latencyMsMax: 1 },
    );
  }

  async directory(name: string, options: ActorDirectoryOptions = {}): Promise<ActorDirectory> {
    const bus = this.broker.connect(name);
    const directory = new ActorDirectory(
      { ...this.parts(name, bus.messaging, this.clock), state: bus.state },
      { leaseMs: LEASE_MS, ...options },
    );
    await this.run(directory.start());
    this.directories.push(directory);
    return directory;
  }

  process(name: string, options: ActorSystemOptions = {}): Process {
    const bus = this.broker.connect(name);
    const pause = new Pause(this.clock);
    let isStoreAway = false;
    const state = awayState(bus.state, () => isStoreAway);
    const system = new ActorSystem(
      { ...this.parts(name, pause.messaging(bus.messaging), pause.clock), state },
      { leaseMs: LEASE_MS, hostId: name, ...options },
    );
    return {
      name,
      system,
      kill: () => this.run(kill(bus, pause)),
      cut: () => this.broker.cut(name),
      heal: () => this.broker.heal(name),
      hang: () => pause.hang(),
      resume: () => pause.resume(),
      setStoreAway: (isAway) => {
        isStoreAway = isAway;
      },
    };
  }

  async host(
    name: string,
    make: () => Behaviour,
    { system, ...options }: HostedOptions & { system?: ActorSystemOptions } = {},
  ): Promise<Process> {
    const process = this.process(name, system);
    await this.run(process.system.host({ type: "account", make, options }));
    await this.run(delay(this.clock, 5)); // the beat reaches the directories
    return process;
  }

  /** Drives the clock until the promise settles. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => void (isSettled = true);
    promise.then(settle, settle);
    await this.clock.runUntil(() => isSettled);
    return promise;
  }

  /** Its outcome as data. */
  async outcome<T>(promise: Promise<T>): Promise<{ value?: T; code?: string }> {
    return this.run(outcomeOf(promise));
  }

  pass(ms: number): Promise<void> {
    return this.run(delay(this.clock, ms));
  }

  private parts(name: string, messaging: Messaging, clock: Clock) {
    return { messaging, clock, random: this.random.stream(name), log: SILENT_LOGGER };
  }
}

export async function outcomeOf<T>(promise: Promise<T>): Promise<{ value?: T; code?: string }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { code: isRuntimeError(error) ? error.code : String(error) };
  }
}

async function kill(bus: Bus, pause: Pause): Promise<void> {
  await bus.close();
  pause.hang();
}

/** Timers and message handlers wait while it hangs, and run when it resumes. */
class Pause {
  readonly clock: Clock;
  private isHung = false;
  private held: (() => void)[] = [];

  constructor(clock: Clock) {
    this.clock = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      after: (delayMs, fn) => clock.after(delayMs, () => this.pass(fn)),
    };
  }

  hang(): void {
    this.isHung = true;
  }

  resume(): void {
    this.isHung = false;
    for (const fn of this.held.splice(0)) fn();
  }

  messaging(messaging: Messaging): Messaging {
    return {
      get maxPayloadBytes() {
        return messaging.maxPayloadBytes;
      },
      publish: (subject, data, options) => messaging.publish(subject, data, options),
      subscribe: (subject, handler, options) =>
        messaging.subscribe(subject, (message) => this.pass(() => handler(message)), options),
      request: (subject, data, options) => messaging.request(subject, data, options),
      requestStream: (subject, data, options) => messaging.requestStream(subject, data, options),
      flush: () => messaging.flush(),
      register: (service) => messaging.register(service),
      onStatus: (listener) => messaging.onStatus((now) => this.pass(() => listener(now))),
    };
  }

  private pass(fn: () => void): void {
    if (this.isHung) this.held.push(fn);
    else fn();
  }
}

function awayState(state: State, isAway: () => boolean): State {
  const unlessAway = async <T>(operate: () => Promise<T>): Promise<T> => {
    if (isAway()) throw new UnavailableError("the store is away");
    return operate();
  };
  return {
    openLog: (name, options) => state.openLog(name, options),
    openObjects: (bucket) => state.openObjects(bucket),
    openKeyValue: async (bucket, options) => {
      const store = await state.openKeyValue(bucket, options);
      return {
        get: (key) => unlessAway(() => store.get(key)),
        put: (key, value) => unlessAway(() => store.put(key, value)),
        create: (key, value) => unlessAway(() => store.create(key, value)),
        update: (key, value, revision) => unlessAway(() => store.update(key, value, revision)),
        delete: (key) => unlessAway(() => store.delete(key)),
        keys: (prefix) => unlessAway(() => store.keys(prefix)),
        recent: (limit) => unlessAway(() => store.recent(limit)),
      };
    },
  };
}

/** A durable counter that says who did what. */
export function account(
  log: { made: number; saved: { count: number; generation: number }[]; contexts: ActorContext[] },
  work: (message: unknown) => Promise<void> = async () => undefined,
): () => Behaviour {
  return () => {
    log.made += 1;
    let count = 0;
    let seen: string[] = [];
    return {
      dehydrate: () => ({ count, seen: seen.slice(-200) }),
      rehydrate: (state) => {
        ({ count, seen } = state as { count: number; seen: string[] });
      },
      handle: async (message, context) => {
        log.contexts.push(context);
        await work(message);
        if (message === "read") return count;
        if (message === "boom") throw new Error("a bug");
        if (seen.includes(context.messageId)) return count;
        count += 1;
        seen.push(context.messageId);
        if (message === "add-unsaved") return count;
        const here = { count, generation: context.generation };
        await context.save();
        log.saved.push(here);
        return count;
      },
      async *stream(message) {
        for (let n = 0; n < Number(message); n += 1) yield n;
      },
    };
  };
}

export function newLog(): Parameters<typeof account>[0] {
  return { made: 0, saved: [], contexts: [] };
}
