/**
 * Goal: frontiers, nearest bounds and reasons say what is true of all configurations.
 */
import {
  type ChoiceProblem,
  explainOptions,
  frontier,
  relaxations,
  type SolvedChoice,
  solveChoice,
} from "@murakkab/core";
import {
  eachChoice,
  keepsLimits,
  type ReferenceTotals,
  referenceLevels,
  referenceTotals,
  tryAllChoices,
} from "@murakkab/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { banSome, smallProblems } from "./choice-arbitrary.ts";

const SIZE = { stepsMax: 4, optionsMax: 5 };
const LIMIT_OF = {
  latency: "latencyMsMax",
  cost: "costUsdMax",
  energy: "energyWhMax",
  quality: "logLossMax",
} as const;

function upperOf(totals: ReferenceTotals, axis: keyof typeof LIMIT_OF): number {
  return {
    latency: totals.latencyMsUpper,
    cost: totals.costUsdUpper,
    energy: totals.energyWhUpper,
    quality: totals.logLoss,
  }[axis];
}

function axesOf({ totals }: SolvedChoice): number[] {
  return [
    totals.latencyMs.expected,
    totals.costUsd.expected,
    totals.energyWh.expected,
    totals.logLoss,
  ];
}

function isAsGood(left: readonly number[], right: readonly number[]): boolean {
  return left.every((value, at) => value <= (right[at] ?? 0));
}

test("frontier: each point is allowed, none beats another, the best of each axis is among them", () => {
  fc.assert(
    fc.property(smallProblems(SIZE), fc.option(fc.integer({ min: 0, max: 2 })), (plain, bans) => {
      const problem = bans === null ? plain : banSome(plain, bans);
      const points = frontier(problem, { pointsMax: 16 });
      expect(points.length).toBeLessThanOrEqual(16);
      expect(points.length > 0).toBe(tryAllChoices(problem) !== null);
      points.forEach((point, at) => {
        expect(problem.isBanned?.(point.optionIds) ?? false).toBe(false);
        const { latencyMsMax = Infinity, costUsdMax = Infinity } = problem.limits;
        expect(point.totals.latencyMs.upper).toBeLessThanOrEqual(latencyMsMax);
        expect(point.totals.costUsd.upper).toBeLessThanOrEqual(costUsdMax);
        points.forEach((other, index) => {
          if (index !== at) expect(isAsGood(axesOf(other), axesOf(point))).toBe(false);
        });
      });
      if (points.length === 0) return;
      const objectives = ["latency", "cost", "energy", "quality"] as const;
      objectives.forEach((objective, axis) => {
        const least = tryAllChoices({ ...problem, objective })?.levels[0] ?? 0;
        const found = Math.min(...points.map((it) => axesOf(it)[axis] ?? Infinity));
        expect(found).toBeLessThanOrEqual(least + 1e-3);
      });
    }),
    { numRuns: 120 },
  );
});

test("nearest bounds: each can be kept, nothing tighter can, none is missing", () => {
  fc.assert(
    fc.property(smallProblems(SIZE), (problem) => {
      const offers = relaxations(problem);
      for (const [axis, name] of Object.entries(LIMIT_OF) as [
        keyof typeof LIMIT_OF,
        keyof ChoiceProblem["limits"],
      ][]) {
        if (problem.limits[name] === undefined) continue;
        const { [name]: _lifted, ...limits } = problem.limits;
        let least = Number.POSITIVE_INFINITY;
        eachChoice(problem, (choice) => {
          const totals = referenceTotals(problem, choice);
          if (keepsLimits({ ...problem, limits }, totals))
            least = Math.min(least, upperOf(totals, axis));
        });
        const offer = offers.find((it) => it.axis === axis);
        if (offer === undefined) {
          expect(least).toBe(Number.POSITIVE_INFINITY);
          continue;
        }
        expect(offer.bound).toBeCloseTo(least, 9);
        // It can be asked for as it is.
        const again = solveChoice({ ...problem, limits: { ...limits, [name]: offer.bound } });
        expect(again.kind).toBe("solved");
        const tighter = { ...limits, [name]: offer.bound - 1e-6 };
        expect(solveChoice({ ...problem, limits: tighter })).toMatchObject({ kind: "infeasible" });
      }
    }),
    { numRuns: 150 },
  );
});

test("reasons: forced best values, breaking bounds and dominance are those of all configurations", () => {
  fc.assert(
    fc.property(smallProblems({ stepsMax: 3, optionsMax: 5 }), (problem) => {
      const solved = solveChoice(problem);
      if (solved.kind !== "solved") return;
      const verdicts = explainOptions(problem, solved);
      const count = problem.steps.reduce((sum, step) => sum + step.options.length - 1, 0);
      expect(verdicts).toHaveLength(count);
      for (const verdict of verdicts) {
        expect(verdict.isExact).toBe(true);
        const forced = force(problem, verdict.step, verdict.id);
        const best = tryAllChoices(forced);
        if (verdict.code === "worse-objective") {
          const levels = verdict.forced?.levels ?? [];
          expect(best?.levels.map((it) => it.toFixed(6))).toEqual(
            levels.map((it) => it.toFixed(6)),
          );
          const gain = levels.map((it, at) => it - (solved.totals.levels[at] ?? 0));
          const first = gain.find((it) => Math.abs(it) > 1e-9) ?? 0;
          expect(verdict.objectiveBehind).toBeCloseTo(first, 6);
        } else if (verdict.code === "dominated") {
          expect(
            problem.steps.find((it) => it.step === verdict.step)?.options.map((it) => it.id),
          ).toContain(verdict.by);
        } else {
          expect(best).toBeNull();
          if (verdict.feasibleAt === undefined) continue;
          const axis = verdict.code.slice("breaks-".length) as keyof typeof LIMIT_OF;
          const at = (bound: number) =>
            tryAllChoices({ ...forced, limits: { ...forced.limits, [LIMIT_OF[axis]]: bound } });
          expect(at(verdict.feasibleAt + 1e-9)).not.toBeNull();
          expect(at(verdict.feasibleAt - 1e-6)).toBeNull();
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("reasons without any work left come from bounds, and are no closer than the truth", () => {
  fc.assert(
    fc.property(smallProblems({ stepsMax: 3, optionsMax: 5 }), (problem) => {
      const solved = solveChoice(problem);
      if (solved.kind !== "solved") return;
      for (const verdict of explainOptions(problem, solved, { nodesMax: 0 })) {
        if (verdict.code !== "worse-objective") continue;
        expect(verdict.isExact).toBe(false);
        const best = tryAllChoices(force(problem, verdict.step, verdict.id));
        if (best === null) continue;
        const first = referenceLevels(problem.objective, best.totals).map(
          (it, at) => it - (solved.totals.levels[at] ?? 0),
        );
        const behind = verdict.objectiveBehind ?? 0;
        // In the unit of the first level in which choices differ at all.
        if (behind > 1e-6) expect(Math.max(...first)).toBeGreaterThanOrEqual(behind - 1e-6);
      }
    }),
    { numRuns: 100 },
  );
});

function force(problem: ChoiceProblem, name: string, id: string): ChoiceProblem {
  return {
    ...problem,
    steps: problem.steps.map((step) =>
      step.step === name ? { ...step, options: step.options.filter((it) => it.id === id) } : step,
    ),
  };
}
