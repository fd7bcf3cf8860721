/**
 * Goal: on problems that are too large to try everything, the optimum is that of a MILP solver.
 *
 * Method: one binary per option; start times are free variables held apart by precedence rows
 * (`end_v >= end_u + path term of v`), so that latency needs no list of paths and no big M. Built
 * from the problem alone, it shares no code with the optimizer.
 */
import {
  type ChoiceProblem,
  type OptionPoint,
  type StepOptions,
  solveChoice,
} from "@murakkab/core";
import { seededRandom } from "@murakkab/kit";
import { OBJECTIVES } from "@murakkab/model";
import { buildChoiceProblem, referenceTotals } from "@murakkab/testkit";
import highsModule from "highs";
import { expect, test } from "vitest";

/** CPLEX LP text, and the constant that it lacks. */
function encode(problem: ChoiceProblem): { readonly text: string; readonly constant: number } {
  const { steps, limits } = problem;
  const cores = Math.max(1, problem.cores);
  const rows: string[] = [];
  const reals: string[] = [];
  const name = (step: number, option: number) => `x${step}_${option}`;
  const term = (factor: number, variable: string) =>
    `${factor < 0 ? "-" : "+"} ${Math.abs(factor)} ${variable}`;
  const sum = (value: (option: OptionPoint, step: StepOptions) => number, sign = 1) =>
    steps
      .flatMap((step, at) =>
        step.options.map((option, index) => term(sign * value(option, step), name(at, index))),
      )
      .join(" ");
  steps.forEach((step, at) => {
    rows.push(`${step.options.map((_, index) => term(1, name(at, index))).join(" ")} = 1`);
  });
  const latency = (tag: string, runs: ReadonlySet<string>, isUpper: boolean): string => {
    const position = new Map(steps.map((step, at) => [step.step, at]));
    const timing = (option: OptionPoint) =>
      isUpper
        ? { run: option.runMsUpper, work: option.workMsUpper }
        : { run: option.runMs, work: option.workMs };
    steps.forEach((step, at) => {
      const own = runs.has(step.step)
        ? step.options
            .map((option, index) => {
              const { run, work } = timing(option);
              return term(Math.min(run, work) / cores - run, name(at, index));
            })
            .join(" ")
        : "";
      reals.push(`end${tag}_${at}`);
      rows.push(`end${tag}_${at} ${own} >= 0`);
      for (const source of step.after)
        rows.push(`end${tag}_${at} - end${tag}_${position.get(source)} ${own} >= 0`);
      rows.push(`all${tag} - end${tag}_${at} >= 0`);
    });
    const work = sum((option, step) => (runs.has(step.step) ? timing(option).work / cores : 0), -1);
    reals.push(`all${tag}`, `latency${tag}`);
    rows.push(`latency${tag} - all${tag} ${work} >= 0`);
    return `latency${tag}`;
  };
  const { latencyMsMax, costUsdMax, energyWhMax, logLossMax } = limits;
  if (costUsdMax !== undefined) rows.push(`${sum((it) => it.costUsdUpper)} <= ${costUsdMax}`);
  if (energyWhMax !== undefined) rows.push(`${sum((it) => it.energyWhUpper)} <= ${energyWhMax}`);
  if (logLossMax !== undefined)
    rows.push(`${sum((it) => it.logLoss)} <= ${logLossMax - problem.baseLogLoss}`);
  if (latencyMsMax !== undefined) {
    const all = new Set(steps.map((step) => step.step));
    rows.push(`${latency("U", all, true)} <= ${latencyMsMax - problem.queueMs}`);
  }
  const expected = problem.scenarios
    .map((it, at) => [it.probability, `S${at}`, new Set(it.steps)] as const)
    .map(([share, tag, runs]) =>
      problem.objective === "latency" ? term(share, latency(tag, runs, false)) : "",
    );
  const objective = {
    cost: () => sum((option, step) => step.probability * option.costUsd),
    energy: () => sum((option, step) => step.probability * option.energyWh),
    quality: () => sum((option) => option.logLoss),
    resources: () => sum((option, step) => step.probability * option.gpuSec),
    latency: () => expected.join(" "),
  }[problem.objective]();
  const binaries = steps.flatMap((step, at) => step.options.map((_, index) => name(at, index)));
  const constants = { latency: problem.queueMs, quality: problem.baseLogLoss };
  return {
    constant: Reflect.get(constants, problem.objective) ?? 0,
    text: [
      `Minimize\n obj: ${objective}`,
      `Subject To\n${rows.map((row, at) => ` r${at}: ${row}`).join("\n")}`,
      `Bounds\n${reals.map((real) => ` ${real} >= 0`).join("\n")}`,
      `Binary\n ${binaries.join(" ")}`,
      "End\n",
    ].join("\n"),
  };
}

/** Amounts near 1, so that the MILP solver's absolute tolerances mean the same on every axis. */
function rescale(problem: ChoiceProblem): ChoiceProblem {
  const { latencyMsMax = 1, costUsdMax = 1, energyWhMax = 1, logLossMax = 1 } = problem.limits;
  const time = 1 / latencyMsMax;
  const cost = 1 / costUsdMax;
  const energy = 1 / energyWhMax;
  const loss = 1 / logLossMax;
  return {
    ...problem,
    queueMs: problem.queueMs * time,
    baseLogLoss: problem.baseLogLoss * loss,
    limits: { latencyMsMax: 1, costUsdMax: 1, energyWhMax: 1, logLossMax: 1 },
    steps: problem.steps.map((step) => ({
      ...step,
      options: step.options.map((option) => ({
        ...option,
        runMs: option.runMs * time,
        workMs: option.workMs * time,
        runMsUpper: option.runMsUpper * time,
        workMsUpper: option.workMsUpper * time,
        costUsd: option.costUsd * cost,
        costUsdUpper: option.costUsdUpper * cost,
        energyWh: option.energyWh * energy,
        energyWhUpper: option.energyWhUpper * energy,
        logLoss: option.logLoss * loss,
      })),
    })),
  };
}

// The package's types are those of its CommonJS form; as a module it exports the loader itself.
const loadHighs = highsModule as unknown as typeof highsModule.default;
const highs = await loadHighs();

test.each(
  Array.from({ length: 20 }, (_, seed) => ({ seed, objective: OBJECTIVES[seed % 5] ?? "cost" })),
)("8 steps with 40 options, seed $seed, objective $objective", ({ seed, objective }) => {
  const problem = rescale(
    buildChoiceProblem(seededRandom(`milp/${seed}`), {
      stepCount: 8,
      optionCount: 40,
      objective,
      isStaged: seed % 3 === 0,
      slackRatioMax: 0.25,
    }),
  );
  const { text, constant } = encode(problem);
  const milp = highs.solve(text, {
    mip_rel_gap: 0,
    mip_abs_gap: 1e-9,
    mip_feasibility_tolerance: 1e-9,
    primal_feasibility_tolerance: 1e-9,
  });
  expect(milp.Status).toBe("Optimal");
  const result = solveChoice(problem);
  if (result.kind !== "solved") return expect.fail(`${result.kind}, expected a choice`);
  expect(result.gapRatio).toBe(0);
  const best = milp.ObjectiveValue + constant;
  const value = result.totals.levels[0] ?? Number.NaN;
  expect(Math.abs(value - best)).toBeLessThanOrEqual(1e-6 * Math.max(best, 1e-3));
  const choice = problem.steps.flatMap(
    (step, at) => step.options.find((it) => it.id === result.optionIds[at]) ?? [],
  );
  expect(referenceTotals(problem, choice).latencyMsUpper).toBeLessThanOrEqual(1);
});
