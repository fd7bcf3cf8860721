/**
 * Which scheduler decides for the fleet.
 *
 * Owns:      trying for the lease, and the leader's generation.
 * Does not:  decide anything: whoever uses it is told when it leads and when it does not.
 *
 * The lease decides only when to try. Commands carry the generation, and agents refuse those of
 * an older leader.
 *
 * Invariants:
 *   L1. This process leads only while it holds the lease, by its own monotonic clock.
 *   L2. A generation is used by one leader only, and is above all that agents have reported.
 *   L3. A lease whose holder's process has ended is taken at once, by compare-and-set.
 */
import { type Bus, call, type KeyValue, Lease } from "@murakkab/bus";
import {
  type Cancel,
  type Clock,
  every,
  isRuntimeError,
  type Logger,
  type Random,
  UnavailableError,
} from "@murakkab/kit";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";

export interface LeadershipComponents {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface LeadershipSettings {
  readonly scheduler: string;
  /** About 1.5 s on a single server; above the election time of a cluster's streams, ms. */
  readonly leaseMs: number;
  /** Whether "nobody is there" means that a process has ended. */
  readonly mayTrustSilence: () => boolean;
  readonly onGained: (generation: number) => void;
  readonly onLost: (reason: string) => void;
}

const LEASE_KEY = "leader";
const GENERATION_KEY = "leader";
/** Tries of a standby per lease length. */
const TRIES_PER_LEASE = 4;
const PROBE_TIMEOUT_MS = 500;

export class Leadership {
  private readonly parts: LeadershipComponents;
  private readonly settings: LeadershipSettings;
  private lease: Lease | null = null;
  private generations: KeyValue | null = null;
  private currentGeneration = 0;
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
    const { clock, random, bus } = this.parts;
    const { leaseMs, scheduler } = this.settings;
    const onMissing = "recreate"; // the lease is free then; agents know the last generation (L2)
    const keyValue = await bus.state.openKeyValue("MK_LEASES", { ttlMs: leaseMs, onMissing });
    this.generations = await bus.state.openKeyValue("MK_GENERATIONS", { onMissing });
    this.lease = new Lease(
      { keyValue, clock, random },
      { key: LEASE_KEY, holder: scheduler, ttlMs: leaseMs },
    );
    this.lease.onLost(() => this.lose("its lease ran out or was taken"));
    await this.tryNow();
    this.cancelTimer = every(clock, leaseMs / TRIES_PER_LEASE, () => void this.tryNow());
  }

  /** 0 = this process does not lead (L1). */
  get generation(): number {
    return this.lease?.isHeld() === true ? this.currentGeneration : 0;
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
        await this.tryOnce();
      } while (this.isWantedAgain && !this.isStopped);
    } catch (error) {
      this.parts.log.debug({ event: "lease.failed", err: error }, "lease not reached");
    } finally {
      this.isTrying = false;
    }
  }

  private async tryOnce(): Promise<void> {
    const { lease } = this;
    if (lease === null || this.isStopped || this.currentGeneration > 0) return;
    if (!lease.isHeld()) {
      let outcome = await lease.tryAcquire();
      if (
        outcome.kind === "taken" &&
        outcome.by !== null &&
        (await this.isGone(outcome.by.holder))
      ) {
        outcome = await lease.tryAcquire({ after: "no-responders" }); // L3
      }
      if (outcome.kind === "taken") return;
    }
    const generation = await this.nextGeneration(0);
    if (this.isStopped || !lease.isHeld()) return;
    this.currentGeneration = generation;
    this.parts.log.info({ event: "leader.gained", generation }, "this scheduler leads the fleet");
    this.settings.onGained(generation);
  }

  private async isGone(holder: string): Promise<boolean> {
    try {
      const request = { subject: subjects.schedulerProbe(holder), value: {} };
      await call(this.parts.bus.messaging, request, { timeoutMs: PROBE_TIMEOUT_MS });
      return false;
    } catch (error) {
      const isSilent = isRuntimeError(error) && error.code === "NO_RESPONDERS";
      return isSilent && this.settings.mayTrustSilence();
    }
  }

  /** L2. */
  private async nextGeneration(seen: number): Promise<number> {
    const { generations } = this;
    if (generations === null) throw new UnavailableError("the store is not open");
    for (;;) {
      const entry = await generations.get(GENERATION_KEY);
      const stored = entry === null ? 0 : Number(decode(entry.value, contentHeaders("json")).value);
      if (Number.isNaN(stored)) throw new UnavailableError("the stored generation is no number");
      const next = Math.max(stored, seen) + 1;
      const data = encode(next, "json");
      const outcome =
        entry === null
          ? await generations.create(GENERATION_KEY, data)
          : await generations.update(GENERATION_KEY, data, entry.revision);
      if (outcome.kind === "written") return next;
    }
  }

  private lose(reason: string): void {
    if (this.currentGeneration === 0) return;
    this.currentGeneration = 0;
    this.parts.log.warn({ event: "leader.lost", reason }, "this scheduler no longer leads");
    this.settings.onLost(reason);
  }

  /** Gives the lease back, so that another one leads at once. */
  async stop(): Promise<void> {
    this.halt();
    this.currentGeneration = 0;
    try {
      await this.lease?.release();
    } catch (error) {
      this.parts.log.debug({ event: "lease.not-released", err: error }, "lease left to run out");
    }
  }

  /** Tries no more. What is held is left to run out. */
  halt(): void {
    this.isStopped = true;
    this.cancelTimer();
  }
}
