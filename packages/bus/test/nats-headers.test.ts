/** Goal: header blocks there and back, on the quick way and on the library's. */
import { expect, test } from "vitest";
import { encodeHeaders, parseHeaderBlock } from "../src/nats/nats-headers.ts";
import { parsedHeadersOf, tokenOf } from "../src/nats/nats-message.ts";

type LibraryMessage = Parameters<typeof tokenOf>[0];

const blockOf = (headers: Record<string, string>): string =>
  Buffer.from(encodeHeaders(headers).bytes).toString("utf8");

test("what is encoded is parsed back", () => {
  const headers = { "Content-Type": "application/json", "X-Text": "ü: b", "X-Empty": "" };
  expect(parseHeaderBlock(blockOf(headers))).toEqual({ headers, status: 0 });
  const odd = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  const parsed = parseHeaderBlock(blockOf(odd)).headers;
  expect(Object.keys(parsed).sort()).toEqual(["__proto__", "constructor"]);
});

test("status lines are read", () => {
  expect(parseHeaderBlock("NATS/1.0 503\r\n\r\n")).toEqual({ headers: {}, status: 503 });
  expect(parseHeaderBlock("NATS/1.0 404 No Messages\r\n\r\n").status).toBe(404);
});

test("names and values that would break the block are refused", () => {
  for (const headers of [{ "a b": "x" }, { "a:b": "x" }, { "": "x" }, { a: "x\r\nb: y" }]) {
    expect(() => encodeHeaders(headers as Record<string, string>)).toThrow(/not valid/);
  }
});

test("a frozen object is encoded once, another each time", () => {
  const frozen = Object.freeze({ a: "1" });
  expect(encodeHeaders(frozen)).toBe(encodeHeaders(frozen));
  const open: Record<string, string> = { a: "1" };
  const before = encodeHeaders(open);
  open["a"] = "2";
  expect(encodeHeaders(open).bytes).not.toEqual(before.bytes);
});

test("without the library's private fields the public ones are used", () => {
  const message = {
    subject: "_INBOX.abc.120",
    headers: Object.assign(new Map([["A", ["1", "2"]]]), { code: 503 }),
  } as unknown as LibraryMessage;
  expect(tokenOf(message)).toBe(120);
  expect(parsedHeadersOf(message)).toEqual({ headers: { A: "1" }, status: 503 });
});

test("the token is the number at the end", () => {
  const withSubject = (subject: string) =>
    ({ _msg: { subject: Buffer.from(subject) } }) as unknown as LibraryMessage;
  expect(tokenOf(withSubject("_INBOX.abc.9007199254740991"))).toBe(9007199254740991);
  expect(tokenOf(withSubject("_INBOX.abc.0"))).toBe(0);
  for (const subject of ["_INBOX.abc.x1", "_INBOX.abc.", "12"]) {
    expect(tokenOf(withSubject(subject)), subject).toBeNaN();
  }
});
