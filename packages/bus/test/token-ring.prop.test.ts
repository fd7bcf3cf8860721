/** Goal: a ring of tokens behaves as a map, also when much waits for long. Method: a map as model. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenRing } from "../src/token-ring.ts";

test("agrees with a map over thousands of tokens, some of which stay", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), fc.nat(997), (stayEvery, offset) => {
      const ring = new TokenRing<string>();
      const model = new Map<number, string>();
      for (let n = 1; n <= 5_000; n += 1) {
        const token = ring.add(`item ${n}`);
        expect(token).toBe(n);
        model.set(token, `item ${n}`);
        const leaving = n - 40;
        if (leaving > 0 && (leaving + offset) % stayEvery !== 0) {
          expect(ring.delete(leaving)).toBe(model.delete(leaving));
          expect(ring.delete(leaving)).toBe(false);
        }
      }
      expect(ring.size).toBe(model.size);
      expect(ring.entries()).toEqual([...model]);
      for (const token of [1, 41, 1_024, 1_025, 4_999, 5_001]) {
        expect(ring.get(token)).toBe(model.get(token));
      }
    }),
    { numRuns: 30 },
  );
});
