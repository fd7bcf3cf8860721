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
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import { call, publishValue } from "@murakkab/bus";
import type { Cancel, Clock, Logger, Random } from "@murakkab/kit";
import { backoffMs, delay, describeError, every, isRuntimeError } from "@murakkab/kit";
import type { NodeRegistration } from "@murakkab/model";
import { HEARTBEAT_INTERVAL_MS, nodeRegisterReplySchema, subjects } from "@murakkab/protocol";
import { REGISTER_BACKOFF, REGISTER_TIMEOUT_MS } from "./limits.ts";

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
  #wasDisconnected = false;

  constructor(components: RegistrationComponents, options: RegistrationOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Resolves once accepted. Errors: the scheduler's refusal. */
  async start(): Promise<void> {
    const { messaging, clock } = this.#components;
    this.#isUnderWay = true;
    try {
      await this.#register();
    } finally {
      this.#isUnderWay = false;
    }
    if (this.#isStopped) return;
    this.#subscriptions.push(
      messaging.subscribe(subjects.nodeReregister(this.#options.node), () => this.#again("asked")),
      messaging.onStatus((status) => {
        if (status !== "connected") this.#wasDisconnected = true;
        else if (this.#wasDisconnected) this.#again("bus reconnected");
      }),
    );
    this.#beat();
    this.#cancelBeats = every(clock, HEARTBEAT_INTERVAL_MS, () => this.#beat());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelBeats();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #again(why: string): void {
    if (this.#isStopped) return;
    this.#wasDisconnected = false;
    if (this.#isUnderWay) {
      this.#isWantedAgain = true;
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

  /** R2. */
  async #register(): Promise<void> {
    const { clock, random, messaging, log } = this.#components;
    for (let attempt = 1; !this.#isStopped; attempt += 1) {
      try {
        const value = this.#options.describe();
        const request = { subject: subjects.nodeRegister, value, schema: nodeRegisterReplySchema };
        const { programs } = await call(messaging, request, { timeoutMs: REGISTER_TIMEOUT_MS });
        // What was found only now is told at once: until then nobody can use it.
        if (await this.#options.learn(programs)) continue;
        log.info({ event: "node.registered", attempts: attempt }, "node registered");
        return;
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        const fields = { event: "node.register-failed", reason: describeError(error) };
        if (attempt === 1) log.info(fields, "no scheduler took the registration yet, retrying");
        else log.debug({ ...fields, attempts: attempt }, "still not registered");
        await delay(clock, backoffMs(attempt, REGISTER_BACKOFF, random));
      }
    }
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
