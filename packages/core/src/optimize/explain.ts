/**
 * Why each option that was not chosen was not, and what would have to change for it to win.
 *
 * Owns:      the reason of each option, with its numbers.
 * Does not:  word them.
 *
 * An option is forced into the choice and the rest is chosen anew: what is then the best tells how
 * far it is behind. Where nothing keeps the bounds, the bound that stands alone in its way is
 * found by leaving out one at a time.
 *
 * Invariants:
 *   X1. Work is bounded by `nodesMax` for all options together, spent on those nearest to winning
 *       first. The others get a reason from a bound and sums of least values, `isExact: false`.
 */
import type { RejectionCode, SloAxis } from "@murakkab/model";
import { boundAt } from "./bound.ts";
import { Evaluator, TIE_RATIO } from "./evaluate.ts";
import { upperOf } from "./frontier.ts";
import { buildKernel, buildScale, scalarOf } from "./kernel.ts";
import type {
  ChoiceProblem,
  ChoiceTotals,
  OptionPoint,
  OptionVerdict,
  SolvedChoice,
} from "./problem.ts";
import { pruneOptions } from "./prune.ts";
import { dropUnfit } from "./reduce.ts";
import { boundedAxes, relaxAxis } from "./relax.ts";
import { Relaxation } from "./relaxation.ts";
import { LIMIT_OF, solveChoice } from "./solve.ts";

/** Of all forced solves together: some seconds at worst, mostly some tens of milliseconds. */
const EXPLAIN_NODES_MAX = 2_000_000;
/** Of one forced solve: a bounded answer is told as such. */
const FORCED_NODES_MAX = 100_000;

const CODE_OF: Readonly<Record<SloAxis, RejectionCode>> = {
  latency: "breaks-latency",
  cost: "breaks-cost",
  energy: "breaks-energy",
  quality: "breaks-quality",
};

/** In the order of steps and options; without the chosen ones. */
export function explainOptions(
  problem: ChoiceProblem,
  solved: SolvedChoice,
  options: { readonly nodesMax?: number } = {},
): OptionVerdict[] {
  const explainer = new Explainer(problem, solved, options.nodesMax ?? EXPLAIN_NODES_MAX);
  const rejected = problem.steps.flatMap((step, at) => {
    const by = new Map(pruneOptions(step).dominated.map((it) => [it.id, it.by]));
    return step.options.flatMap((option, index) =>
      option.id === solved.optionIds[at]
        ? []
        : [{ at, option, by: by.get(option.id), floor: explainer.floor(at, index) }],
    );
  });
  // What is nearest to winning first: it gets the exact answers.
  const verdicts = new Map<OptionPoint, OptionVerdict>();
  for (const { at, option, by, floor } of [...rejected].sort((a, b) =>
    a.floor === b.floor ? 0 : a.floor - b.floor,
  )) {
    const step = problem.steps[at]?.step ?? "";
    verdicts.set(option, {
      step,
      id: option.id,
      ...(by === undefined
        ? explainer.explain(at, option, floor)
        : { code: "dominated", by, isExact: true }),
    });
  }
  return rejected.flatMap(({ option }) => verdicts.get(option) ?? []);
}

type Verdict = Omit<OptionVerdict, "step" | "id">;

class Explainer {
  private readonly problem: ChoiceProblem;
  private readonly solved: SolvedChoice;
  private readonly floors: Float64Array;
  private readonly evaluator: Evaluator;
  private nodesLeft: number;

  constructor(problem: ChoiceProblem, solved: SolvedChoice, nodesMax: number) {
    this.problem = problem;
    this.solved = solved;
    this.nodesLeft = nodesMax;
    this.evaluator = new Evaluator(problem);
    this.floors = floorsOf(this.evaluator, solved);
  }

  /** The least by which a choice with this option is behind; infinite where none keeps the bounds. */
  floor(at: number, index: number): number {
    return this.floors[(this.evaluator.offset[at] ?? 0) + index] ?? 0;
  }

  explain(at: number, option: OptionPoint, floor: number): Verdict {
    const forced = forceOption(this.problem, at, option);
    const nodesMax = Math.min(this.nodesLeft, FORCED_NODES_MAX);
    if (nodesMax <= 0) return { ...this.guess(forced, floor), isExact: false };
    const result = solveChoice(forced, { nodesMax, isReasonWanted: false });
    this.nodesLeft -= result.nodeCount;
    if (result.kind !== "solved") return this.broken(forced, floor, result.isProved);
    return {
      code: "worse-objective",
      forced: result.totals,
      objectiveBehind: behind(result.totals, this.solved.totals),
      isExact: result.gapRatio === 0,
    };
  }

  /** By the bound that needs the least to give way, in shares of itself. */
  private broken(forced: ChoiceProblem, floor: number, isProved: boolean): Verdict {
    let nearest: { readonly axis: SloAxis; readonly choice: SolvedChoice } | null = null;
    let isExact = isProved;
    let least = Number.POSITIVE_INFINITY;
    for (const axis of boundedAxes(this.problem)) {
      const choice = relaxAxis(forced, axis, { nodesMax: FORCED_NODES_MAX });
      this.nodesLeft -= choice.nodeCount;
      if (choice.kind === "solved" ? choice.gapRatio > 0 : !choice.isProved) isExact = false;
      if (choice.kind !== "solved") continue;
      const raise = upperOf(choice.totals, axis) / this.limitOf(axis);
      if (raise >= least) continue;
      least = raise;
      nearest = { axis, choice };
    }
    // No bound alone stands in the way: two at least would have to give.
    if (nearest === null) return { ...this.guess(forced, isProved ? Infinity : floor), isExact };
    const { totals } = nearest.choice;
    const feasibleAt = upperOf(totals, nearest.axis);
    return { code: CODE_OF[nearest.axis], feasibleAt, forced: totals, isExact };
  }

  private limitOf(axis: SloAxis): number {
    return Math.max(this.problem.limits[LIMIT_OF[axis]] ?? 0, Number.MIN_VALUE);
  }

  /** From sums of least values: the axis that can't be kept, or is nearest to its bound. */
  private guess(forced: ChoiceProblem, floor: number): Omit<Verdict, "isExact"> {
    let axis: SloAxis | null = null;
    let worst = floor === Number.POSITIVE_INFINITY ? 0 : 1 + TIE_RATIO;
    for (const other of boundedAxes(this.problem)) {
      const ratio = leastUpper(forced, other) / this.limitOf(other);
      if (ratio <= worst) continue;
      worst = ratio;
      axis = other;
    }
    if (axis !== null) return { code: CODE_OF[axis] };
    return { code: "worse-objective", objectiveBehind: Math.max(0, floor) };
  }
}

/** Per option a lower bound of how far its best choice is behind, in the objective's unit. */
function floorsOf(evaluator: Evaluator, solved: SolvedChoice): Float64Array {
  const scale = buildScale(evaluator, 0);
  const full = buildKernel(evaluator, scale, []);
  const floors = new Float64Array(full.linear.length).fill(Number.POSITIVE_INFINITY);
  const kernel = dropUnfit(full);
  if (kernel === null) return floors;
  const outcome = Relaxation.start(kernel).solve();
  if (outcome.kind === "unfit") return floors.fill(0);
  const { value, reduced } = boundAt(kernel, outcome.multipliers);
  const best = scalarOf(solved.totals.levels, scale);
  for (let step = 0; step < kernel.stepCount; step += 1) {
    const own = reduced.subarray(kernel.start[step], kernel.start[step + 1]);
    const least = own.reduce((low, it) => Math.min(low, it), Number.POSITIVE_INFINITY);
    own.forEach((it, index) => {
      const flat = kernel.flat[(kernel.start[step] ?? 0) + index] ?? 0;
      floors[flat] = (value - least + it - best) / scale.firstWeight;
    });
  }
  return floors;
}

function forceOption(problem: ChoiceProblem, at: number, option: OptionPoint): ChoiceProblem {
  return {
    ...problem,
    steps: problem.steps.map((step, index) =>
      index === at ? { ...step, options: [option] } : step,
    ),
  };
}

/** In the first level that differs: that one decides. 0: it lost by its id only. */
function behind(forced: ChoiceTotals, chosen: ChoiceTotals): number {
  for (const [at, value] of forced.levels.entries()) {
    const best = chosen.levels[at] ?? 0;
    if (Math.abs(value - best) > TIE_RATIO * Math.max(Math.abs(value), Math.abs(best)))
      return Math.max(0, value - best);
  }
  return 0;
}

/** No choice takes less. */
function leastUpper(problem: ChoiceProblem, axis: SloAxis): number {
  const least = (value: (option: OptionPoint) => number) =>
    problem.steps.reduce((sum, step) => sum + Math.min(...step.options.map(value)), 0);
  switch (axis) {
    case "latency":
      return (
        problem.queueMs +
        Math.max(
          least((option) => option.workMsUpper) / Math.max(1, problem.cores),
          ...problem.steps.map((step) =>
            Math.min(...step.options.map((option) => option.runMsUpper)),
          ),
        )
      );
    case "cost":
      return least((option) => option.costUsdUpper);
    case "energy":
      return least((option) => option.energyWhUpper);
    case "quality":
      return problem.baseLogLoss + least((option) => option.logLoss);
  }
}
