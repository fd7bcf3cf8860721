/**
 * The journal of one partition, in the hands of its owner: group commit under a fence.
 *
 * Owns:      batches, their order, their repetition, and what a conflict means.
 * Does not:  know jobs, or decide who owns a partition.
 *
 * Invariants:
 *   P1. One batch is in flight; entries are stored in the order in which they were appended.
 *   P2. `append` resolves only when its entries are stored. A time-out is repeated with the same
 *       message id and the same expectation, so nothing is stored twice.
 *   P3. After another owner's first batch nothing of this one is stored any more: every append
 *       that waits is rejected with FencedError, and so is every later one.
 *   P4. When the store has lost batches that it had acknowledged, nothing is appended before the
 *       owner has written again what it still knows (`onStoreLost`), under a new incarnation.
 */
import type { AppendOutcome, Log } from "@murakkab/bus";
import {
  backoffMs,
  type Clock,
  delay,
  isRuntimeError,
  type Logger,
  type Random,
  RetryableError,
  TerminalError,
} from "@murakkab/kit";
import {
  decodeBatch,
  encodeBatch,
  JOURNAL_VERSION,
  type JournalBatch,
  type JournalEntry,
  subjects,
} from "@murakkab/protocol";

/** Another scheduler owns the partition now. */
export class FencedError extends RetryableError {
  constructor(partition: number) {
    super("FENCED", `partition ${partition} is owned by another scheduler now`);
  }
}

/** One entry alone is over what a message may carry. */
export class EntryTooLargeError extends TerminalError {
  constructor(bytes: number, bytesMax: number) {
    super(
      "JOURNAL_ENTRY_TOO_LARGE",
      `a journal entry has ${bytes} bytes, expected fewer than the bus's limit of ${bytesMax}`,
    );
  }
}

export interface PartitionJournalComponents {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface PartitionJournalSettings {
  readonly partition: number;
  readonly owner: string;
  readonly generation: number;
  readonly incarnation: string;
  /** Last sequence of the subject when it was read; null = looked up at the first write. */
  readonly lastSequence: number | null;
  /** Sequence of the whole stream up to which the subject was read. */
  readonly readUpTo: number;
  /** Another owner was faster, or took over (P3). Called once. */
  readonly onFenced: () => void;
  /** Entries that make the store whole again; `lastSequence` is what it still has (P4). */
  readonly onStoreLost: (lastSequence: number) => readonly JournalEntry[];
  /** Those entries are stored, in batches from `first` to `last`. */
  readonly onRewritten: (range: { readonly first: number; readonly last: number }) => void;
  /** Largest message that the bus takes, bytes. */
  readonly payloadBytesMax: number;
}

/** Called once: with the sequence of the batch, or with why it was not stored. */
export interface Stored {
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: Error) => void;
}

interface Pending extends Stored {
  readonly entries: readonly JournalEntry[];
}

const REPEAT_BACKOFF = { baseMs: 20, maxMs: 500 };
/** Entries of one batch: with entries of some KB it stays below half of the usual payload limit. */
const BATCH_ENTRIES_MAX = 256;
/** Share of the bus's limit that a batch may fill; the rest is for headers. */
const PAYLOAD_SHARE_MAX = 0.9;
/** Conflicts in a row that nobody else's batch explains, before the partition is given up. */
const UNEXPLAINED_MAX = 5;

export class PartitionJournal {
  readonly generation: number;
  private readonly parts: PartitionJournalComponents;
  private readonly settings: PartitionJournalSettings;
  private readonly subject: string;
  private readonly pending: Pending[] = [];
  private incarnation: string;
  private storedSequence: number;
  private isLastKnown: boolean;
  private batchNumber = 0;
  private isOwnedWritten = false;
  private isFenced = false;
  private isFlushing = false;
  private isSuspect = false;
  private readonly idleWaiters: (() => void)[] = [];

  constructor(components: PartitionJournalComponents, settings: PartitionJournalSettings) {
    this.parts = components;
    this.settings = settings;
    this.generation = settings.generation;
    this.incarnation = settings.incarnation;
    this.storedSequence = settings.lastSequence ?? settings.readUpTo;
    this.isLastKnown = settings.lastSequence !== null;
    this.subject = subjects.journal(settings.partition);
  }

  /** Sequence of the last batch that is known to be stored. */
  get lastSequence(): number {
    return this.storedSequence;
  }

  /** A batch of this owner is stored: no older owner's can be any more. */
  get isFencing(): boolean {
    return this.isOwnedWritten;
  }

  get readUpTo(): number {
    return this.settings.readUpTo;
  }

  /**
   * Resolves with the sequence of the batch that holds the entries. Without entries: once all that
   * was appended before is stored, and the partition is known to be owned.
   * Errors: FencedError, EntryTooLargeError.
   */
  append(entries: readonly JournalEntry[]): Promise<number> {
    if (this.isFenced) return Promise.reject(new FencedError(this.settings.partition));
    const isStored = !this.isFlushing && this.pending.length === 0 && this.isOwnedWritten;
    if (entries.length === 0 && isStored) return Promise.resolve(this.storedSequence);
    return new Promise((resolve, reject) => {
      this.add(entries, { resolve, reject });
    });
  }

  /** `append` for those who need no promise: most entries of a job are not waited for. */
  add(entries: readonly JournalEntry[], { resolve, reject }: Stored): void {
    if (this.isFenced) {
      reject(new FencedError(this.settings.partition));
      return;
    }
    this.pending.push({ entries, resolve, reject });
    this.flushSoon();
  }

  /** The store may have lost what it acknowledged: looks, and repairs it (P4). */
  recheck(): Promise<number> {
    this.isSuspect = true;
    if (this.isFenced) return Promise.reject(new FencedError(this.settings.partition));
    return new Promise((resolve, reject) => {
      this.pending.push({ entries: [], resolve, reject });
      this.flushSoon();
    });
  }

  /** Resolves when nothing waits and nothing is in flight, or it is fenced. */
  idle(): Promise<void> {
    if (!this.isFlushing && this.pending.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  /** The owner gave the partition away: what still waits was never accepted by anyone. */
  close(): void {
    this.fence(false);
  }

  private flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    // After the present turn: all that one message causes shares a batch.
    void Promise.resolve().then(() => this.flush());
  }

  private async flush(): Promise<void> {
    while (this.pending.length > 0 && !this.isFenced) {
      const group: Pending[] = [];
      let entryCount = 0;
      while (this.pending.length > 0 && entryCount < BATCH_ENTRIES_MAX) {
        const next = this.pending.shift();
        if (next === undefined) break;
        group.push(next);
        entryCount += next.entries.length;
      }
      await this.storeGroup(group);
    }
    this.isFlushing = false;
    for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  private async storeGroup(group: readonly Pending[]): Promise<void> {
    try {
      const entries = group.flatMap((it) => it.entries);
      const hasNothing = entries.length === 0 && this.isOwnedWritten && !this.isSuspect;
      this.isSuspect = false; // its expected sequence shows it
      const sequence = hasNothing ? this.storedSequence : await this.store(entries);
      for (const it of group) it.resolve(sequence);
    } catch (error) {
      if (error instanceof EntryTooLargeError && group.length > 1) {
        // Each half is told its own sequence: whoever reads from there must find its entries.
        const middle = Math.ceil(group.length / 2);
        await this.storeGroup(group.slice(0, middle));
        await this.storeGroup(group.slice(middle));
        return;
      }
      for (const it of group) it.reject(error as Error);
    }
  }

  /** P2, P4. Errors: FencedError, EntryTooLargeError. */
  private async store(entries: readonly JournalEntry[]): Promise<number> {
    for (let repairCount = 0; ; repairCount += 1) {
      const outcome = await this.storeBatch(entries);
      if (outcome !== "lost") return outcome;
      this.assertRepairable(repairCount);
      await this.writeAgain();
    }
  }

  /** P4. What is lost while it is written again is written once more. */
  private async writeAgain(): Promise<void> {
    for (let repairCount = 0; ; repairCount += 1) {
      this.assertRepairable(repairCount);
      this.incarnation = this.parts.random.uuid();
      this.isOwnedWritten = false;
      const lost = this.settings.onStoreLost(this.storedSequence);
      if (lost.length === 0) return;
      const range = await this.storeInParts(lost);
      if (range === "lost") continue;
      this.settings.onRewritten(range);
      return;
    }
  }

  private async storeInParts(
    entries: readonly JournalEntry[],
  ): Promise<{ first: number; last: number } | "lost"> {
    try {
      const sequence = await this.storeBatch(entries);
      return sequence === "lost" ? sequence : { first: sequence, last: sequence };
    } catch (error) {
      if (!(error instanceof EntryTooLargeError)) throw error;
      const parts = entries.length > 1 ? entries : takeApart(entries[0]);
      if (parts.length <= 1) throw error;
      const middle = Math.ceil(parts.length / 2);
      const first = await this.storeInParts(parts.slice(0, middle));
      if (first === "lost") return first;
      const second = await this.storeInParts(parts.slice(middle));
      return second === "lost" ? second : { first: first.first, last: second.last };
    }
  }

  /** One batch. Errors: FencedError, EntryTooLargeError. */
  private async storeBatch(entries: readonly JournalEntry[]): Promise<number | "lost"> {
    const { partition, owner } = this.settings;
    for (let unexplainedCount = 0; ; unexplainedCount += 1) {
      this.batchNumber += 1;
      const batch: JournalBatch = {
        v: JOURNAL_VERSION,
        partition,
        generation: this.generation,
        owner,
        incarnation: this.incarnation,
        entries: this.isOwnedWritten ? entries : [{ kind: "owned" }, ...entries],
      };
      const data = encodeBatch(batch);
      if (data.length > this.settings.payloadBytesMax * PAYLOAD_SHARE_MAX) {
        throw new EntryTooLargeError(data.length, this.settings.payloadBytesMax);
      }
      const outcome = await this.appendUntilAnswered(data);
      if (this.isFenced) throw new FencedError(partition);
      const verdict =
        outcome.kind === "appended"
          ? { kind: "stored" as const, sequence: outcome.sequence }
          : await this.explainConflict(data);
      if (verdict.kind === "stored") {
        this.isOwnedWritten = true;
        this.storedSequence = verdict.sequence;
        return verdict.sequence;
      }
      if (verdict.kind === "lost") return "lost";
      if (verdict.kind === "fenced") throw this.fenced();
      this.assertRepairable(unexplainedCount);
    }
  }

  /** Trouble that comes back and back is given to whoever takes the partition anew. */
  private assertRepairable(count: number): void {
    if (count >= UNEXPLAINED_MAX) throw this.fenced();
  }

  private fenced(): FencedError {
    this.fence(true);
    return new FencedError(this.settings.partition);
  }

  private async appendUntilAnswered(data: Uint8Array): Promise<AppendOutcome> {
    const { partition, owner } = this.settings;
    const messageId = `${owner}:${this.incarnation}:${partition}:${this.generation}:${this.batchNumber}`;
    for (let attempt = 1; ; attempt += 1) {
      if (this.isFenced) return { kind: "conflict" };
      try {
        if (!this.isLastKnown && !(await this.lookUpLast())) return { kind: "conflict" };
        const expectedLastSequence = this.storedSequence;
        return await this.parts.log.append(this.subject, data, { messageId, expectedLastSequence });
      } catch (error) {
        if (!mayPass(error)) throw error;
        if (attempt === 1) {
          this.parts.logger.warn(
            { event: "journal.write-failed", partition, err: error },
            "write failed, repeating",
          );
        }
        await delay(this.parts.clock, backoffMs(attempt, REPEAT_BACKOFF, this.parts.random));
      }
    }
  }

  /** False: something was written behind what was read. */
  private async lookUpLast(): Promise<boolean> {
    const last = await this.parts.log.lastSequence(this.subject);
    if (last > this.settings.readUpTo) return false;
    this.storedSequence = last;
    this.isLastKnown = true;
    return true;
  }

  /** Somebody wrote, or the store is not what it was: look which. */
  private async explainConflict(
    data: Uint8Array,
  ): Promise<
    { readonly kind: "fenced" | "foreign" | "lost" } | { kind: "stored"; sequence: number }
  > {
    const { log, logger, clock, random } = this.parts;
    const { partition } = this.settings;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const last = await log.lastSequence(this.subject);
        this.isLastKnown = true;
        if (last < this.storedSequence) {
          const { firstSequence, lastSequence } = await log.info();
          // Aged out or purged by retention: what is gone was meant to go.
          const isRetention = last === 0 && firstSequence > this.storedSequence;
          this.storedSequence = last;
          logger.warn(
            { event: "journal.behind", partition, last, lastSequence, isRetention },
            "the store has less than it acknowledged",
          );
          return { kind: isRetention ? "foreign" : "lost" };
        }
        const newer = await log.read(this.subject, { fromSequence: this.storedSequence + 1 });
        for (const entry of newer) {
          // P2: a repeat of what was stored before the outage, after the store forgot its id.
          if (isSame(entry.data, data)) return { kind: "stored", sequence: entry.sequence };
          if (isByNewerOwner(entry.data, this.generation, this.settings.owner)) {
            return { kind: "fenced" };
          }
        }
        // Not ours, and no owner's: it stays, is told, and what follows is written behind it.
        this.storedSequence = last;
        logger.error({ event: "journal.foreign", partition, sequence: last }, "foreign entry");
        return { kind: "foreign" };
      } catch (error) {
        if (!mayPass(error)) throw error;
        await delay(clock, backoffMs(attempt, REPEAT_BACKOFF, random));
      }
    }
  }

  private fence(isTold: boolean): void {
    if (this.isFenced) return;
    this.isFenced = true;
    for (const it of this.pending.splice(0)) it.reject(new FencedError(this.settings.partition));
    if (isTold) this.settings.onFenced();
  }
}

/** A job that is too large for one batch, in the form in which it was first written. */
function takeApart(entry: JournalEntry | undefined): readonly JournalEntry[] {
  if (entry?.kind !== "carried") return entry === undefined ? [] : [entry];
  return entry.events.map((it) =>
    it.event.number === 1
      ? { kind: "accepted", event: it.event, record: entry.record }
      : { kind: "event", ...it },
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function isByNewerOwner(data: Uint8Array, generation: number, owner: string): boolean {
  try {
    const batch = decodeBatch(data);
    return batch.generation > generation || batch.owner !== owner;
  } catch (error) {
    // A version that we cannot read was written by somebody newer.
    return isRuntimeError(error) && error.code === "UNSUPPORTED_VERSION";
  }
}

/** Whatever a store in trouble answers, entries wait for it; only what can never be stored fails. */
function mayPass(error: unknown): boolean {
  return isRuntimeError(error) && error.code !== "INVALID_ARGUMENT";
}
