/**
 * What an actor is, and how one talks to it. The runtime is in actor-system.ts.
 */

import type { Messaging, State } from "@murakkab/bus";
import type { AbortSignalLike, Clock, Logger, Random } from "@murakkab/kit";
import type { Priority } from "@murakkab/protocol";
import type { ActorOptions } from "./actor-options.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { Supervise } from "./lifecycle.ts";

/** Type and key. The subject of an address does not change when its actor moves. */
export interface ActorAddress {
  readonly type: string;
  readonly key: string;
  /**
   * True: a message brings the actor to life where nobody listens. False or absent: nobody there
   * is an error to the sender, because some process spawns the actor and knows when.
   */
  readonly isKeyed?: boolean;
}

/** What a handler knows of the message that it is handling. */
export interface MessageContext {
  readonly self: ActorAddress;
  /** Aborts when the sender cancels, the deadline passes or the actor stops. */
  readonly signal: AbortSignalLike;
  /** Milliseconds until the sender gives up; `Infinity` for a tell without deadline. */
  remainingMs(): number;
}

export interface ActorContext extends MessageContext {
  /** The sender's id of this message: the same for its repeats. */
  readonly messageId: string;
  /** Of this activation: grows each time the actor is placed anew. 0 for spawned actors. */
  readonly generation: number;
  /**
   * Stores what `dehydrate` returns. When it resolves, the state is safe, and no older activation
   * can write any more. When it rejects, this activation ends: the next one starts from what is
   * stored. Errors: `STALE_GENERATION` (another activation owns the address), `UNAVAILABLE`.
   */
  save(): Promise<void>;
}

/**
 * The behaviour of one activation. A throw of a RuntimeError answers the sender with that error and
 * leaves the actor alone; any other throw is a defect: the sender gets INTERNAL and the supervisor
 * restarts the actor with a fresh behaviour.
 */
export interface Behaviour {
  start?(): Promise<void>;
  /** An ask or a tell. What it returns is the answer to an ask. */
  handle(message: unknown, context: ActorContext): Promise<unknown>;
  /** A stream request. */
  stream?(message: unknown, context: ActorContext): AsyncIterable<unknown>;
  /** The state to store, as plain data. An actor that has this is durable (hosted actors only). */
  dehydrate?(): unknown;
  /** Called before `start` when something was stored. `version` is that of the stored state. */
  rehydrate?(state: unknown, version: number): void | Promise<void>;
  stop?(): Promise<void>;
}

export interface ActorHandle {
  readonly address: ActorAddress;
  readonly queuedCount: number;
  readonly inFlightCount: number;
  /** Answers nothing new, finishes or aborts what it has, frees the address. */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export interface TellOptions {
  /** Which waiting message is handled first. Default `normal`; see mailbox.ts. */
  readonly priority?: Priority;
  /**
   * Names the message. Repeats with the same id are one message to an activation, as long as it
   * keeps the answer (`answersKept`); to know them across activations an actor keeps the ids in its
   * state. An ask with an id of its own may therefore be repeated by itself, also when it may have
   * run before. Default: a new id for every call, and no repeat of what may have run.
   */
  readonly messageId?: string;
}

export interface AskOptions extends TellOptions {
  /** Required: there is no ask without an end. */
  readonly deadlineMs: number;
  /** Aborting it cancels the work at the receiver; its answer to that is still awaited. */
  readonly signal?: AbortSignalLike;
  /** Aborting it ends the wait at once: the receiver is known to be gone. */
  readonly giveUp?: AbortSignalLike;
}

export interface ActorSystemComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Needed by `host` only. */
  readonly state?: State;
}

export interface ActorSystemOptions {
  /** Decides for actors whose own `supervise` escalates; the parent of all actors here. */
  readonly supervise?: Supervise;
  /** Told of each message that nobody will handle. */
  readonly onDeadLetter?: (letter: DeadLetter) => void;
  /** Name of this process among those that host actors. Default: a random one. */
  readonly hostId?: string;
  /** Lease of this process, ms. Default ACTOR_LEASE_MS; the same in all processes. */
  readonly leaseMs?: number;
}

export interface ActorSystemPort {
  spawn(address: ActorAddress, make: () => Behaviour, options?: ActorOptions): ActorHandle;
  ask(address: ActorAddress, message: unknown, options: AskOptions): Promise<unknown>;
  tell(address: ActorAddress, message: unknown, options?: TellOptions): void;
  stream(address: ActorAddress, message: unknown, options: AskOptions): AsyncIterable<unknown>;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

/** One keyed actor, wherever it is. */
export interface ActorRef {
  readonly address: ActorAddress;
  ask(message: unknown, options: AskOptions): Promise<unknown>;
  /** Resolves once the message waits in the actor's mailbox. */
  tell(message: unknown, options?: TellOptions & { readonly deadlineMs?: number }): Promise<void>;
  stream(message: unknown, options: AskOptions): AsyncIterable<unknown>;
}

/** A type of keyed actors that this process takes. */
export interface HostedType {
  readonly type: string;
  readonly make: (address: ActorAddress) => Behaviour;
  readonly options?: HostedOptions;
}

export interface HostedOptions extends ActorOptions {
  /** Without a message for this long the actor is saved and let go, ms. Default 5 min. */
  readonly idleMs?: number;
  /**
   * Version of the form in which `dehydrate` returns the state. A newer stored one is refused
   * (`UNSUPPORTED_VERSION`); an older one is given to `rehydrate`. At least 1. Default 1.
   */
  readonly stateVersion?: number;
}

export function addressText({ type, key }: ActorAddress): string {
  return `${type}/${key}`;
}
