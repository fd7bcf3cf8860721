/**
 * How long the per-job optimizer takes for one whole configuration, and whether it is the best.
 *
 * Instances: random DAGs with fan-out and join, options with real trade-offs (fidelity, device,
 * parallelism), four bounds each. The bounds are near what one balanced choice takes, so that they
 * hold together and are tight. One that does not bind then (that of the minimised axis, mostly) is
 * drawn to just below what the optimum takes. A bound is counted as binding where leaving it out
 * alone improves the objective, or the optimum is within 1 % of it.
 */
import {
  type ChoiceProblem,
  type ChoiceResult,
  pruneOptions,
  type SolvedChoice,
  solveChoice,
} from "@murakkab/core";
import { type Random, seededRandom } from "@murakkab/kit";
import { OBJECTIVES } from "@murakkab/model";
import { buildChoiceProblem, tryAllChoices } from "@murakkab/testkit";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  median,
  quantile,
  type Report,
  round,
} from "./report.ts";

const INSTANCE_COUNT = 60;
const INSTANCE_COUNT_LONG = 300;
const WARM_UP_COUNT = 30;
const REPEATS = 3;
const SMALL_COUNT = 500;
const SMALL_COUNT_LONG = 3_000;
/** Bounds are up to this share above what the balanced choice takes. */
const SLACK_RATIO_MAX = 0.15;
/** Leaving out nothing below this count in any step. */
const KEPT_OPTIONS_MIN = 30;

const SIZES = [
  { key: "ms5x40", stepCount: 5, optionCount: 40, msMax: 5 },
  { key: "ms10x200", stepCount: 10, optionCount: 200, msMax: 50 },
] as const;
type Size = (typeof SIZES)[number];

const LIMITS = ["latencyMsMax", "costUsdMax", "energyWhMax", "logLossMax"] as const;
type LimitName = (typeof LIMITS)[number];

export const chooseBench: Bench = {
  method:
    "one instance after the other in one process after warm-up, each the median of three solves, and their median; brute force tries every configuration of small ones",
  run: (context) => {
    const random = seededRandom(`choose/${context.seed}`);
    const sizes = SIZES.map((size) => measureSize(size, random.stream(size.key), context));
    const small = compareSmall(random.stream("small"), context);
    const gaps = [...sizes.flatMap((it) => it.gaps), ...small.gaps];
    const figures = [
      ...sizes.flatMap((it) => it.figures),
      bounded(
        {
          key: "worseThanBruteForce",
          value: small.worseCount,
          unit: "instances",
          note: `of ${small.count}; also counted: another verdict where nothing fits`,
        },
        { atMost: 0 },
      ),
      bounded({ key: "gapMax", value: Math.max(...gaps), unit: "ratio" }, { atMost: 0 }),
    ];
    const report: Report = {
      name: "choose",
      machine: describeMachine("none"),
      settings: {
        seed: context.seed,
        instancesPerSize: instanceCount(context),
        objectives: OBJECTIVES,
        warmUps: WARM_UP_COUNT,
        solvesPerInstance: REPEATS,
        boundsAboveBalancedChoice: `0 to ${SLACK_RATIO_MAX * 100} %`,
        binding: "leaving the bound out improves the objective, or the optimum is within 1 % of it",
        bindingEnsuredBy:
          "bounds near one balanced choice; those that do not bind then are drawn to 1 % below what the optimum takes, or to 0.5 % above where nothing fits then; counted at the end",
        small: `${small.count} of 2 to 5 steps, ${small.infeasibleCount} of them infeasible`,
      },
      figures,
    };
    return Promise.resolve(report);
  },
};

function instanceCount({ isLong }: BenchContext): number {
  return isLong ? INSTANCE_COUNT_LONG : INSTANCE_COUNT;
}

function measureSize(size: Size, random: Random, context: BenchContext) {
  const build = (index: number) =>
    drawIn(
      buildChoiceProblem(random.stream(String(index)), {
        stepCount: size.stepCount,
        optionCount: size.optionCount,
        objective: OBJECTIVES[index % OBJECTIVES.length] ?? "cost",
        isStaged: index % 4 === 3,
        slackRatioMax: SLACK_RATIO_MAX,
      }),
    );
  for (let index = 0; index < WARM_UP_COUNT; index += 1) solveChoice(build(-1 - index));
  const runs: { ms: number; isBound: boolean; kept: number[]; gap: number }[] = [];
  for (let index = 0; index < instanceCount(context); index += 1) {
    if (context.signal.aborted) throw context.signal.reason;
    const problem = build(index);
    const { ms, result } = timeSolve(problem);
    if (result.kind !== "solved") throw new Error(`instance ${index} is ${result.kind}`);
    runs.push({
      ms,
      isBound: LIMITS.every((name) => isBinding(problem, result, name)),
      kept: problem.steps.map((step) => pruneOptions(step).kept.length),
      gap: result.gapRatio,
    });
  }
  const times = runs.map((it) => it.ms);
  const kept = runs.flatMap((it) => it.kept);
  const bound = runs.filter((it) => it.isBound).map((it) => it.ms);
  context.say(`${size.key}: median ${round(median(times), 2)} ms over ${runs.length} instances`);
  const figures: Figure[] = [
    bounded(
      {
        key: size.key,
        value: round(median(times), 2),
        unit: "ms",
        note: `${runs.length} instances`,
      },
      { atMost: size.msMax },
    ),
    { key: `${size.key}P95`, value: round(quantile(times, 0.95), 2), unit: "ms" },
    {
      key: `${size.key}P50FourBinding`,
      value: round(median(bound), 2),
      unit: "ms",
      note: "of those in which all four bounds bind",
    },
    { key: `${size.key}Max`, value: round(Math.max(...times), 2), unit: "ms" },
    bounded(
      {
        key: `${size.key}FourBinding`,
        value: round(bound.length / runs.length, 3),
        unit: "ratio",
        note: "share of instances in which all four bounds bind",
      },
      { atLeast: 0.5 },
    ),
    bounded(
      {
        key: `${size.key}KeptMin`,
        value: Math.min(...kept),
        unit: "options",
        note: `undominated options of a step, median ${median(kept)}`,
      },
      { atLeast: KEPT_OPTIONS_MIN },
    ),
  ];
  return { figures, gaps: runs.map((it) => it.gap) };
}

/** The median of a few solves: what else the machine does in between is not the optimizer's. */
function timeSolve(problem: ChoiceProblem): { ms: number; result: ChoiceResult } {
  const runs = Array.from({ length: REPEATS }, () => {
    const startMs = performance.now();
    const result = solveChoice(problem);
    return { ms: performance.now() - startMs, result };
  }).sort((left, right) => left.ms - right.ms);
  const middle = runs[REPEATS >> 1];
  if (middle === undefined) throw new Error(`${REPEATS} solves, expected one at least`);
  return middle;
}

/**
 * Bounds that do not bind, to just below what the optimum takes; where nothing fits then, to just
 * above it.
 */
function drawIn(problem: ChoiceProblem): ChoiceProblem {
  let drawn = problem;
  for (const name of LIMITS) {
    const best = solveChoice(drawn);
    if (best.kind !== "solved") throw new Error("nothing fits, expected bounds that hold together");
    if (isBinding(drawn, best, name)) continue;
    const value = upperOf(best, name);
    const below = { ...drawn, limits: { ...drawn.limits, [name]: value * 0.99 } };
    const above = { ...drawn, limits: { ...drawn.limits, [name]: value * 1.005 } };
    drawn = solveChoice(below).kind === "solved" ? below : above;
  }
  return drawn;
}

function isBinding(problem: ChoiceProblem, best: SolvedChoice, name: LimitName): boolean {
  const limit = problem.limits[name];
  if (limit === undefined) return false;
  if (upperOf(best, name) >= 0.99 * limit) return true;
  const { [name]: _lifted, ...limits } = problem.limits;
  const free = solveChoice({ ...problem, limits });
  return free.kind === "solved" && free.totals.objective < best.totals.objective * (1 - 1e-9);
}

function upperOf({ totals }: SolvedChoice, name: LimitName): number {
  return {
    latencyMsMax: totals.latencyMs.upper,
    costUsdMax: totals.costUsd.upper,
    energyWhMax: totals.energyWh.upper,
    logLossMax: totals.logLoss,
  }[name];
}

function compareSmall(random: Random, context: BenchContext) {
  const count = context.isLong ? SMALL_COUNT_LONG : SMALL_COUNT;
  const gaps: number[] = [];
  let worseCount = 0;
  let infeasibleCount = 0;
  for (let index = 0; index < count; index += 1) {
    const own = random.stream(String(index));
    const stepCount = 2 + (index % 4);
    const built = buildChoiceProblem(own, {
      stepCount,
      optionCount: stepCount === 5 ? 5 : 7,
      objective: OBJECTIVES[index % OBJECTIVES.length] ?? "cost",
      isStaged: index % 3 === 0,
    });
    const factor = index % 2 === 0 ? 1 : 0.8 + 0.3 * own.next();
    const limits = Object.fromEntries(
      LIMITS.map((name) => [name, (built.limits[name] ?? 0) * factor]),
    );
    const problem = { ...built, limits };
    const oracle = tryAllChoices(problem);
    const result = solveChoice(problem);
    if (oracle === null) infeasibleCount += 1;
    if (result.kind === "solved") gaps.push(result.gapRatio);
    const best = oracle?.levels[0] ?? Number.POSITIVE_INFINITY;
    const value = result.kind === "solved" ? result.totals.objective : Number.POSITIVE_INFINITY;
    if (value > best * (1 + 1e-9) || (oracle === null) !== (result.kind === "infeasible"))
      worseCount += 1;
  }
  context.say(`${count} small instances: ${worseCount} worse than brute force`);
  return { count, worseCount, infeasibleCount, gaps };
}
