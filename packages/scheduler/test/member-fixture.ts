/** Members of a cluster of schedulers, with ownership or leadership only, under virtual time. */
import { type Bus, type Log, MemoryBroker } from "@murakkab/bus";
import { type Clock, type Logger, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { subjects } from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import { JobIndex } from "../src/journal/job-index.ts";
import type { OwnedPartition } from "../src/journal/owned-partition.ts";
import { Leadership } from "../src/leadership.ts";
import { Ownership, type OwnershipSettings } from "../src/ownership.ts";

export const RETENTION_MS = 3_600_000;

/** A clock whose timers stand still while its process is paused; messages are still taken. */
export class PausableClock implements Clock {
  isPaused = false;
  private readonly clock: Clock;
  private readonly late: (() => void)[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  after(delayMs: number, fn: () => void): () => void {
    let isCancelled = false;
    const run = (): void => {
      if (isCancelled) return;
      if (this.isPaused) this.late.push(run);
      else fn();
    };
    const cancel = this.clock.after(delayMs, run);
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  resume(): void {
    this.isPaused = false;
    for (const run of this.late.splice(0)) run();
  }
}

export class Cluster {
  readonly clock = new VirtualClock();
  readonly broker: MemoryBroker;
  readonly seed: string;
  readonly members: TestMember[] = [];

  constructor(seed: string, latencyMsMax = 2) {
    this.seed = seed;
    const random = seededRandom(seed).stream("bus");
    this.broker = new MemoryBroker({ clock: this.clock, random }, { latencyMsMax });
  }

  async run<T>(work: () => Promise<T>, untilMs = this.clock.monotonicMs() + 600_000): Promise<T> {
    let isSettled = false;
    const done = work().finally(() => {
      isSettled = true;
    });
    done.catch(() => undefined);
    await this.clock.runUntil(() => isSettled, untilMs);
    return done;
  }

  pass(ms: number): Promise<void> {
    return this.run(() => new Promise((resolve) => this.clock.after(ms, resolve)));
  }

  async add(changes: MemberChanges = {}): Promise<TestMember> {
    const member = new TestMember(this, `s${this.members.length + 1}`, changes);
    this.members.push(member);
    await this.run(() => member.open());
    return member;
  }

  /** How often each partition is owned, over all members that are there. */
  owners(count: number): readonly (readonly string[])[] {
    const live = this.members.filter((member) => !member.isGone);
    return Array.from({ length: count }, (_, partition) =>
      live
        .filter((member) => member.ownership.get(partition) !== undefined)
        .map((member) => member.id),
    );
  }
}

export interface MemberChanges extends Partial<OwnershipSettings> {
  readonly log?: Logger;
  readonly wrapJournal?: (log: Log) => Log;
}

export class TestMember {
  readonly id: string;
  readonly bus: Bus;
  readonly clock: PausableClock;
  readonly told: string[] = [];
  readonly taken = new Map<number, OwnedPartition>();
  /** Jobs that were found when a partition was taken. */
  readonly foundJobs: string[] = [];
  ownership!: Ownership;
  isGone = false;
  private readonly cluster: Cluster;
  private readonly changes: MemberChanges;

  constructor(cluster: Cluster, id: string, changes: MemberChanges) {
    this.cluster = cluster;
    this.id = id;
    this.changes = changes;
    this.bus = cluster.broker.connect(id);
    this.clock = new PausableClock(cluster.clock);
  }

  async open(): Promise<void> {
    const { bus, clock, id, changes } = this;
    const random = seededRandom(this.cluster.seed).stream(id);
    const log = changes.log ?? SILENT_LOGGER;
    // What a whole scheduler serves: somebody is there.
    bus.messaging.subscribe(subjects.schedulerPing, (message) => {
      if (message.reply !== undefined) bus.messaging.publish(message.reply, "{}");
    });
    const opened = await bus.state.openLog("MK_JOURNAL", {
      subjects: [subjects.allJournals],
      maxAgeMs: RETENTION_MS,
      onMissing: "recreate",
    });
    const journal = changes.wrapJournal?.(opened) ?? opened;
    const index = await JobIndex.open(
      bus.state,
      { clock, random, logger: log },
      { retentionMs: RETENTION_MS },
    );
    this.ownership = new Ownership(
      { bus, journal, index, clock, random, log },
      {
        scheduler: id,
        version: "0",
        config: "same",
        partitionCount: 16,
        leads: () => 0,
        onTaken: async (owned, folded) => {
          this.told.push(`taken ${owned.partition}`);
          this.taken.set(owned.partition, owned);
          this.foundJobs.push(...folded.jobs.keys());
        },
        onDropped: (owned) => {
          this.told.push(`dropped ${owned.partition}`);
          this.taken.delete(owned.partition);
        },
        onMembersChanged: () => undefined,
        ...changes,
      },
    );
  }

  start(): Promise<void> {
    return this.cluster.run(() => this.ownership.start());
  }

  async kill(): Promise<void> {
    this.isGone = true;
    this.cluster.broker.cut(this.id);
    this.ownership.stop();
    await this.cluster.run(() => this.bus.close());
  }

  async leave(): Promise<void> {
    await this.cluster.run(() => this.ownership.leave());
    this.isGone = true;
    this.ownership.stop();
  }
}

export class Candidate {
  readonly id: string;
  readonly bus: Bus;
  readonly clock: PausableClock;
  readonly told: string[] = [];
  readonly leadership: Leadership;

  constructor(cluster: Cluster, id: string) {
    this.id = id;
    this.bus = cluster.broker.connect(id);
    this.clock = new PausableClock(cluster.clock);
    // What ownership serves in a whole scheduler: nobody there means that it has ended.
    this.bus.messaging.subscribe(subjects.schedulerProbe(id), (message) => {
      if (message.reply !== undefined) this.bus.messaging.publish(message.reply, "{}");
    });
    this.leadership = new Leadership(
      {
        bus: this.bus,
        clock: this.clock,
        random: seededRandom(`candidate-${id}`),
        log: SILENT_LOGGER,
      },
      {
        scheduler: id,
        leaseMs: 1_500,
        mayTrustSilence: () => true,
        onGained: (generation) => this.told.push(`gained ${generation}`),
        onLost: (reason) => this.told.push(`lost: ${reason}`),
      },
    );
  }
}
