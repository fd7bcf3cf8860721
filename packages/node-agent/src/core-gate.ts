/**
 * The last arbiter of a node's cores: attempts hold cores while they run and wait in line for them.
 *
 * Owns:      the sum of cores held, the line.
 * Does not:  know what an attempt does, or pin threads to cores.
 *
 * Invariants:
 *   C1. Nothing is granted that would bring the sum of cores held above the offer. Counted in whole
 *       thousandths of a core, rounded up, so that no sum of fractions drifts.
 *   C2. First come, first served: a small attempt does not overtake a large one, which would
 *       otherwise starve.
 *   C3. One attempt key holds at most once: a repeat joins the first.
 *   C4. When an instance ends, what it held is free and what it waited for is cancelled.
 *   C5. An adopted instance counts with all cores that it could use until it says what it holds:
 *       then with that, even where it is more than the offer. So no core is promised twice.
 */
import type { Cancel, Clock } from "@murakkab/kit";
import { assert, CancelledError, OverloadedError, RetryableError } from "@murakkab/kit";
import type { CoresAcquire, InstanceHello } from "@murakkab/protocol";
import { deferred } from "./deferred.ts";
import { CORES_WAITING_COUNT_MAX, FULL_RETRY_AFTER_MS } from "./limits.ts";

/** A space is in no instance's id, so that no attempt's name is like this. */
const ADOPTED_PREFIX = "all of ";

function adoptedKey(instance: string): string {
  return `${ADOPTED_PREFIX}${instance}`;
}

interface Holding {
  readonly instance: string;
  readonly milliCores: number;
}

interface Waiting extends Holding {
  readonly attempt: string;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimer: Cancel;
}

export class CoreGate {
  readonly #clock: Clock;
  readonly #offeredMilliCores: number;
  readonly #held = new Map<string, Holding>();
  /** In order of arrival. */
  readonly #waiting = new Map<string, Waiting>();
  #heldMilliCores = 0;

  constructor(clock: Clock, options: { readonly offeredCores: number }) {
    assert(options.offeredCores > 0, "C1: an offer has cores");
    this.#clock = clock;
    this.#offeredMilliCores = Math.floor(options.offeredCores * 1_000);
  }

  get heldCores(): number {
    return this.#heldMilliCores / 1_000;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves once the cores are held. Errors: `NODE_FULL` when the offer itself is smaller,
   * `CORES_BUSY` after `remainingMs` in line, `OVERLOADED` when the line is full.
   */
  acquire({ instance, attempt, cores, remainingMs }: CoresAcquire): Promise<void> {
    if (this.#held.has(attempt)) return Promise.resolve();
    const already = this.#waiting.get(attempt);
    if (already !== undefined) return already.promise;
    const milliCores = Math.ceil(cores * 1_000);
    if (milliCores > this.#offeredMilliCores) return Promise.reject(this.#tooLarge(cores));
    if (this.#waiting.size === 0 && this.#fits(milliCores)) {
      this.#grant(attempt, { instance, milliCores });
      return Promise.resolve();
    }
    if (this.#waiting.size >= CORES_WAITING_COUNT_MAX) {
      return Promise.reject(
        new OverloadedError(
          `${this.#waiting.size} attempts wait for cores, expected at most ${CORES_WAITING_COUNT_MAX}`,
          { retryAfterMs: FULL_RETRY_AFTER_MS },
        ),
      );
    }
    return this.#enqueue({ instance, milliCores, attempt, remainingMs });
  }

  /** C5. */
  adopt(instance: string, coresMax: number): void {
    const key = adoptedKey(instance);
    if (coresMax === 0 || this.#held.has(key)) return;
    this.#hold(key, { instance, milliCores: Math.ceil(coresMax * 1_000) });
  }

  /** C5. What an instance says of itself later changes nothing: grants and releases tell it. */
  introduce(instance: string, holds: InstanceHello["holds"]): void {
    const assumed = this.#held.get(adoptedKey(instance));
    if (assumed === undefined) return;
    this.#unhold(adoptedKey(instance), assumed);
    for (const { attempt, cores } of holds) {
      if (this.#held.has(attempt)) continue;
      this.#hold(attempt, { instance, milliCores: Math.ceil(cores * 1_000) });
    }
    this.#admit();
  }

  /** Adopted instances that have not said what they hold. */
  get strangerCount(): number {
    return [...this.#held.keys()].filter((key) => key.startsWith(ADOPTED_PREFIX)).length;
  }

  /** Releasing what is not held is harmless; what still waits leaves the line. */
  release(attempt: string): void {
    const waiting = this.#waiting.get(attempt);
    if (waiting !== undefined) this.#cancelWaiting(waiting, "was released while it waited");
    const holding = this.#held.get(attempt);
    if (holding !== undefined) this.#unhold(attempt, holding);
    this.#admit();
  }

  /** C4. */
  releaseInstance(instance: string): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.instance === instance) this.#cancelWaiting(waiting, "lost its instance");
    }
    for (const [attempt, holding] of [...this.#held]) {
      if (holding.instance === instance) this.#unhold(attempt, holding);
    }
    this.#admit();
  }

  #fits(milliCores: number): boolean {
    return this.#heldMilliCores + milliCores <= this.#offeredMilliCores;
  }

  #grant(attempt: string, holding: Holding): void {
    this.#hold(attempt, holding);
    assert(this.#heldMilliCores <= this.#offeredMilliCores, "C1: more cores held than offered");
  }

  #hold(attempt: string, holding: Holding): void {
    assert(!this.#held.has(attempt), "C3: an attempt holds once");
    this.#held.set(attempt, holding);
    this.#heldMilliCores += holding.milliCores;
  }

  #unhold(attempt: string, holding: Holding): void {
    this.#held.delete(attempt);
    this.#heldMilliCores -= holding.milliCores;
    assert(this.#heldMilliCores >= 0, "C1: fewer than no cores held");
  }

  #enqueue(
    options: Holding & { readonly attempt: string; readonly remainingMs: number },
  ): Promise<void> {
    const { instance, milliCores, attempt, remainingMs } = options;
    const { promise, resolve, reject } = deferred<void>();
    const cancelTimer = this.#clock.after(remainingMs, () => {
      this.#waiting.delete(attempt);
      reject(this.#busy(milliCores, remainingMs));
      this.#admit();
    });
    this.#waiting.set(attempt, {
      instance,
      milliCores,
      attempt,
      promise,
      resolve,
      reject,
      cancelTimer,
    });
    return promise;
  }

  #cancelWaiting(waiting: Waiting, why: string): void {
    this.#waiting.delete(waiting.attempt);
    waiting.cancelTimer();
    waiting.reject(new CancelledError(`attempt ${waiting.attempt} ${why}`));
  }

  /** C2: stops at the first that does not fit. */
  #admit(): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (!this.#fits(waiting.milliCores)) return;
      this.#waiting.delete(waiting.attempt);
      waiting.cancelTimer();
      this.#grant(waiting.attempt, waiting);
      waiting.resolve();
    }
  }

  #tooLarge(cores: number): RetryableError {
    const offered = this.#offeredMilliCores / 1_000;
    return new RetryableError(
      "NODE_FULL",
      `attempt needs ${cores} cores, expected at most the ${offered} that this node offers`,
      { context: { neededCores: cores, offeredCores: offered } },
    );
  }

  #busy(milliCores: number, waitedMs: number): RetryableError {
    const offered = this.#offeredMilliCores / 1_000;
    return new RetryableError(
      "CORES_BUSY",
      `${milliCores / 1_000} cores did not become free within ${Math.round(waitedMs)} ms: ` +
        `${this.heldCores} of ${offered} are held`,
      { context: { heldCores: this.heldCores, offeredCores: offered } },
    );
  }
}
