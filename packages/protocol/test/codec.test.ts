/** Goal: values survive both codecs, forms are told apart without a header, bad bytes are errors. */
import {
  contentHeaders,
  decode,
  encode,
  subjects,
  submitSchema,
  validate,
} from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

/** Values that JSON can carry, without negative zero, which JSON writes as zero. */
const jsonValue = fc.jsonValue().filter((value) => !/-0|__proto__/.test(JSON.stringify(value)));
/** The msgpack decoder renames this key, so that a message can't reach a prototype. */
const safeKey = fc.string().filter((key) => key !== "__proto__");

describe("codec", () => {
  test("round trip in both forms, with the header", () => {
    fc.assert(
      fc.property(
        jsonValue,
        fc.constantFrom("json" as const, "msgpack" as const),
        (value, encoding) => {
          const plain: unknown = JSON.parse(JSON.stringify(value));
          const decoded = decode(encode(plain, encoding), contentHeaders(encoding));
          expect(decoded).toEqual({ value: plain, encoding });
        },
      ),
    );
  });

  test("objects are told apart without a header", () => {
    fc.assert(
      fc.property(fc.dictionary(safeKey, fc.integer()), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        for (const encoding of ["json", "msgpack"] as const) {
          expect(decode(encode(plain, encoding), {})).toEqual({ value: plain, encoding });
        }
      }),
    );
  });

  test("an empty message is null; bad bytes and unknown types are named", () => {
    expect(decode(new Uint8Array(), {}).value).toBeNull();
    const text = (it: string): Uint8Array => new TextEncoder().encode(it);
    expect(() => decode(text("{oops"), {})).toThrow(/not valid JSON/);
    expect(() => decode(Uint8Array.of(0xd9, 0xff), {})).toThrow(/neither JSON nor msgpack/);
    expect(() => decode(text("x"), { "Content-Type": "text/plain" })).toThrow(
      /"text\/plain".*application\/json/,
    );
  });
});

test("a failed check names field, value and what was expected", () => {
  const told = (value: unknown): string => {
    try {
      validate(submitSchema, value, "submission");
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  expect(told({ description: "x", inputs: [], extra: 1 })).toContain('unknown field "extra"');
  expect(told({ description: "x", inputs: ["a", ""] })).toMatch(
    /"inputs\.1" is "": expected an artifact/,
  );
  expect(told({ description: "x", deadlineMs: -5 })).toMatch(
    /"deadlineMs" is -5: expected a positive/,
  );
  expect(told("hello")).toMatch(/submission is "hello"/);
  expect(told({ description: "x" })).toBe("accepted");
});

test("an id with a dot, a blank or a wildcard is no subject token", () => {
  for (const bad of ["a.b", "a b", ">", "", "x".repeat(200)]) {
    expect(() => subjects.jobGet(bad)).toThrow(/expected 1 to 128 letters/);
  }
  expect(subjects.jobGet("0b7f-a_1")).toBe("mk.v1.job.get.0b7f-a_1");
});
