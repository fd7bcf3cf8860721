/** Goal: the arithmetic of the benches: percentiles, bounds, summaries, hot spots. */
import { describe, expect, test } from "vitest";
import { summarize } from "../../bench/src/closed-loop.ts";
import { type CpuProfile, hotFunctions } from "../../bench/src/cpu-profile.ts";
import { bounded, median, quantile } from "../../bench/src/report.ts";

describe("percentiles", () => {
  test("lie on a rank or between two, whatever the order", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    const hundred = Array.from({ length: 101 }, (_, index) => 100 - index);
    expect(quantile(hundred, 0.99)).toBe(99);
    expect(quantile([7], 0.99)).toBe(7);
  });

  test("of nothing are no number", () => {
    expect(median([])).toBeNaN();
  });

  test("and rates of a loop come from the same list", () => {
    expect(summarize([10, 20, 30, 40], 2_000)).toEqual({
      count: 4,
      elapsedMs: 2_000,
      perSec: 2,
      latencyMsP50: 25,
      latencyMsP99: expect.closeTo(39.7, 6) as number,
    });
  });
});

test("a figure meets its bound at the bound itself, and no number meets none", () => {
  const figure = { key: "k", value: 8, unit: "ms" };
  expect(bounded(figure, { atMost: 8 })).toMatchObject({ target: "<= 8", met: true });
  expect(bounded(figure, { atLeast: 8 })).toMatchObject({ target: ">= 8", met: true });
  expect(bounded({ ...figure, value: Number.NaN }, { atMost: 8 }).met).toBe(false);
});

describe("hot functions", () => {
  const frame = (functionName: string, url: string, lineNumber = 0) => ({
    functionName,
    url,
    lineNumber,
  });
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame("(root)", ""), children: [2, 3, 5] },
      { id: 2, callFrame: frame("(idle)", "") },
      { id: 3, callFrame: frame("send", "file:///a/b/c/d.js", 9), children: [4] },
      { id: 4, callFrame: frame("writeBuffer", "") },
      { id: 5, callFrame: frame("", "file:///a/b/c/d.js", 19) },
    ],
    samples: [2, 4, 3, 4, 5],
    timeDeltas: [1_000, 40, 30, 20, 10],
  };

  test("are ranked by their own time without the idle time", () => {
    expect(hotFunctions(profile, 2)).toEqual([
      { name: "writeBuffer from send b/c/d.js:10", selfRatio: 0.6 },
      { name: "send b/c/d.js:10", selfRatio: 0.3 },
    ]);
  });
});
