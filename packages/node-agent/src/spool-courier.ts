/**
 * Delivers results whose askers were not there when they came about.
 *
 * Owns:      when a spooled result is offered, for how long, and what its answer means.
 * Does not:  write the spool (workers do), or know a job: whoever answers has taken it.
 *
 * Invariants:
 *   S1. A result is removed only when it was acknowledged, is too old, or cannot be read; the last
 *       two are named in the log.
 *   S2. Offered again and again it is one result: whoever takes it knows its key.
 *   S3. What a waiting result names stays in the store.
 *   S4. Ages are counted by this process's monotonic clock from when it first saw the file: the
 *       wall clock may jump by a day. A restart counts anew; the spool is bounded by size anyway.
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import type { Cancel, Clock, Logger, Random } from "@murakkab/kit";
import {
  backoffMs,
  describeError,
  isRuntimeError,
  NoRespondersError,
  TimeoutError,
  UnavailableError,
} from "@murakkab/kit";
import { artifactHash, collectArtifactRefs } from "@murakkab/model";
import type { AttemptResult } from "@murakkab/protocol";
import { okReplySchema, subjects } from "@murakkab/protocol";
import { SPOOL_AGE_MS_MAX, SPOOL_BACKOFF, SPOOL_DELIVER_MS, SPOOL_SCAN_MS } from "./limits.ts";
import type { SpoolFilesPort } from "./ports.ts";

export interface CourierComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly messaging: Messaging;
  readonly log: Logger;
  readonly files: SpoolFilesPort;
}

export interface CourierOptions {
  /** Keeps an artifact for a job (S3). */
  readonly hold: (jobId: string, hash: string) => void;
}

export class SpoolCourier {
  readonly #components: CourierComponents;
  readonly #options: CourierOptions;
  /** Name to when it was first seen, monotonic ms. */
  readonly #seen = new Map<string, number>();
  #subscription: Subscription | null = null;
  #cancel: Cancel = () => undefined;
  #isRunning = false;
  #isWantedAgain = false;
  #isStopped = false;
  #failures = 0;

  constructor(components: CourierComponents, options: CourierOptions) {
    this.#components = components;
    this.#options = options;
  }

  start(): void {
    this.#subscription = this.#components.messaging.onStatus((status) => {
      if (status === "connected") this.kick();
    });
    this.kick();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
    this.#subscription?.unsubscribe();
  }

  /** Somebody may be there now: no pause is waited out. */
  kick(): void {
    this.#failures = 0;
    if (this.#isRunning) this.#isWantedAgain = true;
    else void this.#round();
  }

  /** Never rejects. */
  async #round(): Promise<void> {
    const { clock, log, random } = this.#components;
    if (this.#isStopped) return;
    this.#cancel();
    this.#isRunning = true;
    this.#isWantedAgain = false;
    try {
      this.#failures = (await this.#deliverAll()) ? 0 : this.#failures + 1;
    } catch (error) {
      this.#failures += 1;
      log.warn({ event: "spool.failed", reason: describeError(error) }, "spool not read");
    }
    this.#isRunning = false;
    if (this.#isStopped) return;
    const pauseMs =
      this.#failures === 0 ? SPOOL_SCAN_MS : backoffMs(this.#failures, SPOOL_BACKOFF, random);
    this.#cancel = clock.after(this.#isWantedAgain ? 0 : pauseMs, () => void this.#round());
  }

  /** False when nobody was there to take them. */
  async #deliverAll(): Promise<boolean> {
    const names = await this.#components.files.list();
    const present = new Set(names);
    for (const name of this.#seen.keys()) if (!present.has(name)) this.#seen.delete(name);
    let isAnyoneThere = true;
    for (const name of names) {
      if (this.#isStopped) break;
      const result = await this.#read(name);
      if (result === null || (await this.#dropIfOld(name, result))) continue;
      this.#hold(result);
      if (isAnyoneThere) isAnyoneThere = await this.#deliver(name, result);
    }
    return isAnyoneThere;
  }

  async #read(name: string): Promise<AttemptResult | null> {
    const { files, log } = this.#components;
    try {
      return await files.read(name);
    } catch (error) {
      const quarantinedAt = await files.quarantine(name);
      const fields = { event: "spool.unreadable", quarantinedAt, reason: describeError(error) };
      log.error(fields, "a spooled result could not be read and was set aside"); // S1
      return null;
    }
  }

  /** S4. */
  async #dropIfOld(name: string, result: AttemptResult): Promise<boolean> {
    const { clock, files, log } = this.#components;
    const nowMs = clock.monotonicMs();
    const seenAtMs = this.#seen.get(name) ?? nowMs;
    this.#seen.set(name, seenAtMs);
    if (nowMs - seenAtMs < SPOOL_AGE_MS_MAX) return false;
    await files.remove(name);
    const { jobId, step, item, attempt } = result;
    const fields = { event: "attempt.result-dropped", jobId, step, item, attempt };
    log.warn(fields, "a result that nobody took for a day was dropped"); // S1
    return true;
  }

  /** S3. */
  #hold({ jobId, reply }: AttemptResult): void {
    if ("failure" in reply) return;
    for (const ref of collectArtifactRefs(reply.outputs)) {
      this.#options.hold(jobId, artifactHash(ref.artifact));
    }
  }

  async #deliver(name: string, result: AttemptResult): Promise<boolean> {
    const { messaging, files, log } = this.#components;
    const { jobId, step, item, attempt } = result;
    const fields = { jobId, step, item, attempt };
    try {
      const request = { subject: subjects.attemptResult, value: result, schema: okReplySchema };
      await call(messaging, request, { timeoutMs: SPOOL_DELIVER_MS });
    } catch (error) {
      const reason = describeError(error);
      log.debug({ event: "attempt.result-not-taken", ...fields, reason }, "result not taken yet");
      return !isNobody(error); // another one's owner may still take it
    }
    await files.remove(name);
    log.info(
      { event: "attempt.result-delivered", ...fields },
      "a result that waited was delivered",
    );
    return true;
  }
}

function isNobody(error: unknown): boolean {
  return (
    !isRuntimeError(error) ||
    error instanceof NoRespondersError ||
    error instanceof TimeoutError ||
    error instanceof UnavailableError
  );
}
