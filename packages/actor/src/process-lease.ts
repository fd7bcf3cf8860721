/**
 * The right of this process to act for keyed actors: one record, renewed for all of them together.
 *
 * Owns:      the entry in MK_ACTOR_HOSTS, when it is renewed, until when it may be relied upon.
 * Does not:  guard what is stored (state-fence.ts does): a lease only says when to stop answering.
 *
 * Invariants:
 *   P1. Held until the lease's length, less a margin, after the moment BEFORE the last successful
 *       renewal was sent: this process stops before the store forgets it.
 *   P2. Not held while the bus is away: who cannot be reached may already have been replaced.
 *   P3. Each time it is held again after it was not, `epoch` is greater: what was placed here must
 *       be confirmed before it acts.
 */
import type { KeyValue, Messaging, Subscription } from "@murakkab/bus";
import type { Cancel, Clock, Logger } from "@murakkab/kit";
import { isRuntimeError, UnavailableError } from "@murakkab/kit";

export const ACTOR_HOSTS_BUCKET = "MK_ACTOR_HOSTS";
/** Renewals per length of the lease: two may fail before it runs out. */
const RENEWALS_PER_LEASE = 3;
/** Part of the lease that is not used: two clocks never run alike. */
const MARGIN_RATIO = 0.1;
const NO_DATA = new Uint8Array([0xc0]); // msgpack's null

export interface ProcessLeaseComponents {
  readonly store: KeyValue;
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ProcessLeaseOptions {
  readonly hostId: string;
  readonly leaseMs: number;
  readonly onRegained: () => void;
}

export class ProcessLease {
  /** P3. */
  epoch = 0;
  private readonly components: ProcessLeaseComponents;
  private readonly options: ProcessLeaseOptions;
  private revision = 0;
  private untilMs = Number.NEGATIVE_INFINITY;
  private isRenewing = false;
  private isStopped = false;
  private cancelTimer: Cancel = () => undefined;
  private status: Subscription | null = null;

  constructor(components: ProcessLeaseComponents, options: ProcessLeaseOptions) {
    this.components = components;
    this.options = options;
  }

  /** Errors: `UNAVAILABLE`. */
  async start(): Promise<void> {
    const { messaging } = this.components;
    this.status = messaging.onStatus((now) => {
      if (now === "connected") void this.renew();
      else this.lapse(); // P2
    });
    await this.renew();
    if (!this.isHeld(this.components.clock.monotonicMs())) {
      this.end();
      throw new UnavailableError(`host ${this.options.hostId} got no lease`);
    }
  }

  isHeld(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  /** Gives the lease back: who is placed here may be placed elsewhere at once. */
  async stop(): Promise<void> {
    this.end();
    this.lapse();
    await this.components.store.delete(this.options.hostId);
  }

  private end(): void {
    this.isStopped = true;
    this.cancelTimer();
    this.status?.unsubscribe();
  }

  private lapse(): void {
    this.untilMs = Number.NEGATIVE_INFINITY;
  }

  private async renew(): Promise<void> {
    if (this.isRenewing || this.isStopped) return;
    this.isRenewing = true;
    this.cancelTimer();
    const { clock, log } = this.components;
    const sentAtMs = clock.monotonicMs(); // P1
    const wasHeld = this.isHeld(sentAtMs);
    try {
      const isContinued = await this.write();
      this.take(sentAtMs, wasHeld && isContinued);
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      if (wasHeld) log.warn({ event: "actor-host.renew-failed", err: error }, "lease not renewed");
    } finally {
      this.isRenewing = false;
      if (!this.isStopped) {
        const pauseMs = this.options.leaseMs / RENEWALS_PER_LEASE;
        this.cancelTimer = clock.after(pauseMs, () => void this.renew());
      }
    }
  }

  private take(sentAtMs: number, isContinued: boolean): void {
    if (this.isStopped) return;
    const nowMs = this.components.clock.monotonicMs();
    const untilMs = sentAtMs + this.options.leaseMs * (1 - MARGIN_RATIO);
    if (untilMs <= nowMs) return; // the answer took longer than the lease lasts
    // It may have run out, or the bus been away, while the renewal was under way.
    const isSame = isContinued && this.isHeld(nowMs);
    this.untilMs = untilMs;
    if (isSame) return;
    this.epoch += 1;
    this.options.onRegained();
  }

  /** False: the entry was gone, so that others may have been put in this process' place. */
  private async write(): Promise<boolean> {
    const { store } = this.components;
    const { hostId } = this.options;
    if (this.revision > 0) {
      const renewed = await store.update(hostId, NO_DATA, this.revision);
      if (renewed.kind === "written") {
        this.revision = renewed.revision;
        return true;
      }
    }
    this.lapse();
    this.revision = await store.put(hostId, NO_DATA);
    return false;
  }
}
