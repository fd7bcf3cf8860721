/**
 * A lease: one key of a bucket with an age limit says which of several processes may act.
 *
 * Owns:      taking, renewing and giving back; how long this process may believe that it holds.
 * Does not:  make two holders impossible where clocks stand still or run apart: a holder's writes
 *            must be fenced (by `revision`, or by the expected sequence of what it writes to). The
 *            lease decides who tries, the fence decides who succeeds.
 *
 * Invariants:
 *   L1. Validity counts on the own monotonic clock, from before the write was sent, and ends a
 *       margin before the store could drop the key. So of those who took a key that was free or
 *       had aged out, at most one holds at a time, whatever is delayed, lost or paused.
 *   L2. Only the takeover after "no responders" may overlap: when the old holder was not gone but
 *       cut off or paused, until it notices or its validity ends.
 *   L3. A write without an answer may have happened. The key tells which write of ours it holds,
 *       and validity counts from the sending of that one.
 *   L4. `revision` grows with each write, across holders, as long as the store keeps its history: the
 *       highest one is the newest. A holder that sees it fall loses the lease.
 *   L5. A lease that was lost is told once, and never comes back by itself: `tryAcquire` again.
 *
 * No watch is used: after the crash of a server, watches go blind without a word.
 */
import type { Cancel, Clock, Random } from "@murakkab/kit";
import { assert, isRuntimeError } from "@murakkab/kit";
import { contentHeaders, decode, encode } from "@murakkab/protocol";
import type { KeyValue, KeyValueEntry } from "./state.ts";

export interface LeaseComponents {
  /** Opened with a `ttlMs` of the lease's `ttlMs`: buckets have one age limit for all keys. */
  readonly keyValue: KeyValue;
  readonly clock: Clock;
  readonly random: Random;
}

export interface LeaseOptions {
  readonly key: string;
  /** Shown to those who find the lease taken: whom to ask whether it is there. */
  readonly holder: string;
  /** The bucket's age limit. Longer than the 7 s in which a cluster may take no writes: 15 000. */
  readonly ttlMs: number;
  /** Validity ends this long before the key could. Default a tenth of `ttlMs`. */
  readonly marginMs?: number;
}

export type LeaseOutcome =
  | { readonly kind: "held"; readonly revision: number }
  /** Someone else's, as of `revision`; null when it changed hands while we tried. */
  | { readonly kind: "taken"; readonly by: { holder: string; revision: number } | null };

export interface AcquireOptions {
  /**
   * The holder that the last `tryAcquire` told of does not answer, because nobody listens on its
   * subject: take the key although it has not aged out. Fails when the key changed since (L2).
   */
  readonly after?: "no-responders";
}

/** Renewals per `ttlMs`: two may be lost. */
const RENEWALS_PER_TTL = 3;
/** A renewal that failed is tried again after this part of `ttlMs`, with jitter. */
const RETRIES_PER_TTL = 15;
const MARGINS_PER_TTL = 10;
const NOT_HELD: LeaseOutcome = { kind: "taken", by: null };
const NOT_VALID = Number.NEGATIVE_INFINITY;

interface LeaseValue {
  readonly holder: string;
  /** Which Lease object wrote it, and which of its writes it is (L3). */
  readonly writer: string;
  readonly writeNumber: number;
}

export class Lease {
  private readonly keyValue: KeyValue;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly options: LeaseOptions;
  private readonly marginMs: number;
  private readonly writer: string;
  /** When each write was sent that could still count; oldest first. */
  private readonly sentAtMs = new Map<number, number>();
  private readonly lostListeners = new Set<() => void>();
  private writeCount = 0;
  /** Counts the ends: what was sent before one must not hold after it (L5). */
  private term = 0;
  private heldRevision = 0;
  private validUntilMs = NOT_VALID;
  private seenRevision = 0;
  private givenBackRevision = 0;
  private tail: Promise<unknown> = Promise.resolve();
  private cancelRenewal: Cancel = () => undefined;
  private cancelExpiry: Cancel = () => undefined;

  constructor(components: LeaseComponents, options: LeaseOptions) {
    this.keyValue = components.keyValue;
    this.clock = components.clock;
    this.random = components.random.stream("lease");
    this.options = options;
    this.marginMs = options.marginMs ?? options.ttlMs / MARGINS_PER_TTL;
    assert(this.marginMs >= 0 && this.marginMs < options.ttlMs / 2, "margin is below half the TTL");
    this.writer = this.random.uuid();
  }

  /** Ask right before each act that needs it; then fence the act all the same. */
  isHeld(): boolean {
    return this.clock.monotonicMs() < this.validUntilMs;
  }

  /** The fencing token while `isHeld`, else 0. */
  get revision(): number {
    return this.isHeld() ? this.heldRevision : 0;
  }

  /** Told once per loss, from a timer: with a paused process late. `isHeld` is never late. */
  onLost(listener: () => void): Cancel {
    this.lostListeners.add(listener);
    return () => {
      this.lostListeners.delete(listener);
    };
  }

  /** Errors: those of the bucket. After one it is not known whether the key was written (L3). */
  tryAcquire(options: AcquireOptions = {}): Promise<LeaseOutcome> {
    return this.inTurn(async () => {
      if (this.isHeld()) return { kind: "held", revision: this.heldRevision };
      const { term } = this;
      if (options.after === "no-responders" && this.seenRevision > 0) {
        return this.write(this.seenRevision, term);
      }
      const entry = await this.keyValue.get(this.options.key);
      return entry === null ? this.write(0, term) : this.settle(entry, term);
    });
  }

  /** Gives it back, so that others need not wait for its end. The store's absence is no error. */
  release(): Promise<void> {
    this.end(); // before anything is sent (L1)
    return this.inTurn(async () => {
      this.end(); // what was asked for before, and has only now been taken
      if (this.writeCount === 0) return;
      const { key } = this.options;
      try {
        const entry = await this.keyValue.get(key);
        if (entry === null || parseValue(entry.value).writer !== this.writer) return;
        this.givenBackRevision = entry.revision;
        await this.keyValue.delete(key, { expectedRevision: entry.revision });
      } catch (error) {
        if (!isRuntimeError(error)) throw error; // the key ages out
      }
    });
  }

  private async write(expectedRevision: number, term: number): Promise<LeaseOutcome> {
    const { holder, key } = this.options;
    const writeNumber = (this.writeCount += 1);
    const value: LeaseValue = { holder, writer: this.writer, writeNumber };
    const data = encode(value, "json");
    this.noteSent(writeNumber); // L1
    const outcome = await (expectedRevision === 0
      ? this.keyValue.create(key, data)
      : this.keyValue.update(key, data, expectedRevision));
    if (outcome.kind === "written") return this.hold({ ...outcome, writeNumber }, term);
    // Another's, or an earlier write of ours that was never answered.
    const entry = await this.keyValue.get(key);
    if (entry !== null) return this.settle(entry, term);
    this.seenRevision = 0;
    return NOT_HELD;
  }

  /** What the key holds: a write of ours, or someone else's. */
  private async settle(entry: KeyValueEntry, term: number): Promise<LeaseOutcome> {
    const { holder, writer, writeNumber } = parseValue(entry.value);
    if (writer !== this.writer) {
      this.seenRevision = entry.revision;
      return { kind: "taken", by: { holder, revision: entry.revision } };
    }
    // A delete of this revision may still be on its way (L3): only a newer one may be relied on.
    const isGivenBack = entry.revision <= this.givenBackRevision;
    const held = isGivenBack
      ? NOT_HELD
      : this.hold({ revision: entry.revision, writeNumber }, term);
    const isOver = held.kind === "taken" && term === this.term;
    // Over here while the key is still there: nobody else can hold it, so it is written anew.
    return isOver ? this.write(entry.revision, term) : held;
  }

  /** The key holds this write of ours. Held by it, unless that is over already or given up. */
  private hold(
    { revision, writeNumber }: { revision: number; writeNumber: number },
    term: number,
  ): LeaseOutcome {
    const { ttlMs } = this.options;
    const sentAtMs = this.sentAtMs.get(writeNumber) ?? NOT_VALID; // L3
    const validUntilMs = sentAtMs + ttlMs - this.marginMs;
    const nowMs = this.clock.monotonicMs();
    if (term !== this.term || validUntilMs <= nowMs) return NOT_HELD; // L5
    // A lower one: the store came back from an older copy. What is held is told as lost, and taken
    // again under the store's new count.
    if (revision < this.heldRevision) {
      this.lose();
      return NOT_HELD;
    }
    this.stopTimers();
    this.heldRevision = revision;
    this.validUntilMs = validUntilMs;
    this.cancelExpiry = this.clock.after(validUntilMs - nowMs, () => {
      this.lose();
    });
    this.renewAfter(sentAtMs + ttlMs / RENEWALS_PER_TTL - nowMs);
    return { kind: "held", revision };
  }

  /** Those that could not count any more are forgotten: the key then counts as over (settle). */
  private noteSent(writeNumber: number): void {
    const nowMs = this.clock.monotonicMs();
    for (const [number, sentAtMs] of this.sentAtMs) {
      if (sentAtMs + this.options.ttlMs <= nowMs) this.sentAtMs.delete(number);
    }
    this.sentAtMs.set(writeNumber, nowMs);
  }

  private renewAfter(delayMs: number): void {
    this.cancelRenewal = this.clock.after(Math.max(0, delayMs), () => {
      void this.renew();
    });
  }

  private async renew(): Promise<void> {
    try {
      await this.inTurn(async () => {
        if (!this.isHeld()) return;
        const { term } = this;
        const outcome = await this.write(this.heldRevision, term);
        if (outcome.kind === "taken" && term === this.term) this.lose();
      });
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      // Held until its time is over here; until then there may be an answer (L3).
      if (!this.isHeld()) return;
      const retryMs = this.options.ttlMs / RETRIES_PER_TTL;
      this.renewAfter(retryMs * (0.5 + this.random.next()));
    }
  }

  private lose(): void {
    if (this.heldRevision === 0) return; // L5
    this.end();
    for (const listener of [...this.lostListeners]) listener();
  }

  private end(): void {
    this.term += 1;
    this.validUntilMs = NOT_VALID;
    this.heldRevision = 0;
    this.stopTimers();
  }

  private stopTimers(): void {
    this.cancelRenewal();
    this.cancelExpiry();
  }

  /** One operation at a time, so that none decides on what another one is changing. */
  private inTurn<T>(operate: () => Promise<T>): Promise<T> {
    const done = this.tail.then(operate);
    this.tail = done.catch(() => undefined);
    return done;
  }
}

/** What is not readable is someone else's: it ages out like any other. */
function parseValue(data: Uint8Array): LeaseValue {
  try {
    const value = decode(data, contentHeaders("json")).value as Partial<LeaseValue> | null;
    return {
      holder: String(value?.holder ?? ""),
      writer: String(value?.writer ?? ""),
      writeNumber: Number(value?.writeNumber ?? 0),
    };
  } catch {
    return { holder: "", writer: "", writeNumber: 0 };
  }
}
