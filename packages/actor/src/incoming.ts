/** A message on its way into an activation. Who sends it gives callbacks for its answer. */
import type { Priority } from "@murakkab/protocol";

export interface Result {
  readonly value?: unknown;
  readonly error?: unknown;
}

export interface Incoming {
  readonly id: string;
  readonly kind: "ask" | "tell" | "stream";
  readonly payload: unknown;
  /** Milliseconds until the sender gives up; Infinity for a tell. */
  readonly remainingMs: number;
  readonly priority?: Priority | undefined;
  /** The id is the sender's own: the answer is kept for repeats that may come much later. */
  readonly isNamed?: boolean | undefined;
  /** Called at most once, before `done`: the message waits or is being handled. */
  admitted?(): void;
  /** Called exactly once (A1). For a stream: after its last item. */
  done(result: Result): void;
  /** For a stream: resolves when the item may be followed by the next one. */
  item?(value: unknown): Promise<void>;
}
