/** Goal: an import with one bad number is refused whole, and the refusal names field and value. */
import type { ProfileSet } from "@murakkab/model";
import { decode, encode, jobFeedbackSchema, profilePutSchema, validate } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";

const line = { fixed: 1, perUnit: 2, spread: 0.1 };
const provenance = {
  kind: "measured",
  note: "test",
  at: "2026-01-31T12:00:00.000Z",
  count: 3,
} as const;
const set = {
  executors: [
    {
      ...{ executor: "ocr", version: "1.0.0", knobs: { width: 640, mode: "a b" }, nodeKind: "k" },
      ...{ runMs: line, cpuSec: line, outputSizes: { text: line } },
      ...{ memoryBytesMax: null, startMs: 12, provenance },
    },
  ],
  workflows: [
    {
      workflow: "question-answering-0123456789abcdef",
      configurations: [
        {
          configuration: "a=x{}",
          byClass: { what: { scoreSum: 9.5, count: 10 } },
          feedback: {},
          provenance,
        },
      ],
    },
  ],
} as const satisfies ProfileSet;

function changed(path: readonly (string | number)[], value: unknown): unknown {
  // Through text, so that no part is shared with another.
  const copy = JSON.parse(JSON.stringify(set)) as Record<string | number, never>;
  const parent = path.slice(0, -1).reduce((at, key) => at[key] as never, copy);
  (parent as Record<string | number, unknown>)[path.at(-1) ?? ""] = value;
  return { profiles: copy };
}

describe("profile import", () => {
  test.each(["json", "msgpack"] as const)("survives %s", (encoding) => {
    const { value } = decode(encode({ profiles: set }, encoding), {});
    expect(validate(profilePutSchema, value, "profile import").profiles).toEqual(set);
  });

  test.each([
    [["executors", 0, "runMs", "fixed"], Number.NaN],
    [["executors", 0, "runMs", "fixed"], null],
    [["executors", 0, "runMs", "perUnit"], -1],
    [["executors", 0, "cpuSec", "spread"], Number.POSITIVE_INFINITY],
    [["executors", 0, "startMs"], "12"],
    [["executors", 0, "provenance"], undefined],
    [["executors", 0, "provenance", "kind"], "guessed"],
    [["executors", 0, "provenance", "at"], "yesterday"],
    [["executors", 0, "surprise"], 1],
    [["executors", 0, "knobs", "width"], null],
    [["workflows", 0, "workflow"], "no.token"],
    [["workflows", 0, "configurations", 0, "byClass", "what", "scoreSum"], 11],
    [["workflows", 0, "configurations", 0, "byClass", "what", "count"], -3],
  ] as const)("is refused with %j = %j", (path, value) => {
    const attempt = () => validate(profilePutSchema, changed(path, value), "profile import");
    expect(attempt).toThrow(`profiles.${path.join(".")}`);
  });
});

describe("feedback", () => {
  test.each([-0.1, 1.1, Number.NaN, "1", null, undefined])("score %s is refused", (score) => {
    expect(() => validate(jobFeedbackSchema, { jobId: "j", score }, "feedback")).toThrow(
      /"score".*expected a number from 0 \(wrong\) to 1 \(right\)/,
    );
  });

  test("unknown fields are refused", () => {
    const value = { jobId: "j", score: 1, comment: "nice" };
    expect(() => validate(jobFeedbackSchema, value, "feedback")).toThrow(/unknown field "comment"/);
  });
});
