/** Goal: one seed, one sequence; named streams don't disturb one another. */
import { backoffMs, canonicalJson, seededRandom, sha256Hex, shuffle } from "@murakkab/kit";
import fc from "fast-check";
import { expect, test } from "vitest";

test("the same seed repeats; a draw in one stream shifts nothing in another", () => {
  const draw = (disturb: boolean): string[] => {
    const root = seededRandom(42);
    if (disturb) root.stream("other").next();
    const stream = root.stream("ids");
    return [stream.uuid(), stream.uuid()];
  };
  expect(draw(true)).toEqual(draw(false));
  expect(new Set(draw(false)).size).toBe(2);
});

test("uuids have version and variant; draws stay in their range", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 1_000 }), (seed, count) => {
      const random = seededRandom(seed);
      expect(random.uuid()).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      const index = random.index(count);
      expect(index >= 0 && index < count).toBe(true);
    }),
  );
});

test("back-off grows to its bound and keeps jitter within it", () => {
  const random = seededRandom("backoff");
  for (let attempt = 1; attempt < 20; attempt += 1) {
    const waitMs = backoffMs(attempt, { baseMs: 50, maxMs: 2_000 }, random);
    expect(waitMs).toBeLessThanOrEqual(Math.min(2_000, 50 * 2 ** (attempt - 1)));
    expect(waitMs).toBeGreaterThan(0);
  }
});

test("a shuffle keeps every item, leaves its source alone and repeats with the seed", () => {
  const items = ["a", "b", "b", "c", "d"];
  const first = shuffle(items, seededRandom(3));
  expect(first.toSorted()).toEqual(items);
  expect(items).toEqual(["a", "b", "b", "c", "d"]);
  expect(shuffle(items, seededRandom(3))).toEqual(first);
  expect(shuffle([], seededRandom(3))).toEqual([]);
});

test("canonical JSON does not depend on the order of keys", () => {
  expect(canonicalJson({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}');
  expect(sha256Hex("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});
