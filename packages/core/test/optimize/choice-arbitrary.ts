/**
 * Small problems of choice in whole numbers: sums are exact, ties common, bounds met to the unit.
 */
import type { ChoiceLimits, ChoiceProblem, OptionPoint } from "@murakkab/core";
import { OBJECTIVES } from "@murakkab/model";
import { referenceTotals } from "@murakkab/testkit";
import fc from "fast-check";

const small = fc.integer({ min: 0, max: 6 });
const option = (id: string): fc.Arbitrary<OptionPoint> =>
  fc
    .record({
      runMs: small,
      extraWork: fc.constantFrom(-6, 0, 0, 3, 9),
      costUsd: small,
      energyWh: small,
      gpuSec: fc.constantFrom(0, 0, 1, 4),
      logLoss: fc.constantFrom(0, 0, 1, 2, 5),
      tail: fc.record({ run: small, work: small, cost: small, energy: small }),
    })
    .map((it) => {
      const workMs = Math.max(0, it.runMs + it.extraWork);
      return {
        id,
        runMs: it.runMs,
        workMs,
        costUsd: it.costUsd,
        energyWh: it.energyWh,
        gpuSec: it.gpuSec,
        runMsUpper: it.runMs + it.tail.run,
        workMsUpper: workMs + it.tail.work,
        costUsdUpper: it.costUsd + it.tail.cost,
        energyWhUpper: it.energyWh + it.tail.energy,
        logLoss: it.logLoss,
      };
    });

const LIMITS = ["latencyMsMax", "costUsdMax", "energyWhMax", "logLossMax"] as const;

/** Up to five steps with up to six options; bounds are near what one of the choices takes. */
export function smallProblems(
  bounds: { readonly stepsMax?: number; readonly optionsMax?: number } = {},
): fc.Arbitrary<ChoiceProblem> {
  const { stepsMax = 5, optionsMax = 6 } = bounds;
  return fc.integer({ min: 1, max: stepsMax }).chain((stepCount) =>
    fc
      .record({
        sources: fc.tuple(
          ...Array.from({ length: stepCount }, (_, step) =>
            fc.subarray(Array.from({ length: step }, (_unused, at) => at)),
          ),
        ),
        options: fc.tuple(
          ...Array.from({ length: stepCount }, () =>
            fc
              .integer({ min: 1, max: stepCount > 4 ? Math.min(4, optionsMax) : optionsMax })
              .chain((count) =>
                fc.tuple(...Array.from({ length: count }, (_, at) => option(`o${at}`))),
              ),
          ),
        ),
        order: fc.shuffledSubarray(
          Array.from({ length: stepCount }, (_, step) => step),
          { minLength: stepCount },
        ),
        stagedCount: fc.integer({ min: 0, max: stepCount }),
        sureShare: fc.constantFrom(0, 0.25, 0.5),
        cores: fc.constantFrom(0.5, 1, 1.5, 2, 4),
        queueMs: fc.constantFrom(0, 3),
        baseLogLoss: fc.constantFrom(0, 1),
        objective: fc.constantFrom(...OBJECTIVES),
        bounded: fc.subarray([...LIMITS]),
        near: fc.array(fc.nat(), { minLength: stepCount, maxLength: stepCount }),
        slack: fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 4, maxLength: 4 }),
      })
      .map((it) => {
        const staged = new Set(it.sureShare === 0 ? [] : it.order.slice(0, it.stagedCount));
        const steps = it.order.map((step) => ({
          step: `s${step}`,
          after: (it.sources[step] ?? []).map((source) => `s${source}`),
          probability: it.sureShare === 0 || staged.has(step) ? 1 : 1 - it.sureShare,
          options: it.options[step] ?? [],
        }));
        const all = steps.map((step) => step.step);
        const problem: ChoiceProblem = {
          steps,
          scenarios: [
            ...(it.sureShare === 0
              ? []
              : [
                  {
                    probability: it.sureShare,
                    steps: all.filter((_, at) => staged.has(it.order[at] ?? -1)),
                  },
                ]),
            { probability: 1 - it.sureShare, steps: all },
          ],
          cores: it.cores,
          queueMs: it.queueMs,
          baseLogLoss: it.baseLogLoss,
          limits: {},
          objective: it.objective,
        };
        return { ...problem, limits: limitsNear(problem, it) };
      }),
  );
}

function limitsNear(
  problem: ChoiceProblem,
  { bounded, near, slack }: { bounded: string[]; near: number[]; slack: number[] },
): ChoiceLimits {
  const choice = problem.steps.flatMap(
    (step, at) => step.options[(near[at] ?? 0) % step.options.length] ?? [],
  );
  const totals = referenceTotals(problem, choice);
  const values = {
    latencyMsMax: totals.latencyMsUpper,
    costUsdMax: totals.costUsdUpper,
    energyWhMax: totals.energyWhUpper,
    logLossMax: totals.logLoss,
  };
  return Object.fromEntries(
    LIMITS.flatMap((name, at) =>
      bounded.includes(name) ? [[name, values[name] + (slack[at] ?? 0)]] : [],
    ),
  );
}

/** Bans about a third of the choices, those with this remainder. */
export function banSome(problem: ChoiceProblem, remainder: number): ChoiceProblem {
  return {
    ...problem,
    isBanned: (ids) => {
      const sum = ids.reduce((total, id, at) => total + (at + 1) * Number(id.slice(1)), 0);
      return sum % 3 === remainder;
    },
  };
}
