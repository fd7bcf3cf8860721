/**
 * One ask to a keyed actor, from sending to its answer.
 *
 * Owns:      when it is sent again, and when it is given up as lost (C2, C3 of actor-client.ts).
 *
 * An answer that does not come says nothing: the actor may work on it, hang, or be gone together
 * with its process. So after a silence the sender asks the actor's subject whether this ask is
 * known there. A process that hangs answers neither; then the directory is asked to activate the
 * actor, which it does elsewhere as soon as the lease of the one that hangs has run out.
 */
import { call, type Messaging } from "@murakkab/bus";
import type { AbortSignalLike, Clock } from "@murakkab/kit";
import { CancelledError, isRuntimeError, UnavailableError } from "@murakkab/kit";
import type { ActorActivated, Envelope } from "@murakkab/protocol";
import { ACTOR_SILENCE_MS, subjects } from "@murakkab/protocol";
import type { ActorAddress } from "./actor.ts";
import { addressText } from "./actor.ts";
import { isNotHandled } from "./actor-errors.ts";
import type { Slotted } from "./slot-list.ts";

/** An actor that runs answers a probe within this, ms: probes do not wait in the mailbox. */
const PROBE_TIMEOUT_MS = 1_000;
/** Beyond the message's own deadline, so that the receiver's answer to it still arrives, ms. */
export const REPLY_SLACK_MS = 250;

/** What it needs of the client. */
export interface KeyedAskClient {
  readonly messaging: Messaging;
  readonly clock: Clock;
  watch(ask: KeyedAsk): void;
  unwatch(ask: KeyedAsk): void;
  wake(address: ActorAddress, remainingMs: number): Promise<ActorActivated>;
  beforeRepeat(
    address: ActorAddress,
    error: unknown,
    at: { readonly tries: number; readonly remainingMs: number },
  ): Promise<void>;
}

export interface KeyedAskSettings {
  readonly address: ActorAddress;
  readonly envelope: Extract<Envelope, { kind: "ask" }>;
  readonly isIdempotent: boolean;
  /** The receiver is told of it by the client; here it ends the repeats. */
  readonly signal: AbortSignalLike | undefined;
  readonly giveUp: AbortSignalLike | undefined;
}

export class KeyedAsk implements Slotted {
  slot = -1;
  private readonly client: KeyedAskClient;
  private readonly settings: KeyedAskSettings;
  private readonly subject: string;
  private readonly endsAtMs: number;
  private resolve: (value: unknown) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;
  private isDone = false;
  /** It is being sent again, or looked after: other failures of older sends do not matter. */
  private isBusy = false;
  private sendCount = 0;
  private quietSinceMs = 0;

  constructor(client: KeyedAskClient, settings: KeyedAskSettings) {
    this.client = client;
    this.settings = settings;
    const { type, key } = settings.address;
    this.subject = subjects.actor(type, key);
    this.endsAtMs = client.clock.monotonicMs() + settings.envelope.remainingMs;
  }

  run(): Promise<unknown> {
    this.client.watch(this);
    const promise = new Promise<unknown>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.send();
    return promise;
  }

  /** From time to time. */
  look(nowMs: number): void {
    if (this.isBusy || this.isDone || nowMs - this.quietSinceMs < ACTOR_SILENCE_MS) return;
    if (this.remainingMs <= PROBE_TIMEOUT_MS) return; // the answer or the end is near
    this.isBusy = true;
    this.quietSinceMs = nowMs;
    void this.probe();
  }

  private send(): void {
    const { envelope, giveUp } = this.settings;
    this.sendCount += 1;
    this.quietSinceMs = this.client.clock.monotonicMs();
    const remainingMs = this.sendCount === 1 ? envelope.remainingMs : this.remainingMs;
    const value = this.sendCount === 1 ? envelope : { ...envelope, remainingMs };
    call<{ value?: unknown }>(
      this.client.messaging,
      { subject: this.subject, value },
      {
        timeoutMs: remainingMs + REPLY_SLACK_MS,
        ...(giveUp === undefined ? {} : { signal: giveUp }),
      },
    ).then(
      (reply) => {
        if (this.end()) this.resolve(reply.value);
      },
      (error: unknown) => this.onError(error),
    );
  }

  private onError(error: unknown): void {
    if (this.isDone || this.isBusy) return;
    if (!this.mayRepeat(error)) {
      this.fail(error);
      return;
    }
    if (this.isUnwanted) {
      this.fail(this.cancelledError(error));
      return;
    }
    this.isBusy = true;
    void this.sendAgain(error);
  }

  private mayRepeat(error: unknown): boolean {
    if (!isRuntimeError(error)) return false;
    if (error.code === "NO_RESPONDERS" || isNotHandled(error)) return true;
    return this.settings.isIdempotent && error.code === "UNAVAILABLE";
  }

  private async sendAgain(error: unknown): Promise<void> {
    const remainingMs = this.remainingMs;
    try {
      await this.client.beforeRepeat(this.settings.address, error, {
        tries: this.sendCount,
        remainingMs,
      });
    } catch (reason) {
      this.fail(reason);
      return;
    }
    this.isBusy = false;
    if (this.isDone) return;
    if (this.isUnwanted) this.fail(this.cancelledError(error));
    else this.send();
  }

  private get remainingMs(): number {
    return Math.max(0, this.endsAtMs - this.client.clock.monotonicMs());
  }

  private get isUnwanted(): boolean {
    const { signal, giveUp } = this.settings;
    return signal?.aborted === true || giveUp?.aborted === true;
  }

  private cancelledError(cause: unknown): CancelledError {
    const { id } = this.settings.envelope;
    return new CancelledError(`request ${id} was cancelled before an actor took it`, { cause });
  }

  private async probe(): Promise<void> {
    const state = await this.askWhetherKnown();
    if (state === "hangs") await this.wakeElsewhere();
    this.isBusy = false;
    if (this.isDone || state === "known" || state === "hangs") return;
    if (this.settings.isIdempotent) {
      this.send();
      return;
    }
    this.fail(
      new UnavailableError(
        `actor ${addressText(this.settings.address)} was lost with the request, which may have run`,
      ),
    );
  }

  private async askWhetherKnown(): Promise<"known" | "lost" | "hangs"> {
    const { messaging } = this.client;
    const value: Envelope = { kind: "probe", id: this.settings.envelope.id };
    try {
      const reply = await call<{ value?: unknown }>(
        messaging,
        { subject: this.subject, value },
        { timeoutMs: PROBE_TIMEOUT_MS },
      );
      return reply.value === false ? "lost" : "known";
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      if (error.code === "NO_RESPONDERS") return "lost";
      return error.code === "TIMEOUT" ? "hangs" : "known"; // an older version knows no probes
    }
  }

  private async wakeElsewhere(): Promise<void> {
    try {
      await this.client.wake(this.settings.address, PROBE_TIMEOUT_MS);
    } catch (error) {
      if (!isRuntimeError(error)) throw error; // not yet: the next look tries again
    }
  }

  private fail(error: unknown): void {
    if (this.end()) this.reject(error);
  }

  /** True for the first one only. */
  private end(): boolean {
    if (this.isDone) return false;
    this.isDone = true;
    this.client.unwatch(this);
    return true;
  }
}
