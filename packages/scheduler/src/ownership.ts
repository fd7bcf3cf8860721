/**
 * Which scheduler owns which partition.
 *
 * Owns:      the members' beats and probes, the share of each, taking and handing over.
 * Does not:  know jobs: whoever uses it is told what was taken and what is gone.
 *
 * Two members may believe for a while that they own the same partition. That is harmless: only
 * one of them can write to its journal, and the other learns it from its first write.
 *
 * Invariants:
 *   W1. A partition is used only between `onTaken` and `onDropped`.
 *   W2. A partition is taken under a generation that is above all that its journal shows.
 *   W3. A member whose process has ended is known by its private subject, not by silence.
 *   W5. After a pause of its own, or without the bus, a member answers for nothing before it has
 *       heard the others: they may have taken what it had.
 *   W4. A live owner is asked to hand over; its journal is complete before another one reads it.
 */
import {
  type Bus,
  call,
  type KeyValue,
  type Log,
  publishValue,
  type Subscription,
  serve,
} from "@murakkab/bus";
import {
  backoffMs,
  type Cancel,
  type Clock,
  delay,
  every,
  hashText64,
  isRuntimeError,
  type Logger,
  type Random,
  toWireError,
  UnavailableError,
} from "@murakkab/kit";
import {
  contentHeaders,
  decode,
  encode,
  handOverReplySchema,
  handOverSchema,
  SCHEDULER_BEAT_MS,
  SCHEDULER_LOST_AFTER_MS,
  type SchedulerBeat,
  schedulerBeatSchema,
  subjects,
  validate,
} from "@murakkab/protocol";
import { z } from "zod";
import { type FoldedPartition, foldPartition } from "./journal/fold-partition.ts";
import type { JobIndex } from "./journal/job-index.ts";
import { OwnedPartition } from "./journal/owned-partition.ts";
import { PartitionJournal } from "./journal/partition-journal.ts";

export interface OwnershipComponents {
  readonly bus: Bus;
  readonly journal: Log;
  readonly index: JobIndex;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface OwnershipSettings {
  readonly scheduler: string;
  readonly version: string;
  readonly config: string;
  readonly partitionCount: number;
  /** Generation of this process's leadership; 0 = it does not lead. */
  readonly leads: () => number;
  /** The partition is readable and fenced as soon as its first batch is stored. */
  readonly onTaken: (owned: OwnedPartition, folded: FoldedPartition) => Promise<void>;
  /** Somebody else owns it, or will: nothing may be done for it any more. */
  readonly onDropped: (owned: OwnedPartition) => void;
  /** Waits until what was begun for the partition is in its journal. */
  readonly onMembersChanged: () => void;
}

export interface Member {
  readonly scheduler: string;
  beat: SchedulerBeat;
  owned: ReadonlySet<number>;
  heardAtMs: number;
  isProbing: boolean;
}

/** Partitions read one by one; more are read in one go over the whole stream. */
const READ_SINGLY_MAX = 8;
/** A probe that is not answered says nothing: the process may be busy. ms. */
const PROBE_TIMEOUT_MS = 1_000;
/** Longest time for finishing what is in flight and reading on, ms. */
const HAND_OVER_TIMEOUT_MS = 3_000;
/** How long members that are there have to answer a new one, ms. */
const HELLO_WAIT_MS = 250;
/** How long a member that leaves waits for the others to take its partitions, ms. */
const LEAVE_WAIT_MS = 2_500;
const TAKE_BACKOFF = { baseMs: 50, maxMs: 1_000 };
const MARK_INTERVAL_MS = 1_000;
/** After the bus came back "nobody is there" may mean "not yet", ms. */
const REJOIN_MS = 3_000;
const GENERATION_KEY = "partitions";

export class Ownership {
  private readonly parts: OwnershipComponents;
  private readonly settings: OwnershipSettings;
  private readonly members = new Map<string, Member>();
  private readonly owned = new Map<number, OwnedPartition>();
  private readonly subscriptions: Subscription[] = [];
  private readonly timers: Cancel[] = [];
  private generations!: KeyValue;
  private generation = 0;
  private settledSequence = 0;
  /** Of the journal that sequences are of. */
  private incarnation = "";
  private isChecking = false;
  private isReconciling = false;
  private isWantedAgain = false;
  private failureCount = 0;
  private isLeaving = false;
  private isStopped = false;
  private isConnected = true;
  /** W5. */
  private isSuspect = false;
  private connectedAtMs = Number.NEGATIVE_INFINITY;
  private lastTickMs = 0;
  private hotCount = 0;

  constructor(components: OwnershipComponents, settings: OwnershipSettings) {
    this.parts = components;
    this.settings = settings;
  }

  /** Resolves once this process owns its share. Errors: `UNSUPPORTED_VERSION`. */
  async start(): Promise<void> {
    const { bus, clock } = this.parts;
    this.generations = await bus.state.openKeyValue("MK_GENERATIONS", { onMissing: "recreate" });
    this.listen();
    await bus.messaging.flush();
    if (await this.isAnyoneThere()) {
      this.beat(true);
      await delay(clock, HELLO_WAIT_MS);
    }
    this.lastTickMs = clock.monotonicMs();
    this.timers.push(
      every(clock, SCHEDULER_BEAT_MS, () => this.onBeatTimer()),
      every(clock, MARK_INTERVAL_MS, () => void this.writeMarks()),
    );
    this.beat(false);
    await this.takeShare(true);
    this.beat(false);
  }

  private listen(): void {
    const { messaging } = this.parts.bus;
    const { scheduler } = this.settings;
    const onDefect = (error: unknown, subject: string): void =>
      this.parts.log.error({ event: "request.defect", subject, err: error }, "a request failed");
    this.subscriptions.push(
      messaging.onStatus((status) => this.onStatus(status === "connected")),
      messaging.subscribe(subjects.schedulerBeat, (message) => {
        try {
          const value = decode(message.data, message.headers).value;
          this.onBeat(validate(schedulerBeatSchema, value, "scheduler beat"));
        } catch (error) {
          this.parts.log.warn({ event: "beat.refused", err: error }, "beat refused");
        }
      }),
      serve(
        messaging,
        {
          subject: subjects.schedulerProbe(scheduler),
          schema: z.unknown(),
          what: "probe",
          onDefect,
        },
        () => ({ ok: true }),
      ),
      serve(
        messaging,
        {
          subject: subjects.schedulerHandOver(scheduler),
          schema: handOverSchema,
          what: "hand-over request",
          onDefect,
        },
        ({ to, partitions }) => this.handOver(to, partitions),
      ),
    );
  }

  private async isAnyoneThere(): Promise<boolean> {
    try {
      const request = { subject: subjects.schedulerPing, value: {} };
      await call(this.parts.bus.messaging, request, { timeoutMs: PROBE_TIMEOUT_MS });
      return true;
    } catch (error) {
      if (isRuntimeError(error) && error.code === "NO_RESPONDERS") return false;
      return true;
    }
  }

  // ---- what others ask -----------------------------------------------------------------------

  get(partition: number): OwnedPartition | undefined {
    if (this.isSuspect || this.isPaused(this.parts.clock.monotonicMs())) return undefined; // W5
    const owned = this.owned.get(partition);
    return owned?.isClosing === true ? undefined : owned;
  }

  get ownedCount(): number {
    return this.owned.size;
  }

  all(): readonly OwnedPartition[] {
    return [...this.owned.values()];
  }

  listMembers(): readonly Member[] {
    return [...this.members.values()];
  }

  /** The member that says that it owns the partition. */
  ownerOf(partition: number): string | null {
    for (const member of this.members.values()) {
      if (member.owned.has(partition)) return member.scheduler;
    }
    return null;
  }

  /**
   * A partition for a new job. A few are used at a time, so that their batches are shared, and
   * they change, so that all get their part.
   */
  hotPartition(): number | null {
    const count = this.owned.size;
    if (count === 0) return null;
    this.hotCount += 1;
    const window = Math.floor(this.hotCount / HOT_JOBS) * HOT_WIDTH;
    const list = [...this.owned.keys()];
    for (let tries = 0; tries < count; tries += 1) {
      const at = (window + (this.hotCount % HOT_WIDTH) + tries) % count;
      const partition = list[at];
      if (partition !== undefined && this.get(partition) !== undefined) return partition;
    }
    return null;
  }

  get lastSeenSequence(): number {
    return this.settledSequence;
  }

  /** A sequence of the stream that was seen: everything up to it is written. */
  sawSequence(sequence: number): void {
    this.settledSequence = Math.max(this.settledSequence, sequence);
  }

  // ---- members -------------------------------------------------------------------------------

  private onBeatTimer(): void {
    if (this.isStopped) return;
    const nowMs = this.parts.clock.monotonicMs();
    const wasPaused = this.isPaused(nowMs);
    this.lastTickMs = nowMs;
    if (!this.isConnected) return; // nobody is heard: that says nothing about them
    if (wasPaused) this.doubt("it was paused");
    this.beat(false);
    if (this.isSuspect) return;
    for (const member of this.members.values()) {
      if (nowMs - member.heardAtMs >= SCHEDULER_LOST_AFTER_MS) this.lose(member, "it is silent");
      else void this.probe(member);
    }
    void this.takeShare(false);
  }

  /** Our own timers did not run for so long that the others may think that we are lost. */
  private isPaused(nowMs: number): boolean {
    return nowMs - this.lastTickMs >= SCHEDULER_LOST_AFTER_MS - SCHEDULER_BEAT_MS;
  }

  private onStatus(isConnected: boolean): void {
    if (isConnected === this.isConnected) return;
    this.isConnected = isConnected;
    this.isSuspect = true;
    if (!isConnected) return;
    this.connectedAtMs = this.parts.clock.monotonicMs();
    this.doubt("the bus was away");
  }

  /** False while others may still be on their way back to the bus. */
  get mayTrustSilence(): boolean {
    return this.isConnected && this.parts.clock.monotonicMs() - this.connectedAtMs >= REJOIN_MS;
  }

  /** W5. */
  private doubt(reason: string): void {
    const { clock, log } = this.parts;
    log.warn({ event: "scheduler.in-doubt", reason }, "asking the others what they own now");
    this.isSuspect = true;
    for (const member of this.members.values()) member.heardAtMs = clock.monotonicMs();
    this.beat(true);
    this.timers.push(
      clock.after(HELLO_WAIT_MS, () => {
        if (!this.isConnected || this.isStopped) return;
        this.isSuspect = false;
        void this.takeShare(false);
      }),
    );
  }

  private beat(isHello: boolean): void {
    const { scheduler, version, config, partitionCount, leads } = this.settings;
    const beat: SchedulerBeat = {
      scheduler,
      version,
      config,
      generation: this.generation,
      owned: toHex(this.owned, partitionCount),
      leads: leads(),
      isLeaving: this.isLeaving,
      isHello,
    };
    try {
      publishValue(this.parts.bus.messaging, subjects.schedulerBeat, beat);
    } catch (error) {
      this.parts.log.debug({ event: "beat.not-sent", err: error }, "the bus is away");
    }
  }

  /** Something that the others should know at once has changed. */
  announce(): void {
    if (!this.isStopped) this.beat(false);
  }

  private onBeat(beat: SchedulerBeat): void {
    if (beat.scheduler === this.settings.scheduler || this.isStopped) return;
    if (beat.isHello) this.beat(false);
    const owned = fromHex(beat.owned);
    const known = this.members.get(beat.scheduler);
    const heardAtMs = this.parts.clock.monotonicMs();
    if (known === undefined) {
      const { scheduler } = beat;
      this.members.set(scheduler, { scheduler, beat, owned, heardAtMs, isProbing: false });
      this.parts.log.info({ event: "scheduler.joined", scheduler }, "another scheduler is there");
      this.checkConfig(beat);
      this.settings.onMembersChanged();
    } else {
      const wasLeaving = known.beat.isLeaving;
      Object.assign(known, { beat, owned, heardAtMs });
      if (beat.isLeaving !== wasLeaving) this.settings.onMembersChanged();
    }
    this.yieldTo(beat, owned);
    if (beat.isLeaving) void this.takeShare(false);
  }

  private checkConfig({ scheduler, config, version }: SchedulerBeat): void {
    if (config === this.settings.config) return;
    this.parts.log.warn(
      { event: "scheduler.config-differs", scheduler, version, config, own: this.settings.config },
      "two schedulers have different libraries: a job may be planned differently by each",
    );
  }

  /**
   * Both think that they own it. The journal decides: a beat's generation is the last one of its
   * sender, and not the one under which it took this partition.
   */
  private yieldTo(beat: SchedulerBeat, owned: ReadonlySet<number>): void {
    for (const partition of owned) {
      const mine = this.owned.get(partition);
      if (mine === undefined || mine.isClosing || mine.journal.generation >= beat.generation)
        continue;
      // Fenced: it is dropped by that.
      mine.journal.recheck().catch(() => undefined);
    }
  }

  /** W3. */
  private async probe(member: Member): Promise<void> {
    if (member.isProbing) return;
    member.isProbing = true;
    try {
      const request = { subject: subjects.schedulerProbe(member.scheduler), value: {} };
      await call(this.parts.bus.messaging, request, { timeoutMs: PROBE_TIMEOUT_MS });
    } catch (error) {
      const isGone = isRuntimeError(error) && error.code === "NO_RESPONDERS";
      if (isGone && this.mayTrustSilence) this.lose(member, "its process has ended");
    } finally {
      member.isProbing = false;
    }
  }

  /** Somebody who just tried says that nobody is there. */
  suspect(scheduler: string): void {
    const member = this.members.get(scheduler);
    if (member !== undefined) void this.probe(member);
  }

  private lose(member: Member, reason: string): void {
    if (this.members.get(member.scheduler) !== member) return;
    this.members.delete(member.scheduler);
    const { scheduler } = member;
    this.parts.log.warn({ event: "scheduler.lost", scheduler, reason }, "a scheduler is lost");
    this.settings.onMembersChanged();
    void this.takeShare(false);
  }

  // ---- shares --------------------------------------------------------------------------------

  private desired(): number[] {
    const { scheduler, partitionCount } = this.settings;
    if (this.isLeaving) return [];
    const live = [...this.members.values()]
      .filter((member) => !member.beat.isLeaving)
      .map((member) => member.scheduler);
    const candidates = [scheduler, ...live];
    const desired: number[] = [];
    for (let partition = 0; partition < partitionCount; partition += 1) {
      if (rendezvous(candidates, partition) === scheduler) desired.push(partition);
    }
    return desired;
  }

  private async takeShare(isStart: boolean): Promise<void> {
    if (this.isSuspect) return; // done again once the others were heard
    if (this.isReconciling) {
      this.isWantedAgain = true;
      return;
    }
    this.isReconciling = true;
    try {
      do {
        this.isWantedAgain = false;
        await this.takeMissing();
        this.failureCount = 0;
      } while (this.isWantedAgain && !this.isStopped);
    } catch (error) {
      // Trouble of the moment, such as a former owner that still writes, is no reason not to start.
      if (isStart && !(isRuntimeError(error) && error.isRetryable)) throw error;
      this.failureCount += 1;
      this.parts.log.warn({ event: "partitions.not-taken", err: error }, "partitions not taken");
      const pauseMs = backoffMs(this.failureCount, TAKE_BACKOFF, this.parts.random);
      this.timers.push(this.parts.clock.after(pauseMs, () => void this.takeShare(false)));
    } finally {
      this.isReconciling = false;
    }
  }

  private async takeMissing(): Promise<void> {
    const missing = this.desired().filter((partition) => !this.owned.has(partition));
    if (missing.length === 0 || this.isStopped) return;
    const free: number[] = [];
    const byOwner = new Map<string, number[]>();
    for (const partition of missing) {
      const owner = this.ownerOf(partition);
      if (owner === null) free.push(partition);
      else byOwner.set(owner, [...(byOwner.get(owner) ?? []), partition]);
    }
    const given = await Promise.all(
      [...byOwner].map(([owner, partitions]) => this.askFor(owner, partitions)),
    );
    const takable = [...free, ...given.flat()].sort((a, b) => a - b);
    if (takable.length > 0 && !this.isStopped) await this.take(takable);
  }

  /** W4. Those that the owner gave away; all of them when it turns out to be gone. */
  private async askFor(owner: string, partitions: readonly number[]): Promise<readonly number[]> {
    const { scheduler: to } = this.settings;
    try {
      const reply = await call(
        this.parts.bus.messaging,
        {
          subject: subjects.schedulerHandOver(owner),
          value: { to, partitions },
          schema: handOverReplySchema,
        },
        { timeoutMs: HAND_OVER_TIMEOUT_MS },
      );
      const member = this.members.get(owner);
      const given = new Set(reply.partitions);
      // Its next beat says the same; until then nobody should ask it for them.
      if (member !== undefined)
        member.owned = new Set([...member.owned].filter((it) => !given.has(it)));
      return reply.partitions;
    } catch (error) {
      if (isRuntimeError(error) && error.code === "NO_RESPONDERS" && this.mayTrustSilence) {
        const member = this.members.get(owner);
        if (member !== undefined) this.lose(member, "its process has ended");
        return partitions;
      }
      this.parts.log.info(
        { event: "hand-over.refused", owner, reason: toWireError(error).message },
        "not handed over yet",
      );
      return [];
    }
  }

  /** Asked by another member. */
  private async handOver(to: string, partitions: readonly number[]): Promise<unknown> {
    const given: number[] = [];
    await Promise.all(
      partitions.map(async (partition) => {
        const owned = this.owned.get(partition);
        if (owned === undefined) {
          if (this.ownerOf(partition) === null) given.push(partition);
          return;
        }
        owned.isClosing = true;
        await owned.journal.idle();
        this.drop(owned);
        given.push(partition);
      }),
    );
    this.parts.log.info(
      { event: "partitions.handed-over", to, count: given.length },
      "partitions handed over",
    );
    this.beat(false);
    return { partitions: given };
  }

  private drop(owned: OwnedPartition): void {
    if (this.owned.get(owned.partition) !== owned) return;
    this.owned.delete(owned.partition);
    owned.isClosing = true;
    this.settings.onDropped(owned);
    owned.journal.close();
  }

  /** W2. Errors: `UNSUPPORTED_VERSION`, `UNAVAILABLE`. */
  private async take(partitions: readonly number[]): Promise<void> {
    const startedAtMs = this.parts.clock.monotonicMs();
    const { journal, index } = this.parts;
    const { lastSequence: readUpTo, incarnation } = await journal.info();
    this.incarnation ||= incarnation;
    const marks = await index.readMarks(incarnation);
    const folded = await this.read(partitions, marks, readUpTo);
    const seen = Math.max(...[...folded.values()].map((it) => it.generation));
    const told = Math.max(0, ...[...this.members.values()].map((it) => it.beat.generation));
    const generation = await this.nextGeneration(Math.max(seen, told));
    this.generation = generation;
    this.sawSequence(readUpTo);
    let jobCount = 0;
    const opened = await Promise.allSettled(
      [...folded].map(([partition, found]) => {
        jobCount += found.jobs.size;
        return this.open(partition, found, { generation, readUpTo });
      }),
    );
    const failed = opened.find((it) => it.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    this.fence(partitions);
    this.beat(false);
    this.parts.log.info(
      {
        event: "partitions.taken",
        count: partitions.length,
        generation,
        jobCount,
        durationMs: Math.round(this.parts.clock.monotonicMs() - startedAtMs),
      },
      "partitions taken",
    );
  }

  /**
   * A former owner that was away, and not dead, could still accept a job behind what was read: its
   * write fails from here on, and what it wrote before makes ours fail, so that it is read.
   */
  private fence(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const owned = this.owned.get(partition);
      // Fenced itself: whoever was faster has it.
      owned?.journal.append([]).catch((error: unknown) => {
        this.parts.log.debug({ event: "partition.not-fenced", partition, err: error }, "not taken");
      });
    }
  }

  private async open(
    partition: number,
    found: FoldedPartition,
    { generation, readUpTo }: { readonly generation: number; readonly readUpTo: number },
  ): Promise<void> {
    const { index, journal: log, clock, random, log: logger, bus } = this.parts;
    const owned = new OwnedPartition(partition, {
      reindex: (job) =>
        void index
          .put(job)
          .catch((error: unknown) => logger.error({ event: "index.failed", err: error }, "lost")),
    });
    owned.journal = new PartitionJournal(
      { log, clock, random, logger },
      {
        partition,
        generation,
        owner: this.settings.scheduler,
        incarnation: random.uuid(),
        lastSequence: found.lastSequence === 0 ? null : found.lastSequence,
        readUpTo,
        payloadBytesMax: bus.messaging.maxPayloadBytes,
        onFenced: () => {
          logger.warn({ event: "partition.fenced", partition, generation }, "partition lost");
          this.drop(owned);
          void this.takeShare(false);
        },
        onStoreLost: (lastSequence) => {
          this.settledSequence = Math.min(this.settledSequence, lastSequence);
          void this.checkStore(true);
          return owned.rewrite(lastSequence);
        },
        onRewritten: (range) => owned.rewritten(range),
      },
    );
    this.owned.set(partition, owned);
    await this.settings.onTaken(owned, found);
  }

  private async read(
    partitions: readonly number[],
    marks: ReadonlyMap<number, number>,
    readUpTo: number,
  ): Promise<ReadonlyMap<number, FoldedPartition>> {
    const { journal } = this.parts;
    // A mark behind the end was written before the store lost its tail.
    const markOf = (partition: number): number => {
      const mark = marks.get(partition) ?? 1;
      return mark > readUpTo + 1 ? 1 : mark;
    };
    const folded = new Map<number, FoldedPartition>();
    if (readUpTo === 0) {
      for (const partition of partitions) folded.set(partition, foldPartition([]));
      return folded;
    }
    if (partitions.length <= READ_SINGLY_MAX) {
      for (const partition of partitions) {
        const fromSequence = markOf(partition);
        const entries = await journal.read(subjects.journal(partition), { fromSequence });
        folded.set(partition, foldPartition(entries));
      }
      return folded;
    }
    const fromSequence = Math.min(...partitions.map((partition) => markOf(partition)));
    const bySubject = new Map<string, Awaited<ReturnType<Log["read"]>>>();
    for (const entry of await journal.read(subjects.allJournals, { fromSequence })) {
      const entries = bySubject.get(entry.subject);
      if (entries === undefined) bySubject.set(entry.subject, [entry]);
      else entries.push(entry);
    }
    for (const partition of partitions) {
      const entries = bySubject.get(subjects.journal(partition)) ?? [];
      const mark = markOf(partition);
      folded.set(partition, foldPartition(entries.filter((it) => it.sequence >= mark)));
    }
    return folded;
  }

  /** W2: above what is stored and above what was seen, and nobody else's. */
  private async nextGeneration(seen: number): Promise<number> {
    for (;;) {
      const entry = await this.generations.get(GENERATION_KEY);
      const stored = entry === null ? 0 : Number(decodeNumber(entry.value));
      const next = Math.max(stored, seen, this.generation) + 1;
      const data = encode(next, "json");
      const outcome =
        entry === null
          ? await this.generations.create(GENERATION_KEY, data)
          : await this.generations.update(GENERATION_KEY, data, entry.revision);
      if (outcome.kind === "written") return next;
    }
  }

  /**
   * The journal is not the one that it was, or shorter: marks of any owner would point behind
   * what is written from now on, and quiet partitions have to write again what they know.
   */
  async checkStore(isLossKnown = false): Promise<void> {
    if (this.isChecking || this.isStopped) return;
    this.isChecking = true;
    const settledBefore = this.settledSequence; // it grows while the answer is on its way
    try {
      const { incarnation, lastSequence } = await this.parts.journal.info();
      const isOther = incarnation !== this.incarnation;
      if (!isLossKnown && !isOther && lastSequence >= settledBefore) return;
      this.parts.log.warn(
        { event: "journal.lost", incarnation, lastSequence, settled: settledBefore },
        "the store lost a part of the journal: it is written again",
      );
      await this.parts.index.clearMarks();
      this.incarnation = incarnation;
      this.settledSequence = Math.min(this.settledSequence, lastSequence);
      await Promise.allSettled([...this.owned.values()].map((owned) => owned.journal.recheck()));
    } catch (error) {
      this.parts.log.debug({ event: "journal.not-checked", err: error }, "journal not checked");
    } finally {
      this.isChecking = false;
    }
  }

  private async writeMarks(): Promise<void> {
    if (this.owned.size === 0 || this.isStopped) return;
    await this.checkStore();
    if (this.isChecking) return;
    const marks = new Map<number, number>();
    for (const owned of this.owned.values()) {
      marks.set(owned.partition, owned.mark(this.settledSequence));
    }
    try {
      await this.parts.index.writeMarks(this.settings.scheduler, this.incarnation, marks);
    } catch (error) {
      this.parts.log.debug({ event: "marks.not-written", err: error }, "marks not written");
    }
  }

  // ---- end -----------------------------------------------------------------------------------

  /** Hands everything over, as far as somebody takes it in time. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    this.beat(false);
    const { clock } = this.parts;
    const deadlineMs = clock.monotonicMs() + LEAVE_WAIT_MS;
    const hasTakers = (): boolean =>
      [...this.members.values()].some((member) => !member.beat.isLeaving);
    while (this.owned.size > 0 && hasTakers() && clock.monotonicMs() < deadlineMs) {
      await delay(clock, 20);
    }
    await Promise.race([
      Promise.all([...this.owned.values()].map((owned) => owned.journal.idle())),
      delay(clock, LEAVE_WAIT_MS),
    ]);
    await this.writeMarks();
  }

  stop(): void {
    if (this.isStopped) return;
    for (const cancel of this.timers.splice(0)) cancel();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    for (const owned of [...this.owned.values()]) this.drop(owned);
    this.isStopped = true;
  }
}

/** Partitions that take new jobs at a time, and jobs after which others do. */
const HOT_WIDTH = 4;
const HOT_JOBS = 256;

/** Highest random weight: a member's leaving moves only its own partitions. */
function rendezvous(candidates: readonly string[], partition: number): string {
  let best = "";
  let bestWeight = "";
  for (const candidate of candidates) {
    const weight = hashText64(`${candidate}/${partition}`);
    if (weight > bestWeight || (weight === bestWeight && candidate < best)) {
      best = candidate;
      bestWeight = weight;
    }
  }
  return best;
}

function toHex(owned: ReadonlyMap<number, unknown>, partitionCount: number): string {
  let hex = "";
  for (let base = 0; base < partitionCount; base += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4; bit += 1) if (owned.has(base + bit)) digit |= 1 << bit;
    hex += digit.toString(16);
  }
  return hex;
}

function fromHex(hex: string): ReadonlySet<number> {
  const owned = new Set<number>();
  for (const [index, digit] of [...hex].entries()) {
    const bits = Number.parseInt(digit, 16);
    for (let bit = 0; bit < 4; bit += 1) if ((bits & (1 << bit)) !== 0) owned.add(index * 4 + bit);
  }
  return owned;
}

function decodeNumber(data: Uint8Array): unknown {
  const value = decode(data, contentHeaders("json")).value;
  if (typeof value === "number") return value;
  throw new UnavailableError("the stored generation is no number");
}
