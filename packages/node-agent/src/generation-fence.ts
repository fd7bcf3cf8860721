/**
 * Which leader this agent obeys: none older than the newest that it ever obeyed.
 *
 * Owns:      the highest generation, in memory and on the disk.
 * Does not:  know who leads: leases only decide when a scheduler tries, this fence decides what counts.
 *
 * Invariants:
 *   G1. A command of a lower generation than the highest one seen is refused.
 *   G2. A command is obeyed only once its generation is on the disk, so that a restarted agent
 *       refuses what this one would have refused.
 */
import type { Logger } from "@murakkab/kit";
import { describeError, RetryableError, StaleGenerationError } from "@murakkab/kit";
import { FULL_RETRY_AFTER_MS } from "./limits.ts";
import type { GenerationPort } from "./ports.ts";

export class GenerationFence {
  readonly #store: GenerationPort;
  readonly #log: Logger;
  #highest = 0;
  #saved = 0;
  #saving: Promise<void> | null = null;

  constructor(components: { readonly store: GenerationPort; readonly log: Logger }) {
    this.#store = components.store;
    this.#log = components.log;
  }

  get highest(): number {
    return this.#highest;
  }

  /** What can't be read counts as 0: the first leader that takes the registration raises it. */
  async open(): Promise<void> {
    const { generation, quarantinedAt } = await this.#store.load();
    this.#highest = Math.max(this.#highest, generation);
    this.#saved = generation;
    if (quarantinedAt === null) return;
    this.#log.warn(
      { event: "generation.unreadable", quarantinedAt },
      "the file with the leader's generation was not readable and was set aside, starting from 0",
    );
  }

  /** G1, G2. Errors: `STALE_GENERATION`; `GENERATION_NOT_SAVED` when the disk refuses it. */
  async admit(given: number): Promise<void> {
    this.#check(given);
    await this.raise(given);
    this.#check(given); // a newer leader may have spoken while the disk was written
  }

  /** G1. */
  #check(given: number): void {
    if (given >= this.#highest) return;
    throw new StaleGenerationError(
      `command of leader generation ${given} is refused, expected at least ${this.#highest}`,
      { context: { given, highest: this.#highest } },
    );
  }

  /** Refuses lower ones from now on; resolves when a restart would, too. */
  async raise(generation: number): Promise<void> {
    this.#highest = Math.max(this.#highest, generation);
    while (this.#saved < generation) {
      this.#saving ??= this.#save().finally(() => {
        this.#saving = null;
      });
      await this.#saving;
    }
  }

  async #save(): Promise<void> {
    const generation = this.#highest;
    try {
      await this.#store.save(generation);
    } catch (error) {
      throw new RetryableError(
        "GENERATION_NOT_SAVED",
        `leader generation ${generation} could not be saved: ${describeError(error)}`,
        { cause: error, retryAfterMs: FULL_RETRY_AFTER_MS },
      );
    }
    this.#saved = generation;
  }
}
