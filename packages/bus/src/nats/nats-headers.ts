/**
 * Headers as bytes and back, each distinct block once.
 *
 * Nearly all messages carry one of a few header blocks (a content type). The client library builds
 * a map per message and checks each character; here a block that was seen before costs one lookup.
 * The share of that in the request path is in docs of the `bus` benchmark.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { MsgHdrs } from "nats";
import type { Headers } from "../messaging.ts";

const VERSION_LINE = "NATS/1.0";
const NAME_PATTERN = /^[!-9;-~]+$/;
/** Distinct header blocks that are remembered; the memory starts anew when it is full. */
const KNOWN_BLOCKS_MAX = 64;
/** Longer blocks carry ids, which do not repeat. */
const KNOWN_BLOCK_CHARS_MAX = 96;

export const NO_HEADERS: Headers = Object.freeze({});

export interface ParsedHeaders {
  readonly headers: Headers;
  /** Status code of the server's own messages such as 503; 0 = none. */
  readonly status: number;
}

const NO_PARSED_HEADERS: ParsedHeaders = { headers: NO_HEADERS, status: 0 };
const knownBlocks = new Map<string, ParsedHeaders>();

/** `block` is the text from `NATS/1.0` to the empty line. The result may be shared. */
export function parseHeaderBlock(block: string): ParsedHeaders {
  const known = knownBlocks.get(block);
  if (known !== undefined) return known;
  const parsed = parse(block);
  if (block.length <= KNOWN_BLOCK_CHARS_MAX) {
    if (knownBlocks.size >= KNOWN_BLOCKS_MAX) knownBlocks.clear();
    knownBlocks.set(block, parsed);
  }
  return parsed;
}

function parse(block: string): ParsedHeaders {
  const lines = block.split("\r\n");
  const statusText = (lines[0] ?? "").slice(VERSION_LINE.length).trim();
  const status = Number.parseInt(statusText, 10);
  const headers: Record<string, string> = {};
  for (const line of lines.slice(1)) {
    const colonAt = line.indexOf(":");
    if (colonAt <= 0) continue;
    const name = line.slice(0, colonAt);
    if (Object.hasOwn(headers, name)) continue; // the first value counts, as in the library
    // Not by assignment: a header named __proto__ must stay a header.
    Object.defineProperty(headers, name, {
      value: line.slice(colonAt + 1).trim(),
      enumerable: true,
    });
  }
  return { headers: Object.freeze(headers), status: Number.isNaN(status) ? 0 : status };
}

export function parsedFromLibrary(library: MsgHdrs | undefined): ParsedHeaders {
  if (library === undefined) return NO_PARSED_HEADERS;
  const entries = [...library].map(([name, values]) => [name, values[0] ?? ""] as const);
  return { headers: Object.freeze(Object.fromEntries(entries)), status: library.code };
}

/**
 * Encoded headers in the form that the client's `publish` takes: of a MsgHdrs it calls `encode()`
 * only (verified for the pinned version by the compliance suite, which sends headers).
 */
export class EncodedHeaders {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  encode(): Uint8Array {
    return this.bytes;
  }

  asLibraryHeaders(): MsgHdrs {
    return this as unknown as MsgHdrs;
  }
}

const encodedByObject = new WeakMap<Headers, EncodedHeaders>();
const linesByObject = new WeakMap<Headers, string>();

/** Frozen objects are encoded once. Errors: `INVALID_ARGUMENT` for names or values with breaks. */
export function encodeHeaders(headers: Headers): EncodedHeaders {
  const known = encodedByObject.get(headers);
  if (known !== undefined) return known;
  const encoded = encodeLines(linesOf(headers));
  if (Object.isFrozen(headers)) encodedByObject.set(headers, encoded);
  return encoded;
}

/** `headers` and more of them that change with each message; those override equal names. */
export function encodeHeadersWith(
  headers: Headers | undefined,
  more: readonly (readonly [name: string, value: string])[],
): EncodedHeaders {
  // Of equal names the first one counts, here and in the server.
  let lines = "";
  for (const [name, value] of more) lines += headerLine(name, value);
  return encodeLines(headers === undefined ? lines : lines + linesOf(headers));
}

function linesOf(headers: Headers): string {
  const known = linesByObject.get(headers);
  if (known !== undefined) return known;
  let lines = "";
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME_PATTERN.test(name)) throw badHeader(name);
    lines += headerLine(name, value);
  }
  if (Object.isFrozen(headers)) linesByObject.set(headers, lines);
  return lines;
}

function headerLine(name: string, value: string): string {
  if (/[\r\n]/.test(value)) throw badHeader(name);
  return `${name}: ${value}\r\n`;
}

function encodeLines(lines: string): EncodedHeaders {
  return new EncodedHeaders(Buffer.from(`${VERSION_LINE}\r\n${lines}\r\n`, "utf8"));
}

function badHeader(name: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `header ${JSON.stringify(name)} is not valid, expected a name without blanks and colons ` +
      "and a value without line breaks",
  );
}
