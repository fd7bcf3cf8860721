/**
 * The JetStream API over our own request path: short attempts, repeated until the time is up.
 *
 * Owns:      the repeats, the words of the API's errors, and what a lost answer means.
 * Does not:  know buckets or logs (nats-key-value.ts, nats-log.ts).
 *
 * Why not the client library's JetStream: one attempt of it lasts 5 s, and a server that restarts
 * in 200 ms would cost all of them; its requests take the slower path as well.
 *
 * Invariants:
 *   J1. Each write carries a message id, so a repeat stores nothing twice.
 *   J2. A conflict that follows a lost answer may be our own first attempt: it is looked up.
 */
import type { Clock, Random } from "@murakkab/kit";
import {
  backoffMs,
  delay,
  InvalidArgumentError,
  isRuntimeError,
  RetryableError,
  TerminalError,
  UnavailableError,
} from "@murakkab/kit";
import { decode, encode } from "@murakkab/protocol";
import type { BusMessage, Headers } from "../messaging.ts";
import { parseHeaderBlock } from "./nats-headers.ts";
import type { NatsMessage } from "./nats-message.ts";
import type { NatsMessaging } from "./nats-messaging.ts";

export const JETSTREAM_ERROR_CODES = {
  streamNotFound: 10059,
  consumerFilterNotSubset: 10093,
  messageNotFound: 10037,
  streamNameInUse: 10058,
  subjectOverlap: 10065,
  wrongLastSequence: 10071,
} as const;

export const MESSAGE_ID_HEADER = "Nats-Msg-Id";
export const EXPECTED_SEQUENCE_HEADER = "Nats-Expected-Last-Subject-Sequence";

const REPEAT_BACKOFF = { baseMs: 20, maxMs: 400 };
const NO_DATA = new Uint8Array(0);

/** The API answered with an error. `context.errCode` is JetStream's own code. */
export class JetStreamError extends TerminalError {
  readonly errCode: number;

  constructor(subject: string, error: { code?: number; err_code?: number; description?: string }) {
    const errCode = error.err_code ?? 0;
    super("STORE_REFUSED", `${subject} failed: ${error.description ?? "no reason given"}`, {
      context: { errCode, status: error.code ?? 0 },
    });
    this.errCode = errCode;
  }
}

export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: Headers;
}

export type StoreOutcome =
  | { readonly kind: "stored"; readonly sequence: number; readonly isDuplicate: boolean }
  | { readonly kind: "conflict"; readonly lastSequence?: number };

export interface StoreRequest {
  readonly stream: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly messageId?: string;
  readonly expectedLastSequence?: number;
  readonly headers?: Headers;
}

export interface JetStreamApiComponents {
  readonly messaging: NatsMessaging;
  readonly clock: Clock;
  readonly random: Random;
}

export interface JetStreamApiOptions {
  readonly attemptTimeoutMs: number;
  readonly totalTimeoutMs: number;
  readonly inboxPrefix: string;
}

export class JetStreamApi {
  readonly messaging: NatsMessaging;
  readonly clock: Clock;
  readonly options: JetStreamApiOptions;
  private readonly random: Random;
  private readonly idPrefix: string;
  private idCount = 0;

  constructor(components: JetStreamApiComponents, options: JetStreamApiOptions) {
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.random = components.random;
    this.options = options;
    this.idPrefix = components.random.uuid();
  }

  /** Unique among all processes; for message ids and inboxes. */
  nextId(): string {
    return `${this.idPrefix}-${(this.idCount += 1)}`;
  }

  /** One call of `$JS.API.<verb>`. Errors: JetStreamError, `UNAVAILABLE`. */
  async call<T>(verb: string, body: unknown): Promise<T> {
    const subject = `$JS.API.${verb}`;
    const data = body === null ? NO_DATA : encode(body, "json");
    return this.repeat(subject, async () => {
      const reply = await this.attempt(subject, data);
      return parseAnswer<T>(subject, reply);
    });
  }

  /** Stores one message in `stream` (J1, J2). */
  async store(request: StoreRequest): Promise<StoreOutcome> {
    const { stream, subject, data, expectedLastSequence } = request;
    const messageId = request.messageId ?? this.nextId();
    const headers: Record<string, string> = { ...request.headers, [MESSAGE_ID_HEADER]: messageId };
    if (expectedLastSequence !== undefined) {
      headers[EXPECTED_SEQUENCE_HEADER] = String(expectedLastSequence);
    }
    let attemptCount = 0;
    try {
      const ack = await this.repeat(subject, async () => {
        attemptCount += 1;
        const reply = await this.attempt(subject, data, headers);
        return parseAnswer<{ stream?: string; seq?: number; duplicate?: boolean }>(subject, reply);
      });
      if (ack.stream !== stream || ack.seq === undefined) {
        throw new InvalidArgumentError(
          `${subject} was answered by ${ack.stream ?? "someone else"}, not by the store ${stream}`,
        );
      }
      const isDuplicate = ack.duplicate === true && request.messageId !== undefined;
      return { kind: "stored", sequence: ack.seq, isDuplicate };
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attemptCount > 1) {
        const last = await this.lastMessage({ stream, subject, isDirect: false });
        if (last?.headers[MESSAGE_ID_HEADER] === messageId) {
          return { kind: "stored", sequence: last.sequence, isDuplicate: false };
        }
      }
      const lastSequence = /wrong last sequence: (\d+)/.exec(error.message)?.[1];
      return {
        kind: "conflict",
        ...(lastSequence === undefined ? {} : { lastSequence: Number(lastSequence) }),
      };
    }
  }

  /** The newest message on `subject`, or null. `isDirect` asks any copy, not the leader. */
  async lastMessage(where: {
    readonly stream: string;
    readonly subject: string;
    readonly isDirect: boolean;
  }): Promise<StoredMessage | null> {
    return where.isDirect ? this.lastDirect(where) : this.lastFromLeader(where);
  }

  private async lastDirect(where: { stream: string; subject: string }) {
    const subject = `$JS.API.DIRECT.GET.${where.stream}.${where.subject}`;
    return this.repeat(subject, async (): Promise<StoredMessage | null> => {
      const reply = (await this.attempt(subject, NO_DATA)) as NatsMessage;
      if (reply.status === 404) return null;
      if (reply.status !== 0) throw new RetryableError("STORE_STATUS", `status ${reply.status}`);
      return {
        subject: where.subject,
        sequence: Number(reply.headers["Nats-Sequence"]),
        data: copyBytes(reply.data),
        headers: reply.headers,
      };
    });
  }

  private lastFromLeader(where: { stream: string; subject: string }) {
    return this.getMessage(where.stream, { last_by_subj: where.subject });
  }

  /** The message at this sequence, or null. */
  messageAt(stream: string, sequence: number): Promise<StoredMessage | null> {
    return this.getMessage(stream, { seq: sequence });
  }

  private async getMessage(
    stream: string,
    request: { readonly last_by_subj: string } | { readonly seq: number },
  ): Promise<StoredMessage | null> {
    try {
      const { message } = await this.call<{
        message: { subject: string; seq: number; data?: string; hdrs?: string };
      }>(`STREAM.MSG.GET.${stream}`, request);
      const block = Buffer.from(message.hdrs ?? "", "base64").toString("utf8");
      return {
        subject: message.subject,
        sequence: message.seq,
        data: copyBytes(Buffer.from(message.data ?? "", "base64")),
        headers: parseHeaderBlock(block).headers,
      };
    } catch (error) {
      if (hasErrCode(error, JETSTREAM_ERROR_CODES.messageNotFound)) return null;
      throw error;
    }
  }

  /** Repeats `attempt` while its trouble may pass and time is left. It must be idempotent. */
  async repeat<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const deadlineMs = this.clock.monotonicMs() + this.options.totalTimeoutMs;
    for (let count = 1; ; count += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        const pauseMs = backoffMs(count, REPEAT_BACKOFF, this.random);
        if (this.messaging.isClosed || this.clock.monotonicMs() + pauseMs > deadlineMs) {
          throw new UnavailableError(
            `the store gave no answer to ${what} within ${this.options.totalTimeoutMs} ms`,
            { cause: error },
          );
        }
        await delay(this.clock, pauseMs);
      }
    }
  }

  private attempt(subject: string, data: Uint8Array, headers?: Headers): Promise<BusMessage> {
    return this.messaging.request(subject, data, {
      timeoutMs: this.options.attemptTimeoutMs,
      ...(headers === undefined ? {} : { headers }),
    });
  }
}

export function hasErrCode(error: unknown, errCode: number): boolean {
  return error instanceof JetStreamError && error.errCode === errCode;
}

function isConflict(error: unknown): error is JetStreamError {
  return hasErrCode(error, JETSTREAM_ERROR_CODES.wrongLastSequence);
}

/** Copies, because a view would keep the whole network chunk that it arrived in. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function parseAnswer<T>(subject: string, reply: BusMessage): T {
  const answer = decode(reply.data, { "Content-Type": "application/json" }).value as T & {
    error?: { code?: number; err_code?: number; description?: string };
  };
  if (answer?.error === undefined) return answer;
  if (answer.error.code === 503) {
    // No leader at the moment.
    throw new UnavailableError(`${subject}: ${answer.error.description ?? "not available"}`);
  }
  throw new JetStreamError(subject, answer.error);
}
