/** Goal: who is accepted waits for what is due before it, and makes nobody late. */
import {
  type ActiveJob,
  blockingMs,
  earliestHarmlessDueMs,
  LatencyCalibration,
  queueMsFor,
} from "@murakkab/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function active(dueInMs: number, workMs: number, changes: Partial<ActiveJob> = {}): ActiveJob {
  return { dueInMs, hasBound: true, workMs, aloneMs: workMs, ...changes };
}

describe("load of accepted jobs", () => {
  test("with more jobs than cores urgent work waits for half of an attempt", () => {
    const jobs = [active(1_000, 400, { attemptMs: 300 }), active(5_000, 800, { attemptMs: 700 })];
    expect(blockingMs(jobs, 2)).toBe(350);
    expect(blockingMs(jobs, 3)).toBe(0);
    expect(blockingMs([], 1)).toBe(0);
  });

  test("only work that is due before counts, over all cores", () => {
    const jobs = [active(1_000, 400), active(5_000, 800)];
    expect(queueMsFor(2_000, jobs, 2)).toBe(200);
    expect(queueMsFor(9_000, jobs, 2)).toBe(600);
    expect(queueMsFor(500, jobs, 2)).toBe(0);
  });

  test("a job that would make another late gets a time after it", () => {
    const tight = active(1_000, 900);
    expect(earliestHarmlessDueMs({ dueInMs: 500, workMs: 200 }, [tight], 1)).toBe(1_001);
    expect(earliestHarmlessDueMs({ dueInMs: 500, workMs: 50 }, [tight], 1)).toBe(500);
  });

  test("one that is late anyway, or has no bound, stands in nobody's way", () => {
    expect(earliestHarmlessDueMs({ dueInMs: 1, workMs: 99 }, [active(10, 500)], 1)).toBe(1);
    const free = active(100, 90, { hasBound: false });
    expect(earliestHarmlessDueMs({ dueInMs: 1, workMs: 99 }, [free], 1)).toBe(1);
  });

  test("at the time that is found, no job that was in time becomes late", () => {
    const jobs = fc.array(
      fc.record({
        due: fc.integer({ min: 1, max: 5_000 }),
        work: fc.integer({ min: 1, max: 800 }),
      }),
      { maxLength: 8 },
    );
    const job = fc.record({
      dueInMs: fc.integer({ min: 1, max: 5_000 }),
      workMs: fc.integer({ min: 1, max: 800 }),
    });
    fc.assert(
      fc.property(jobs, job, fc.integer({ min: 1, max: 4 }), (rows, added, cores) => {
        const before = rows.map((it) => active(it.due, it.work));
        const dueInMs = earliestHarmlessDueMs(added, before, cores);
        expect(dueInMs).not.toBeNull();
        expect(dueInMs ?? 0).toBeGreaterThanOrEqual(added.dueInMs);
        const after = [...before, active(dueInMs ?? 0, added.workMs)];
        const endOf = (it: ActiveJob, all: readonly ActiveJob[]): number =>
          queueMsFor(it.dueInMs, all, cores) - it.workMs / cores + it.aloneMs;
        for (const it of before.filter((one) => one.dueInMs >= added.dueInMs)) {
          if (endOf(it, before) > it.dueInMs) continue;
          expect(endOf(it, after)).toBeLessThanOrEqual(it.dueInMs + 1e-6);
        }
      }),
    );
  });
});

describe("LatencyCalibration", () => {
  test("says nothing before it has seen some jobs", () => {
    const calibration = new LatencyCalibration();
    for (let index = 0; index < 7; index += 1) calibration.observe(300, { p50: 100, p95: 150 });
    expect(calibration.factors().p50).toBe(1);
    expect(new LatencyCalibration().factors()).toEqual({ p50: 1, p95: 1.2, count: 0 });
  });

  test("comes to the ratio that jobs show, and ignores nonsense", () => {
    const calibration = new LatencyCalibration();
    for (let index = 0; index < 100; index += 1) {
      calibration.observe(120, { p50: 100, p95: 100 });
      calibration.observe(Number.NaN, { p50: 100, p95: 100 });
      calibration.observe(5, { p50: 0, p95: 0 });
    }
    expect(calibration.factors().p50).toBeCloseTo(1.2);
    expect(calibration.factors().p95).toBeCloseTo(1.2);
  });

  test("one job that hung does not widen every bound for long", () => {
    const calibration = new LatencyCalibration();
    calibration.observe(1e9, { p50: 100, p95: 150 });
    for (let index = 0; index < 150; index += 1) calibration.observe(100, { p50: 100, p95: 150 });
    expect(calibration.factors().p95).toBe(1);
  });
});
