/**
 * The messaging port: what the runtime needs of a message bus, small enough for one screen.
 *
 * Two adapters implement it (nats/ and memory/); one compliance suite runs against both.
 *
 * Invariants:
 *   B1. A request ends in exactly one of: a reply, NoRespondersError (nobody is there; at once,
 *       not by time-out), TimeoutError (nobody answered), UnavailableError (not connected; it was
 *       not sent), CancelledError (the caller's signal).
 *   B2. A queue group delivers each message to one of its members.
 *   B3. Messages of one publisher on one subject reach a subscriber in order.
 *   B4. A message over `maxPayloadBytes` is refused by the sender's side with
 *       InvalidArgumentError; the connection stays open.
 */
import type { AbortSignalLike } from "@murakkab/kit";

export type Headers = Readonly<Record<string, string>>;

export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  /** Subject to answer on, when the sender waits for an answer. */
  readonly reply?: string;
}

export interface PublishOptions {
  readonly headers?: Headers;
  readonly reply?: string;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: Headers;
  readonly signal?: AbortSignalLike;
}

export interface StreamOptions {
  /** Longest silence between two items, ms; longer ends the stream with TimeoutError. */
  readonly idleTimeoutMs: number;
  readonly headers?: Headers;
  readonly signal?: AbortSignalLike;
}

export interface Subscription {
  unsubscribe(): void;
}

export interface MessageSubscription extends Subscription {
  /**
   * Takes nothing new, but still hands over what was sent before; resolves when all of that is
   * handed over. Does not throw: a subscription that the bus lost has nothing to hand over.
   */
  drain(): Promise<void>;
}

export type BusStatus = "connected" | "disconnected" | "closed";

export interface ServiceInfo {
  /** Name for service discovery: letters, digits, `-` and `_`. */
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface Messaging {
  readonly maxPayloadBytes: number;
  /** A string is sent as UTF-8, which costs less than encoding it before. */
  publish(subject: string, data: Uint8Array | string, options?: PublishOptions): void;
  /** `handler` is called in order of arrival. It must not throw; a throw is a defect. */
  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: { readonly queueGroup?: string },
  ): MessageSubscription;
  /** One answer (B1). */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage>;
  /**
   * Many answers to one request, in order, until one with an empty payload and the header
   * `Mk-End`. Leaving the loop early ends the subscription.
   */
  requestStream(
    subject: string,
    data: Uint8Array,
    options: StreamOptions,
  ): AsyncIterable<BusMessage>;
  /** Resolves once the bus has everything that was published before. */
  flush(): Promise<void>;
  /** Registers with the NATS services protocol (`$SRV.PING`, `.INFO`, `.STATS`). */
  register(service: ServiceInfo): Subscription;
  onStatus(listener: (status: BusStatus) => void): Subscription;
}

/** Header that marks the end of a stream of answers. */
export const STREAM_END_HEADER = "Mk-End";
