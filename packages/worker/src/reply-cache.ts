/**
 * Replies kept for repeats: one key is one piece of work, whoever asks for it and how often.
 *
 * Owns:      which earlier reply answers an ask, and what is kept.
 * Does not:  run attempts (attempt.ts), or outlive the process (the spool does).
 *
 * Invariants:
 *   R1. What runs or has succeeded answers every ask for its key, of whatever attempt number.
 *   R2. What has failed answers repeats of that attempt and of earlier ones; a later attempt runs.
 *   R3. At most REPLY_COUNT_MAX replies are kept, and at most REPLY_BYTES_MAX of those that have
 *       ended; the oldest goes first. What runs is never dropped: it would run twice.
 */
import type { AttemptReply } from "@murakkab/protocol";

/** A large fan-out's share of one instance, so that a scheduler's restart repeats none of it. */
export const REPLY_COUNT_MAX = 1_024;
/** A worker's memory is an executor's promise: this much of it is ours. */
export const REPLY_BYTES_MAX = 8 * 1024 * 1024;

/** A reply and about how large it is on the wire. */
export interface Ended {
  readonly reply: AttemptReply;
  readonly bytes: number;
}

export interface KeptReply {
  readonly key: string;
  readonly attempt: number;
  readonly reply: Promise<AttemptReply>;
  state: "running" | "succeeded" | "failed";
  /** A copy waits on the disk because the bus was away. */
  isSpooled: boolean;
}

export class ReplyCache {
  private readonly entries = new Map<string, KeptReply & { bytes: number }>();
  private bytes = 0;

  /** R1, R2. Null: it is to be run. */
  find(key: string, attempt: number): KeptReply | null {
    const known = this.entries.get(key);
    if (known === undefined) return null;
    return known.state !== "failed" || attempt <= known.attempt ? known : null;
  }

  /** Takes the place of an earlier attempt's reply. An attempt that rejects is forgotten. */
  add(key: string, attempt: number, work: Promise<Ended>): KeptReply {
    this.drop(key);
    const reply = work.then((ended) => ended.reply);
    const entry = { key, attempt, reply, state: "running" as const, isSpooled: false, bytes: 0 };
    const kept: KeptReply & { bytes: number } = entry;
    this.entries.set(key, kept);
    this.trim();
    work.then(
      (ended) => {
        if (this.entries.get(key) !== kept) return;
        kept.state = "failure" in ended.reply ? "failed" : "succeeded";
        kept.bytes = ended.bytes;
        this.bytes += ended.bytes;
        this.trim();
      },
      () => {
        if (this.entries.get(key) === kept) this.drop(key);
      },
    );
    return kept;
  }

  get count(): number {
    return this.entries.size;
  }

  private drop(key: string): void {
    this.bytes -= this.entries.get(key)?.bytes ?? 0;
    this.entries.delete(key);
  }

  /** R3. */
  private trim(): void {
    if (this.entries.size <= REPLY_COUNT_MAX && this.bytes <= REPLY_BYTES_MAX) return;
    for (const [key, entry] of this.entries) {
      if (this.entries.size <= REPLY_COUNT_MAX && this.bytes <= REPLY_BYTES_MAX) return;
      if (entry.state !== "running") this.drop(key);
    }
  }
}
