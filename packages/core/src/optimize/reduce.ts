/**
 * Leave out options that no better choice can contain, given bounds and goal.
 *
 * Owns:      rules that look at one option and the best of all other steps.
 * Does not:  search. Dominance for people, whatever the bounds, is prune.ts.
 *
 * Invariants:
 *   R1. The best choice, ties included, stays within what is kept.
 */
import { type ChoiceGoal, type Evaluator, TIE_RATIO } from "./evaluate.ts";
import { compactKernel, type Kernel } from "./kernel.ts";

/**
 * Without options of which every use breaks a row; null where a step has none left.
 *
 * Repeated until nothing changes: what goes raises the least that the others must get along with.
 */
export function dropUnfit(kernel: Kernel): Kernel | null {
  const { stepCount, rowCount, start, row, rowMax } = kernel;
  const keep = new Uint8Array(kernel.linear.length).fill(1);
  const least = new Float64Array(stepCount * rowCount);
  let left = kernel.linear.length;
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    const room = rowMax.slice();
    for (let step = 0; step < stepCount; step += 1) {
      for (let k = 0; k < rowCount; k += 1) {
        let low = Number.POSITIVE_INFINITY;
        for (let at = start[step] as number; at < (start[step + 1] as number); at += 1) {
          if (keep[at] === 1) low = Math.min(low, row[at * rowCount + k] as number);
        }
        least[step * rowCount + k] = low;
        room[k] = (room[k] as number) - low;
      }
    }
    for (let k = 0; k < rowCount; k += 1) if ((room[k] as number) < 0) return null;
    for (let step = 0; step < stepCount; step += 1) {
      for (let at = start[step] as number; at < (start[step + 1] as number); at += 1) {
        if (keep[at] === 0) continue;
        for (let k = 0; k < rowCount; k += 1) {
          const extra = (row[at * rowCount + k] as number) - (least[step * rowCount + k] as number);
          if (extra <= (room[k] as number)) continue;
          keep[at] = 0;
          left -= 1;
          isChanged = true;
          break;
        }
      }
    }
  }
  for (let step = 0; step < stepCount; step += 1) {
    if (!keep.subarray(start[step], start[step + 1]).includes(1)) return null;
  }
  return left === kernel.linear.length ? kernel : compactKernel(kernel, keep).kernel;
}

/**
 * Without options that another one of the step makes superfluous: as good in every bound that is
 * set, and clearly better in the goal's first value, or as good in it and in all tie-breaks.
 */
export function dropDominated(kernel: Kernel, evaluator: Evaluator): Kernel {
  const { bounds, leading, ties } = relevantColumns(evaluator);
  const all = [...bounds, ...leading, ...ties];
  const keep = new Uint8Array(kernel.linear.length).fill(1);
  const leadingScale = leading.map((column) => column.reduce((most, it) => Math.max(most, it), 0));
  const beats = (a: number, b: number): boolean => {
    for (const column of bounds) if ((column[a] as number) > (column[b] as number)) return false;
    let isClear = false;
    for (let at = 0; at < leading.length; at += 1) {
      const column = leading[at] as Float64Array;
      const gain = (column[b] as number) - (column[a] as number);
      if (gain < 0) return false;
      if (gain > 1e3 * TIE_RATIO * (leadingScale[at] as number)) isClear = true;
    }
    if (isClear && leading.length === 1) return true;
    for (const column of ties) if ((column[a] as number) > (column[b] as number)) return false;
    return true;
  };
  const isSame = (a: number, b: number) => all.every((column) => column[a] === column[b]);
  for (let step = 0; step < kernel.stepCount; step += 1) {
    const { options } = evaluator.problem.steps[step] ?? { options: [] };
    const start = kernel.start[step] as number;
    const end = kernel.start[step + 1] as number;
    const id = (at: number) => options[at - start]?.id ?? "";
    for (let b = start; b < end; b += 1) {
      for (let a = start; a < end; a += 1) {
        if (a === b || keep[a] === 0 || !beats(a, b)) continue;
        if (isSame(a, b) && id(a) > id(b)) continue;
        keep[b] = 0;
        break;
      }
    }
  }
  return compactKernel(kernel, keep).kernel;
}

/** Columns that decide; latency is not decreasing in run and work (see evaluate.ts). */
function relevantColumns(evaluator: Evaluator) {
  const { columns, problem } = evaluator;
  const { latencyMsMax, costUsdMax, energyWhMax, logLossMax } = problem.limits;
  const expected = [columns.runMs, columns.workMs];
  const leading: Readonly<Record<ChoiceGoal, Float64Array[]>> = {
    cost: [columns.costUsd],
    energy: [columns.energyWh],
    latency: expected,
    quality: [columns.logLoss],
    resources: [columns.gpuSec, columns.workMs],
    "latency-upper": [columns.runMsUpper, columns.workMsUpper],
    "cost-upper": [columns.costUsdUpper],
    "energy-upper": [columns.energyWhUpper],
  };
  return {
    bounds: [
      ...(latencyMsMax === undefined ? [] : [columns.runMsUpper, columns.workMsUpper]),
      ...(costUsdMax === undefined ? [] : [columns.costUsdUpper]),
      ...(energyWhMax === undefined ? [] : [columns.energyWhUpper]),
      ...(logLossMax === undefined ? [] : [columns.logLoss]),
    ],
    leading: leading[evaluator.goal],
    ties: [columns.costUsd, columns.energyWh, ...expected],
  };
}
