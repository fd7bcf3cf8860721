/** Safety: whatever is acquired, released, timed out or dies, the sum never exceeds the offer. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { settle, VirtualClock } from "../../testkit/src/virtual-clock.ts";
import { CoreGate } from "../src/core-gate.ts";

const key = fc.integer({ min: 0, max: 9 });
const operation = fc.oneof(
  fc.record({
    kind: fc.constant("acquire" as const),
    key,
    cores: fc.double({ min: 0.01, max: 6, noNaN: true }),
    remainingMs: fc.integer({ min: 0, max: 50 }),
  }),
  fc.record({ kind: fc.constant("release" as const), key }),
  fc.record({ kind: fc.constant("die" as const), key }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 60 }) }),
);

it("never holds more than the offer, and serves all that fits once the rest is gone", async () => {
  const property = fc.asyncProperty(
    fc.double({ min: 0.5, max: 8, noNaN: true }),
    fc.array(operation, { maxLength: 40 }),
    async (offeredCores, operations) => {
      const clock = new VirtualClock();
      const gate = new CoreGate(clock, { offeredCores });
      const held = new Map<string, number>();
      let openCount = 0;
      const drop = (attempt: string): void => void held.delete(attempt);
      for (const op of operations) {
        if (op.kind === "acquire") {
          const attempt = `a${op.key}`;
          const instance = `i${op.key % 3}`;
          openCount += 1;
          gate
            .acquire({ instance, attempt, cores: op.cores, remainingMs: op.remainingMs })
            .then(
              () => held.set(attempt, held.get(attempt) ?? op.cores),
              () => undefined,
            )
            .finally(() => {
              openCount -= 1;
            });
        } else if (op.kind === "release") {
          await settle();
          drop(`a${op.key}`);
          gate.release(`a${op.key}`);
        } else if (op.kind === "die") {
          await settle();
          for (const attempt of [...held.keys()]) {
            if (Number(attempt.slice(1)) % 3 === op.key % 3) drop(attempt);
          }
          gate.releaseInstance(`i${op.key % 3}`);
        } else {
          const untilMs = clock.monotonicMs() + op.ms;
          let isOver = false;
          clock.after(op.ms, () => {
            isOver = true;
          });
          await clock.runUntil(() => isOver, untilMs);
        }
        await settle();
        expect(gate.heldCores).toBeLessThanOrEqual(offeredCores);
      }
      // Liveness: with everything released nobody is left waiting.
      for (let attempt = 0; attempt < 10; attempt += 1) gate.release(`a${attempt}`);
      await settle();
      expect(gate.heldCores).toBe(0);
      expect(gate.waitingCount).toBe(0);
      expect(openCount).toBe(0);
    },
  );
  await fc.assert(property, { numRuns: 150 });
});
