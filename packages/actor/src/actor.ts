/**
 * What an actor is, and how one talks to it. The runtime is in actor-system.ts.
 */

import type { Messaging } from "@murakkab/bus";
import type { AbortSignalLike, Clock, Logger, Random } from "@murakkab/kit";

/** Type and key. The subject of an address does not change when its actor moves. */
export interface ActorAddress {
  readonly type: string;
  readonly key: string;
}

/** What a handler knows of the message that it is handling. */
export interface MessageContext {
  readonly self: ActorAddress;
  /** Aborts when the sender cancels, the deadline passes or the actor stops. */
  readonly signal: AbortSignalLike;
  /** Milliseconds until the sender gives up; `Infinity` for a tell without deadline. */
  remainingMs(): number;
}

/**
 * The behaviour of one activation. A throw of a RuntimeError answers the sender with that error and
 * leaves the actor alone; any other throw is a defect: the sender gets INTERNAL and the supervisor
 * restarts the actor with a fresh behaviour.
 */
export interface Behaviour {
  start?(): Promise<void>;
  /** An ask or a tell. What it returns is the answer to an ask. */
  handle(message: unknown, context: MessageContext): Promise<unknown>;
  /** A stream request. */
  stream?(message: unknown, context: MessageContext): AsyncIterable<unknown>;
  stop?(): Promise<void>;
}

export interface ActorOptions {
  /** Messages that wait at most; one more is answered with MAILBOX_FULL. Default 1,024. */
  readonly mailboxCapacity?: number;
  /** Messages handled at the same time. Default 1. */
  readonly concurrency?: number;
  /** More restarts than this within the window stop the actor and escalate. Default 3. */
  readonly restartsMax?: number;
  /** Default 60,000 ms. */
  readonly restartWindowMs?: number;
  /** Called when the actor gave up restarting. */
  readonly onEscalate?: (error: unknown) => void;
}

export interface ActorHandle {
  readonly address: ActorAddress;
  readonly queuedCount: number;
  readonly inFlightCount: number;
  /** Answers nothing new, finishes or aborts what it has, frees the address. */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export interface AskOptions {
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
}

export interface ActorSystemPort {
  spawn(address: ActorAddress, make: () => Behaviour, options?: ActorOptions): ActorHandle;
  ask(address: ActorAddress, message: unknown, options: AskOptions): Promise<unknown>;
  tell(address: ActorAddress, message: unknown): void;
  stream(address: ActorAddress, message: unknown, options: AskOptions): AsyncIterable<unknown>;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}
