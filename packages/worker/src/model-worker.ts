/**
 * The model-worker actor: answers attempts with an engine. Address: type `worker`, key = instance.
 *
 * Owns:      the life of its engine; that one piece of work runs once however often it is asked for.
 * Does not:  choose what to run, or repeat anything: the job's owner does.
 *
 * Invariants:
 *   M1. `stop` resolves only when no attempt runs, all cores are given back, the engine has
 *       stopped and what could not be sent is on the disk.
 *   M2. A repeat never runs what runs or has been answered (reply-cache.ts).
 *   M3. A reply that ends while the bus is away waits on the disk until it is told or asked again.
 */
import type { Behaviour, MessageContext } from "@murakkab/actor";
import { type AbortSignalLike, AbortSource, RetryableError } from "@murakkab/kit";
import type { AttemptReply, AttemptRequest } from "@murakkab/protocol";
import { attemptRequestSchema, validate } from "@murakkab/protocol";
import { Attempt, type AttemptComponents, type AttemptOptions } from "./attempt.ts";
import type { SpoolPort } from "./ports.ts";
import type { Ended, KeptReply } from "./reply-cache.ts";
import { ReplyCache } from "./reply-cache.ts";
import { InputResolver } from "./resolve-inputs.ts";

export const WORKER_ACTOR_TYPE = "worker";

/** A repeat makes sense after this, ms: about what a scheduler takes to empty a spool. */
const SPOOL_RETRY_AFTER_MS = 1_000;
/** Failures that nobody waits for: whoever asked gave up, or learns that the instance stops. */
const UNTOLD_CODES: readonly string[] = ["CANCELLED", "UNAVAILABLE"];

export type ModelWorkerComponents = Omit<AttemptComponents, "resolver" | "background"> & {
  readonly spool: SpoolPort;
  readonly isBusThere: () => boolean;
};

export type ModelWorkerOptions = Pick<AttemptOptions, "entry" | "threads"> & {
  readonly node: string;
};

export class ModelWorker implements Behaviour {
  private readonly components: AttemptComponents & ModelWorkerComponents;
  private readonly options: ModelWorkerOptions;
  private readonly running = new Set<Promise<unknown>>();
  private readonly replies = new ReplyCache();
  private runCount = 0;
  private readonly stops = new WeakMap<KeptReply, AbortSource>();
  private isStopped = false;

  constructor(components: ModelWorkerComponents, options: ModelWorkerOptions) {
    this.components = {
      ...components,
      resolver: new InputResolver(components.scratch),
      background: (work) => this.track(work),
    };
    this.options = options;
  }

  async start(): Promise<void> {
    await this.components.engine.start();
  }

  /**
   * Errors: `INVALID_ARGUMENT` for a message that is no attempt; `UNAVAILABLE` and `SPOOL_FULL`
   * (retryable) when it takes none; all else is in the reply.
   */
  async handle(message: unknown, context: MessageContext): Promise<AttemptReply> {
    const request = validate(attemptRequestSchema, message, "attempt");
    if (this.isStopped) {
      throw new RetryableError("UNAVAILABLE", `instance ${context.self.key} is stopping`);
    }
    const known = this.replies.find(request.key, request.attempt);
    if (known !== null) return this.repeat(known, context); // M2
    if (this.components.spool.isFull) {
      throw new RetryableError(
        "SPOOL_FULL",
        `instance ${context.self.key} takes no attempt: too many results wait to be delivered`,
        { retryAfterMs: SPOOL_RETRY_AFTER_MS },
      );
    }
    this.runCount += 1;
    const holdId = `${context.self.key}.${this.runCount}`;
    const attempt = new Attempt(this.components, { ...this.options, request, holdId });
    const stop = new AbortSource();
    const running = attempt.run({ ...context, signal: stop.signal });
    const kept = this.replies.add(request.key, request.attempt, running);
    this.stops.set(kept, stop);
    this.track(stopWith(context.signal, stop, running));
    this.track(running.then((ended) => this.spoolUnsent(ended, kept, { request, context })));
    return kept.reply;
  }

  private repeat(kept: KeptReply, { signal }: MessageContext): Promise<AttemptReply> {
    const stop = this.stops.get(kept);
    // Who asked first may be gone: whoever asks now may cancel.
    if (stop !== undefined) this.track(stopWith(signal, stop, kept.reply));
    const { spool, isBusThere } = this.components;
    if (kept.isSpooled && isBusThere()) {
      kept.isSpooled = false;
      this.track(spool.remove(kept.key)); // told now, and asked again if that gets lost
    }
    return kept.reply;
  }

  /** M3. */
  private async spoolUnsent(
    { reply }: Ended,
    kept: KeptReply,
    of: { readonly request: AttemptRequest; readonly context: MessageContext },
  ): Promise<void> {
    const { spool, isBusThere, log } = this.components;
    if (isBusThere() || ("failure" in reply && UNTOLD_CODES.includes(reply.failure.code))) return;
    const { jobId, step, item, attempt, key } = of.request;
    const { node } = this.options;
    const instance = of.context.self.key;
    const fields = { jobId, step, item, attempt };
    try {
      await spool.put({ ...fields, key, instance, node, reply });
      kept.isSpooled = true;
      log.info({ event: "attempt.spooled", ...fields }, "the bus is away: result kept on the disk");
    } catch (error) {
      // A repeat of the ask still gets it as long as this process lives.
      log.error({ event: "attempt.not-spooled", ...fields, err: error }, "result not on the disk");
    }
  }

  /** M1. */
  async stop(): Promise<void> {
    this.isStopped = true;
    while (this.running.size > 0) await Promise.all(this.running);
    await this.components.engine.stop();
  }

  private track(work: Promise<unknown>): void {
    const settled: Promise<unknown> = work.then(
      () => this.running.delete(settled),
      () => this.running.delete(settled),
    );
    this.running.add(settled);
  }
}

/** Passes a cancellation on until the work has ended. */
async function stopWith(
  signal: AbortSignalLike,
  stop: AbortSource,
  work: Promise<unknown>,
): Promise<void> {
  const onAbort = (): void => stop.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  try {
    await work;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
