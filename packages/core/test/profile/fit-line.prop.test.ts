/** Goal: a fit that is right on clean samples, and that neither noise nor outliers can break. */
import { fitLine, predictLine } from "@murakkab/core";
import { seededRandom } from "@murakkab/kit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const line = fc.record({
  fixed: fc.double({ min: 0.1, max: 5_000, noNaN: true }),
  perUnit: fc.double({ min: 0, max: 100, noNaN: true }),
});

function noisy(
  truth: { fixed: number; perUnit: number },
  options: { count: number; sd: number; seed: number; outliers?: number },
) {
  const random = seededRandom(options.seed);
  return Array.from({ length: options.count }, (_, i) => {
    const size = 1 + 99 * random.next();
    const normal = Array.from({ length: 12 }, () => random.next()).reduce((a, b) => a + b, -6);
    const factor = i < (options.outliers ?? 0) ? 10 : Math.exp(options.sd * normal);
    return { size, value: (truth.fixed + truth.perUnit * size) * factor };
  });
}

describe("fitted line", () => {
  test("meets clean samples within 3 percent, over the sizes seen", () => {
    fc.assert(
      fc.property(line, fc.integer(), (truth, seed) => {
        const samples = noisy(truth, { count: 20, sd: 0, seed });
        const fitted = fitLine(samples);
        for (const { size, value } of samples) {
          const predicted = predictLine(fitted as never, size);
          expect(Math.abs(predicted / value - 1)).toBeLessThan(0.03);
        }
      }),
    );
  });

  test("a tenth of the attempts being ten times slower moves it by little", () => {
    fc.assert(
      fc.property(line, fc.integer(), (truth, seed) => {
        const fitted = fitLine(noisy(truth, { count: 40, sd: 0.1, seed, outliers: 4 }));
        for (const size of [10, 50, 90]) {
          const predicted = predictLine(fitted as never, size);
          expect(Math.abs(Math.log(predicted / (truth.fixed + truth.perUnit * size)))).toBeLessThan(
            0.4,
          );
        }
        expect(fitted?.spread).toBeGreaterThan(0.05);
        expect(fitted?.spread).toBeLessThan(0.25);
      }),
    );
  });

  test("never gives a number that is not finite or negative, whatever it gets", () => {
    const anyNumber = fc.double();
    const samples = fc.array(fc.record({ size: anyNumber, value: anyNumber }), { maxLength: 30 });
    fc.assert(
      fc.property(samples, (given) => {
        const fitted = fitLine(given);
        if (fitted === null) return;
        for (const value of Object.values(fitted)) {
          expect(Number.isFinite(value)).toBe(true);
          expect(value).toBeGreaterThanOrEqual(0);
        }
        expect(fitted.spread).toBeGreaterThan(0);
      }),
    );
  });

  test("samples of one size are met, and split in halves where no shape is known", () => {
    const fitted = fitLine([100, 110, 90].map((value) => ({ size: 10, value })));
    expect(fitted?.fixed).toBeCloseTo(50, 0);
    expect(fitted?.perUnit).toBeCloseTo(5, 1);
    const shape = { line: { fixed: 0, perUnit: 1, spread: 0.1 }, weight: 0 };
    const shaped = fitLine(
      [100, 110, 90].map((value) => ({ size: 10, value })),
      shape,
    );
    expect(shaped?.fixed).toBeCloseTo(0, 0);
    expect(shaped?.perUnit).toBeCloseTo(10, 0);
  });

  test("a prior's level gives way as own samples come", () => {
    const prior = { line: { fixed: 100, perUnit: 0, spread: 0.2 }, weight: 8 };
    const levelAfter = (count: number) =>
      predictLine(
        fitLine(
          Array.from({ length: count }, () => ({ size: 1, value: 200 })),
          prior,
        ) as never,
        1,
      );
    expect(fitLine([], prior)).toEqual(prior.line);
    expect(levelAfter(1)).toBeLessThan(115);
    expect(levelAfter(8)).toBeCloseTo(141, -1);
    expect(levelAfter(60)).toBeGreaterThan(180);
  });
});
