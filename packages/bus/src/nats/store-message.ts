/**
 * Writes one message into a stream, exactly once as far as the store can tell.
 *
 * Invariants:
 *   J1. Each write carries a message id, so a repeat stores nothing twice.
 *   J2. A conflict that follows a lost answer may be our own first attempt: it is looked up.
 *
 * This is the path of every journal batch: the headers are encoded once per write, as one string.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Headers } from "../messaging.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import { hasErrCode, JETSTREAM_ERROR_CODES, parseAnswer } from "./jetstream-api.ts";
import { encodeHeadersWith } from "./nats-headers.ts";

export const MESSAGE_ID_HEADER = "Nats-Msg-Id";
export const EXPECTED_SEQUENCE_HEADER = "Nats-Expected-Last-Subject-Sequence";

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

interface PublishAck {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
}

/** Errors: `STORE_MISSING`, `UNAVAILABLE`, `STORE_REFUSED`, `INVALID_ARGUMENT`. */
export async function storeMessage(
  api: JetStreamApi,
  request: StoreRequest,
): Promise<StoreOutcome> {
  const { stream, subject, data, expectedLastSequence } = request;
  const messageId = request.messageId ?? api.nextId();
  const encoded = encodeHeadersWith(request.headers, [
    [MESSAGE_ID_HEADER, messageId],
    ...(expectedLastSequence === undefined
      ? []
      : ([[EXPECTED_SEQUENCE_HEADER, String(expectedLastSequence)]] as const)),
  ]);
  let attemptCount = 0;
  try {
    const ack = await api.repeat(subject, async () => {
      attemptCount += 1;
      const reply = await api.attemptAt(stream, subject, data, encoded);
      return parseAnswer<PublishAck>(subject, reply);
    });
    if (ack.stream !== stream || ack.seq === undefined) {
      throw new InvalidArgumentError(
        `${subject} was answered by ${ack.stream ?? "someone else"}, not by the store ${stream}`,
      );
    }
    const isDuplicate = ack.duplicate === true && request.messageId !== undefined;
    return { kind: "stored", sequence: ack.seq, isDuplicate };
  } catch (error) {
    if (!hasErrCode(error, JETSTREAM_ERROR_CODES.wrongLastSequence)) throw error;
    if (attemptCount > 1) {
      const last = await api.lastMessage({ stream, subject, isDirect: false });
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
