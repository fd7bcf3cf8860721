/**
 * Goal: the solver's choice is the best there is, and keeps every bound.
 *
 * Method: a second, plain writing of the model tries every configuration of small problems.
 */
import {
  type ChoiceProblem,
  compareLevels,
  pruneOptions,
  solveCases,
  solveChoice,
} from "@murakkab/core";
import { keepsLimits, referenceLevels, referenceTotals, tryAllChoices } from "@murakkab/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { banSome, smallProblems } from "./choice-arbitrary.ts";

function optionsOf(problem: ChoiceProblem, optionIds: readonly string[]) {
  return problem.steps.map((step, at) => {
    const option = step.options.find((it) => it.id === optionIds[at]);
    if (option === undefined) throw new Error(`step ${step.step} lacks ${optionIds[at]}`);
    return option;
  });
}

function expectBest(problem: ChoiceProblem): void {
  const oracle = tryAllChoices(problem);
  const result = solveChoice(problem);
  if (oracle === null) {
    expect(result).toMatchObject({ kind: "infeasible", isProved: true });
    return;
  }
  if (result.kind !== "solved") return expect.fail(`nothing found, expected ${oracle.levels}`);
  expect(result.gapRatio).toBe(0);
  const totals = referenceTotals(problem, optionsOf(problem, result.optionIds));
  expect(keepsLimits(problem, totals)).toBe(true);
  expect(problem.isBanned?.(result.optionIds) ?? false).toBe(false);
  const levels = referenceLevels(problem.objective, totals);
  levels.forEach((value, at) => {
    expect(value, `level ${at} of ${problem.objective}`).toBeCloseTo(oracle.levels[at] ?? 0, 9);
  });
  expect(result.totals.levels.map((it) => it.toFixed(9))).toEqual(
    levels.map((it) => it.toFixed(9)),
  );
}

test("never worse than trying everything, with the same verdict where nothing fits", () => {
  fc.assert(fc.property(smallProblems(), expectBest), { numRuns: 400 });
});

test("bans are kept, and what they leave over is found", () => {
  fc.assert(
    fc.property(smallProblems(), fc.integer({ min: 0, max: 2 }), (problem, remainder) => {
      expectBest(banSome(problem, remainder));
    }),
    { numRuns: 200 },
  );
});

test("equal choices are told apart by ids, whatever the order of the options", () => {
  fc.assert(
    fc.property(smallProblems(), (problem) => {
      const turned = {
        ...problem,
        steps: problem.steps.map((step) => ({ ...step, options: [...step.options].reverse() })),
      };
      const [left, right] = [solveChoice(problem), solveChoice(turned)];
      if (left.kind !== "solved" || right.kind !== "solved") return left.kind === right.kind;
      expect(right.totals.levels).toEqual(left.totals.levels);
      return JSON.stringify(solveChoice(problem)) === JSON.stringify(left);
    }),
    { numRuns: 150 },
  );
});

test("what pruning leaves out changes no optimum and has a kept option that is as good", () => {
  fc.assert(
    fc.property(smallProblems(), (problem) => {
      const pruned = problem.steps.map((step) => pruneOptions(step));
      pruned.forEach(({ kept, dominated }, at) => {
        const all = problem.steps[at]?.options ?? [];
        expect(kept.length + dominated.length).toBe(all.length);
        for (const { id, by } of dominated) {
          const left = kept.find((it) => it.id === by);
          const right = all.find((it) => it.id === id);
          if (left === undefined || right === undefined) return expect.fail(`${by} is not kept`);
          const { id: _left, ...better } = left;
          for (const [name, value] of Object.entries(better))
            expect(value).toBeLessThanOrEqual(Number(Reflect.get(right, name)));
        }
      });
      const steps = problem.steps.map((step, at) => ({ ...step, options: pruned[at]?.kept ?? [] }));
      const [whole, part] = [tryAllChoices(problem), tryAllChoices({ ...problem, steps })];
      expect(part?.levels).toEqual(whole?.levels);
    }),
    { numRuns: 150 },
  );
});

test("the best of several paths is that of the best path; a cut-off is only passed by better", () => {
  fc.assert(
    fc.property(
      fc.array(smallProblems({ stepsMax: 3, optionsMax: 4 }), { minLength: 1, maxLength: 4 }),
      (problems) => {
        const same = problems.map((it) => ({ ...it, objective: problems[0]?.objective ?? "cost" }));
        const { best } = solveCases(same);
        const oracles = same.flatMap((it) => {
          const oracle = tryAllChoices(it);
          return oracle === null ? [] : [oracle.levels];
        });
        const [oracle] = oracles.sort(compareLevels);
        expect(best === null).toBe(oracle === undefined);
        if (best === null || oracle === undefined) return;
        expect(compareLevels(best.choice.totals.levels, oracle)).toBe(0);
        const problem = same[best.index];
        if (problem === undefined) return;
        const again = solveChoice(problem, { cutoff: best.choice.totals.levels });
        expect(again).toMatchObject({ kind: "beaten", isProved: true });
      },
    ),
    { numRuns: 150 },
  );
});

test("the bounds that are named can't be kept together, and each of them is needed for that", () => {
  fc.assert(
    fc.property(smallProblems(), (problem) => {
      const result = solveChoice(problem);
      if (result.kind !== "infeasible") return;
      const names = {
        latency: "latencyMsMax",
        cost: "costUsdMax",
        energy: "energyWhMax",
        quality: "logLossMax",
      } as const;
      const only = (axes: readonly (keyof typeof names)[]) =>
        Object.fromEntries(axes.map((axis) => [names[axis], problem.limits[names[axis]]]));
      expect(tryAllChoices({ ...problem, limits: only(result.binding) })).toBeNull();
      for (const axis of result.binding) {
        const limits = only(result.binding.filter((it) => it !== axis));
        expect(tryAllChoices({ ...problem, limits })).not.toBeNull();
      }
    }),
    { numRuns: 200 },
  );
});

test("a search that ends early says so, keeps the bounds and bounds what it missed", () => {
  fc.assert(
    fc.property(smallProblems(), fc.integer({ min: 1, max: 600 }), (problem, nodesMax) => {
      const result = solveChoice(problem, { nodesMax });
      const oracle = tryAllChoices(problem);
      if (result.kind !== "solved") {
        if (result.isProved) expect(oracle).toBeNull();
        return;
      }
      const chosen = referenceTotals(problem, optionsOf(problem, result.optionIds));
      expect(keepsLimits(problem, chosen)).toBe(true);
      const value = result.totals.levels[0] ?? 0;
      const best = oracle?.levels[0] ?? 0;
      if (result.gapRatio === 0) expect(value).toBeCloseTo(best, 9);
    }),
    { numRuns: 200 },
  );
});
