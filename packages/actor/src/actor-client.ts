/**
 * The sender's side: asks, tells and streams to any actor.
 *
 * Owns:      message ids, cancellation, the credit of streams, waking keyed actors, repeats.
 * Does not:  receive (inlet.ts) or place (actor-directory.ts).
 *
 * Invariants:
 *   C1. A message to an actor that is not keyed is sent once; nobody there is an error at once.
 *   C2. A message to a keyed actor is repeated by itself only when it is certain that it was not
 *       handled: nobody listened, or the answer says so. With a `messageId` of the sender's own an
 *       ask is repeated as well when it may have run: it was lost together with its actor, or
 *       answered with UNAVAILABLE.
 *   C3. No ask outlives its deadline, plus REPLY_SLACK_MS for the answer to it.
 */
import type { Messaging } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import type { AbortSignalLike, Cancel, Clock, Logger, Random } from "@murakkab/kit";
import {
  backoffMs,
  CancelledError,
  deadlineAfter,
  delay,
  isRuntimeError,
  UnavailableError,
} from "@murakkab/kit";
import type { ActorActivated, Envelope } from "@murakkab/protocol";
import {
  ACTOR_SILENCE_MS,
  actorActivatedSchema,
  contentHeaders,
  decode,
  encode,
  subjects,
} from "@murakkab/protocol";
import type { ActorAddress, AskOptions, TellOptions } from "./actor.ts";
import { addressText } from "./actor.ts";
import { isNotHandled } from "./actor-errors.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { WireAnswer } from "./inlet.ts";
import { valueOf } from "./inlet.ts";
import { KeyedAsk, REPLY_SLACK_MS } from "./keyed-ask.ts";
import { SlotList } from "./slot-list.ts";

/** Items that a stream's sender may be ahead of its reader. */
const STREAM_CREDIT = 64;
/** How long a tell to a keyed actor is tried by default, ms: a lease and some. */
const TELL_DEADLINE_MS_DEFAULT = 15_000;
/** One try of a tell, or of a request to the directory, ms. */
const TRY_TIMEOUT_MS = 3_000;
const REPEAT_BACKOFF = { baseMs: 20, maxMs: 500 };

export interface ActorClientComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly letters: DeadLetters;
}

export class ActorClient {
  readonly messaging: Messaging;
  readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly letters: DeadLetters;
  private readonly idPrefix: string;
  private idCount = 0;
  private readonly waking = new Map<string, Promise<ActorActivated>>();
  private readonly watched = new SlotList<KeyedAsk>();
  private cancelWatch: Cancel | null = null;

  constructor(components: ActorClientComponents) {
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.random = components.random.stream("actor-messages");
    this.log = components.log;
    this.letters = components.letters;
    this.idPrefix = this.random.uuid();
  }

  /** Not async itself: the usual ask has no signal, and one promise less to wait for. */
  ask(address: ActorAddress, message: unknown, options: AskOptions): Promise<unknown> {
    const { deadlineMs, messageId, priority } = options;
    const envelope: { -readonly [K in keyof AskEnvelope]: AskEnvelope[K] } = {
      kind: "ask",
      id: messageId ?? this.nextId(),
      remainingMs: deadlineMs,
      payload: message,
    };
    if (priority !== undefined) envelope.priority = priority;
    if (messageId !== undefined) envelope.isNamed = true;
    return options.signal === undefined
      ? this.send(address, envelope, options)
      : this.sendUnlessCancelled(address, envelope, { ...options, signal: options.signal });
  }

  /** For an actor that is not keyed. */
  tell(address: ActorAddress, message: unknown, options: TellOptions = {}): void {
    this.publish(subjects.actor(address.type, address.key), this.tellEnvelope(message, options));
  }

  /** For a keyed actor: resolves once the message waits in its mailbox. */
  async deliver(
    address: ActorAddress,
    message: unknown,
    options: TellOptions & { readonly deadlineMs?: number } = {},
  ): Promise<void> {
    const envelope = this.tellEnvelope(message, options);
    const startedAtMs = this.clock.monotonicMs();
    try {
      await this.deliverInTime(address, envelope, options.deadlineMs ?? TELL_DEADLINE_MS_DEFAULT);
    } catch (error) {
      const ageMs = this.clock.monotonicMs() - startedAtMs;
      const { id: messageId } = envelope;
      this.letters.add({ reason: "undeliverable", address, kind: "tell", messageId, ageMs });
      throw error;
    }
  }

  private async deliverInTime(address: ActorAddress, envelope: Envelope, deadlineMs: number) {
    const deadline = deadlineAfter(this.clock, deadlineMs);
    const subject = subjects.actor(address.type, address.key);
    for (let tries = 1; ; tries += 1) {
      try {
        const timeoutMs = Math.max(1, Math.min(TRY_TIMEOUT_MS, deadline.remainingMs()));
        await call(this.messaging, { subject, value: envelope }, { timeoutMs });
        return;
      } catch (error) {
        const pauseMs = backoffMs(tries, REPEAT_BACKOFF, this.random);
        const mayRepeat = isRuntimeError(error) && error.isRetryable;
        if (!mayRepeat || deadline.remainingMs() <= pauseMs) throw error;
        // The repeat has the same id. Silence: the directory finds out whether its host hangs.
        const isAway = error.code === "NO_RESPONDERS" || error.code === "TIMEOUT";
        if (isAway) await this.wake(address, deadline.remainingMs());
        else await delay(this.clock, pauseMs);
      }
    }
  }

  async *stream(
    address: ActorAddress,
    message: unknown,
    options: AskOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    const deadline = deadlineAfter(this.clock, options.deadlineMs);
    for (let tries = 1; ; tries += 1) {
      let hasItem = false;
      try {
        for await (const item of this.streamOnce(address, message, options)) {
          hasItem = true;
          yield item;
        }
        return;
      } catch (error) {
        const isUntouched =
          isRuntimeError(error) && (error.code === "NO_RESPONDERS" || isNotHandled(error));
        if (address.isKeyed !== true || hasItem || !isUntouched) throw error;
        await this.beforeRepeat(address, error, { tries, remainingMs: deadline.remainingMs() });
        if (options.signal?.aborted) throw options.signal.reason ?? error;
      }
    }
  }

  /** @internal Until the message may be sent again (C2). Errors: `error`, when time is up. */
  async beforeRepeat(
    address: ActorAddress,
    error: unknown,
    at: { readonly tries: number; readonly remainingMs: number },
  ): Promise<void> {
    const pauseMs = backoffMs(at.tries, REPEAT_BACKOFF, this.random);
    if (at.remainingMs <= pauseMs) throw error;
    if (isRuntimeError(error) && error.code === "NO_RESPONDERS") {
      await this.wake(address, at.remainingMs);
      // Where the servers are several, interest may travel slower than the answer.
      if (at.tries > 1) await delay(this.clock, pauseMs);
    } else {
      await delay(this.clock, pauseMs);
    }
  }

  /**
   * Has the directory activate a keyed actor, for at most `remainingMs`. Errors: the last one; a
   * directory that is away counts as `UNAVAILABLE`.
   */
  async wake(address: ActorAddress, remainingMs: number): Promise<ActorActivated> {
    const deadline = deadlineAfter(this.clock, remainingMs);
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.wakeOnce(address, deadline.remainingMs());
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        const pauseMs = Math.max(
          error.retryAfterMs ?? 0,
          backoffMs(tries, REPEAT_BACKOFF, this.random),
        );
        if (deadline.remainingMs() <= pauseMs) {
          throw new UnavailableError(`actor ${addressText(address)} could not be activated`, {
            cause: error,
          });
        }
        await delay(this.clock, pauseMs);
      }
    }
  }

  /** @internal */
  watch(ask: KeyedAsk): void {
    this.watched.add(ask);
    this.cancelWatch ??= this.clock.after(ACTOR_SILENCE_MS / 2, () => this.look());
  }

  /** @internal */
  unwatch(ask: KeyedAsk): void {
    this.watched.delete(ask);
  }

  stop(): void {
    this.cancelWatch?.();
    this.cancelWatch = null;
  }

  private look(): void {
    this.cancelWatch = null;
    if (this.watched.items.length === 0) return;
    const nowMs = this.clock.monotonicMs();
    for (const ask of [...this.watched.items]) ask.look(nowMs);
    this.cancelWatch = this.clock.after(ACTOR_SILENCE_MS / 2, () => this.look());
  }

  private async send(
    address: ActorAddress,
    envelope: AskEnvelope,
    options: AskOptions,
  ): Promise<unknown> {
    if (address.isKeyed !== true) return this.sendOnce(address, envelope, options);
    const isIdempotent = options.messageId !== undefined;
    const { signal, giveUp } = options;
    return new KeyedAsk(this, { address, envelope, isIdempotent, signal, giveUp }).run();
  }

  private async sendUnlessCancelled(
    address: ActorAddress,
    envelope: AskEnvelope,
    options: AskOptions & { readonly signal: AbortSignalLike },
  ): Promise<unknown> {
    const { signal } = options;
    const { id } = envelope;
    if (signal.aborted) throw signal.reason ?? new CancelledError(`request ${id} was cancelled`);
    const subject = subjects.actor(address.type, address.key);
    const onAbort = (): void => this.publishIfOpen(subject, { kind: "cancel", id });
    signal.addEventListener("abort", onAbort);
    try {
      // The answer to a cancel is awaited too: it tells what the cancelled work cost.
      return await this.send(address, envelope, options);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  private async sendOnce(address: ActorAddress, envelope: AskEnvelope, { giveUp }: AskOptions) {
    const reply = await call<{ value?: unknown }>(
      this.messaging,
      { subject: subjects.actor(address.type, address.key), value: envelope },
      {
        timeoutMs: envelope.remainingMs + REPLY_SLACK_MS,
        ...(giveUp === undefined ? {} : { signal: giveUp }),
      },
    );
    return reply.value;
  }

  private async *streamOnce(
    address: ActorAddress,
    message: unknown,
    options: AskOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    const id = options.messageId ?? this.nextId();
    const subject = subjects.actor(address.type, address.key);
    const envelope: Envelope = {
      kind: "stream",
      id,
      remainingMs: options.deadlineMs,
      credit: STREAM_CREDIT,
      ...(options.priority === undefined ? {} : { priority: options.priority }),
      payload: message,
    };
    const items = this.messaging.requestStream(subject, encode(envelope, "msgpack"), {
      idleTimeoutMs: options.deadlineMs + REPLY_SLACK_MS,
      headers: contentHeaders("msgpack"),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let isComplete = false;
    let sinceCreditCount = 0;
    try {
      for await (const item of items) {
        const answer = decode(item.data, item.headers).value as WireAnswer;
        if (answer.error !== undefined) isComplete = true;
        yield valueOf(answer);
        sinceCreditCount += 1;
        if (sinceCreditCount >= STREAM_CREDIT / 2) {
          this.publishIfOpen(subject, { kind: "credit", id, credit: sinceCreditCount });
          sinceCreditCount = 0;
        }
      }
      isComplete = true;
    } catch (error) {
      if (isRuntimeError(error) && error.code === "NO_RESPONDERS") isComplete = true;
      throw error;
    } finally {
      if (!isComplete) this.publishIfOpen(subject, { kind: "cancel", id });
    }
  }

  private wakeOnce(address: ActorAddress, remainingMs: number): Promise<ActorActivated> {
    const key = addressText(address);
    const found = this.waking.get(key);
    if (found !== undefined) return found;
    const { type, key: actorKey } = address;
    const timeoutMs = Math.max(1, Math.min(TRY_TIMEOUT_MS, remainingMs));
    const result = call(
      this.messaging,
      {
        subject: subjects.actorActivate,
        value: { type, key: actorKey, remainingMs: timeoutMs },
        schema: actorActivatedSchema,
      },
      { timeoutMs },
    ).finally(() => this.waking.delete(key));
    this.waking.set(key, result);
    this.log.debug({ event: "actor.woken", actor: key }, "actor is being activated");
    return result;
  }

  private tellEnvelope(message: unknown, options: TellOptions) {
    return {
      kind: "tell",
      id: options.messageId ?? this.nextId(),
      ...(options.priority === undefined ? {} : { priority: options.priority }),
      isNamed: true, // it is repeated when the answer to it does not come
      payload: message,
    } as const satisfies Envelope;
  }

  private publish(subject: string, envelope: Envelope): void {
    this.messaging.publish(subject, encode(envelope, "msgpack"), {
      headers: contentHeaders("msgpack"),
    });
  }

  /** For what only saves work: over a closed bus it is not worth an error. */
  private publishIfOpen(subject: string, envelope: Envelope): void {
    try {
      this.publish(subject, envelope);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== "UNAVAILABLE") throw error;
    }
  }

  private nextId(): string {
    return `${this.idPrefix}-${(this.idCount += 1)}`;
  }
}

export type AskEnvelope = Extract<Envelope, { kind: "ask" }>;
