/**
 * The profiler's planner: which setting answers which questions next.
 *
 * Owns:      when a setting is worth more runs, and when it stops.
 * Does not:  run anything, or know time (the budget is in runs; whoever runs may stop earlier).
 *
 * Successive halving: in round r every live setting has been asked up to `firstCount * 2^r`
 * questions, the same ones in the same order, so that differences are the settings'. Then
 *   - settings that are worse for sure stop: another one costs no more, and its quality's lower end
 *     lies above their upper end;
 *   - of the settings that are dominated as far as one can see (another costs no more and answers
 *     better, or costs less and answers as well) the clearer half stops;
 *   - only settings whose place is open are asked more questions: their interval overlaps that of
 *     another setting, and one of the two is on the frontier as far as one can see. Time goes where
 *     a decision is uncertain.
 *
 * Invariants:
 *   X1. The planned runs never exceed the budget, and no setting is asked a question twice.
 *   X2. A setting that no other dominates in what was seen is never stopped.
 *   X3. It ends: every round either runs something or is the last.
 */
import type { QualityCount, QualityEstimate } from "@murakkab/model";
import { QUALITY_POLICY, type QualityPolicy, qualityEstimate } from "./quality-belief.ts";

export interface Trial {
  readonly setting: string;
  readonly quality: QualityCount;
  /** Mean of the runs so far, in one unit for all settings (CPU seconds, dollars, ms). */
  readonly cost: number;
}

export interface ExperimentState {
  readonly trials: readonly Trial[];
  /** Settings that were stopped. */
  readonly stopped: ReadonlySet<string>;
  readonly questionCount: number;
  readonly runsLeft: number;
  /** Questions in the first round. Default 4. */
  readonly firstCount?: number;
}

export interface StoppedSetting {
  readonly setting: string;
  /** The one that dominates it. */
  readonly by: string;
  /** One clause with numbers. */
  readonly reason: string;
}

export interface PlannedRuns {
  readonly setting: string;
  /** Indices of questions. */
  readonly questions: readonly number[];
}

export interface Round {
  readonly stop: readonly StoppedSetting[];
  /** Empty: there is nothing left to find out, or nothing left to do it with. */
  readonly runs: readonly PlannedRuns[];
  /** Why there are no runs; null while there are. */
  readonly end: "budget" | "questions" | "settled" | null;
}

interface Judged extends Trial {
  readonly mean: number;
  readonly estimate: QualityEstimate;
}

const FIRST_COUNT = 4;
/** Costs closer than this are the same: clocks differ by as much. */
const COST_MARGIN = 1.05;

export function nextRound(
  state: ExperimentState,
  policy: Pick<QualityPolicy, "level"> = QUALITY_POLICY,
): Round {
  const live = state.trials.filter((it) => !state.stopped.has(it.setting));
  const judged = live.map((trial) => judge(trial, policy));
  const stop = stopDominated(judged);
  const stopped = new Set(stop.map((it) => it.setting));
  const left = judged.filter((it) => !stopped.has(it.setting));
  const open = left.filter((it) => isOpen(it, left));
  const unfinished = open.filter((it) => it.quality.count < state.questionCount);
  if (unfinished.length === 0) {
    return { stop, runs: [], end: open.length === 0 ? "settled" : "questions" };
  }
  const target = nextTarget(unfinished, state);
  let runsLeft = Math.floor(state.runsLeft);
  const runs: PlannedRuns[] = [];
  for (const trial of [...unfinished].sort(byCertainty)) {
    const count = Math.min(target - trial.quality.count, runsLeft);
    if (count <= 0) continue;
    runsLeft -= count;
    const questions = Array.from({ length: count }, (_, i) => trial.quality.count + i);
    runs.push({ setting: trial.setting, questions });
  }
  return { stop, runs, end: runs.length === 0 ? "budget" : null };
}

/** Settings that no other one dominates, cheapest first. */
export function frontierOf(trials: readonly Trial[]): readonly Trial[] {
  const asked = trials.filter((it) => it.quality.count > 0);
  return asked
    .filter((it) => !asked.some((other) => dominates(other, it)))
    .sort((a, b) => a.cost - b.cost || (a.setting < b.setting ? -1 : 1));
}

function judge(trial: Trial, policy: Pick<QualityPolicy, "level">): Judged {
  const { scoreSum, count } = trial.quality;
  return {
    ...trial,
    mean: count === 0 ? 0.5 : scoreSum / count,
    estimate: qualityEstimate({ labelled: trial.quality }, policy),
  };
}

/** As far as one can see: no worse on both axes and better on one, beyond the clock's noise. */
function dominates(a: Trial, b: Trial): boolean {
  if (a.setting === b.setting || a.quality.count === 0 || b.quality.count === 0) return false;
  const quality = share(a) - share(b);
  if (a.cost > b.cost) return false;
  return quality > 0 || (quality === 0 && a.cost * COST_MARGIN < b.cost);
}

function share({ quality }: Trial): number {
  return quality.scoreSum / quality.count;
}

function stopDominated(judged: readonly Judged[]): readonly StoppedSetting[] {
  const doubtful: { readonly found: StoppedSetting; readonly margin: number }[] = [];
  const sure: StoppedSetting[] = [];
  for (const trial of judged) {
    const by = judged.filter((other) => dominates(other, trial)).sort(byMean)[0];
    if (by === undefined) continue;
    const found = { setting: trial.setting, by: by.setting, reason: describe(trial, by) };
    if (trial.estimate.high < by.estimate.low) sure.push(found);
    else doubtful.push({ found, margin: marginOf(trial, by) });
  }
  doubtful.sort((a, b) => b.margin - a.margin || (a.found.setting < b.found.setting ? -1 : 1));
  const clearer = doubtful.slice(0, Math.floor(doubtful.length / 2));
  return [...sure, ...clearer.map((it) => it.found)];
}

/** How clearly it is dominated, in widths of its interval and in factors of cost. */
function marginOf(trial: Judged, by: Judged): number {
  const width = Math.max(0.01, trial.estimate.high - trial.estimate.low);
  const cheaper = by.cost > 0 ? Math.log(trial.cost / by.cost) : 1;
  return (by.mean - trial.mean) / width + Math.min(1, cheaper);
}

/** Its place may change with more questions. */
function isOpen(trial: Judged, others: readonly Judged[]): boolean {
  if (trial.quality.count === 0) return true;
  const isOnFrontier = (it: Judged): boolean => !others.some((other) => dominates(other, it));
  const isHere = isOnFrontier(trial);
  return others.some((other) => {
    if (other.setting === trial.setting) return false;
    if (other.quality.count === 0) return true;
    const overlaps =
      other.estimate.low < trial.estimate.high && trial.estimate.low < other.estimate.high;
    return overlaps && (isHere || isOnFrontier(other));
  });
}

function nextTarget(unfinished: readonly Judged[], state: ExperimentState): number {
  const least = Math.min(...unfinished.map((it) => it.quality.count));
  let target = Math.max(1, Math.floor(state.firstCount ?? FIRST_COUNT));
  while (target <= least) target *= 2;
  return Math.min(target, state.questionCount);
}

/** Those asked least first; then those with the widest interval. */
function byCertainty(a: Judged, b: Judged): number {
  const width = (it: Judged): number => it.estimate.high - it.estimate.low;
  return (
    a.quality.count - b.quality.count || width(b) - width(a) || (a.setting < b.setting ? -1 : 1)
  );
}

function byMean(a: Judged, b: Judged): number {
  return b.mean - a.mean || a.cost - b.cost || (a.setting < b.setting ? -1 : 1);
}

function describe(trial: Judged, by: Judged): string {
  const of = (it: Judged): string =>
    `quality ${it.estimate.mean.toFixed(2)} [${it.estimate.low.toFixed(2)}, ${it.estimate.high.toFixed(2)}] at ${it.cost.toPrecision(3)} CPU-s`;
  return `${of(trial)} after ${trial.quality.count} questions, against ${of(by)}`;
}
