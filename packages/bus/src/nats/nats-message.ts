/**
 * Messages of the client library as messages of the port, decoded as late as possible.
 *
 * Reads two private fields of the library's message (the version is pinned): the raw header bytes,
 * so that parseHeaderBlock can look them up, and the raw subject, so that the token of an answer
 * needs no string. When a field is not there the public, slower way is taken; the compliance suite
 * checks both ways.
 */
import type { Msg } from "nats";
import type { BusMessage, Headers } from "../messaging.ts";
import type { ParsedHeaders } from "./nats-headers.ts";
import { NO_HEADERS, parsedFromLibrary, parseHeaderBlock } from "./nats-headers.ts";

interface RawMessage {
  readonly _msg?: { readonly subject?: Uint8Array; readonly hdr?: number };
  readonly _rdata?: Uint8Array;
}

const NO_PARSED_HEADERS: ParsedHeaders = { headers: NO_HEADERS, status: 0 };

export function parsedHeadersOf(message: Msg): ParsedHeaders {
  const { _msg, _rdata } = message as unknown as RawMessage;
  const headerBytes = _msg?.hdr;
  if (headerBytes === undefined || !(_rdata instanceof Uint8Array)) {
    return parsedFromLibrary(message.headers);
  }
  if (headerBytes <= 0) return NO_PARSED_HEADERS;
  const block = Buffer.from(_rdata.buffer, _rdata.byteOffset, headerBytes);
  return parseHeaderBlock(block.toString("utf8"));
}

const DIGIT_ZERO = 48;
const DOT = 46;

/** The number that the subject ends in; NaN when its last token is none. */
export function tokenOf(message: Msg): number {
  const bytes = (message as unknown as RawMessage)._msg?.subject;
  if (!(bytes instanceof Uint8Array)) {
    return Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
  }
  let token = 0;
  let scale = 1;
  for (let index = bytes.length - 1; index >= 0; index -= 1) {
    const byte = bytes[index] as number;
    if (byte === DOT) return scale === 1 ? Number.NaN : token;
    const digit = byte - DIGIT_ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    token += digit * scale;
    scale *= 10;
  }
  return Number.NaN;
}

/** `data` is a view of what arrived: copy what is kept for long. */
export class NatsMessage implements BusMessage {
  readonly data: Uint8Array;
  declare readonly reply?: string;
  private readonly raw: Msg;
  private parsed: ParsedHeaders | null = null;

  constructor(raw: Msg) {
    this.raw = raw;
    this.data = raw.data;
  }

  get subject(): string {
    return this.raw.subject;
  }

  get headers(): Headers {
    return this.parsedHeaders.headers;
  }

  /** Status code of the server's own answers: 404, 503; 0 for everyone else's. */
  get status(): number {
    return this.parsedHeaders.status;
  }

  private get parsedHeaders(): ParsedHeaders {
    this.parsed ??= parsedHeadersOf(this.raw);
    return this.parsed;
  }
}

/** A message of a subscription, which may want an answer; answers themselves do not. */
export function toBusMessage(raw: Msg): BusMessage {
  const message = new NatsMessage(raw);
  const reply = raw.reply;
  return reply === undefined || reply === "" ? message : withReply(message, reply);
}

function withReply(message: NatsMessage, reply: string): BusMessage {
  (message as { reply?: string }).reply = reply;
  return message;
}
