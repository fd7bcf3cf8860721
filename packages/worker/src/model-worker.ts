/**
 * The model-worker actor: answers attempts with an engine. Address: type `worker`, key = instance.
 *
 * Owns:      the life of its engine.
 * Does not:  choose what to run, or repeat anything: the job's owner does.
 *
 * Invariants:
 *   M1. `stop` resolves only when no attempt runs, all cores are given back and the engine has
 *       stopped.
 */
import type { Behaviour, MessageContext } from "@murakkab/actor";
import { RetryableError } from "@murakkab/kit";
import type { AttemptReply } from "@murakkab/protocol";
import { attemptRequestSchema, validate } from "@murakkab/protocol";
import { Attempt, type AttemptComponents, type AttemptOptions } from "./attempt.ts";
import { InputResolver } from "./resolve-inputs.ts";

export const WORKER_ACTOR_TYPE = "worker";

/** Replies kept for repeats: more than an instance can have open when the bus goes away. */
const REPLIES_KEPT_COUNT = 32;

export type ModelWorkerComponents = Omit<AttemptComponents, "resolver" | "background">;

export class ModelWorker implements Behaviour {
  private readonly components: AttemptComponents;
  private readonly options: AttemptOptions;
  private readonly running = new Set<Promise<unknown>>();
  private readonly replies = new Map<string, Promise<AttemptReply>>();
  private isStopped = false;

  constructor(components: ModelWorkerComponents, options: AttemptOptions) {
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

  /** Errors: `INVALID_ARGUMENT` for a message that is no attempt; all else is in the reply. */
  async handle(message: unknown, context: MessageContext): Promise<AttemptReply> {
    const request = validate(attemptRequestSchema, message, "attempt");
    if (this.isStopped) {
      throw new RetryableError("UNAVAILABLE", `instance ${context.self.key} is stopping`);
    }
    const known = this.replies.get(request.key);
    if (known !== undefined) return known; // M2
    const running = new Attempt(this.components, this.options, request).run(context);
    this.keepReply(request.key, running);
    this.track(running);
    return running;
  }

  private keepReply(key: string, reply: Promise<AttemptReply>): void {
    this.replies.set(key, reply);
    if (this.replies.size <= REPLIES_KEPT_COUNT) return;
    const oldest = this.replies.keys().next().value;
    if (oldest !== undefined) this.replies.delete(oldest);
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
