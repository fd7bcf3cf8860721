/**
 * One live activation: its mailbox, what it has in flight, its state, and its supervisor.
 *
 * Owns:      admission, order and concurrency of handling, deadlines, cancellation, restarts, and
 *            when its state is loaded and saved.
 * Does not:  know the wire (inlet.ts), or whether this process may act for the address: it asks.
 *
 * Invariants:
 *   A1. Every admitted message is answered exactly once, also when the actor stops or restarts.
 *   A2. At most `concurrency` messages are handled at a time.
 *   A3. A message whose deadline passed while it waited is not handled.
 *   A4. Nothing is handled, and no value answered, while the owner's gate is not open.
 *   A5. An activation whose save failed handles nothing more and answers no value: what it has in
 *       memory may be ahead of what is stored.
 *
 * A process may hold very many of these: what an idle one does not need is made when needed.
 */
import type { Clock, Logger } from "@murakkab/kit";
import {
  CancelledError,
  InvalidArgumentError,
  isRuntimeError,
  UnavailableError,
} from "@murakkab/kit";
import type { ActorAddress, Behaviour } from "./actor.ts";
import { addressText } from "./actor.ts";
import {
  deadlineError,
  leaseLapsedError,
  mailboxFullError,
  notHandledError,
} from "./actor-errors.ts";
import type { ResolvedOptions } from "./actor-options.ts";
import { AnswerWindow } from "./answer-window.ts";
import type { DeadLetterReason, DeadLetters } from "./dead-letters.ts";
import type { DeadlineAlarm } from "./deadline-alarm.ts";
import type { HandlingOwner } from "./handling.ts";
import { Handling } from "./handling.ts";
import type { Incoming, Result } from "./incoming.ts";
import type {
  Directive,
  Failure,
  LifecycleEffect,
  LifecycleEvent,
  LifecycleState,
} from "./lifecycle.ts";
import { INITIAL_STATE, isExhausted, stepLifecycle } from "./lifecycle.ts";
import { Mailbox } from "./mailbox.ts";
import type { StateFence } from "./state-fence.ts";

/** `wait`: the right to act is being confirmed. `closed`: there is none now. */
export type Gate = "open" | "wait" | "closed";

/** Who made the activation; one object for all activations of a process. */
export interface ActivationOwner {
  gate(activation: Activation, nowMs: number): Gate;
  /** It handles messages now; also after a restart. */
  onStarted(activation: Activation): void;
  /** Its address is free again. `error`: why, when it ended before its time. */
  onReleased(activation: Activation, error: unknown): void;
  /** The parent's word, when the actor's own supervisor escalates. */
  supervise(failure: Failure): Directive;
  /** For a durable behaviour; null where there is no store. */
  fenceFor(activation: Activation): StateFence | null;
}

export interface ActivationComponents {
  readonly clock: Clock;
  readonly log: Logger;
  readonly alarm: DeadlineAlarm;
  readonly letters: DeadLetters;
  readonly owner: ActivationOwner;
  /** For messages without an id of the sender's own; null: their repeats are not looked for. */
  readonly recentAnswers: AnswerWindow | null;
}

export interface ActivationSettings {
  readonly address: ActorAddress;
  readonly make: (address: ActorAddress) => Behaviour;
  readonly options: ResolvedOptions;
  readonly generation: number;
}

interface Waiting {
  readonly message: Incoming;
  readonly arrivedAtMs: number;
  readonly endsAtMs: number;
}

export class Activation implements HandlingOwner {
  readonly address: ActorAddress;
  readonly generation: number;
  /** Of the owner's lease under which the right to act was last confirmed. */
  confirmedEpoch = 0;
  lastUsedMs: number;
  private readonly shared: ActivationComponents;
  private readonly options: ResolvedOptions;
  private readonly make: ActivationSettings["make"];
  private state: LifecycleState = INITIAL_STATE;
  private behaviour: Behaviour | null = null;
  private fence: StateFence | null = null;
  private mailbox: Mailbox<Waiting> | null = null;
  /** In order of their start. */
  private inFlight: Handling[] | null = null;
  private answers: AnswerWindow | null = null;
  private stopWaiters: (() => void)[] | null = null;
  private endError: unknown = undefined;
  private isSaving = false;
  private isWanted = false;

  constructor(components: ActivationComponents, settings: ActivationSettings) {
    this.shared = components;
    this.address = settings.address;
    this.generation = settings.generation;
    this.make = settings.make;
    this.options = settings.options;
    this.lastUsedMs = components.clock.monotonicMs();
  }

  /** Apart from the constructor, so that the owner knows the activation before anything happens. */
  begin(): void {
    void this.startBehaviour();
  }

  get clock(): Clock {
    return this.shared.clock;
  }

  get queuedCount(): number {
    return this.mailbox?.count ?? 0;
  }

  get inFlightCount(): number {
    return this.inFlight?.length ?? 0;
  }

  get isStopped(): boolean {
    return this.state.kind === "stopped";
  }

  get isRunning(): boolean {
    return this.state.kind === "running";
  }

  accept(message: Incoming): void {
    const nowMs = this.clock.monotonicMs();
    if (this.state.kind === "stopping" || this.state.kind === "stopped") {
      this.turnAway(message, "stopped", notHandledError(this.address, "is stopping"));
      return;
    }
    const gate = this.shared.owner.gate(this, nowMs);
    if (gate === "closed") {
      this.turnAway(message, "lease-lost", notHandledError(this.address, "has no lease here now"));
      return;
    }
    this.lastUsedMs = nowMs;
    this.isWanted = true;
    if (this.windowFor(message)?.join(message, nowMs) === true) return;
    const endsAtMs = nowMs + message.remainingMs;
    if (gate === "open" && this.isFree && this.queuedCount === 0) {
      message.admitted?.();
      void this.handle(message, endsAtMs);
      return;
    }
    this.enqueue({ message, arrivedAtMs: nowMs, endsAtMs });
    this.pump();
  }

  /** The sender gave up: a waiting message is taken out, one in flight is aborted. */
  cancel(id: string): void {
    const error = new CancelledError(`request ${id} to actor ${this.name} was cancelled`);
    const waiting = this.mailbox?.remove((item) => item.message.id === id);
    if (waiting === undefined) this.handlingOf(id)?.abort(error);
    else this.answer(waiting.message, { error });
  }

  /** Whether the ask `id` waits or is being handled here. */
  isWorkingOn(id: string): boolean {
    if (this.handlingOf(id) !== undefined) return true;
    return this.mailbox?.some((item) => item.message.id === id) ?? false;
  }

  /** Looks after what is kept for repeats; saves and lets go after `idleMs` without a message. */
  sweep(nowMs: number, idleMs: number): void {
    if (this.answers?.sweep(nowMs, this.options.answersKeptMs) === true) this.answers = null;
    if (this.inFlightCount > 0 || this.queuedCount > 0) return;
    this.mailbox = null;
    this.inFlight = null;
    if (nowMs - this.lastUsedMs >= idleMs) this.passivate();
  }

  passivate(): void {
    if (this.inFlightCount === 0 && this.queuedCount === 0) this.feed({ kind: "idled" });
  }

  /** Keeps one that is being passivated. */
  touch(): void {
    this.lastUsedMs = this.clock.monotonicMs();
    this.isWanted = true;
  }

  /** The gate may have opened or closed. */
  pump(): void {
    while (this.isFree && this.queuedCount > 0) {
      const nowMs = this.clock.monotonicMs();
      const gate = this.shared.owner.gate(this, nowMs);
      if (gate === "wait") return; // A4
      const waiting = this.mailbox?.take();
      if (waiting === undefined) return;
      if (gate === "closed") {
        this.bury(waiting, "lease-lost", notHandledError(this.address, "has no lease here now"));
      } else if (waiting.endsAtMs <= nowMs) {
        this.bury(waiting, "deadline", deadlineError(this.address)); // A3
      } else {
        void this.handle(waiting.message, waiting.endsAtMs);
      }
    }
  }

  /** Ends it at once, unsaved: it may not act for its address any more (L4). */
  abandon(error: unknown): void {
    this.endError ??= error;
    this.feed({ kind: "abandoned", error });
  }

  stop(graceMs: number): Promise<void> {
    if (this.state.kind === "stopped") return Promise.resolve();
    return new Promise((resolve) => {
      const cancelTimer = this.clock.after(graceMs, () => {
        this.abortInFlight(new UnavailableError(`actor ${this.name} is stopping`));
      });
      (this.stopWaiters ??= []).push(() => {
        cancelTimer();
        resolve();
      });
      this.feed({ kind: "stop-requested" });
    });
  }

  async save(): Promise<void> {
    const { fence, behaviour } = this;
    if (fence === null || behaviour?.dehydrate === undefined) {
      throw new InvalidArgumentError(`actor ${this.name} is not durable: it cannot be saved`);
    }
    try {
      await fence.save(() => behaviour.dehydrate?.());
    } catch (error) {
      this.abandon(error); // A5
      throw error;
    }
  }

  settle(handling: Handling, result: Result): void {
    this.shared.alarm.delete(handling);
    const at = this.inFlight?.indexOf(handling) ?? -1;
    if (at >= 0) this.inFlight?.splice(at, 1);
    const isOpen = this.shared.owner.gate(this, this.clock.monotonicMs()) === "open";
    const answer =
      isOpen || result.error !== undefined ? result : { error: leaseLapsedError(this.address) }; // A4
    this.answer(handling.message, answer);
  }

  deadlineError(): unknown {
    return deadlineError(this.address);
  }

  private get name(): string {
    return addressText(this.address);
  }

  private get isFree(): boolean {
    return this.isRunning && this.inFlightCount < this.options.concurrency;
  }

  private handlingOf(id: string): Handling | undefined {
    return this.inFlight?.find((it) => it.message.id === id);
  }

  private windowFor(message: Incoming): AnswerWindow | null {
    if (message.kind === "stream") return null;
    if (message.isNamed !== true) return this.shared.recentAnswers;
    if (this.options.answersKept === 0) return null;
    return (this.answers ??= new AnswerWindow(this.options.answersKept));
  }

  private enqueue(waiting: Waiting): void {
    const { mailboxCapacity, overflow } = this.options;
    this.mailbox ??= new Mailbox(mailboxCapacity);
    const { priority } = waiting.message;
    const offer = { priority, nowMs: waiting.arrivedAtMs };
    if (!this.mailbox.offer(waiting, offer)) {
      const dropped = overflow === "drop-oldest" ? this.mailbox.evict(priority) : undefined;
      const isIn = dropped !== undefined && this.mailbox.offer(waiting, offer);
      if (dropped !== undefined)
        this.bury(dropped, "dropped", mailboxFullError(this.address, mailboxCapacity));
      if (!isIn) {
        this.bury(waiting, "mailbox-full", mailboxFullError(this.address, mailboxCapacity));
        return;
      }
    }
    waiting.message.admitted?.();
  }

  private feed(event: LifecycleEvent): void {
    const step = stepLifecycle(this.state, event, this.clock.monotonicMs(), this.options);
    this.state = step.state;
    for (const effect of step.effects) this.apply(effect);
  }

  private crash(error: unknown): void {
    this.shared.log.error(
      { event: "actor.crashed", actor: this.name, err: error },
      "actor crashed",
    );
    if (isExhausted(this.state, this.clock.monotonicMs(), this.options)) {
      const failure = { address: this.address, error };
      const own = this.options.supervise?.(failure) ?? "escalate";
      const directive = own === "escalate" ? this.shared.owner.supervise(failure) : own;
      if (directive !== "restart") this.endError ??= error;
      this.feed({ kind: "crashed", error, directive });
    } else {
      this.feed({ kind: "crashed", error });
    }
  }

  private apply(effect: LifecycleEffect): void {
    if (effect.kind === "start") this.startLater(effect.afterMs);
    else if (effect.kind === "pump") this.pump();
    else if (effect.kind === "drain") this.drain();
    else if (effect.kind === "save") void this.saveIdle();
    else if (effect.kind === "abort-in-flight") this.abortInFlight(effect.error);
    else if (effect.kind === "release") void this.release();
    else this.options.onEscalate?.(effect.error);
  }

  private startLater(afterMs: number): void {
    if (afterMs > 0) this.clock.after(afterMs, () => void this.startBehaviour());
    else void this.startBehaviour();
  }

  private async startBehaviour(): Promise<void> {
    if (this.state.kind !== "starting") return; // stopped during the pause
    try {
      const behaviour = this.make(this.address);
      this.behaviour = behaviour;
      if (behaviour.dehydrate !== undefined && !(await this.restore(behaviour))) return;
      await behaviour.start?.();
    } catch (error) {
      this.crash(error);
      return;
    }
    this.feed({ kind: "started" });
    if (this.isRunning) this.shared.owner.onStarted(this);
  }

  /** False: it has no right to its state, or the store is away; it was ended. */
  private async restore(behaviour: Behaviour): Promise<boolean> {
    this.fence ??= this.shared.owner.fenceFor(this);
    if (this.fence === null) return true;
    let stored: Awaited<ReturnType<StateFence["load"]>>;
    try {
      stored = await this.fence.load();
    } catch (error) {
      this.abandon(error);
      return false;
    }
    if (stored !== null) await behaviour.rehydrate?.(stored.state, stored.version);
    return true;
  }

  private async handle(message: Incoming, endsAtMs: number): Promise<void> {
    const handling = new Handling(this, message, endsAtMs);
    (this.inFlight ??= []).push(handling);
    if (endsAtMs !== Number.POSITIVE_INFINITY) this.shared.alarm.add(handling);
    try {
      handling.finish({ value: await this.run(message, handling) });
    } catch (error) {
      handling.finish({ error });
      const isAbort = handling.isAborted && error === handling.abortReason;
      if (!isRuntimeError(error) && !isAbort) this.crash(error);
    }
    this.lastUsedMs = this.clock.monotonicMs();
    if (this.state.kind === "stopping") this.drain();
    else this.pump();
  }

  private run(message: Incoming, handling: Handling): Promise<unknown> {
    const { behaviour } = this;
    if (behaviour === null) throw new UnavailableError(`actor ${this.name} is not started`);
    if (message.kind !== "stream") return behaviour.handle(message.payload, handling);
    return this.runStream(behaviour, message, handling);
  }

  private async runStream(behaviour: Behaviour, message: Incoming, handling: Handling) {
    if (behaviour.stream === undefined) {
      throw new UnavailableError(`actor ${this.name} does not answer with streams`);
    }
    for await (const value of behaviour.stream(message.payload, handling)) {
      if (handling.isAborted) throw handling.abortReason;
      await message.item?.(value);
    }
    return undefined;
  }

  private async saveIdle(): Promise<void> {
    const { fence, behaviour } = this;
    this.isWanted = false;
    try {
      if (fence !== null) await fence.save(() => behaviour?.dehydrate?.());
    } catch (error) {
      if (isRuntimeError(error) && !error.isRetryable) this.abandon(error);
      else this.touch(); // it stays, and tries again when it is next found idle
    }
    this.feed({ kind: "saved", isWanted: this.isWanted });
  }

  private drain(): void {
    for (const waiting of this.mailbox?.clear() ?? []) {
      this.bury(waiting, "stopped", notHandledError(this.address, "is stopping"));
    }
    if (this.inFlightCount > 0 || this.isSaving) return;
    if (this.fence === null) this.feed({ kind: "drained" });
    else void this.saveLast(this.fence);
  }

  private async saveLast(fence: StateFence): Promise<void> {
    this.isSaving = true;
    try {
      await fence.save(() => this.behaviour?.dehydrate?.());
    } catch (error) {
      this.shared.log.error(
        { event: "actor.save-failed", actor: this.name, err: error },
        "the state of a stopping actor was not saved",
      );
    }
    this.feed({ kind: "drained" });
  }

  private abortInFlight(error: unknown): void {
    // A defect of one message must not leak its text to the senders of the others.
    const isTellable = isRuntimeError(error) && error.isRetryable;
    const reason = isTellable
      ? error
      : new UnavailableError(`actor ${this.name} was restarted or replaced`, { cause: error });
    for (const handling of [...(this.inFlight ?? [])]) {
      handling.abort(reason);
      handling.finish({ error: reason });
    }
    if (this.state.kind === "stopping") this.drain();
  }

  private async release(): Promise<void> {
    for (const waiting of this.mailbox?.clear() ?? []) {
      this.bury(waiting, "stopped", notHandledError(this.address, "stopped"));
    }
    this.shared.owner.onReleased(this, this.endError);
    try {
      await this.behaviour?.stop?.();
    } catch (error) {
      this.shared.log.error(
        { event: "actor.crashed", actor: this.name, err: error },
        "actor crashed while it stopped",
      );
    }
    for (const resolve of this.stopWaiters ?? []) resolve();
    this.stopWaiters = null;
  }

  private answer(message: Incoming, result: Result): void {
    this.windowFor(message)?.settle(message, result);
    message.done(result);
  }

  /** Before anything else is done with the message: another activation may be handling it. */
  private turnAway(message: Incoming, reason: DeadLetterReason, error: Error): void {
    this.countDead(message, reason, 0);
    message.done({ error });
  }

  private bury({ message, arrivedAtMs }: Waiting, reason: DeadLetterReason, error: Error): void {
    this.countDead(message, reason, this.clock.monotonicMs() - arrivedAtMs);
    this.answer(message, { error });
  }

  private countDead(message: Incoming, reason: DeadLetterReason, ageMs: number): void {
    const { kind, id: messageId } = message;
    this.shared.letters.add({ reason, address: this.address, kind, messageId, ageMs });
  }
}
