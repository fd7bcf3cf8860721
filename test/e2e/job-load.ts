/**
 * Small jobs from the SDK, a fixed number in flight, while somebody breaks things.
 *
 * Owns:      what the client saw of each job: how long it took, and what failed.
 * Does not:  break anything, or assert.
 */
import type { Bus } from "@murakkab/bus";
import { describeError } from "@murakkab/kit";
import { decode, type JobEvent, lastToken, subjects } from "@murakkab/protocol";
import { type Client, isTerminalEvent } from "@murakkab/sdk";

export interface SeenJob {
  readonly jobId: string;
  readonly submitMs: number;
  /** From the call of `submit` to the receipt. */
  readonly totalMs: number;
}

const TASK = { workflow: "bench-dag", description: "a small job", fresh: true };

export class JobLoad {
  readonly done: SeenJob[] = [];
  readonly failures: string[] = [];
  readonly notes: string[] = [];
  /** Numbers of the terminal events of each job, as they were heard. */
  readonly ends = new Map<string, Set<number>>();
  readonly #client: Client;
  readonly #loops: Promise<void>[];
  readonly #stopListening: () => void;
  #isOver = false;

  constructor({ client, bus }: { client: Client; bus: Bus }, inFlightCount: number) {
    this.#client = client;
    const subscription = bus.messaging.subscribe(subjects.allJobEvents, (message) => {
      const event = decode(message.data, message.headers).value as JobEvent;
      if (!isTerminalEvent(event)) return;
      const jobId = lastToken(message.subject);
      this.ends.set(jobId, (this.ends.get(jobId) ?? new Set()).add(event.number));
    });
    this.#stopListening = () => subscription.unsubscribe();
    this.#loops = Array.from({ length: inFlightCount }, () => this.#loop());
  }

  /** No new jobs; resolves when those in flight have ended. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.#stopListening();
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      const startedAtMs = performance.now();
      try {
        const job = await this.#client.submit(TASK, { onNote: (note) => this.notes.push(note) });
        const submitMs = performance.now() - startedAtMs;
        const { state, jobId } = await job.result();
        const totalMs = performance.now() - startedAtMs;
        if (state === "succeeded") this.done.push({ jobId, submitMs, totalMs });
        else this.failures.push(`job ${jobId} ${state}`);
      } catch (error) {
        this.failures.push(describeError(error));
        return; // One is enough, and a client that was closed fails without a pause.
      }
    }
  }

  /** One line of figures for the report of the test. */
  describe(): string {
    const figures = (values: readonly number[]): string => {
      const sorted = values.toSorted((a, b) => a - b);
      const at = (share: number): string =>
        `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)}`;
      return `p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms`;
    };
    const submits = figures(this.done.map(({ submitMs }) => submitMs));
    const totals = figures(this.done.map(({ totalMs }) => totalMs));
    return `${this.done.length} jobs; submit ${submits}; submit to receipt ${totals}`;
  }
}
