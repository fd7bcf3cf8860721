/**
 * A problem as the search sees it: flat arrays of what adds up, in the search's own scale.
 *
 * Owns:      the rows of the bounds, the scalar that is minimised, leaving out of options.
 * Does not:  hold all paths (see PATH_ROWS_MAX): a choice that keeps all rows may still be too
 *            slow, so the evaluator has the last word on every choice.
 *
 * The scalar S = first level of the goal + a billionth of the second one, each in its scale: ties
 * in the first level are common (no loss at all, no price) and would else have to be enumerated.
 *
 * Invariants:
 *   K1. A choice that keeps the problem's bounds keeps all rows (up to ROW_SLACK_RATIO).
 *   K2. S is never above the true value of the choice; equal where all paths are rows.
 *   K3. Options of a step stay in ascending order of their position until `sortBy`.
 */
import type { ChoiceGoal, Evaluator, GoalMix } from "./evaluate.ts";
import { longestPaths } from "./paths.ts";

/** More rows cost more per node than they prune: beyond, short paths rarely decide. */
const PATH_ROWS_MAX = 12;
/** Weight of the second level; see TIE_RATIO. */
export const SECOND_LEVEL_WEIGHT = 1e-9;
/** Rounding of sums in another order must not cut off a choice that keeps a bound exactly. */
const ROW_SLACK_RATIO = 1e-11;

export interface Kernel {
  readonly stepCount: number;
  /** Options of the `at`-th step are `start[at]` to `start[at + 1]`. */
  readonly start: Int32Array;
  /** Which step of the problem is the `at`-th here. */
  readonly stepOf: Int32Array;
  /** Position in the evaluator's columns. */
  readonly flat: Int32Array;
  /** `rowCount` numbers per option, and what their sums may be. */
  readonly rowCount: number;
  readonly row: Float64Array;
  readonly rowMax: Float64Array;
  /** The part of S that adds up, per option, and its constant. */
  readonly linear: Float64Array;
  readonly constant: number;
  /** Latency in S: by group (scenario) its probability times its longest path. */
  readonly pathCount: number;
  readonly path: Float64Array;
  readonly groupOf: Int32Array;
  readonly groupWeight: Float64Array;
}

/** S of `levels`: for cut-offs and incumbents. */
export interface Scale {
  readonly first: number;
  readonly firstWeight: number;
  readonly second: number;
  readonly secondWeight: number;
  /** Many choices may share the best first value: then levels are better settled one by one. */
  readonly hasTies: boolean;
}

export function scalarOf(levels: readonly number[], scale: Scale): number {
  return (
    (levels[scale.first] ?? 0) * scale.firstWeight +
    (scale.second < 0 ? 0 : (levels[scale.second] ?? 0) * scale.secondWeight)
  );
}

interface Level {
  /** The part that adds up; null: nothing does. */
  readonly column: Float64Array | null;
  /** By step; null: not weighted (upper values, loss). */
  readonly weights: Float64Array | null;
  readonly constant: number;
  /** How much of latency is in it. */
  readonly latencyShare: number;
  readonly isUpper: boolean;
}

/** As `Evaluator.levels`, in the same order. */
function levelsOf(evaluator: Evaluator): Level[] {
  const { columns, probability, problem, goal } = evaluator;
  const additive = (column: Float64Array, weights: Float64Array | null = probability): Level => ({
    column,
    weights,
    constant: 0,
    latencyShare: 0,
    isUpper: false,
  });
  const latency: Level = {
    column: null,
    weights: null,
    constant: problem.queueMs,
    latencyShare: 1,
    isUpper: false,
  };
  const ties = [additive(columns.costUsd), additive(columns.energyWh), latency];
  if (typeof goal === "object") return [mixedLevel(evaluator, goal), ...ties];
  const own: Readonly<Record<Exclude<ChoiceGoal, object>, Level[]>> = {
    cost: [],
    energy: [additive(columns.energyWh)],
    latency: [latency],
    quality: [{ ...additive(columns.logLoss, null), constant: problem.baseLogLoss }],
    resources: [additive(columns.gpuSec), additive(columns.workMs)],
    "latency-upper": [{ ...latency, isUpper: true }],
    "cost-upper": [additive(columns.costUsdUpper, null)],
    "energy-upper": [additive(columns.energyWhUpper, null)],
  };
  return [...own[goal], ...ties];
}

function mixedLevel(evaluator: Evaluator, goal: GoalMix): Level {
  const { columns, probability, problem } = evaluator;
  const column = new Float64Array(columns.costUsd.length);
  eachOption(evaluator, (option, step) => {
    const perRun =
      goal.costUsd * (columns.costUsd[option] ?? 0) +
      goal.energyWh * (columns.energyWh[option] ?? 0);
    column[option] =
      perRun * (probability[step] ?? 1) + goal.logLoss * (columns.logLoss[option] ?? 0);
  });
  return {
    column,
    weights: null,
    constant: goal.latencyMs * problem.queueMs + goal.logLoss * problem.baseLogLoss,
    latencyShare: goal.latencyMs,
    isUpper: false,
  };
}

interface Range {
  readonly least: number;
  readonly most: number;
  /** Whether choices may differ in it. */
  readonly isOpen: boolean;
}

/** Least and greatest value of a level over all choices; for latency bounds of them. */
function rangeOf(evaluator: Evaluator, level: Level): Range {
  let least = level.constant;
  let most = level.constant;
  let isOpen = false;
  const { offset, columns, cores } = evaluator;
  const path = level.isUpper ? evaluator.pathUpper : evaluator.path;
  const work = level.isUpper ? columns.workMsUpper : columns.workMs;
  for (let step = 0; step < evaluator.stepCount; step += 1) {
    const first = offset[step] ?? 0;
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (let at = first; at < (offset[step + 1] ?? 0); at += 1) {
      const latency = (path[at] ?? 0) + (work[at] ?? 0) / cores;
      const value =
        level.latencyShare * latency + (level.column?.[at] ?? 0) * (level.weights?.[step] ?? 1);
      low = Math.min(low, value);
      high = Math.max(high, value);
      // One may have the longer path and the other as much more work.
      if (level.latencyShare > 0 && (path[at] !== path[first] || work[at] !== work[first]))
        isOpen = true;
    }
    least += low;
    most += high;
  }
  return { least, most, isOpen: isOpen || most - least > 1e-12 * most };
}

/** Leading with the first level, from `from` on, in which choices differ. */
export function buildScale(evaluator: Evaluator, from: number): Scale {
  const levels = levelsOf(evaluator);
  const ranges = levels.map((level) => rangeOf(evaluator, level));
  const varies = ranges.map((range) => range.isOpen);
  const first = Math.max(from, varies.indexOf(true, from));
  const rest = varies.indexOf(true, first + 1);
  const second = rest >= 0 && levels[rest]?.latencyShare === 0 ? rest : -1;
  const { least, most } = ranges[first] ?? { least: 0, most: 0 };
  return {
    first,
    // Near the least value, where optima are; a share of the greatest where that is nothing.
    firstWeight: 1 / (Math.max(least, most * 1e-4) || 1),
    second,
    secondWeight: second < 0 ? 0 : SECOND_LEVEL_WEIGHT / (ranges[second]?.most || 1),
    hasTies: second >= 0 && repeats(evaluator, levels[first]),
  };
}

/** Whether a step has the same value twice: then many choices share the best sum. */
function repeats(evaluator: Evaluator, level: Level | undefined): boolean {
  const column = level?.column ?? null;
  if (column === null || level?.latencyShare !== 0) return false;
  return evaluator.problem.steps.some((step, at) => {
    const own = column.subarray(evaluator.offset[at], evaluator.offset[at + 1]);
    return new Set(own).size < step.options.length;
  });
}

/** A level that was settled, and what it may be from now on. */
export interface LevelCap {
  readonly level: number;
  readonly max: number;
}

export function buildKernel(evaluator: Evaluator, scale: Scale, caps: readonly LevelCap[]): Kernel {
  const { offset, stepCount } = evaluator;
  const optionCount = offset[stepCount] ?? 0;
  const levels = levelsOf(evaluator);
  const leading = levels[scale.first];
  const linear = new Float64Array(optionCount);
  let constant = 0;
  for (const [at, weight] of [
    [scale.first, scale.firstWeight],
    [scale.second, scale.secondWeight],
  ] as const) {
    const level = levels[at];
    if (level === undefined) continue;
    constant += level.constant * weight;
    const { column, weights } = level;
    if (column === null) continue;
    eachOption(evaluator, (option, step) => {
      linear[option] =
        (linear[option] ?? 0) + (column[option] ?? 0) * (weights?.[step] ?? 1) * weight;
    });
  }
  const rows = [...limitRows(evaluator), ...capRows(evaluator, levels, caps)];
  const latencyWeight = (leading?.latencyShare ?? 0) * scale.firstWeight;
  const groups =
    latencyWeight > 0 ? latencyGroups(evaluator, leading?.isUpper ?? false, latencyWeight) : [];
  for (const group of groups) {
    linear.forEach((value, option) => {
      linear[option] = value + group.weight * (group.work[option] ?? 0);
    });
  }
  const paths = groups.flatMap((group, at) => group.paths.map((path) => ({ at, path })));
  return {
    stepCount,
    start: offset,
    stepOf: Int32Array.from({ length: stepCount }, (_, step) => step),
    flat: Int32Array.from({ length: optionCount }, (_, option) => option),
    rowCount: rows.length,
    row: interleave(
      rows.map((it) => it.values),
      optionCount,
    ),
    rowMax: Float64Array.from(rows, (it) => it.max),
    linear,
    constant,
    pathCount: paths.length,
    path: interleave(
      paths.map((it) => it.path),
      optionCount,
    ),
    groupOf: Int32Array.from(paths, (it) => it.at),
    groupWeight: Float64Array.from(groups, (it) => it.weight),
  };
}

function eachOption(evaluator: Evaluator, visit: (option: number, step: number) => void): void {
  for (let step = 0; step < evaluator.stepCount; step += 1) {
    const end = evaluator.offset[step + 1] ?? 0;
    for (let option = evaluator.offset[step] ?? 0; option < end; option += 1) visit(option, step);
  }
}

function interleave(columns: readonly Float64Array[], optionCount: number): Float64Array {
  const count = columns.length;
  const values = new Float64Array(optionCount * count);
  columns.forEach((column, at) => {
    for (let option = 0; option < optionCount; option += 1) {
      values[option * count + at] = column[option] ?? 0;
    }
  });
  return values;
}

interface Row {
  readonly values: Float64Array;
  readonly max: number;
}

/**
 * In shares of its greatest sum, so that multipliers of all rows are alike; none where every
 * choice keeps it.
 */
function scaledRow(evaluator: Evaluator, values: Float64Array, max: number | undefined): Row[] {
  if (max === undefined || max === Number.POSITIVE_INFINITY) return [];
  let most = 0;
  for (let step = 0; step < evaluator.stepCount; step += 1) {
    const own = values.subarray(evaluator.offset[step], evaluator.offset[step + 1]);
    most += own.reduce((high, value) => Math.max(high, value), 0);
  }
  if (most <= max) return [];
  const unit = most > 0 ? 1 / most : 1;
  const scaled = max * unit;
  return [
    {
      values: values.map((value) => value * unit),
      max: scaled + ROW_SLACK_RATIO * (Math.abs(scaled) + 1e-3),
    },
  ];
}

function limitRows(evaluator: Evaluator): Row[] {
  const { columns, problem, cores } = evaluator;
  const { latencyMsMax, costUsdMax, energyWhMax, logLossMax } = problem.limits;
  const lossMax = logLossMax === undefined ? undefined : logLossMax - problem.baseLogLoss;
  const rows = [
    ...scaledRow(evaluator, columns.costUsdUpper, costUsdMax),
    ...scaledRow(evaluator, columns.energyWhUpper, energyWhMax),
    ...scaledRow(evaluator, columns.logLoss, lossMax),
  ];
  if (latencyMsMax === undefined) return rows;
  for (const mask of pathMasks(evaluator, evaluator.pathUpper)) {
    const values = new Float64Array(columns.workMsUpper.length);
    eachOption(evaluator, (option, step) => {
      values[option] =
        (columns.workMsUpper[option] ?? 0) / cores +
        (mask[step] === 1 ? (evaluator.pathUpper[option] ?? 0) : 0);
    });
    rows.push(...scaledRow(evaluator, values, latencyMsMax - problem.queueMs));
  }
  return rows;
}

function capRows(evaluator: Evaluator, levels: readonly Level[], caps: readonly LevelCap[]): Row[] {
  return caps.flatMap(({ level, max }) => {
    const { column, weights, constant } = levels[level] ?? { column: null };
    if (column == null) return [];
    const values = new Float64Array(column.length);
    eachOption(evaluator, (option, step) => {
      values[option] = (column[option] ?? 0) * (weights?.[step] ?? 1);
    });
    return scaledRow(evaluator, values, max - (constant ?? 0));
  });
}

function pathMasks(evaluator: Evaluator, path: Float64Array): Uint8Array[] {
  const mean = new Float64Array(evaluator.stepCount);
  eachOption(evaluator, (option, step) => {
    const count = (evaluator.offset[step + 1] ?? 0) - (evaluator.offset[step] ?? 0);
    mean[step] = (mean[step] ?? 0) + (path[option] ?? 0) / count;
  });
  return longestPaths(evaluator.before, mean, PATH_ROWS_MAX);
}

interface LatencyGroup {
  readonly weight: number;
  readonly work: Float64Array;
  readonly paths: readonly Float64Array[];
}

function latencyGroups(evaluator: Evaluator, isUpper: boolean, weight: number): LatencyGroup[] {
  const path = isUpper ? evaluator.pathUpper : evaluator.path;
  const workMs = isUpper ? evaluator.columns.workMsUpper : evaluator.columns.workMs;
  const masks = pathMasks(evaluator, path);
  const last = evaluator.runs.length - 1;
  return evaluator.runs.flatMap((runs, scenario) => {
    const share = isUpper
      ? Number(scenario === last)
      : (evaluator.scenarioProbability[scenario] ?? 0);
    if (share === 0) return [];
    const seen = new Map<string, Float64Array>();
    for (const mask of masks) {
      const own = mask.map((value, step) => value & (runs[step] ?? 0));
      const values = new Float64Array(path.length);
      eachOption(evaluator, (option, step) => {
        if (own[step] === 1) values[option] = (path[option] ?? 0) * weight;
      });
      seen.set(own.join(""), values);
    }
    const work = new Float64Array(path.length);
    eachOption(evaluator, (option, step) => {
      if (runs[step] === 1) work[option] = ((workMs[option] ?? 0) * weight) / evaluator.cores;
    });
    return [{ weight: share, work, paths: [...seen.values()] }];
  });
}

/**
 * Only options with `keep[option] === 1`; with `by` the steps in its order, each one's options
 * ascending by its key, then position. `picked`: where they were.
 */
export function compactKernel(
  kernel: Kernel,
  keep: Uint8Array,
  by?: { readonly key: Float64Array; readonly order: Int32Array },
): { readonly kernel: Kernel; readonly picked: Int32Array } {
  const { stepCount, start } = kernel;
  let count = 0;
  for (let option = 0; option < keep.length; option += 1) count += keep[option] as number;
  const picked = new Int32Array(count);
  const starts = new Int32Array(stepCount + 1);
  let size = 0;
  for (let at = 0; at < stepCount; at += 1) {
    const step = by === undefined ? at : (by.order[at] as number);
    for (let option = start[step] as number; option < (start[step + 1] as number); option += 1) {
      if (keep[option] === 0) continue;
      picked[size] = option;
      size += 1;
    }
    starts[at + 1] = size;
    if (by === undefined) continue;
    const { key } = by;
    picked
      .subarray(starts[at], size)
      .sort((a, b) => (key[a] as number) - (key[b] as number) || a - b);
  }
  const flat = new Int32Array(count);
  for (let at = 0; at < count; at += 1) flat[at] = kernel.flat[picked[at] as number] as number;
  return {
    picked,
    kernel: {
      ...kernel,
      start: starts,
      stepOf: by === undefined ? kernel.stepOf : by.order.map((step) => kernel.stepOf[step] ?? 0),
      flat,
      linear: gather(kernel.linear, picked, 1),
      row: gather(kernel.row, picked, kernel.rowCount),
      path: gather(kernel.path, picked, kernel.pathCount),
    },
  };
}

/** `width` numbers per option, of the options that are picked. */
export function gather(values: Float64Array, picked: Int32Array, width: number): Float64Array {
  const gathered = new Float64Array(picked.length * width);
  let to = 0;
  for (let at = 0; at < picked.length; at += 1) {
    const from = (picked[at] as number) * width;
    for (let k = 0; k < width; k += 1) {
      gathered[to] = values[from + k] as number;
      to += 1;
    }
  }
  return gathered;
}
