/** Goal: the forecast of a schedule keeps to the laws that any greedy schedule keeps to. */
import { type ScheduledStep, simulateSchedule } from "@murakkab/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function step(name: string, changes: Partial<ScheduledStep> = {}): ScheduledStep {
  return { step: name, after: [], attempts: 1, attemptMs: 100, cores: 1, ...changes };
}

describe("simulateSchedule", () => {
  test("parallel steps on one core come one after the other", () => {
    expect(simulateSchedule([step("a"), step("b")], 1)).toBe(200);
    expect(simulateSchedule([step("a"), step("b")], 2)).toBe(100);
  });

  test("a step waits for all attempts of its source", () => {
    const steps = [step("a", { attempts: 3 }), step("b", { after: ["a"], attemptMs: 50 })];
    expect(simulateSchedule(steps, 2)).toBe(250);
  });

  test("steps over empty lists take no time, also in a row", () => {
    const steps = [
      step("z", { attempts: 0 }),
      step("y", { attempts: 0, after: ["z"] }),
      step("x", { after: ["y"] }),
    ];
    expect(simulateSchedule(steps, 2)).toBe(100);
  });

  test("the longest way to the end goes first", () => {
    const steps = [
      step("short", { attemptMs: 100 }),
      step("head", { attemptMs: 100 }),
      step("tail", { attemptMs: 300, after: ["head"] }),
    ];
    expect(simulateSchedule(steps, 1)).toBe(500);
    expect(simulateSchedule(steps, 2)).toBe(400);
  });

  test("work without cores waits for none", () => {
    const free = [step("a", { cores: 0, attempts: 5 }), step("b", { cores: 0 })];
    expect(simulateSchedule(free, 1)).toBe(100);
  });

  test("between the longest path and Graham's bound, and never below work over cores", () => {
    const random = fc
      .array(
        fc.record({
          ms: fc.integer({ min: 1, max: 500 }),
          attempts: fc.integer({ min: 0, max: 6 }),
          after: fc.array(fc.nat(20), { maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 8 },
      )
      .map((rows) =>
        rows.map((row, index) =>
          step(`s${index}`, {
            attemptMs: row.ms,
            attempts: row.attempts,
            after: index === 0 ? [] : [...new Set(row.after.map((it) => `s${it % index}`))],
          }),
        ),
      );
    fc.assert(
      fc.property(random, fc.integer({ min: 1, max: 4 }), (steps, cores) => {
        const endMs = simulateSchedule(steps, cores);
        const workMs = steps.reduce((sum, it) => sum + it.attempts * it.attemptMs, 0);
        const ends = new Map<string, number>();
        for (const it of steps) {
          const startMs = Math.max(0, ...it.after.map((name) => ends.get(name) ?? 0));
          ends.set(it.step, startMs + (it.attempts === 0 ? 0 : it.attemptMs));
        }
        const pathMs = Math.max(...ends.values());
        expect(endMs).toBeGreaterThanOrEqual(Math.max(pathMs, workMs / cores) - 1e-6);
        expect(endMs).toBeLessThanOrEqual(workMs / cores + (1 - 1 / cores) * pathMs + 1e-6);
      }),
    );
  });
});
