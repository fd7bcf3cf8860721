/**
 * The mailbox subject of one activation: what arrives becomes messages, what they yield answers.
 *
 * Owns:      the subscription, the wire form, the credit of streams.
 * Does not:  decide whether or when a message is handled (activation.ts).
 */
import type { BusMessage, MessageSubscription, Messaging, PublishOptions } from "@murakkab/bus";
import { STREAM_END_HEADER } from "@murakkab/bus";
import type { Logger } from "@murakkab/kit";
import {
  CancelledError,
  fromWireError,
  InvalidArgumentError,
  isRuntimeError,
  toWireError,
} from "@murakkab/kit";
import type { Envelope } from "@murakkab/protocol";
import { contentHeaders, decode, encode, readEnvelope, subjects } from "@murakkab/protocol";
import type { Activation } from "./activation.ts";
import { CreditGate } from "./credit-gate.ts";
import type { Incoming, Result } from "./incoming.ts";

/** An answer, or an item of a stream. */
export interface WireAnswer {
  readonly index?: number;
  readonly value?: unknown;
  readonly error?: ReturnType<typeof toWireError>;
}

const MSGPACK = contentHeaders("msgpack");
const ANSWER_OPTIONS = { headers: MSGPACK };
const END_OPTIONS = { headers: { [STREAM_END_HEADER]: "1" } };
const NO_DATA = new Uint8Array(0);

export class Inlet {
  readonly activation: Activation;
  private readonly messaging: Messaging;
  private readonly log: Logger;
  private readonly subscription: MessageSubscription;
  private gates: Map<string, CreditGate> | null = null;

  constructor(
    components: { readonly messaging: Messaging; readonly log: Logger },
    activation: Activation,
  ) {
    this.messaging = components.messaging;
    this.log = components.log;
    this.activation = activation;
    const { type, key } = activation.address;
    this.subscription = this.messaging.subscribe(subjects.actor(type, key), (message) =>
      this.receive(message),
    );
  }

  /** Takes nothing new; what is on its way still gets its answer from the activation. */
  close(): Promise<void> {
    for (const gate of this.gates?.values() ?? []) gate.close();
    return this.subscription.drain();
  }

  /** @internal */
  answer(message: BusMessage, result: Result): void {
    if (message.reply === undefined) return;
    this.publish(message.reply, this.toWire(result));
  }

  /** @internal */
  endStream(id: string, message: BusMessage, result: Result): void {
    this.gates?.delete(id);
    if (message.reply === undefined) return;
    if (result.error !== undefined) this.publish(message.reply, this.toWire(result));
    this.send(message.reply, NO_DATA, END_OPTIONS);
  }

  /** @internal Sends one item as soon as the reader can take it. */
  async sendItem(gate: CreditGate, reply: string | undefined, item: WireAnswer): Promise<void> {
    if (!(await gate.take())) throw new CancelledError("the stream was cancelled");
    if (reply !== undefined) this.publish(reply, item);
  }

  private receive(message: BusMessage): void {
    let envelope: Envelope;
    try {
      envelope = readEnvelope(decode(message.data, message.headers).value);
    } catch (error) {
      this.answer(message, { error });
      return;
    }
    switch (envelope.kind) {
      case "ask":
        this.activation.accept(new IncomingAsk(this, message, envelope));
        break;
      case "tell":
        this.activation.accept(new IncomingTell(this, message, envelope));
        break;
      case "stream": {
        const gate = new CreditGate(envelope.credit);
        (this.gates ??= new Map()).set(envelope.id, gate);
        this.activation.accept(new IncomingStream(this, message, envelope, gate));
        break;
      }
      case "cancel":
        this.gates?.get(envelope.id)?.close();
        this.activation.cancel(envelope.id);
        break;
      case "credit":
        this.gates?.get(envelope.id)?.add(envelope.credit);
        break;
      case "probe":
        this.answer(message, { value: this.activation.isWorkingOn(envelope.id) });
        break;
    }
  }

  private toWire({ value, error }: Result): WireAnswer {
    if (error === undefined) return { value: value ?? null };
    if (!isRuntimeError(error)) {
      this.log.error({ event: "actor.defect-answered", err: error }, "a defect was answered");
    }
    return { error: toWireError(error) };
  }

  private publish(subject: string, answer: WireAnswer): void {
    try {
      this.messaging.publish(subject, encode(answer, "msgpack"), ANSWER_OPTIONS);
    } catch (error) {
      const cause = isRuntimeError(error) ? error : new InvalidArgumentError(String(error));
      if (cause.code === "UNAVAILABLE") return; // the bus was closed: nobody can be told
      this.send(subject, encode({ error: toWireError(cause) }, "msgpack"), ANSWER_OPTIONS);
    }
  }

  private send(subject: string, data: Uint8Array, options: PublishOptions): void {
    try {
      this.messaging.publish(subject, data, options);
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== "UNAVAILABLE") throw error;
    }
  }
}

/** Classes, not object literals: one is made per message. */
class IncomingAsk implements Incoming {
  readonly kind = "ask";
  private readonly inlet: Inlet;
  private readonly message: BusMessage;
  private readonly envelope: Extract<Envelope, { kind: "ask" }>;

  constructor(inlet: Inlet, message: BusMessage, envelope: Extract<Envelope, { kind: "ask" }>) {
    this.inlet = inlet;
    this.message = message;
    this.envelope = envelope;
  }

  get id(): string {
    return this.envelope.id;
  }

  get payload(): unknown {
    return this.envelope.payload;
  }

  get remainingMs(): number {
    return this.envelope.remainingMs;
  }

  get priority() {
    return this.envelope.priority;
  }

  get isNamed() {
    return this.envelope.isNamed;
  }

  done(result: Result): void {
    this.inlet.answer(this.message, result);
  }
}

/** Answered when it is admitted: its sender only wants to know that it arrived. */
class IncomingTell implements Incoming {
  readonly kind = "tell";
  readonly id: string;
  readonly payload: unknown;
  readonly remainingMs = Number.POSITIVE_INFINITY;
  readonly priority: Incoming["priority"];
  readonly isNamed: boolean | undefined;
  private readonly inlet: Inlet;
  private readonly message: BusMessage;
  private isAnswered = false;

  constructor(inlet: Inlet, message: BusMessage, envelope: Extract<Envelope, { kind: "tell" }>) {
    this.inlet = inlet;
    this.message = message;
    this.id = envelope.id;
    this.payload = envelope.payload;
    this.priority = envelope.priority;
    this.isNamed = envelope.isNamed;
  }

  admitted(): void {
    this.done({ value: null });
  }

  done(result: Result): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.inlet.answer(this.message, result);
  }
}

class IncomingStream implements Incoming {
  readonly kind = "stream";
  readonly id: string;
  readonly payload: unknown;
  readonly remainingMs: number;
  readonly priority: Incoming["priority"];
  private readonly inlet: Inlet;
  private readonly message: BusMessage;
  private readonly gate: CreditGate;
  private index = 0;

  constructor(
    inlet: Inlet,
    message: BusMessage,
    envelope: Extract<Envelope, { kind: "stream" }>,
    gate: CreditGate,
  ) {
    this.inlet = inlet;
    this.message = message;
    this.gate = gate;
    this.id = envelope.id;
    this.payload = envelope.payload;
    this.remainingMs = envelope.remainingMs;
    this.priority = envelope.priority;
  }

  async item(value: unknown): Promise<void> {
    const { index } = this;
    this.index += 1;
    await this.inlet.sendItem(this.gate, this.message.reply, { index, value });
  }

  done(result: Result): void {
    this.inlet.endStream(this.id, this.message, result);
  }
}

/** What an answer says: its value, or a throw of its error. */
export function valueOf(answer: WireAnswer): unknown {
  if (answer.error !== undefined) throw fromWireError(answer.error);
  return answer.value;
}
