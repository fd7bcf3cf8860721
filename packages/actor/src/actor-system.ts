/**
 * The actors of one process, and how any process talks to any actor.
 *
 * Owns:      the map of local activations, their mailbox subjects, the wire form of messages.
 * Does not:  place actors or remember them after a loss: that is the scheduler's and the
 *            journal's.
 */

import type { BusMessage, Messaging, Subscription } from "@murakkab/bus";
import { call, STREAM_END_HEADER } from "@murakkab/bus";
import type { Clock, Logger, Random } from "@murakkab/kit";
import {
  assert,
  CancelledError,
  fromWireError,
  InvalidArgumentError,
  isRuntimeError,
  toWireError,
} from "@murakkab/kit";
import type { Envelope } from "@murakkab/protocol";
import {
  contentHeaders,
  decode,
  encode,
  envelopeSchema,
  subjects,
  validate,
} from "@murakkab/protocol";
import type { Incoming } from "./activation.ts";
import { Activation } from "./activation.ts";
import type {
  ActorAddress,
  ActorHandle,
  ActorOptions,
  ActorSystemComponents,
  ActorSystemPort,
  AskOptions,
  Behaviour,
} from "./actor.ts";
import { CreditGate } from "./credit-gate.ts";

/** Items that a stream's sender may be ahead of its reader. */
const STREAM_CREDIT = 64;
/** Beyond the message's own deadline, so that the receiver's answer to it still arrives, ms. */
const REPLY_SLACK_MS = 250;

interface Local {
  readonly activation: Activation;
  readonly subscription: Subscription;
  readonly gates: Map<string, CreditGate>;
}

export class ActorSystem implements ActorSystemPort {
  private readonly messaging: Messaging;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly locals = new Map<string, Local>();

  constructor(components: ActorSystemComponents) {
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.random = components.random.stream("actor-messages");
    this.log = components.log.child({ component: "actor" });
  }

  spawn(address: ActorAddress, make: () => Behaviour, options: ActorOptions = {}): ActorHandle {
    const subject = subjects.actor(address.type, address.key);
    assert(!this.locals.has(subject), `actor ${address.type}/${address.key} is already here`);
    const gates = new Map<string, CreditGate>();
    const activation = new Activation(
      { clock: this.clock, log: this.log },
      {
        address,
        make,
        options,
        onReleased: () => {
          subscription.unsubscribe();
          this.locals.delete(subject);
          for (const gate of gates.values()) gate.close();
        },
      },
    );
    const local: Local = {
      activation,
      gates,
      subscription: this.messaging.subscribe(subject, (message) => this.receive(local, message)),
    };
    const { subscription } = local;
    this.locals.set(subject, local);
    return {
      address,
      get queuedCount() {
        return activation.queuedCount;
      },
      get inFlightCount() {
        return activation.inFlightCount;
      },
      stop: (stopOptions) => activation.stop(stopOptions?.graceMs ?? 0),
    };
  }

  async ask(address: ActorAddress, message: unknown, options: AskOptions): Promise<unknown> {
    const id = this.random.uuid();
    const subject = subjects.actor(address.type, address.key);
    const envelope: Envelope = {
      kind: "ask",
      id,
      remainingMs: options.deadlineMs,
      payload: message,
    };
    const { signal } = options;
    const onAbort = (): void => this.send(subject, { kind: "cancel", id });
    if (signal?.aborted) throw signal.reason ?? new CancelledError(`request ${id} was cancelled`);
    signal?.addEventListener("abort", onAbort);
    try {
      // The answer to a cancel is awaited too: it tells what the cancelled work cost.
      const reply = await call<{ value?: unknown }>(
        this.messaging,
        { subject, value: envelope },
        {
          timeoutMs: options.deadlineMs + REPLY_SLACK_MS,
          ...(options.giveUp === undefined ? {} : { signal: options.giveUp }),
        },
      );
      return reply.value;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  tell(address: ActorAddress, message: unknown): void {
    const subject = subjects.actor(address.type, address.key);
    this.send(subject, { kind: "tell", id: this.random.uuid(), payload: message });
  }

  async *stream(
    address: ActorAddress,
    message: unknown,
    options: AskOptions,
  ): AsyncIterable<unknown> {
    const id = this.random.uuid();
    const subject = subjects.actor(address.type, address.key);
    const envelope: Envelope = {
      kind: "stream",
      id,
      remainingMs: options.deadlineMs,
      credit: STREAM_CREDIT,
      payload: message,
    };
    const items = this.messaging.requestStream(subject, encode(envelope, "msgpack"), {
      idleTimeoutMs: options.deadlineMs + REPLY_SLACK_MS,
      headers: contentHeaders("msgpack"),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let isComplete = false;
    let sinceCreditCount = 0;
    try {
      for await (const item of items) {
        const value = decode(item.data, item.headers).value as StreamItem;
        if (value.error !== undefined) {
          isComplete = true;
          throw fromWireError(value.error);
        }
        yield value.value;
        sinceCreditCount += 1;
        if (sinceCreditCount >= STREAM_CREDIT / 2) {
          this.send(subject, { kind: "credit", id, credit: sinceCreditCount });
          sinceCreditCount = 0;
        }
      }
      isComplete = true;
    } finally {
      if (!isComplete) this.send(subject, { kind: "cancel", id });
    }
  }

  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const activations = [...this.locals.values()].map((local) => local.activation);
    await Promise.all(activations.map((activation) => activation.stop(options.graceMs ?? 0)));
  }

  private send(subject: string, envelope: Envelope): void {
    this.messaging.publish(subject, encode(envelope, "msgpack"), {
      headers: contentHeaders("msgpack"),
    });
  }

  private receive(local: Local, message: BusMessage): void {
    let envelope: Envelope;
    try {
      const { value } = decode(message.data, message.headers);
      envelope = validate(envelopeSchema, value, "actor envelope");
    } catch (error) {
      this.reply(message, { error: this.wireError(error) });
      return;
    }
    if (envelope.kind === "cancel") {
      local.gates.get(envelope.id)?.close();
      local.activation.cancel(envelope.id);
    } else if (envelope.kind === "credit") {
      local.gates.get(envelope.id)?.add(envelope.credit);
    } else if (envelope.kind === "stream") {
      this.acceptStream(local, message, envelope);
    } else {
      local.activation.accept({
        id: envelope.id,
        kind: envelope.kind,
        payload: envelope.payload,
        remainingMs: envelope.kind === "ask" ? envelope.remainingMs : Number.POSITIVE_INFINITY,
        done: (result) => this.reply(message, this.toReply(result)),
      });
    }
  }

  private acceptStream(
    local: Local,
    message: BusMessage,
    envelope: Extract<Envelope, { kind: "stream" }>,
  ): void {
    const gate = new CreditGate(envelope.credit);
    local.gates.set(envelope.id, gate);
    let index = 0;
    const incoming: Incoming = {
      id: envelope.id,
      kind: "stream",
      payload: envelope.payload,
      remainingMs: envelope.remainingMs,
      item: async (value) => {
        if (!(await gate.take())) throw new CancelledError(`stream ${envelope.id} was cancelled`);
        this.reply(message, { index, value });
        index += 1;
      },
      done: (result) => {
        local.gates.delete(envelope.id);
        if (result.error !== undefined) this.reply(message, this.toReply(result));
        this.endStream(message);
      },
    };
    local.activation.accept(incoming);
  }

  private toReply(result: { readonly value?: unknown; readonly error?: unknown }): StreamItem {
    if (result.error !== undefined) return { error: this.wireError(result.error) };
    return { value: result.value ?? null };
  }

  private wireError(error: unknown): NonNullable<StreamItem["error"]> {
    if (!isRuntimeError(error)) {
      this.log.error({ event: "actor.defect-answered", err: error }, "a defect was answered");
    }
    return toWireError(error);
  }

  private reply(message: BusMessage, value: StreamItem): void {
    if (message.reply === undefined) return;
    const headers = contentHeaders("msgpack");
    try {
      this.messaging.publish(message.reply, encode(value, "msgpack"), { headers });
    } catch (error) {
      const cause = isRuntimeError(error) ? error : new InvalidArgumentError(String(error));
      const fallback = { error: toWireError(cause) };
      this.messaging.publish(message.reply, encode(fallback, "msgpack"), { headers });
    }
  }

  private endStream(message: BusMessage): void {
    if (message.reply === undefined) return;
    this.messaging.publish(message.reply, new Uint8Array(0), {
      headers: { [STREAM_END_HEADER]: "1" },
    });
  }
}

interface StreamItem {
  readonly index?: number;
  readonly value?: unknown;
  readonly error?: ReturnType<typeof toWireError>;
}
