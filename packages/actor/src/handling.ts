/**
 * One message being handled: what the behaviour sees of it, its deadline, its abort.
 *
 * The abort source is made when the behaviour first looks at the signal; most handlers never do.
 */
import type { AbortSignalLike, Clock } from "@murakkab/kit";
import { AbortSource } from "@murakkab/kit";
import type { ActorAddress, ActorContext } from "./actor.ts";
import type { Expiring } from "./deadline-alarm.ts";
import type { Incoming, Result } from "./incoming.ts";

/** What a handling needs of its activation. */
export interface HandlingOwner {
  readonly address: ActorAddress;
  readonly generation: number;
  readonly clock: Clock;
  save(): Promise<void>;
  settle(handling: Handling, result: Result): void;
  deadlineError(): unknown;
}

export class Handling implements ActorContext, Expiring {
  readonly message: Incoming;
  readonly endsAtMs: number;
  slot = -1;
  private readonly owner: HandlingOwner;
  private source: AbortSource | null = null;
  private isDone = false;
  isAborted = false;
  abortReason: unknown = undefined;

  constructor(owner: HandlingOwner, message: Incoming, endsAtMs: number) {
    this.owner = owner;
    this.message = message;
    this.endsAtMs = endsAtMs;
  }

  get self(): ActorAddress {
    return this.owner.address;
  }

  get messageId(): string {
    return this.message.id;
  }

  get generation(): number {
    return this.owner.generation;
  }

  get signal(): AbortSignalLike {
    if (this.source === null) {
      this.source = new AbortSource();
      if (this.isAborted) this.source.abort(this.abortReason);
    }
    return this.source.signal;
  }

  remainingMs(): number {
    return Math.max(0, this.endsAtMs - this.owner.clock.monotonicMs());
  }

  save(): Promise<void> {
    return this.owner.save();
  }

  abort(reason: unknown): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.abortReason = reason;
    this.source?.abort(reason);
  }

  expire(): void {
    this.abort(this.owner.deadlineError());
  }

  /** The first call counts (A1). */
  finish(result: Result): void {
    if (this.isDone) return;
    this.isDone = true;
    this.owner.settle(this, result);
  }
}
