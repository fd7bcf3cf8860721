/**
 * The lease of the one scheduler that decides for the fleet.
 *
 * Owns:      taking, renewing and giving back the lease, and the leader's generation.
 * Does not:  decide anything: whoever uses it is told when it leads and when it does not.
 *
 * The lease decides only when to try. Commands carry the generation, and agents refuse those of
 * an older leader.
 *
 * Invariants:
 *   L1. The lease is valid until its length after the moment before its last write was sent.
 *   L2. A generation is used by one leader only, and is above all that agents have reported.
 *   L3. A lease whose holder's process has ended is taken at once, by compare-and-set.
 */
import { type Bus, call, type KeyValue } from "@murakkab/bus";
import {
  type Cancel,
  type Clock,
  every,
  isRuntimeError,
  type Logger,
  UnavailableError,
} from "@murakkab/kit";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";

export interface LeadershipComponents {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LeadershipSettings {
  readonly scheduler: string;
  /** About 1.5 s on a single server; above the election time of a cluster's streams, ms. */
  readonly leaseMs: number;
  readonly onGained: (generation: number) => void;
  readonly onLost: (reason: string) => void;
}

const LEASE_KEY = "leader";
const GENERATION_KEY = "leader";
/** Tries per lease length: two may fail before it runs out. */
const TRIES_PER_LEASE = 4;
/** Part of the lease that is not used, for clocks that run at different speeds. */
const SAFETY_SHARE = 0.1;
const PROBE_TIMEOUT_MS = 500;

export class Leadership {
  private readonly parts: LeadershipComponents;
  private readonly settings: LeadershipSettings;
  private leases!: KeyValue;
  private generations!: KeyValue;
  private currentGeneration = 0;
  private revision = 0;
  private validUntilMs = 0;
  private cancelTimer: Cancel = () => undefined;
  private isTrying = false;
  private isWantedAgain = false;
  private isStopped = false;

  constructor(components: LeadershipComponents, settings: LeadershipSettings) {
    this.parts = components;
    this.settings = settings;
  }

  /** Resolves after the first try. */
  async start(): Promise<void> {
    const { state } = this.parts.bus;
    const { leaseMs } = this.settings;
    const onMissing = "recreate"; // the lease is free then; agents know the last generation (L2)
    this.leases = await state.openKeyValue("MK_LEASES", { ttlMs: leaseMs, onMissing });
    this.generations = await state.openKeyValue("MK_GENERATIONS", { onMissing });
    await this.tryNow();
    this.cancelTimer = every(this.parts.clock, leaseMs / TRIES_PER_LEASE, () => void this.tryNow());
  }

  /** 0 = this process does not lead. */
  get generation(): number {
    if (this.currentGeneration === 0 || this.parts.clock.monotonicMs() < this.validUntilMs) {
      return this.currentGeneration;
    }
    return 0;
  }

  /** An agent has obeyed a higher generation than ours: ours goes above it (L2). */
  async raise(seen: number): Promise<void> {
    if (this.currentGeneration === 0 || seen <= this.currentGeneration) return;
    const next = await this.nextGeneration(seen);
    if (this.currentGeneration === 0) return;
    this.parts.log.warn(
      { event: "leader.generation-raised", from: this.currentGeneration, to: next, seen },
      "agents obeyed a later leader than the store remembers",
    );
    this.currentGeneration = Math.max(this.currentGeneration, next);
  }

  /** Also called when a member is lost: its lease may be free. */
  async tryNow(): Promise<void> {
    if (this.isTrying) {
      this.isWantedAgain = true;
      return;
    }
    this.isTrying = true;
    try {
      do {
        this.isWantedAgain = false;
        if (this.currentGeneration > 0) await this.renew();
        else await this.acquire();
      } while (this.isWantedAgain && !this.isStopped);
    } catch (error) {
      this.parts.log.debug({ event: "lease.failed", err: error }, "lease not reached");
    } finally {
      this.isTrying = false;
      this.checkValidity();
    }
  }

  private checkValidity(): void {
    if (this.currentGeneration === 0 || this.parts.clock.monotonicMs() < this.validUntilMs) return;
    this.lose("its lease ran out");
  }

  private async renew(): Promise<void> {
    if (this.isStopped) return;
    const sentAtMs = this.parts.clock.monotonicMs(); // L1
    const outcome = await this.leases.update(LEASE_KEY, this.value(), this.revision);
    if (outcome.kind === "conflict") {
      this.lose("another scheduler took the lease");
      return;
    }
    this.hold(outcome.revision, sentAtMs);
  }

  private async acquire(): Promise<void> {
    if (this.isStopped) return;
    const entry = await this.leases.get(LEASE_KEY);
    if (entry !== null && !(await this.isHolderGone(entry.value))) return;
    const sentAtMs = this.parts.clock.monotonicMs();
    const outcome =
      entry === null
        ? await this.leases.create(LEASE_KEY, this.value())
        : await this.leases.update(LEASE_KEY, this.value(), entry.revision); // L3
    if (outcome.kind === "conflict") return;
    this.hold(outcome.revision, sentAtMs);
    const generation = await this.nextGeneration(0);
    if (this.isStopped) return;
    this.currentGeneration = generation;
    this.parts.log.info({ event: "leader.gained", generation }, "this scheduler leads the fleet");
    this.settings.onGained(generation);
  }

  private hold(revision: number, sentAtMs: number): void {
    this.revision = revision;
    this.validUntilMs = sentAtMs + this.settings.leaseMs * (1 - SAFETY_SHARE);
  }

  private async isHolderGone(value: Uint8Array): Promise<boolean> {
    const holder = String(decode(value, contentHeaders("json")).value);
    if (holder === this.settings.scheduler) return true; // ours, from before a lost answer
    try {
      const request = { subject: subjects.schedulerProbe(holder), value: {} };
      await call(this.parts.bus.messaging, request, { timeoutMs: PROBE_TIMEOUT_MS });
      return false;
    } catch (error) {
      return isRuntimeError(error) && error.code === "NO_RESPONDERS";
    }
  }

  private value(): Uint8Array {
    return encode(this.settings.scheduler, "json");
  }

  /** L2. */
  private async nextGeneration(seen: number): Promise<number> {
    for (;;) {
      const entry = await this.generations.get(GENERATION_KEY);
      const stored = entry === null ? 0 : Number(decode(entry.value, contentHeaders("json")).value);
      if (Number.isNaN(stored)) throw new UnavailableError("the stored generation is no number");
      const next = Math.max(stored, seen) + 1;
      const data = encode(next, "json");
      const outcome =
        entry === null
          ? await this.generations.create(GENERATION_KEY, data)
          : await this.generations.update(GENERATION_KEY, data, entry.revision);
      if (outcome.kind === "written") return next;
    }
  }

  private lose(reason: string): void {
    this.currentGeneration = 0;
    this.parts.log.warn({ event: "leader.lost", reason }, "this scheduler no longer leads");
    this.settings.onLost(reason);
  }

  /** Gives the lease back, so that another one leads at once. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.cancelTimer();
    if (this.currentGeneration === 0) return;
    this.currentGeneration = 0;
    try {
      // Only the lease that was ours: another one may lead by now.
      await this.leases.delete(LEASE_KEY, { expectedRevision: this.revision });
    } catch (error) {
      this.parts.log.debug({ event: "lease.not-released", err: error }, "lease left to run out");
    }
  }
}
