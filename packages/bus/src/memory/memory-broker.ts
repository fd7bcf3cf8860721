/**
 * A message bus within one process: what nats-server is to the NATS adapter.
 *
 * Owns:      who gets which message, and when; the store; which connections are cut.
 * Does not:  know requests (memory-messaging.ts does), read time or draw chance on its own.
 *
 * Invariants:
 *   K1. Who receives is decided when a message is published; delivery is later, in one global
 *       order, never inside of `publish`.
 *   K2. Same calls, clock and random stream ⇒ same deliveries.
 *   K3. A cut connection neither sends nor receives until it is healed.
 */
import type { Clock, Random } from "@murakkab/kit";
import type { Bus } from "../bus.ts";
import type { BusMessage } from "../messaging.ts";
import { MemoryMessaging } from "./memory-messaging.ts";
import { MemoryState } from "./memory-state.ts";
import { MemoryStore } from "./memory-store.ts";
import { SubjectTrie } from "./subject-trie.ts";

export interface MemoryBrokerComponents {
  readonly clock: Clock;
  /** Draws the latency of each message. Without it each takes `latencyMsMax`. */
  readonly random?: Random;
}

export interface MemoryBrokerOptions {
  /** Longest time from sender to receiver, ms. Default 0: delivered in a microtask. */
  readonly latencyMsMax?: number;
  /** Default 1 MiB, nats-server's own. */
  readonly maxPayloadBytes?: number;
  /** Told of handlers that throw. Default: thrown again from a microtask of its own. */
  readonly onDefect?: (error: unknown, subject: string) => void;
}

export interface MemorySubscriber {
  readonly id: number;
  readonly filter: string;
  readonly queueGroup: string | null;
  readonly connection: MemoryMessaging;
  readonly handler: (message: BusMessage) => void;
  isActive: boolean;
}

const MAX_PAYLOAD_BYTES_DEFAULT = 1024 * 1024;

interface Delivery {
  readonly dueMs: number;
  readonly run: () => void;
}

export class MemoryBroker {
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  readonly store = new MemoryStore();
  private readonly random: Random | null;
  private readonly latencyMsMax: number;
  private readonly onDefect: (error: unknown, subject: string) => void;
  private readonly subscribers = new SubjectTrie<MemorySubscriber>();
  private readonly turnByGroup = new Map<string, number>();
  private readonly connections = new Set<MemoryMessaging>();
  private deliveries: Delivery[] = [];
  private isDrainArmed = false;
  private lastDueMs = 0;
  private lastSubscriberId = 0;
  private connectionCount = 0;
  private isDown = false;

  constructor(components: MemoryBrokerComponents, options: MemoryBrokerOptions = {}) {
    this.clock = components.clock;
    this.random = components.random ?? null;
    this.latencyMsMax = options.latencyMsMax ?? 0;
    this.maxPayloadBytes = options.maxPayloadBytes ?? MAX_PAYLOAD_BYTES_DEFAULT;
    this.onDefect = options.onDefect ?? throwLater;
  }

  /** A connection, as one process would have it. */
  connect(name = "memory"): Bus {
    this.connectionCount += 1;
    const inbox = `_INBOX.${name.replaceAll(/[^\w-]/g, "_")}-${this.connectionCount}.`;
    const messaging = new MemoryMessaging(this, { name, inbox, isConnected: !this.isDown });
    this.connections.add(messaging);
    return {
      messaging,
      state: new MemoryState(this, messaging),
      description: `in-memory bus, connection ${name}`,
      close: async () => {
        await this.hop();
        this.connections.delete(messaging);
        messaging.setStatus("closed");
      },
    };
  }

  /** Cuts every connection, as the end of the server would; what is stored stays. */
  stop(): void {
    this.isDown = true;
    for (const connection of this.connections) connection.setStatus("disconnected");
  }

  start(): void {
    this.isDown = false;
    for (const connection of this.connections) connection.setStatus("connected");
  }

  /** Cuts the connections of this name. */
  cut(name: string): void {
    for (const connection of this.connections) {
      if (connection.name === name) connection.setStatus("disconnected");
    }
  }

  heal(name: string): void {
    for (const connection of this.connections) {
      if (connection.name === name && !this.isDown) connection.setStatus("connected");
    }
  }

  /** @internal The result ends it at once; its `leave` only keeps new messages from it. */
  subscribe(
    subscriber: Omit<MemorySubscriber, "id" | "isActive">,
  ): (() => void) & { readonly leave: () => void } {
    const added: MemorySubscriber = {
      ...subscriber,
      id: (this.lastSubscriberId += 1),
      isActive: true,
    };
    this.subscribers.add(added.filter, added);
    const leave = (): void => this.subscribers.delete(added.filter, added);
    const end = (): void => {
      added.isActive = false;
      leave();
    };
    return Object.assign(end, { leave });
  }

  /** @internal Delivers to subscribers only; answers how many there are (K1). */
  route(message: BusMessage): number {
    const receivers = this.receiversOf(message.subject);
    if (receivers.length > 0) {
      this.deliverLater(() => {
        for (const receiver of receivers) {
          if (receiver.isActive && receiver.connection.isConnected) this.hand(receiver, message);
        }
      });
    }
    return receivers.length;
  }

  /** @internal Runs `fn` when a message sent now would arrive. */
  deliverLater(run: () => void): void {
    const nowMs = this.clock.monotonicMs();
    const latencyMs = (this.random?.next() ?? 1) * this.latencyMsMax;
    // Never before what was sent earlier (B3).
    this.lastDueMs = Math.max(this.lastDueMs, nowMs + latencyMs);
    this.deliveries.push({ dueMs: this.lastDueMs, run });
    this.armDrain();
  }

  /** @internal One way through the broker. */
  hop(): Promise<void> {
    return new Promise((resolve) => {
      this.deliverLater(resolve);
    });
  }

  private armDrain(): void {
    const first = this.deliveries[0];
    if (this.isDrainArmed || first === undefined) return;
    this.isDrainArmed = true;
    const drain = (): void => {
      this.isDrainArmed = false;
      this.drain();
    };
    const waitMs = first.dueMs - this.clock.monotonicMs();
    if (waitMs <= 0) void Promise.resolve().then(drain);
    else this.clock.after(waitMs, drain);
  }

  private drain(): void {
    const nowMs = this.clock.monotonicMs();
    const laterAt = this.deliveries.findIndex((delivery) => delivery.dueMs > nowMs);
    const due = laterAt === -1 ? this.deliveries : this.deliveries.slice(0, laterAt);
    this.deliveries = laterAt === -1 ? [] : this.deliveries.slice(laterAt);
    for (const delivery of due) delivery.run();
    this.armDrain();
  }

  private hand(receiver: MemorySubscriber, message: BusMessage): void {
    try {
      receiver.handler(message);
    } catch (error) {
      this.onDefect(error, receiver.filter);
    }
  }

  private receiversOf(subject: string): MemorySubscriber[] {
    const connected = this.subscribers
      .matches(subject)
      .filter((subscriber) => subscriber.connection.isConnected)
      .sort((a, b) => a.id - b.id); // K2
    const receivers: MemorySubscriber[] = [];
    const groups = new Map<string, MemorySubscriber[]>();
    for (const subscriber of connected) {
      if (subscriber.queueGroup === null) {
        receivers.push(subscriber);
        continue;
      }
      const members = groups.get(subscriber.queueGroup) ?? [];
      members.push(subscriber);
      groups.set(subscriber.queueGroup, members);
    }
    for (const [group, members] of groups) receivers.push(this.memberInTurn(group, members)); // B2
    return receivers;
  }

  private memberInTurn(group: string, members: readonly MemorySubscriber[]): MemorySubscriber {
    const turn = this.turnByGroup.get(group) ?? 0;
    this.turnByGroup.set(group, turn + 1);
    return members[turn % members.length] as MemorySubscriber;
  }
}

function throwLater(error: unknown): void {
  // A rejection that nobody handles: the process ends with the defect's own stack.
  void Promise.resolve().then(() => {
    throw error;
  });
}

/** A bus with one connection, for tests and programs without a server. */
export function createMemoryBus(components: MemoryBrokerComponents): Bus {
  return new MemoryBroker(components).connect();
}
