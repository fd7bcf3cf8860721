/**
 * Membership: registers with the scheduler, beats, registers again when it is asked to.
 *
 * Owns:      the registration's retries and the heartbeat.
 * Does not:  know what is offered (the caller builds the message each time) or judge refusals.
 *
 * Invariants:
 *   R1. At most one registration is under way; one that is asked for meanwhile follows it.
 *   R2. Only a terminal answer ends the retries. Silence, no listener or a lost bus never does.
 *   R3. Beats are sent only after the first accepted registration and until `stop`.
 *   R4. Being asked ends the wait of the registration under way: neither a pause nor an answer
 *       that a lost leader owes delays the one to its successor.
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import { call, publishValue } from "@murakkab/bus";
import type { Cancel, Clock, Logger, Random } from "@murakkab/kit";
import {
  AbortSource,
  backoffMs,
  CancelledError,
  delay,
  describeError,
  every,
  isRuntimeError,
  NoRespondersError,
} from "@murakkab/kit";
import type { NodeRegistration } from "@murakkab/model";
import { HEARTBEAT_INTERVAL_MS, nodeRegisterReplySchema, subjects } from "@murakkab/protocol";
import { LEADERLESS_BACKOFF, REGISTER_BACKOFF, REGISTER_TIMEOUT_MS } from "./limits.ts";

export interface RegistrationComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly messaging: Messaging;
  readonly log: Logger;
}

export interface RegistrationOptions {
  readonly node: string;
  readonly incarnation: string;
  readonly describe: () => NodeRegistration;
  /** Looks for programs that the library needs; true when the description has changed. */
  readonly learn: (programs: readonly string[]) => Promise<boolean>;
  /** Each accepted registration, with the leader's generation, before it counts as done. */
  readonly onAccepted: (generation: number) => Promise<void>;
  /** A later registration was refused: the node is no longer part of the fleet. */
  readonly onRefused: (error: unknown) => void;
}

export class Registration {
  readonly #components: RegistrationComponents;
  readonly #options: RegistrationOptions;
  readonly #subscriptions: Subscription[] = [];
  #cancelBeats: Cancel = () => undefined;
  #beatCount = 0;
  #isStopped = false;
  #isUnderWay = false;
  #isWantedAgain = false;
  /** Ends the wait of the registration under way (R4). */
  #hurry = new AbortSource();
  #wasDisconnected = false;

  constructor(components: RegistrationComponents, options: RegistrationOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Resolves once accepted. Errors: the scheduler's refusal. */
  async start(): Promise<void> {
    const { messaging, clock } = this.#components;
    this.#isUnderWay = true;
    this.#subscriptions.push(
      messaging.subscribe(subjects.nodeReregister(this.#options.node), () => this.#again("asked")),
      messaging.subscribe(subjects.fleetReport, () => this.#again("a leader is new")),
      messaging.onStatus((status) => {
        if (status !== "connected") this.#wasDisconnected = true;
        else if (this.#wasDisconnected) this.#again("bus reconnected");
      }),
    );
    try {
      await this.#register();
    } finally {
      this.#isUnderWay = false;
    }
    if (this.#isStopped) return;
    this.#beat();
    this.#cancelBeats = every(clock, HEARTBEAT_INTERVAL_MS, () => this.#beat());
  }

  stop(): void {
    this.#isStopped = true;
    this.#hurry.abort(new CancelledError("the agent stops"));
    this.#cancelBeats();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #again(why: string): void {
    if (this.#isStopped) return;
    this.#wasDisconnected = false;
    if (this.#isUnderWay) {
      this.#isWantedAgain = true;
      this.#hurry.abort(new CancelledError(why)); // R4
      return;
    }
    this.#isUnderWay = true;
    this.#components.log.info({ event: "node.reregistering", why }, "registering again");
    this.#register().then(
      () => this.#done(),
      (error: unknown) => {
        this.#isUnderWay = false;
        this.#options.onRefused(error);
      },
    );
  }

  #done(): void {
    this.#isUnderWay = false;
    if (!this.#isWantedAgain) return;
    this.#isWantedAgain = false;
    this.#again("asked while registering");
  }

  /** R2, R4. */
  async #register(): Promise<void> {
    const { clock, random, log } = this.#components;
    for (let attempt = 1; !this.#isStopped; attempt += 1) {
      if (this.#hurry.signal.aborted) {
        this.#hurry = new AbortSource();
        this.#isWantedAgain = false; // this round is what was asked for
      }
      const { signal } = this.#hurry;
      try {
        if (await this.#tell(signal)) continue;
        log.info({ event: "node.registered", attempts: attempt }, "node registered");
        return;
      } catch (error) {
        if (error instanceof CancelledError && signal.aborted) continue; // R4
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        const fields = { event: "node.register-failed", reason: describeError(error) };
        if (attempt === 1) log.info(fields, "no scheduler took the registration yet, retrying");
        else log.debug({ ...fields, attempts: attempt }, "still not registered");
        const isLeaderless = error instanceof NoRespondersError;
        const backoff = isLeaderless ? LEADERLESS_BACKOFF : REGISTER_BACKOFF;
        await delay(clock, backoffMs(attempt, backoff, random), signal).catch(() => undefined);
      }
    }
  }

  /** True when the description has changed meanwhile and is to be told again. */
  async #tell(signal: AbortSource["signal"]): Promise<boolean> {
    const value = this.#options.describe();
    const request = { subject: subjects.nodeRegister, value, schema: nodeRegisterReplySchema };
    const { programs, generation } = await call(this.#components.messaging, request, {
      timeoutMs: REGISTER_TIMEOUT_MS,
      signal,
    });
    await this.#options.onAccepted(generation);
    // What was found only now is told at once: until then nobody can use it.
    return this.#options.learn(programs);
  }

  #beat(): void {
    const { messaging, log } = this.#components;
    const { node, incarnation } = this.#options;
    this.#beatCount += 1;
    try {
      publishValue(messaging, subjects.nodeHeartbeat(node), {
        node,
        incarnation,
        seq: this.#beatCount,
      });
    } catch (error) {
      // The bus is away: the scheduler sees the silence, and a reconnect registers again.
      log.debug({ event: "node.beat-failed", reason: describeError(error) }, "heartbeat not sent");
    }
  }
}
