/**
 * Values over the messaging port: encode, send, decode, check, and turn `{ error }` into a throw.
 *
 * The three ways a call can fail stay apart: NoRespondersError (nobody is there), TimeoutError
 * (nobody answered), RemoteError (it answered with an error).
 */
import type { AbortSignalLike, WireError } from "@murakkab/kit";
import { fromWireError, isRuntimeError, toWireError } from "@murakkab/kit";
import type { Encoding } from "@murakkab/protocol";
import { contentHeaders, decode, encode, validate } from "@murakkab/protocol";
import type { BusMessage, MessageSubscription, Messaging } from "./messaging.ts";

export interface CallOptions {
  readonly timeoutMs: number;
  readonly encoding?: Encoding;
  readonly signal?: AbortSignalLike;
}

/** The part of a zod schema that is needed here. */
export type Schema<T> = Parameters<typeof validate<T>>[0];

/** One request, one checked answer. */
export async function call<T>(
  messaging: Messaging,
  { subject, value, schema }: { subject: string; value: unknown; schema?: Schema<T> },
  options: CallOptions,
): Promise<T> {
  const encoding = options.encoding ?? "msgpack";
  const reply = await messaging.request(subject, encode(value, encoding), {
    timeoutMs: options.timeoutMs,
    headers: contentHeaders(encoding),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const decoded = decode(reply.data, reply.headers).value;
  const error = errorIn(decoded);
  if (error !== null) throw fromWireError(error);
  return schema === undefined ? (decoded as T) : validate(schema, decoded, `answer on ${subject}`);
}

function errorIn(value: unknown): WireError | null {
  if (value === null || typeof value !== "object" || !("error" in value)) return null;
  // A failed job's receipt has an `error` among other fields: that is an answer, not an error.
  if (Object.keys(value).length !== 1) return null;
  const error = value.error;
  if (error === null || typeof error !== "object" || !("code" in error)) return null;
  const { code, message, retryable } = error as Partial<WireError>;
  return {
    ...(error as WireError),
    code: String(code),
    message: String(message ?? code),
    retryable: retryable === true,
  };
}

export interface ServeOptions<T> {
  readonly subject: string;
  readonly schema: Schema<T>;
  /** What the request is called in messages, such as "submission". */
  readonly what: string;
  readonly queueGroup?: string;
  /**
   * Asked before the message is even decoded: a text is the answer, as JSON. For refusals that
   * must cost next to nothing.
   */
  readonly admit?: (message: BusMessage) => string | null;
  /** Told of defects (errors that are no RuntimeError) before the caller gets INTERNAL. */
  readonly onDefect: (error: unknown, subject: string) => void;
}

/** Answers requests on a subject with what `handle` returns, or with `{ error }`. */
export function serve<T>(
  messaging: Messaging,
  options: ServeOptions<T>,
  handle: (value: T, message: BusMessage) => Promise<unknown> | unknown,
): MessageSubscription {
  const { subject, schema, what, onDefect } = options;
  const answer = async (message: BusMessage): Promise<void> => {
    const refusal = options.admit?.(message) ?? null;
    if (refusal !== null) {
      if (message.reply !== undefined) {
        messaging.publish(message.reply, refusal, { headers: contentHeaders("json") });
      }
      return;
    }
    let encoding: Encoding = "json";
    let result: unknown;
    try {
      const decoded = decode(message.data, message.headers);
      encoding = decoded.encoding;
      result = await handle(validate(schema, decoded.value, what), message);
    } catch (error) {
      if (!isRuntimeError(error)) onDefect(error, message.subject);
      result = { error: toWireError(error) };
    }
    if (message.reply === undefined) return;
    try {
      messaging.publish(message.reply, encode(result ?? {}, encoding), {
        headers: contentHeaders(encoding),
      });
    } catch (error) {
      // The bus was closed while the request was handled: nobody can be told.
      if (isRuntimeError(error) && error.code === "UNAVAILABLE") return;
      // An answer over the server's limit, say: the caller learns why instead of waiting.
      onDefect(error, message.subject);
      const fallback = { error: toWireError(error) };
      messaging.publish(message.reply, encode(fallback, encoding), {
        headers: contentHeaders(encoding),
      });
    }
  };
  return messaging.subscribe(subject, (message) => void answer(message), {
    ...(options.queueGroup === undefined ? {} : { queueGroup: options.queueGroup }),
  });
}

/** Publishes a value: msgpack for our own processes, JSON for everyone. */
export function publishValue(
  messaging: Messaging,
  subject: string,
  value: unknown,
  encoding: Encoding = "msgpack",
): void {
  messaging.publish(subject, encode(value, encoding), { headers: contentHeaders(encoding) });
}
