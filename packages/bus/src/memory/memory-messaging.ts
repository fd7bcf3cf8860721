/** The messaging port over a MemoryBroker: one connection. */
import { InvalidArgumentError, UnavailableError } from "@murakkab/kit";
import type {
  BusMessage,
  BusStatus,
  Headers,
  MessageSubscription,
  Messaging,
  PublishOptions,
  RequestOptions,
  ServiceInfo,
  StreamOptions,
  Subscription,
} from "../messaging.ts";
import { streamReplies } from "../reply-stream.ts";
import { cancelledError, RequestTable, SingleReply } from "../request-table.ts";
import { registerService } from "../service-endpoint.ts";
import { checkSubject, checkSubjectFilter } from "../subject.ts";
import type { MemoryBroker } from "./memory-broker.ts";

const TEXT_ENCODER = new TextEncoder();
const NO_HEADERS: Headers = Object.freeze({});
/** `NATS/1.0`, the line breaks and the colon and blank of each header, as they travel in NATS. */
const HEADER_BLOCK_BYTES = 12;
const HEADER_LINE_BYTES = 4;

export interface MemoryMessagingOptions {
  readonly name: string;
  readonly inbox: string;
  readonly isConnected: boolean;
}

export class MemoryMessaging implements Messaging {
  readonly name: string;
  private readonly broker: MemoryBroker;
  private readonly inbox: string;
  private readonly table: RequestTable;
  private readonly statusListeners = new Set<(status: BusStatus) => void>();
  private readonly unsubscribers = new Set<() => void>();
  private status: BusStatus;
  private serviceCount = 0;

  constructor(broker: MemoryBroker, options: MemoryMessagingOptions) {
    this.broker = broker;
    this.name = options.name;
    this.inbox = options.inbox;
    this.status = options.isConnected ? "connected" : "disconnected";
    this.table = new RequestTable(broker.clock);
    this.subscribe(`${this.inbox}*`, (message) => {
      this.table.deliver(Number(message.subject.slice(this.inbox.length)), message);
    });
  }

  get maxPayloadBytes(): number {
    return this.broker.maxPayloadBytes;
  }

  get isConnected(): boolean {
    return this.status === "connected";
  }

  publish(subject: string, content: Uint8Array | string, options?: PublishOptions): void {
    const data = typeof content === "string" ? TEXT_ENCODER.encode(content) : content;
    if (options?.reply !== undefined) checkSubject(options.reply);
    this.send(subject, data, options ?? {});
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: { readonly queueGroup?: string },
  ): MessageSubscription {
    checkSubjectFilter(subject);
    if (this.status === "closed") throw this.unavailable();
    const remove = this.broker.subscribe({
      filter: subject,
      queueGroup: options?.queueGroup ?? null,
      connection: this,
      handler,
    });
    this.unsubscribers.add(remove);
    return {
      unsubscribe: () => {
        this.unsubscribers.delete(remove);
        remove();
      },
      drain: async () => {
        this.unsubscribers.delete(remove);
        remove.leave();
        await this.broker.hop(); // behind everything that was sent before (B3)
        remove();
      },
    };
  }

  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      const { timeoutMs, signal } = options;
      checkSubject(subject);
      this.assertConnected();
      if (signal?.aborted) throw cancelledError(signal, subject);
      const nowMs = this.broker.clock.monotonicMs();
      const waiting = new SingleReply(subject, { timeoutMs, nowMs, resolve, reject });
      const token = this.table.add(waiting);
      if (signal !== undefined) {
        waiting.cancelOn(signal, (error) => {
          this.table.fail(token, error);
        });
      }
      this.ask(token, { subject, data, headers: options.headers });
    });
  }

  requestStream(
    subject: string,
    data: Uint8Array,
    options: StreamOptions,
  ): AsyncIterable<BusMessage> {
    const send = (token: number): void => {
      checkSubject(subject);
      this.assertConnected();
      this.ask(token, { subject, data, headers: options.headers });
    };
    return streamReplies({ table: this.table, clock: this.broker.clock, send }, subject, options);
  }

  async flush(): Promise<void> {
    this.assertConnected();
    await this.broker.hop();
    if (this.status !== "connected") throw this.unavailable();
  }

  register(service: ServiceInfo): Subscription {
    this.serviceCount += 1;
    return registerService(this, service, {
      id: `${this.inbox.slice("_INBOX.".length, -1)}-${this.serviceCount}`,
      startedAtWallMs: this.broker.clock.wallMs(),
    });
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    this.statusListeners.add(listener);
    return { unsubscribe: () => this.statusListeners.delete(listener) };
  }

  /** @internal For the broker. */
  setStatus(status: BusStatus): void {
    if (this.status === status || this.status === "closed") return;
    this.status = status;
    if (status === "closed") {
      for (const remove of this.unsubscribers) remove();
      this.unsubscribers.clear();
      this.table.failWhere(() => this.unavailable());
    }
    for (const listener of [...this.statusListeners]) listener(status);
  }

  /** @internal For the state port. */
  assertConnected(): void {
    if (this.status !== "connected") throw this.unavailable();
  }

  /** @internal An append is a publish as well; the log has taken it already. */
  announce(subject: string, data: Uint8Array, headers: Headers | undefined): void {
    this.broker.route(copyMessage({ subject, data, headers }));
  }

  /** @internal Errors: `INVALID_ARGUMENT` (B4). */
  assertSize(subject: string, data: Uint8Array, headers: Headers | undefined): void {
    const sizeBytes = data.length + headerBytes(headers);
    if (sizeBytes <= this.maxPayloadBytes) return;
    throw new InvalidArgumentError(
      `message of ${sizeBytes} bytes on ${subject} is over the server's limit of ` +
        `${this.maxPayloadBytes} bytes`,
      { context: { sizeBytes, maxPayloadBytes: this.maxPayloadBytes } },
    );
  }

  private ask(
    token: number,
    question: { subject: string; data: Uint8Array; headers: Headers | undefined },
  ): void {
    const { subject, data, headers } = question;
    try {
      const options = { reply: this.inbox + token, ...(headers === undefined ? {} : { headers }) };
      const receiverCount = this.send(subject, data, options);
      if (receiverCount > 0) return;
      this.broker.deliverLater(() => {
        this.table.failNoResponders(token);
      });
    } catch (error) {
      this.table.fail(token, error as Error);
    }
  }

  /** Answers how many subscribers get it. */
  private send(subject: string, data: Uint8Array, options: PublishOptions): number {
    checkSubject(subject);
    this.assertSize(subject, data, options.headers);
    if (this.status === "closed") throw this.unavailable();
    if (this.status !== "connected") return 0; // dropped, as the NATS adapter does
    const message = copyMessage({ subject, data, headers: options.headers, reply: options.reply });
    const { capturedCount } = this.broker.store.capture(subject, message.data, {
      ...captureOptions(options.headers),
      nowMs: this.broker.clock.monotonicMs(),
    });
    return this.broker.route(message) + capturedCount;
  }

  private unavailable(): UnavailableError {
    const what = this.status === "closed" ? "is closed" : "is down";
    return new UnavailableError(`the connection ${this.name} to the in-memory bus ${what}`);
  }
}

/** What is sent is a copy: the sender may change its bytes afterwards, as with a socket. */
function copyMessage(message: {
  subject: string;
  data: Uint8Array;
  headers: Headers | undefined;
  reply?: string | undefined;
}): BusMessage {
  const { subject, headers, reply } = message;
  return {
    subject,
    data: new Uint8Array(message.data),
    headers: headers === undefined ? NO_HEADERS : Object.freeze({ ...headers }),
    ...(reply === undefined ? {} : { reply }),
  };
}

function captureOptions(headers: Headers | undefined): { messageId?: string } {
  const messageId = headers?.["Nats-Msg-Id"];
  return messageId === undefined ? {} : { messageId };
}

function headerBytes(headers: Headers | undefined): number {
  if (headers === undefined) return 0;
  return Object.entries(headers).reduce(
    (sum, [name, value]) => sum + name.length + value.length + HEADER_LINE_BYTES,
    HEADER_BLOCK_BYTES,
  );
}
