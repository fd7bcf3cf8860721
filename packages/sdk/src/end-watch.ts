/**
 * Hears live that a job has ended.
 *
 * Four subjects with one message in all: a job's other events would come along on the wildcard.
 * It is a wake-up only. A message may be lost, so whoever waits asks, too.
 */
import type { BusMessage, Messaging, Subscription } from "@murakkab/bus";
import { TERMINAL_STATES } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import { decode, subjects } from "@murakkab/protocol";

export interface EndSignal {
  /** The terminal event, once it was heard. */
  readonly terminal: JobEvent | null;
  /** Calls `listener` when it is heard; the returned function forgets it. */
  onTerminal(listener: () => void): () => void;
}

export class EndWatch implements EndSignal {
  readonly #subscriptions: readonly Subscription[];
  readonly #listeners = new Set<() => void>();
  terminal: JobEvent | null = null;

  constructor(messaging: Messaging, jobId: string) {
    this.#subscriptions = TERMINAL_STATES.map((state) =>
      messaging.subscribe(subjects.jobEvent(state, jobId), (message) => {
        this.terminal ??= decodeEvent(message);
        if (this.terminal !== null) for (const tell of [...this.#listeners]) tell();
      }),
    );
  }

  onTerminal(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }
}

/** `null` for a message that is no event: the journal has the true one. */
export function decodeEvent(message: BusMessage): JobEvent | null {
  try {
    const event = decode(message.data, message.headers).value as JobEvent | null;
    return typeof event?.number === "number" ? event : null;
  } catch {
    return null;
  }
}
