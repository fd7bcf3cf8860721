/**
 * One live activation: its mailbox, what it has in flight, and its supervisor.
 *
 * Owns:      admission, order and concurrency of handling, deadlines, cancellation, restarts.
 * Does not:  know the wire: who sends a message gives callbacks for its answer.
 *
 * Invariants:
 *   A1. Every admitted message is answered exactly once, also when the actor stops or restarts.
 *   A2. At most `concurrency` messages are handled at a time.
 *   A3. A message whose deadline passed while it waited is not handled.
 */
import type { Cancel, Clock, Deadline, Logger } from "@murakkab/kit";
import {
  AbortSource,
  CancelledError,
  DeadlineExceededError,
  deadlineAfter,
  isRuntimeError,
  MailboxFullError,
  UnavailableError,
} from "@murakkab/kit";
import type { ActorAddress, ActorOptions, Behaviour, MessageContext } from "./actor.ts";
import type { LifecycleEffect, LifecycleEvent, LifecycleState } from "./lifecycle.ts";
import { INITIAL_STATE, stepLifecycle } from "./lifecycle.ts";
import { Mailbox } from "./mailbox.ts";

export interface Incoming {
  readonly id: string;
  readonly kind: "ask" | "tell" | "stream";
  readonly payload: unknown;
  /** Milliseconds until the sender gives up; Infinity for a tell. */
  readonly remainingMs: number;
  /** Called exactly once (A1). For a stream: after its last item. */
  readonly done: (result: { readonly value?: unknown; readonly error?: unknown }) => void;
  /** For a stream: resolves when the item may be followed by the next one. */
  readonly item?: (value: unknown) => Promise<void>;
}

interface Waiting {
  readonly message: Incoming;
  readonly deadline: Deadline;
}

interface InFlight {
  readonly source: AbortSource;
  readonly finish: (result: { readonly value?: unknown; readonly error?: unknown }) => void;
}

const DEFAULTS = {
  mailboxCapacity: 1_024,
  concurrency: 1,
  restartsMax: 3,
  restartWindowMs: 60_000,
};

export class Activation {
  readonly address: ActorAddress;
  private readonly options: ActorOptions & typeof DEFAULTS;
  private readonly make: () => Behaviour;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly onReleased: () => void;
  private readonly mailbox: Mailbox<Waiting>;
  private readonly inFlight = new Map<string, InFlight>();
  private behaviour: Behaviour | null = null;
  private state: LifecycleState = INITIAL_STATE;
  private readonly stopWaiters: (() => void)[] = [];

  constructor(
    components: { readonly clock: Clock; readonly log: Logger },
    settings: {
      readonly address: ActorAddress;
      readonly make: () => Behaviour;
      readonly options: ActorOptions;
      readonly onReleased: () => void;
    },
  ) {
    this.clock = components.clock;
    this.log = components.log;
    this.address = settings.address;
    this.make = settings.make;
    this.options = { ...DEFAULTS, ...settings.options };
    this.onReleased = settings.onReleased;
    this.mailbox = new Mailbox(this.options.mailboxCapacity);
    this.apply([{ kind: "start" }]);
  }

  get queuedCount(): number {
    return this.mailbox.count;
  }

  get inFlightCount(): number {
    return this.inFlight.size;
  }

  accept(message: Incoming): void {
    if (this.state.kind === "stopping" || this.state.kind === "stopped") {
      message.done({ error: new UnavailableError(`actor ${this.name} is stopping`) });
      return;
    }
    const waiting = { message, deadline: deadlineAfter(this.clock, message.remainingMs) };
    if (!this.mailbox.offer(waiting)) {
      const capacity = this.options.mailboxCapacity;
      message.done({
        error: new MailboxFullError(
          `mailbox of actor ${this.name} is full with ${capacity} messages, try again later`,
          { retryAfterMs: 100 },
        ),
      });
      return;
    }
    this.pump();
  }

  /** The sender gave up: a waiting message is taken out, one in flight is aborted. */
  cancel(id: string): void {
    const error = new CancelledError(`request ${id} to actor ${this.name} was cancelled`);
    const waiting = this.mailbox.remove((item) => item.message.id === id);
    if (waiting === undefined) this.inFlight.get(id)?.source.abort(error);
    else waiting.message.done({ error });
  }

  stop(graceMs: number): Promise<void> {
    if (this.state.kind === "stopped") return Promise.resolve();
    return new Promise((resolve) => {
      const cancelTimer = this.clock.after(graceMs, () => {
        this.abortInFlight(new UnavailableError(`actor ${this.name} is stopping`));
      });
      this.stopWaiters.push(() => {
        cancelTimer();
        resolve();
      });
      this.feed({ kind: "stop-requested" });
    });
  }

  private get name(): string {
    return `${this.address.type}/${this.address.key}`;
  }

  private feed(event: LifecycleEvent): void {
    const step = stepLifecycle(this.state, event, this.clock.monotonicMs(), this.options);
    this.state = step.state;
    this.apply(step.effects);
  }

  private apply(effects: readonly LifecycleEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "start") void this.startBehaviour();
      else if (effect.kind === "pump") this.pump();
      else if (effect.kind === "drain") this.drain();
      else if (effect.kind === "abort-in-flight") this.abortInFlight(effect.error);
      else if (effect.kind === "release") void this.release();
      else this.options.onEscalate?.(effect.error);
    }
  }

  private async startBehaviour(): Promise<void> {
    const behaviour = this.make();
    this.behaviour = behaviour;
    try {
      await behaviour.start?.();
      this.feed({ kind: "started" });
    } catch (error) {
      this.reportDefect(error);
      this.feed({ kind: "crashed", error });
    }
  }

  private pump(): void {
    while (this.state.kind === "running" && this.inFlight.size < this.options.concurrency) {
      const waiting = this.mailbox.take();
      if (waiting === undefined) return;
      if (waiting.deadline.remainingMs() <= 0) {
        waiting.message.done({ error: this.deadlineError() }); // A3
      } else {
        void this.handle(waiting);
      }
    }
  }

  private async handle({ message, deadline }: Waiting): Promise<void> {
    const source = new AbortSource();
    let isDone = false;
    let cancelDeadline: Cancel = () => undefined;
    const finish: InFlight["finish"] = (result) => {
      if (isDone) return; // A1
      isDone = true;
      cancelDeadline();
      this.inFlight.delete(message.id);
      message.done(result);
    };
    this.inFlight.set(message.id, { source, finish });
    if (message.remainingMs !== Number.POSITIVE_INFINITY) {
      cancelDeadline = this.clock.after(deadline.remainingMs(), () => {
        source.abort(this.deadlineError());
      });
    }
    const context: MessageContext = {
      self: this.address,
      signal: source.signal,
      remainingMs: () => deadline.remainingMs(),
    };
    try {
      finish({ value: await this.run(message, context) });
    } catch (error) {
      const isAbort = source.signal.aborted && error === source.signal.reason;
      finish({ error });
      if (!isRuntimeError(error) && !isAbort) {
        this.reportDefect(error);
        this.feed({ kind: "crashed", error });
      }
    }
    if (this.state.kind === "stopping") this.drain();
    this.pump();
  }

  private async run(message: Incoming, context: MessageContext): Promise<unknown> {
    const behaviour = this.behaviour;
    if (behaviour === null) throw new UnavailableError(`actor ${this.name} is not started`);
    if (message.kind !== "stream") return behaviour.handle(message.payload, context);
    if (behaviour.stream === undefined) {
      throw new UnavailableError(`actor ${this.name} does not answer with streams`);
    }
    for await (const value of behaviour.stream(message.payload, context)) {
      if (context.signal.aborted) throw context.signal.reason;
      await message.item?.(value);
    }
    return undefined;
  }

  private deadlineError(): DeadlineExceededError {
    return new DeadlineExceededError(`the deadline of a request to actor ${this.name} passed`);
  }

  private drain(): void {
    for (const waiting of this.mailbox.clear()) {
      waiting.message.done({ error: new UnavailableError(`actor ${this.name} is stopping`) });
    }
    if (this.inFlight.size === 0) this.feed({ kind: "drained" });
  }

  private abortInFlight(error: unknown): void {
    // A defect of one message must not leak its text to the senders of the others.
    const reason = isRuntimeError(error)
      ? error
      : new UnavailableError(`actor ${this.name} was restarted`, { cause: error });
    for (const { source, finish } of [...this.inFlight.values()]) {
      source.abort(reason);
      finish({ error: reason });
    }
    if (this.state.kind === "stopping") this.drain();
  }

  private async release(): Promise<void> {
    for (const waiting of this.mailbox.clear()) {
      waiting.message.done({ error: new UnavailableError(`actor ${this.name} stopped`) });
    }
    this.onReleased();
    try {
      await this.behaviour?.stop?.();
    } catch (error) {
      this.reportDefect(error);
    }
    for (const resolve of this.stopWaiters.splice(0)) resolve();
  }

  private reportDefect(error: unknown): void {
    this.log.error({ event: "actor.crashed", actor: this.name, err: error }, "actor crashed");
  }
}
