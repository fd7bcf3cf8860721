/**
 * The messaging port over one NATS connection.
 *
 * Owns:      the inbox and the table of requests in flight, the status, the size check.
 * Does not:  connect or reconnect (nats-bus.ts and the client library do).
 *
 * Invariants:
 *   N1. All answers arrive over one wildcard subscription; nothing is subscribed per request.
 *   N2. While disconnected nothing is sent: requests fail at once, publishes are dropped. The
 *       library would buffer them and throw the buffer away when it dials again.
 *   N3. Requests in flight outlive a disconnect: they may be answered after it, else time out.
 */
import type { Clock, Logger, Random } from "@murakkab/kit";
import {
  InvalidArgumentError,
  isRuntimeError,
  TerminalError,
  UnavailableError,
} from "@murakkab/kit";
import type { MsgHdrs, NatsConnection } from "nats";
import type {
  BusMessage,
  BusStatus,
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
import type { EncodedHeaders } from "./nats-headers.ts";
import { encodeHeaders } from "./nats-headers.ts";
import { NatsMessage, toBusMessage, tokenOf } from "./nats-message.ts";
import { Outbox } from "./outbox.ts";

const NO_RESPONDERS_STATUS = 503;
/** Below any server's payload limit. */
const SMALL_TEXT_BYTES = 4_096;

export interface NatsMessagingComponents {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface NatsMessagingOptions {
  readonly address: string;
  readonly inboxPrefix: string;
  readonly onDefect: (error: unknown, subject: string) => void;
}

/** @internal For callers that encoded their headers already. */
export interface NatsRequestOptions extends RequestOptions {
  readonly encodedHeaders?: EncodedHeaders;
}

interface SendOptions {
  readonly reply: string | undefined;
  readonly headers: PublishOptions["headers"];
  readonly encodedHeaders?: EncodedHeaders | undefined;
}

export class NatsMessaging implements Messaging {
  private readonly connection: NatsConnection;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly options: NatsMessagingOptions;
  private readonly table: RequestTable;
  private readonly inbox: string;
  private readonly outbox: Outbox | null;
  private readonly statusListeners = new Set<(status: BusStatus) => void>();
  private status: BusStatus = "connected";

  constructor(components: NatsMessagingComponents, options: NatsMessagingOptions) {
    this.connection = components.connection;
    this.clock = components.clock;
    this.random = components.random;
    this.log = components.log;
    this.options = options;
    this.table = new RequestTable(components.clock);
    this.outbox = Outbox.on(components.connection);
    this.inbox = `${options.inboxPrefix}.${this.random.uuid().replaceAll("-", "")}.`;
    this.connection.subscribe(`${this.inbox}*`, {
      callback: (error, raw) => {
        if (error !== null) return; // a denied inbox; the status listener reports it
        const token = tokenOf(raw);
        const message = new NatsMessage(raw);
        if (message.data.length === 0 && message.status === NO_RESPONDERS_STATUS) {
          this.table.failNoResponders(token);
        } else {
          this.table.deliver(token, message);
        }
      },
    });
  }

  get maxPayloadBytes(): number {
    return this.connection.info?.max_payload ?? 1024 * 1024; // nats-server's own default
  }

  get isConnected(): boolean {
    return this.status === "connected";
  }

  get isClosed(): boolean {
    return this.status === "closed";
  }

  publish(subject: string, data: Uint8Array | string, options?: PublishOptions): void {
    checkSubject(subject);
    if (options?.reply !== undefined) checkSubject(options.reply);
    this.send(subject, data, { reply: options?.reply, headers: options?.headers });
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: { readonly queueGroup?: string },
  ): MessageSubscription {
    checkSubjectFilter(subject);
    this.assertOpen();
    const subscription = this.connection.subscribe(subject, {
      ...(options?.queueGroup === undefined ? {} : { queue: options.queueGroup }),
      callback: (error, raw) => {
        if (error !== null) return; // denied; the status listener reports it
        try {
          handler(toBusMessage(raw));
        } catch (defect) {
          // Thrown on, it would end the library's read loop without a word.
          this.options.onDefect(defect, subject);
        }
      },
    });
    return {
      unsubscribe: () => {
        if (!this.connection.isClosed()) subscription.unsubscribe();
      },
      drain: async () => {
        if (this.connection.isClosed() || subscription.isClosed()) return;
        await subscription.drain();
      },
    };
  }

  request(subject: string, data: Uint8Array, options: NatsRequestOptions): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      const { timeoutMs, headers, encodedHeaders, signal } = options;
      checkSubject(subject);
      this.assertConnected();
      if (signal?.aborted) throw cancelledError(signal, subject);
      const nowMs = this.clock.monotonicMs();
      const waiting = new SingleReply(subject, { timeoutMs, nowMs, resolve, reject });
      const token = this.table.add(waiting);
      if (signal !== undefined) {
        waiting.cancelOn(signal, (error) => {
          this.table.fail(token, error);
        });
      }
      try {
        this.send(subject, data, { reply: this.inbox + token, headers, encodedHeaders });
      } catch (error) {
        this.table.fail(token, error as Error);
      }
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
      this.send(subject, data, { reply: this.inbox + token, headers: options.headers });
    };
    return streamReplies({ table: this.table, clock: this.clock, send }, subject, options);
  }

  async flush(): Promise<void> {
    this.assertConnected();
    this.outbox?.drain();
    try {
      await this.connection.flush();
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  register(service: ServiceInfo): Subscription {
    return registerService(this, service, {
      id: this.random.uuid(),
      startedAtWallMs: this.clock.wallMs(),
    });
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    this.statusListeners.add(listener);
    return { unsubscribe: () => this.statusListeners.delete(listener) };
  }

  /** @internal For nats-bus.ts, which listens to the client library. */
  setStatus(status: BusStatus): void {
    if (this.status === status || this.status === "closed") return;
    this.status = status;
    if (status === "closed") this.table.failWhere(() => this.unavailable());
    for (const listener of [...this.statusListeners]) listener(status);
  }

  /** @internal The server refused: those who wait for an answer would wait in vain. */
  onPermissionDenied(operation: string, subject: string): void {
    this.log.warn({ event: "bus.permission-denied", operation, subject }, "permission denied");
    const isInbox = operation === "subscription" && subject.startsWith(this.inbox);
    this.table.failWhere((waiting) =>
      isInbox || (operation === "publish" && waiting.subject === subject)
        ? new TerminalError("PERMISSION_DENIED", `${operation} on ${subject} is not permitted`)
        : null,
    );
  }

  private send(subject: string, data: Uint8Array | string, options: SendOptions): void {
    const { reply, headers } = options;
    const encoded =
      options.encodedHeaders ?? (headers === undefined ? undefined : encodeHeaders(headers));
    // A character has three bytes at most: a text is measured only when that could matter.
    const isSmallText = typeof data === "string" && data.length * 3 < SMALL_TEXT_BYTES;
    const dataBytes =
      isSmallText || typeof data !== "string" ? data.length : Buffer.byteLength(data);
    const sizeBytes = dataBytes + (encoded?.bytes.length ?? 0);
    if (sizeBytes > this.maxPayloadBytes) {
      throw new InvalidArgumentError(
        `message of ${sizeBytes} bytes on ${subject} is over the server's limit of ` +
          `${this.maxPayloadBytes} bytes`,
        { context: { sizeBytes, maxPayloadBytes: this.maxPayloadBytes } },
      );
    }
    this.assertOpen();
    if (this.status !== "connected") return; // N2
    if (this.outbox !== null) {
      this.outbox.add(subject, reply, encoded?.bytes ?? null, data);
      return;
    }
    const library: { reply?: string; headers?: MsgHdrs } = {};
    if (reply !== undefined) library.reply = reply;
    if (encoded !== undefined) library.headers = encoded.asLibraryHeaders();
    try {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      this.connection.publish(subject, bytes, library);
    } catch (cause) {
      throw isRuntimeError(cause) ? cause : this.unavailable(cause);
    }
  }

  private assertOpen(): void {
    if (this.status === "closed") throw this.unavailable();
  }

  private assertConnected(): void {
    if (this.status !== "connected") throw this.unavailable();
  }

  private unavailable(cause?: unknown): UnavailableError {
    const what = this.status === "closed" ? "is closed" : "is down";
    return new UnavailableError(
      `the connection to nats-server at ${this.options.address} ${what}`,
      cause === undefined ? {} : { cause },
    );
  }
}
