/** Goal: the schedule of an open loop is even, complete and independent of how often it is asked. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dueAtMs, dueCount } from "../../bench/src/open-loop.ts";

describe("an open loop", () => {
  test("has its first request due at once and the others evenly after it", () => {
    expect([0, 1, 2, 250].map((index) => dueAtMs(index, 250))).toEqual([0, 4, 8, 1_000]);
  });

  test("offers rate x time requests, and none before the start", () => {
    const loop = { ratePerSec: 250, forMs: 2_000 };
    expect(dueCount(-1, loop)).toBe(0);
    expect(dueCount(0, loop)).toBe(1);
    expect(dueCount(1_000, loop)).toBe(251);
    expect(dueCount(60_000, loop)).toBe(500);
  });

  test("counts as due exactly what its schedule says", () => {
    const loops = fc.record({
      ratePerSec: fc.integer({ min: 1, max: 20_000 }),
      forMs: fc.integer({ min: 1, max: 60_000 }),
      elapsedMs: fc.integer({ min: 0, max: 120_000 }),
    });
    fc.assert(
      fc.property(loops, ({ elapsedMs, ...loop }) => {
        const count = dueCount(elapsedMs, loop);
        const slackMs = 1e-6; // of the division
        expect(dueAtMs(count - 1, loop.ratePerSec)).toBeLessThanOrEqual(elapsedMs + slackMs);
        const isAll = count === Math.ceil((loop.forMs * loop.ratePerSec) / 1_000);
        if (!isAll) expect(dueAtMs(count, loop.ratePerSec)).toBeGreaterThan(elapsedMs - slackMs);
      }),
    );
  });
});
