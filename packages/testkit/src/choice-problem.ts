/**
 * Problems of choice with real trade-offs from a seed, for tests and benchmarks of the optimizer.
 *
 * Owns:      the shapes (random DAGs with fan-out and join), the options' numbers, bounds that
 *            are tight together, an oracle that tries everything.
 * Does not:  use the solver: what it makes is fit to judge it.
 */
import type { ChoiceLimits, ChoiceProblem, OptionPoint, StepOptions } from "@murakkab/core";
import type { Random } from "@murakkab/kit";
import type { Objective } from "@murakkab/model";

export interface ChoiceProblemOptions {
  readonly stepCount: number;
  readonly optionCount: number;
  readonly objective: Objective;
  /** Two scenarios: a first stage that may be enough, and everything. */
  readonly isStaged?: boolean;
  /** Bounds are those of a balanced choice times 1 to 1 + this. Default 0.06. */
  readonly slackRatioMax?: number;
}

/** A problem whose four bounds hold together, each near what a balanced choice takes. */
export function buildChoiceProblem(random: Random, options: ChoiceProblemOptions): ChoiceProblem {
  const { stepCount, optionCount, objective } = options;
  const after = buildDag(random, stepCount);
  const sureRatio = options.isStaged === true ? 0.2 + 0.6 * random.next() : 0;
  const staged = Math.ceil(stepCount / 2);
  const steps: StepOptions[] = after.map((sources, at) => ({
    step: `s${at}`,
    after: sources.map((source) => `s${source}`),
    probability: at < staged ? 1 : 1 - sureRatio,
    options: buildOptions(random, optionCount),
  }));
  const names = steps.map((step) => step.step);
  const problem: ChoiceProblem = {
    steps: shuffle(random, steps),
    scenarios: [
      ...(sureRatio > 0 ? [{ probability: sureRatio, steps: names.slice(0, staged) }] : []),
      { probability: 1 - sureRatio, steps: names },
    ],
    cores: [1, 2, 4, 8, 16][Math.floor(random.next() * 5)] ?? 1,
    queueMs: Math.round(random.next() * 500),
    baseLogLoss: random.next() < 0.5 ? 0 : 0.02,
    limits: {},
    objective,
  };
  const slack = options.slackRatioMax ?? 0.06;
  return {
    ...problem,
    limits: limitsNear(problem, balancedChoice(random, problem), () => 1 + slack * random.next()),
  };
}

/** Every step but the first needs one or two earlier ones; steps 1 and 2 fork, the last joins. */
function buildDag(random: Random, count: number): number[][] {
  const after: number[][] = [];
  for (let step = 0; step < count; step += 1) {
    if (step === 0) after.push([]);
    else if (step <= 2) after.push([0]);
    else {
      const first = Math.floor(random.next() * step);
      const second = Math.floor(random.next() * step);
      after.push(random.next() < 0.5 || first === second ? [first] : [first, second]);
    }
  }
  const isUsed = new Set(after.flat());
  const last = count - 1;
  if (last >= 3) {
    const open = after.flatMap((_, step) => (step < last && !isUsed.has(step) ? [step] : []));
    after[last] = [...new Set([...(after[last] ?? []), ...open])];
    if (after[last]?.length === 1) after[last] = [last - 1, last - 2];
  }
  return after;
}

/** Speed and watts of what a step may run on; the last two take GPU seconds. */
const DEVICES = [
  { speed: 1, watts: 12, usdPerHour: 0.04, isGpu: false },
  { speed: 1.6, watts: 30, usdPerHour: 0.11, isGpu: false },
  { speed: 6, watts: 150, usdPerHour: 0.9, isGpu: true },
  { speed: 14, watts: 420, usdPerHour: 3.2, isGpu: true },
] as const;

/** Fidelity buys quality with work, devices and parallelism buy time with money and energy. */
function buildOptions(random: Random, count: number): OptionPoint[] {
  const baseMs = 300 * Math.exp(2.2 * random.next());
  const lossScale = 0.01 + 0.09 * random.next();
  const noise = (spread: number) => Math.exp(spread * (random.next() + random.next() - 1));
  return Array.from({ length: count }, (_, at) => {
    const fidelity = random.next();
    const device = DEVICES[Math.floor(random.next() * DEVICES.length)] ?? DEVICES[0];
    const parallel = [1, 2, 4, 8][Math.floor(random.next() * 4)] ?? 1;
    const effortMs = (baseMs * (0.1 + fidelity ** 1.5) * noise(0.3)) / device.speed;
    const runMs = (effortMs / parallel ** 0.8) * noise(0.2);
    const deviceSec = (effortMs * parallel ** 0.2) / 1_000;
    const workMs = Math.max(runMs, (device.isGpu ? 0.3 : 1) * deviceSec * 1_000);
    const costUsd = (deviceSec * device.usdPerHour * noise(0.2)) / 3_600;
    const energyWh = (deviceSec * device.watts * noise(0.2)) / 3_600;
    const tail = () => 1.05 + 0.4 * random.next();
    return {
      id: `o${String(at).padStart(3, "0")}`,
      runMs,
      workMs,
      costUsd,
      energyWh,
      gpuSec: device.isGpu ? deviceSec : 0,
      runMsUpper: runMs * tail(),
      workMsUpper: workMs * tail(),
      costUsdUpper: costUsd * tail(),
      energyWhUpper: energyWh * tail(),
      logLoss: lossScale * (1 - fidelity) ** 2 * noise(0.2),
    };
  });
}

function shuffle<T>(random: Random, items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let at = shuffled.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random.next() * (at + 1));
    const item = shuffled[at];
    const swapped = shuffled[other];
    if (item === undefined || swapped === undefined) continue;
    shuffled[at] = swapped;
    shuffled[other] = item;
  }
  return shuffled;
}

/** Least weighted sum of the four axes, each in shares of its mean, with weights from 1 to 3. */
function balancedChoice(random: Random, problem: ChoiceProblem): readonly OptionPoint[] {
  const axes = ["workMsUpper", "runMsUpper", "costUsdUpper", "energyWhUpper", "logLoss"] as const;
  const all = problem.steps.flatMap((step) => step.options);
  const weights = axes.map((axis) => {
    const mean = all.reduce((sum, option) => sum + option[axis], 0) / all.length;
    return (1 + 2 * random.next()) / Math.max(mean, 1e-12);
  });
  return problem.steps.map((step) => {
    const value = (option: OptionPoint) =>
      axes.reduce((sum, axis, at) => sum + option[axis] * (weights[at] ?? 0), 0);
    return step.options.reduce((best, option) => (value(option) < value(best) ? option : best));
  });
}

function limitsNear(
  problem: ChoiceProblem,
  choice: readonly OptionPoint[],
  factor: () => number,
): ChoiceLimits {
  const totals = referenceTotals(problem, choice);
  return {
    latencyMsMax: totals.latencyMsUpper * factor(),
    costUsdMax: totals.costUsdUpper * factor(),
    energyWhMax: totals.energyWhUpper * factor(),
    logLossMax: totals.logLoss * factor(),
  };
}

/** The model, written down a second time and straight: it judges the solver's own. */
export function referenceTotals(problem: ChoiceProblem, choice: readonly OptionPoint[]) {
  const cores = Math.max(1, problem.cores);
  const position = new Map(problem.steps.map((step, at) => [step.step, at]));
  const latency = (runs: ReadonlySet<string>, isUpper: boolean): number => {
    const own = (name: string) => {
      const option = choice[position.get(name) ?? -1];
      if (option === undefined || !runs.has(name)) return { run: 0, work: 0 };
      return isUpper
        ? { run: option.runMsUpper, work: option.workMsUpper }
        : { run: option.runMs, work: option.workMs };
    };
    const known = new Map<string, number>();
    const end = (name: string): number => {
      const before = known.get(name);
      if (before !== undefined) return before;
      const { run, work } = own(name);
      const after = problem.steps[position.get(name) ?? -1]?.after ?? [];
      const value = Math.max(0, ...after.map(end)) + (run - Math.min(run, work) / cores);
      known.set(name, value);
      return value;
    };
    const longest = Math.max(0, ...problem.steps.map((step) => end(step.step)));
    const work = problem.steps.reduce((sum, step) => sum + own(step.step).work, 0);
    return problem.queueMs + longest + work / cores;
  };
  const sum = (value: (option: OptionPoint, step: StepOptions) => number) =>
    problem.steps.reduce((total, step, at) => {
      const option = choice[at];
      return option === undefined ? total : total + value(option, step);
    }, 0);
  const all = new Set(problem.steps.map((step) => step.step));
  return {
    latencyMs: problem.scenarios.reduce(
      (total, it) => total + it.probability * latency(new Set(it.steps), false),
      0,
    ),
    latencyMsUpper: latency(all, true),
    costUsd: sum((option, step) => step.probability * option.costUsd),
    costUsdUpper: sum((option) => option.costUsdUpper),
    energyWh: sum((option, step) => step.probability * option.energyWh),
    energyWhUpper: sum((option) => option.energyWhUpper),
    logLoss: problem.baseLogLoss + sum((option) => option.logLoss),
    gpuSec: sum((option, step) => step.probability * option.gpuSec),
    workMs: sum((option, step) => step.probability * option.workMs),
  };
}

export type ReferenceTotals = ReturnType<typeof referenceTotals>;

export function keepsLimits({ limits }: ChoiceProblem, totals: ReferenceTotals): boolean {
  return (
    totals.latencyMsUpper <= (limits.latencyMsMax ?? Number.POSITIVE_INFINITY) &&
    totals.costUsdUpper <= (limits.costUsdMax ?? Number.POSITIVE_INFINITY) &&
    totals.energyWhUpper <= (limits.energyWhMax ?? Number.POSITIVE_INFINITY) &&
    totals.logLoss <= (limits.logLossMax ?? Number.POSITIVE_INFINITY)
  );
}

/** What decides, first value first. */
export function referenceLevels(objective: Objective, totals: ReferenceTotals): number[] {
  const ties = [totals.costUsd, totals.energyWh, totals.latencyMs];
  switch (objective) {
    case "cost":
      return ties;
    case "energy":
      return [totals.energyWh, ...ties];
    case "latency":
      return [totals.latencyMs, ...ties];
    case "quality":
      return [totals.logLoss, ...ties];
    case "resources":
      return [totals.gpuSec, totals.workMs, ...ties];
  }
}

export interface OracleChoice {
  readonly choice: readonly OptionPoint[];
  readonly totals: ReferenceTotals;
  readonly levels: readonly number[];
}

/** Tries every configuration: for small problems only. Null where nothing keeps the bounds. */
export function tryAllChoices(problem: ChoiceProblem): OracleChoice | null {
  let best: OracleChoice | null = null;
  eachChoice(problem, (choice) => {
    const totals = referenceTotals(problem, choice);
    if (!keepsLimits(problem, totals)) return;
    if (problem.isBanned?.(choice.map((option) => option.id)) === true) return;
    const levels = referenceLevels(problem.objective, totals);
    if (best === null || isLess(levels, best.levels))
      best = { choice: [...choice], totals, levels };
  });
  return best;
}

export function eachChoice(
  problem: ChoiceProblem,
  visit: (choice: readonly OptionPoint[]) => void,
): void {
  const choice: OptionPoint[] = [];
  const descend = (at: number): void => {
    const step = problem.steps[at];
    if (step === undefined) return visit(choice);
    for (const option of step.options) {
      choice[at] = option;
      descend(at + 1);
    }
  };
  descend(0);
}

/** Values nearer than a billionth are equal; of equals the first one tried stays. */
function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (const [at, value] of left.entries()) {
    const other = right[at] ?? 0;
    if (Math.abs(value - other) > 1e-9 * Math.max(Math.abs(value), Math.abs(other)))
      return value < other;
  }
  return false;
}
