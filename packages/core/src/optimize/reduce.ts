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
 * 1 = stays. Not options that another one of the step makes superfluous: as good in every bound that is
 * set, and clearly better in the goal's first value, or as good in it and in all tie-breaks.
 *
 * Cost: options of a step squared; so after what the first bound leaves out, not before.
 */
export function undominated(kernel: Kernel, evaluator: Evaluator): Uint8Array {
  const { bounds, leading, ties } = relevantColumns(evaluator);
  const columns = [...bounds, ...leading, ...ties];
  const width = columns.length;
  const count = kernel.linear.length;
  const table = new Float64Array(count * width);
  columns.forEach((column, at) => {
    for (let option = 0; option < count; option += 1) {
      table[option * width + at] = column[kernel.flat[option] as number] as number;
    }
  });
  const sums = [0, bounds.length + leading.length].map((from, at) => {
    const to = at === 0 ? bounds.length + leading.length : width;
    return Float64Array.from({ length: count }, (_, option) => {
      let sum = 0;
      for (let k = from; k < to; k += 1) sum += table[option * width + k] as number;
      return sum;
    });
  });
  const [sum, tieSum] = sums as [Float64Array, Float64Array];
  // A single leading value that is clearly less decides alone; gains below are nearly ties.
  const from = leading.length === 1 ? bounds.length : -1;
  const clear = 1e3 * TIE_RATIO * (leading[0]?.reduce((most, it) => Math.max(most, it), 0) ?? 0);
  const beats = (a: number, b: number): boolean => {
    for (let k = 0; k < width; k += 1) {
      const left = table[a + k] as number;
      const right = table[b + k] as number;
      if (left > right) return false;
      if (k === from && right - left > clear) return true;
    }
    return true;
  };
  const keep = new Uint8Array(count);
  const kept = new Int32Array(count);
  for (let step = 0; step < kernel.stepCount; step += 1) {
    const start = kernel.start[step] as number;
    const original = kernel.stepOf[step] as number;
    const { options } = evaluator.problem.steps[original] ?? { options: [] };
    const offset = evaluator.offset[original] as number;
    const id = (at: number) => options[(kernel.flat[at] as number) - offset]?.id ?? "";
    const own = Int32Array.from(
      { length: (kernel.start[step + 1] as number) - start },
      (_, at) => start + at,
    );
    // What beats another comes before it: sums of as good or better values are not greater.
    own.sort(
      (a, b) =>
        (sum[a] as number) - (sum[b] as number) ||
        (tieSum[a] as number) - (tieSum[b] as number) ||
        (id(a) < id(b) ? -1 : 1),
    );
    let size = 0;
    for (const option of own) {
      let other = 0;
      while (other < size && !beats((kept[other] as number) * width, option * width)) other += 1;
      if (other < size) continue;
      kept[size] = option;
      size += 1;
      keep[option] = 1;
    }
  }
  return keep;
}

/** Columns that decide; latency is not decreasing in run and work (see evaluate.ts). */
function relevantColumns(evaluator: Evaluator) {
  const { columns, problem } = evaluator;
  const { latencyMsMax, costUsdMax, energyWhMax, logLossMax } = problem.limits;
  const expected = [columns.runMs, columns.workMs];
  const mix = [...expected, columns.costUsd, columns.energyWh, columns.logLoss];
  const leading: Readonly<Record<Exclude<ChoiceGoal, object>, Float64Array[]>> = {
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
    leading: typeof evaluator.goal === "object" ? mix : leading[evaluator.goal],
    ties: [columns.costUsd, columns.energyWh, ...expected],
  };
}
