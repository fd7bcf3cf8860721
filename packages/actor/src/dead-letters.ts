/**
 * Messages that nobody will handle: all counted, the last ones kept without their contents.
 */
import type { Clock } from "@murakkab/kit";
import type { ActorAddress } from "./actor.ts";

export type DeadLetterReason =
  /** The mailbox was full. */
  | "mailbox-full"
  /** It made room for a newer one (`drop-oldest`). */
  | "dropped"
  /** Its deadline passed while it waited. */
  | "deadline"
  /** The actor stopped before its turn. */
  | "stopped"
  /** This process may not act for the actor now. */
  | "lease-lost"
  /** A tell that reached nobody. */
  | "undeliverable";

export interface DeadLetter {
  readonly reason: DeadLetterReason;
  readonly address: ActorAddress;
  readonly kind: "ask" | "tell" | "stream";
  readonly messageId: string;
  /** Since it arrived in this process, ms. */
  readonly ageMs: number;
  /** Wall clock, for display. */
  readonly atMs: number;
}

export interface DeadLetterReport {
  readonly totalCount: number;
  readonly countByReason: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** The last ones, newest last. */
  readonly recent: readonly DeadLetter[];
}

/** Letters kept: enough to see a pattern, some 50 KB at most. */
export const DEAD_LETTERS_KEPT = 256;

export class DeadLetters {
  private readonly clock: Clock;
  private readonly onLetter: ((letter: DeadLetter) => void) | undefined;
  private readonly countByReason: Partial<Record<DeadLetterReason, number>> = {};
  private readonly ring: DeadLetter[] = [];
  private totalCount = 0;

  constructor(clock: Clock, onLetter?: (letter: DeadLetter) => void) {
    this.clock = clock;
    this.onLetter = onLetter;
  }

  add(seen: Omit<DeadLetter, "atMs">): void {
    const letter = { ...seen, atMs: this.clock.wallMs() };
    this.ring[this.totalCount % DEAD_LETTERS_KEPT] = letter;
    this.totalCount += 1;
    this.countByReason[letter.reason] = (this.countByReason[letter.reason] ?? 0) + 1;
    this.onLetter?.(letter);
  }

  report(): DeadLetterReport {
    const cut = this.totalCount % DEAD_LETTERS_KEPT;
    const recent =
      this.totalCount <= DEAD_LETTERS_KEPT
        ? [...this.ring]
        : [...this.ring.slice(cut), ...this.ring.slice(0, cut)];
    return { totalCount: this.totalCount, countByReason: { ...this.countByReason }, recent };
  }
}
