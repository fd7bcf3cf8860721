/** Goal: intervals that hold, a model that predicts what it should, and visible demotion. */
import {
  betaCdf,
  betaQuantile,
  checkQualityPolicy,
  QUALITY_POLICY,
  QualityModel,
  qualityEstimate,
} from "@murakkab/core";
import { seededRandom } from "@murakkab/kit";
import type { ConfigurationQuality, QualityCount } from "@murakkab/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

describe("Beta distribution", () => {
  test("with whole parameters it is a sum of binomial probabilities", () => {
    const choose = (n: number, k: number): number =>
      k === 0 ? 1 : (choose(n, k - 1) * (n - k + 1)) / k;
    for (const [x, alpha, beta] of [
      [0.3, 2, 5],
      [0.9, 30, 4],
      [0.01, 10, 1],
      [0.62, 12, 9],
    ] as const) {
      const n = alpha + beta - 1;
      let sum = 0;
      for (let k = alpha; k <= n; k += 1) sum += choose(n, k) * x ** k * (1 - x) ** (n - k);
      expect(betaCdf(x, { alpha, beta }) / sum).toBeCloseTo(1, 11);
      expect(betaQuantile(sum, { alpha, beta })).toBeCloseTo(x, 9);
    }
  });

  test("closed forms are met to twelve digits", () => {
    for (const x of [0.001, 0.2, 0.5, 0.77, 0.999]) {
      expect(betaCdf(x, { alpha: 1, beta: 1 })).toBeCloseTo(x, 12);
      expect(betaCdf(x, { alpha: 3, beta: 1 })).toBeCloseTo(x ** 3, 12);
      expect(betaCdf(x, { alpha: 1, beta: 4 })).toBeCloseTo(1 - (1 - x) ** 4, 12);
      const arcsine = (2 / Math.PI) * Math.asin(Math.sqrt(x));
      expect(betaCdf(x, { alpha: 0.5, beta: 0.5 })).toBeCloseTo(arcsine, 12);
    }
  });

  test("property: the quantile is the inverse", () => {
    const parameter = fc.double({ min: 0.5, max: 500, noNaN: true });
    const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(parameter, parameter, share, (alpha, beta, p) => {
        const x = betaQuantile(p, { alpha, beta });
        expect(x).toBeGreaterThanOrEqual(0);
        expect(x).toBeLessThanOrEqual(1);
        // Nearer to the ends a last digit of x is worth more than that in p.
        if (x > 1e-9 && x < 1 - 1e-9) expect(betaCdf(x, { alpha, beta })).toBeCloseTo(p, 8);
      }),
    );
  });
});

describe("interval of 20 labelled questions", () => {
  const intervalOf = (right: number) =>
    qualityEstimate({ labelled: { scoreSum: right, count: 20 } });

  test("is no wider than 0.3 from 14 right answers on; nearer to a half it must be wider", () => {
    const width = (right: number) => intervalOf(right).high - intervalOf(right).low;
    for (let right = 14; right <= 20; right += 1) expect(width(right)).toBeLessThanOrEqual(0.3);
    expect(width(10)).toBeLessThan(0.33);
  });

  test("holds in nine of ten cases over true shares from 0.6 to 0.95", () => {
    const random = seededRandom("coverage");
    const rates: number[] = [];
    for (let share = 0.6; share <= 0.951; share += 0.025) {
      let held = 0;
      for (let run = 0; run < 2_000; run += 1) {
        let right = 0;
        for (let i = 0; i < 20; i += 1) right += random.next() < share ? 1 : 0;
        const { low, high } = intervalOf(right);
        if (low <= share && share <= high) held += 1;
      }
      rates.push(held / 2_000);
    }
    expect(rates.reduce((a, b) => a + b, 0) / rates.length).toBeGreaterThanOrEqual(0.9);
    // Counts are whole numbers: at single shares every method is off by some percent.
    expect(Math.min(...rates)).toBeGreaterThan(0.83);
  });

  test("feedback counts half, and moves the mean", () => {
    const labelled = { scoreSum: 18, count: 20 };
    const alone = qualityEstimate({ labelled });
    const told = qualityEstimate({ labelled, feedback: { scoreSum: 0, count: 10 } });
    const asLabels = qualityEstimate({ labelled: { scoreSum: 18, count: 25 } });
    expect(told.mean).toBeLessThan(alone.mean);
    expect(told.mean).toBeCloseTo(asLabels.mean, 12);
  });
});

const visited = (
  configuration: string,
  byClass: Readonly<Record<string, readonly [number, number]>>,
  more: Partial<ConfigurationQuality> = {},
): ConfigurationQuality => ({
  configuration,
  byClass: Object.fromEntries(
    Object.entries(byClass).map(([name, [scoreSum, count]]): [string, QualityCount] => [
      name,
      { scoreSum, count },
    ]),
  ),
  feedback: {},
  provenance: { kind: "measured", note: "test" },
  ...more,
});

const model = (...configurations: ConfigurationQuality[]) =>
  new QualityModel({ workflow: "w", configurations });

describe("quality model", () => {
  test("knows nothing of a path that was never visited", () => {
    const known = model(visited("a=x{} b=y{}", { what: [18, 20] }));
    expect(known.direct("a=x{}", "what")).toBeNull();
    expect(known.estimate("a=x{}", "what")).toBeNull();
    expect(known.pathBase("a", "what")).toBeNull();
    expect(new QualityModel(null).estimate("a=x{}", null)).toBeNull();
  });

  test("takes a class's own questions first, a few of other classes for the rest", () => {
    const known = model(visited("a=x{}", { easy: [40, 40], hard: [2, 10], rare: [0, 0] }));
    const easy = known.direct("a=x{}", "easy");
    const hard = known.direct("a=x{}", "hard");
    const rare = known.direct("a=x{}", "rare");
    expect(easy?.mean).toBeGreaterThan(0.9);
    expect(hard?.mean).toBeLessThan(0.55);
    expect(rare?.provenance.kind).toBe("modelled");
    expect((rare?.high ?? 0) - (rare?.low ?? 0)).toBeGreaterThan(0.3);
  });

  test("carries configurations over one step at a time", () => {
    const known = model(
      visited("a=x{k=1} b=y{k=1}", { q: [90, 100] }),
      visited("a=x{k=2} b=y{k=1}", { q: [60, 100] }),
      visited("a=x{k=1} b=y{k=2}", { q: [72, 100] }),
    );
    const both = known.estimate("a=x{k=2} b=y{k=2}", "q");
    expect(both?.mean).toBeGreaterThan(0.44);
    expect(both?.mean).toBeLessThan(0.56); // 0.9 * 2/3 * 4/5 = 0.48, pulled a little to 1
    expect(both?.low).toBeLessThan(0.44);
    expect(both?.provenance.kind).toBe("modelled");
    const base = known.pathBase("a+b", "q");
    const retained =
      known.retention("a", "x{k=2}", "q").mean * known.retention("b", "y{k=2}", "q").mean;
    expect((base?.mean ?? 0) * retained).toBeCloseTo(both?.mean ?? 0, 2);
    expect(known.retention("a", "x{k=1}", "q").mean).toBe(1);
  });

  test("an option that was never run is a guess with a wide interval", () => {
    const known = model(visited("a=x{k=1}", { q: [19, 20] }));
    const guess = known.retention("a", "z{}");
    expect(guess).toMatchObject({ mean: QUALITY_POLICY.unknownRetention });
    expect(guess.provenance.kind).toBe("prior");
    expect(guess.low).toBeLessThan(0.6);
    const estimate = known.estimate("a=z{}", "q");
    expect((estimate?.high ?? 0) - (estimate?.low ?? 0)).toBeGreaterThan(0.3);
  });

  test("knobs of an executor combine like steps", () => {
    const known = model(
      visited("a=x{j=1,k=1}", { q: [95, 100] }),
      visited("a=x{j=2,k=1}", { q: [70, 100] }),
      visited("a=x{j=1,k=2}", { q: [70, 100] }),
    );
    const both = known.retention("a", "x{j=2,k=2}");
    const one = known.retention("a", "x{j=2,k=1}");
    expect(both.mean).toBeCloseTo(one.mean ** 2, 2);
    expect(both.lnVariance).toBeGreaterThan(one.lnVariance);
  });

  test("says how often drafts were sure", () => {
    const staged = "a.draft1=x{} a=x{} b=y{} [a.draft1.answer>=0.8: b]";
    const known = model(
      visited(staged, { q: [9, 10] }, { sureRatio: { q: { scoreSum: 15, count: 20 } } }),
    );
    expect(known.sureRatio(staged, "q")?.mean).toBeCloseTo(0.74, 2);
    expect(known.sureRatio("a=x{}", "q")).toBeNull();
  });
});

test.each([
  [{ level: 1 }, /"level" is 1, expected 0\.5 to 0\.99/],
  [{ explorationRatio: 0.2 }, /"explorationRatio" is 0\.2, expected 0 to 0\.1/],
  [{ feedbackWeight: Number.NaN }, /"feedbackWeight" is NaN/],
  [{ prior: { alpha: 0, beta: 1 } }, /"prior" is 0 : 1/],
])("a policy out of its range is refused: %j", (change, message) => {
  expect(() => checkQualityPolicy({ ...QUALITY_POLICY, ...change })).toThrow(message);
  expect(() => checkQualityPolicy(QUALITY_POLICY)).not.toThrow();
});

describe("demotion", () => {
  const withFeedback = (scoreSum: number, count: number) =>
    model(visited("a=x{}", { q: [19, 20] }, { feedback: { q: { scoreSum, count } } }));

  test("comes when feedback contradicts the promise, not before there is enough of it", () => {
    expect(withFeedback(0, 4).demotion("a=x{}", "q")).toBeNull();
    const demotion = withFeedback(0, 5).demotion("a=x{}", "q");
    expect(demotion?.promised).toBeGreaterThan(0.75);
    expect(demotion?.believed.high).toBeLessThan(demotion?.promised ?? 0);
    expect(withFeedback(9, 10).demotions()).toEqual([]);
    expect(withFeedback(1, 10).demotions().length).toBeGreaterThan(0);
  });

  test("a class with little feedback is judged with all classes", () => {
    const known = model(
      visited(
        "a=x{}",
        { q: [19, 20], r: [19, 20] },
        { feedback: { q: { scoreSum: 0, count: 9 } } },
      ),
    );
    expect(known.demotion("a=x{}", "r")).toMatchObject({ questionClass: null });
    expect(known.demotion("a=x{}", "q")).toMatchObject({ questionClass: "q" });
  });
});
