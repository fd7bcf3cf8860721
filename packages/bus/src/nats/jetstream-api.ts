/**
 * The JetStream API over our own request path: short attempts, repeated until the time is up.
 *
 * Owns:      the repeats, the words of the API's errors, and how a deleted stream is noticed.
 * Does not:  write (store-message.ts), read many (stream-reader.ts), know buckets or logs.
 *
 * Why not the client library's JetStream: one attempt of it lasts 5 s, and a server that restarts
 * in 200 ms would cost all of them; its requests take the slower path as well.
 *
 * Invariant:
 *   J3. A stream that was deleted is told as STORE_MISSING, not as a time-out: writes and direct
 *       reads get no answer at all then, so that an attempt without one asks for the stream itself.
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
import { encode } from "@murakkab/protocol";
import type { BusMessage, Headers } from "../messaging.ts";
import { StoreMissingError } from "../store-missing-error.ts";
import type { EncodedHeaders } from "./nats-headers.ts";
import { parseHeaderBlock } from "./nats-headers.ts";
import type { NatsMessage } from "./nats-message.ts";
import type { NatsMessaging } from "./nats-messaging.ts";

export const JETSTREAM_ERROR_CODES = {
  streamNotFound: 10059,
  consumerFilterNotSubset: 10093,
  messageNotFound: 10037,
  streamNameInUse: 10058,
  subjectOverlap: 10065,
  replicasNeedCluster: 10074,
  wrongLastSequence: 10071,
} as const;

const REPEAT_BACKOFF = { baseMs: 20, maxMs: 400 };
export const NO_DATA = new Uint8Array(0);

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

  /** `call` of `<verb>.<stream>`, with a missing stream as STORE_MISSING (J3). */
  async callStream<T>(verb: string, stream: string, body: unknown): Promise<T> {
    try {
      return await this.call<T>(`${verb}.${stream}`, body);
    } catch (error) {
      if (!hasErrCode(error, JETSTREAM_ERROR_CODES.streamNotFound)) throw error;
      throw new StoreMissingError(stream, { cause: error });
    }
  }

  /** One attempt at a subject that only the stream itself answers (J3). */
  async attemptAt(
    stream: string,
    subject: string,
    data: Uint8Array,
    encodedHeaders?: EncodedHeaders,
  ): Promise<BusMessage> {
    try {
      return await this.attempt(subject, data, encodedHeaders);
    } catch (error) {
      if (isWithoutAnswer(error)) await this.checkStream(stream);
      throw error;
    }
  }

  /** The newest message on `subject`, or null. `isDirect` asks any copy, not the leader. */
  async lastMessage(where: {
    readonly stream: string;
    readonly subject: string;
    readonly isDirect: boolean;
  }): Promise<StoredMessage | null> {
    const { stream, subject, isDirect } = where;
    return isDirect ? this.lastDirect(where) : this.getMessage(stream, { last_by_subj: subject });
  }

  private async lastDirect(where: { stream: string; subject: string }) {
    const subject = `$JS.API.DIRECT.GET.${where.stream}.${where.subject}`;
    return this.repeat(subject, async (): Promise<StoredMessage | null> => {
      const reply = (await this.attemptAt(where.stream, subject, NO_DATA)) as NatsMessage;
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

  /** The message at this sequence, or null. */
  messageAt(stream: string, sequence: number): Promise<StoredMessage | null> {
    return this.getMessage(stream, { seq: sequence });
  }

  /** Asks the leader: copies may lag. */
  private async getMessage(
    stream: string,
    request: { readonly last_by_subj: string } | { readonly seq: number },
  ): Promise<StoredMessage | null> {
    try {
      const { message } = await this.callStream<{
        message: { subject: string; seq: number; data?: string; hdrs?: string };
      }>("STREAM.MSG.GET", stream, request);
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
        if (!isWorthRepeating(error)) throw error;
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

  private attempt(
    subject: string,
    data: Uint8Array,
    encodedHeaders?: EncodedHeaders,
  ): Promise<BusMessage> {
    const timeoutMs = this.options.attemptTimeoutMs;
    return this.messaging.request(
      subject,
      data,
      encodedHeaders === undefined ? { timeoutMs } : { timeoutMs, encodedHeaders },
    );
  }

  /** Throws STORE_MISSING when the server says so; what it does not say stays unknown. */
  private async checkStream(stream: string): Promise<void> {
    const subject = `$JS.API.STREAM.INFO.${stream}`;
    try {
      parseAnswer(subject, await this.attempt(subject, NO_DATA));
    } catch (error) {
      if (!hasErrCode(error, JETSTREAM_ERROR_CODES.streamNotFound)) return;
      throw new StoreMissingError(stream, { cause: error });
    }
  }
}

/** Nobody listens, or nobody answered: so it is where a stream is gone. */
function isWithoutAnswer(error: unknown): boolean {
  return isRuntimeError(error) && (error.code === "NO_RESPONDERS" || error.code === "TIMEOUT");
}

/** A stream that was deleted does not come back by waiting. */
function isWorthRepeating(error: unknown): boolean {
  return isRuntimeError(error) && error.isRetryable && !(error instanceof StoreMissingError);
}

export function hasErrCode(error: unknown, errCode: number): error is JetStreamError {
  return error instanceof JetStreamError && error.errCode === errCode;
}

/** Copies, because a view would keep the whole network chunk that it arrived in. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** Errors: JetStreamError, `UNAVAILABLE` while there is no leader. */
export function parseAnswer<T>(subject: string, reply: BusMessage): T {
  const answer = parseJson(subject, reply.data) as T & {
    error?: { code?: number; err_code?: number; description?: string };
  };
  if (answer?.error === undefined) return answer;
  if (answer.error.code === 503) {
    // No leader at the moment.
    throw new UnavailableError(`${subject}: ${answer.error.description ?? "not available"}`);
  }
  throw new JetStreamError(subject, answer.error);
}

/** Not `decode` of the protocol: the server's answers need no check of their type and of UTF-8. */
function parseJson(subject: string, data: Uint8Array): unknown {
  if (data.length === 0) return null;
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8");
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new InvalidArgumentError(`the answer on ${subject} is not JSON`, { cause });
  }
}
