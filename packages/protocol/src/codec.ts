/**
 * Bytes to values and back: JSON for clients of any kind, msgpack between our own processes.
 *
 * A message is JSON when its `Content-Type` says so, or when it has none and parses as JSON;
 * msgpack otherwise. An answer uses the form of its question.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import { Packr } from "msgpackr";

export type Encoding = "json" | "msgpack";

export const CONTENT_TYPE_HEADER = "Content-Type";
export const CONTENT_TYPES: Readonly<Record<Encoding, string>> = {
  json: "application/json",
  msgpack: "application/msgpack",
};

// Records would be denser, but only our own clients could read them.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true });
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true });

export interface Decoded {
  readonly value: unknown;
  readonly encoding: Encoding;
}

export function encode(value: unknown, encoding: Encoding): Uint8Array {
  return encoding === "json" ? textEncoder.encode(JSON.stringify(value)) : packr.pack(value);
}

/** Headers that tell the receiver how to decode. Shared objects: do not change them. */
const JSON_HEADERS = Object.freeze({ [CONTENT_TYPE_HEADER]: CONTENT_TYPES.json });
const MSGPACK_HEADERS = Object.freeze({ [CONTENT_TYPE_HEADER]: CONTENT_TYPES.msgpack });

export function contentHeaders(encoding: Encoding): Readonly<Record<string, string>> {
  return encoding === "json" ? JSON_HEADERS : MSGPACK_HEADERS;
}

/**
 * Errors: `INVALID_ARGUMENT` that says which form was tried and why it failed. An empty message
 * is the value `null`.
 */
export function decode(data: Uint8Array, headers: Readonly<Record<string, string>>): Decoded {
  const declared = headers[CONTENT_TYPE_HEADER] ?? headers["content-type"];
  if (declared !== undefined && /^application\/(?:[\w.+-]*\+)?json\b/i.test(declared)) {
    return { value: decodeJson(data), encoding: "json" };
  }
  if (declared !== undefined && /^application\/(?:x-|vnd\.)?msgpack\b/i.test(declared)) {
    return { value: decodeMsgpack(data), encoding: "msgpack" };
  }
  if (declared !== undefined) {
    throw new InvalidArgumentError(
      `content type "${declared}" is not known, expected application/json or application/msgpack`,
      { field: CONTENT_TYPE_HEADER },
    );
  }
  if (data.length === 0) return { value: null, encoding: "json" };
  if (looksLikeJson(data)) return { value: decodeJson(data), encoding: "json" };
  return { value: decodeMsgpack(data), encoding: "msgpack" };
}

/**
 * First byte of a JSON text: white space, a bracket, a quote, a digit, a minus, t, f or n. In
 * msgpack those are small integers, which are no message of ours.
 */
function looksLikeJson(data: Uint8Array): boolean {
  const first = data[0] ?? 0;
  return first < 0x80 && ' \t\r\n{["-0123456789tfn'.includes(String.fromCharCode(first));
}

function decodeJson(data: Uint8Array): unknown {
  if (data.length === 0) return null;
  try {
    return JSON.parse(textDecoder.decode(data)) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError(`message is not valid JSON: ${reason}`, { cause });
  }
}

function decodeMsgpack(data: Uint8Array): unknown {
  try {
    return packr.unpack(data) as unknown;
  } catch (cause) {
    throw new InvalidArgumentError("message is neither JSON nor msgpack", { cause });
  }
}
