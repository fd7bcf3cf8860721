/**
 * Profiles one executor: attempts per setting until their mean time is known well enough.
 *
 * Time goes to the setting whose mean is least certain. What is learnt of times and sizes is the
 * cluster's own, from the same attempts; this only makes them happen and sums them up.
 */
import type { StepReceipt } from "@murakkab/model";
import type { Setting } from "./grid.ts";
import type { ExperimentOutcome, WorkflowExperiment } from "./profile-workflow.ts";
import { figuresOf, meanOf } from "./setting-figures.ts";
import type { TrialResult } from "./trial-runner.ts";

/** The mean is known when its standard error is below this part of it. */
const SURE_RATIO = 0.05;
/** Two runs that agree by chance prove little: the spread starts from this, worth two runs. */
const ASSUMED_SD_RATIO = 0.15;
const ASSUMED_COUNT = 2;
const RUNS_MIN = 2;
const RUNS_MAX = 12;

export interface ExecutorExperiment
  extends Pick<WorkflowExperiment, "settings" | "budgetMs" | "nowMs" | "tell"> {
  /** Capability of the step that is measured. */
  readonly capability: string;
  /** Number of inputs: runs go through them in turn, so that sizes differ. */
  readonly inputCount: number;
  readonly run: (setting: Setting, input: number) => Promise<TrialResult>;
}

export async function profileExecutor(
  experiment: ExecutorExperiment,
  signal: AbortSignal,
): Promise<ExperimentOutcome> {
  const { settings, budgetMs, nowMs, tell, capability, inputCount } = experiment;
  const endMs = nowMs() + budgetMs;
  const results = new Map<string, TrialResult[]>(settings.map((it) => [it.name, []]));
  const finish = (end: ExperimentOutcome["end"]): ExperimentOutcome => ({
    end,
    figures: settings.map(({ name }) =>
      figuresOf(name, stepOnly(results.get(name) ?? [], capability), {
        isOnFrontier: false,
        stopped: null,
      }),
    ),
    results: [...results.values()].flat(),
  });
  for (;;) {
    const next = leastCertain(settings, results, { capability, inputCount });
    if (next === null) return finish("settled");
    if (nowMs() >= endMs) return finish("time");
    const runs = results.get(next.name) ?? [];
    tell(`${next.name}: run ${runs.length + 1}`);
    try {
      const result = await experiment.run(next, runs.length % inputCount);
      results.set(next.name, [...runs, result]);
    } catch (error) {
      if (signal.aborted) return finish("interrupted");
      throw error;
    }
  }
}

function leastCertain(
  settings: readonly Setting[],
  results: ReadonlyMap<string, readonly TrialResult[]>,
  { capability, inputCount }: { readonly capability: string; readonly inputCount: number },
): Setting | null {
  let best: Setting | null = null;
  let bestDoubt = SURE_RATIO;
  for (const setting of settings) {
    const runs = results.get(setting.name) ?? [];
    if (runs.length >= RUNS_MAX * inputCount) continue;
    const doubt = doubtOf(runs, capability, RUNS_MIN * inputCount);
    if (doubt > bestDoubt) {
      best = setting;
      bestDoubt = doubt;
    }
  }
  return best;
}

/** Standard error of the mean time per item, as part of it; large while there are too few runs. */
function doubtOf(runs: readonly TrialResult[], capability: string, runsMin: number): number {
  if (runs.length < runsMin) return 1_000 - runs.length;
  const times = runs.flatMap((run) => {
    const step = stepOf(run, capability);
    return step === undefined ? [] : [step.runMs / Math.max(1, step.items)];
  });
  const mean = meanOf(times) ?? 0;
  if (times.length < 2 || mean === 0) return 0;
  const squares = times.reduce((sum, it) => sum + (it - mean) ** 2, 0);
  const assumed = ASSUMED_COUNT * (ASSUMED_SD_RATIO * mean) ** 2;
  const variance = (squares + assumed) / (times.length - 1 + ASSUMED_COUNT);
  return Math.sqrt(variance / times.length) / mean;
}

function stepOf(run: TrialResult, capability: string): StepReceipt | undefined {
  return run.receipt.steps.find((step) => step.capability === capability);
}

/** The job's figures narrowed to the step that is measured. */
function stepOnly(runs: readonly TrialResult[], capability: string): readonly TrialResult[] {
  return runs.flatMap((run) => {
    const step = stepOf(run, capability);
    if (step === undefined) return [];
    const { costUsd, energyWh } = step;
    const receipt = { ...run.receipt, costUsd, energyWh, latencyMs: step.runMs, steps: [step] };
    const cpuSec = step.cpuSec ?? 0;
    return [{ ...run, receipt, cpuSec, costUsd, energyWh, latencyMs: step.runMs }];
  });
}
