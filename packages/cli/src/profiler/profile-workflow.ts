/**
 * Profiles a workflow: settings answer labelled questions until it is clear which are worth it.
 *
 * Owns:      the loop of rounds, the time budget, the last round with the best changes together.
 * Does not:  talk to the cluster (trial-runner.ts), plan rounds (core's experiments) or print.
 */
import {
  type ExperimentState,
  frontierOf,
  nextRound,
  qualityEstimate,
  type Round,
  type StoppedSetting,
  type Trial,
} from "@murakkab/core";
import { combine, placeOf, type Setting } from "./grid.ts";
import { figuresOf, type SettingFigures, trialOf } from "./setting-figures.ts";
import type { TrialResult } from "./trial-runner.ts";

export interface WorkflowExperiment {
  readonly settings: readonly Setting[];
  readonly questionCount: number;
  readonly budgetMs: number;
  /** Every setting answers every question; nothing stops early but at the end of the budget. */
  readonly isExhaustive?: boolean;
  /** Jobs at a time. 1: nothing but its own steps makes a job slow. */
  readonly parallelCount: number;
  readonly run: (setting: Setting, question: number) => Promise<TrialResult>;
  readonly nowMs: () => number;
  readonly tell: (line: string) => void;
}

export type ExperimentEnd = "settled" | "questions" | "time" | "interrupted";

export interface ExperimentOutcome {
  readonly end: ExperimentEnd;
  readonly figures: readonly SettingFigures[];
  readonly results: readonly TrialResult[];
}

/** Questions before anything stops: a few of them differ by luck alone. */
const FIRST_COUNT = 8;
/** Part of the time that is kept for the best changes together, once each was tried alone. */
const COMBINED_SHARE = 0.15;

export async function profileWorkflow(
  experiment: WorkflowExperiment,
  signal: AbortSignal,
): Promise<ExperimentOutcome> {
  const play = new Play(experiment, signal);
  if (experiment.isExhaustive === true) return play.outcome(await play.all(experiment.settings));
  const alone = await play.rounds(experiment.settings, 1 - COMBINED_SHARE);
  if (alone === "interrupted") return play.outcome(alone);
  const together = combineBest(experiment.settings, play.trials());
  if (together === null) {
    const end = alone === "time" ? await play.rounds(experiment.settings, 1) : alone;
    return play.outcome(end);
  }
  experiment.tell(`the changes that cost no quality, together: ${together.name}`);
  return play.outcome(await play.rounds([...experiment.settings, together], 1));
}

class Play {
  private readonly experiment: WorkflowExperiment;
  private readonly signal: AbortSignal;
  private readonly startedAtMs: number;
  private readonly results = new Map<string, TrialResult[]>();
  private readonly stopped = new Map<string, StoppedSetting>();
  private known: readonly Setting[] = [];
  private runCount = 0;
  private roundNumber = 0;

  constructor(experiment: WorkflowExperiment, signal: AbortSignal) {
    this.experiment = experiment;
    this.signal = signal;
    this.startedAtMs = experiment.nowMs();
  }

  /** Until nothing is open, or this share of the time is over. */
  async rounds(settings: readonly Setting[], share: number): Promise<ExperimentEnd> {
    this.known = settings;
    const { tell } = this.experiment;
    for (;;) {
      const round = nextRound(this.state(share));
      for (const found of round.stop) {
        this.stopped.set(found.setting, found);
        tell(`stopped ${found.setting}: ${found.reason} (${found.by})`);
      }
      if (round.end !== null) return round.end === "budget" ? "time" : round.end;
      this.roundNumber += 1;
      tell(this.describe(round, share));
      const end = await this.play(round, share);
      if (end !== null) return end;
    }
  }

  async all(settings: readonly Setting[]): Promise<ExperimentEnd> {
    this.known = settings;
    const { tell, questionCount } = this.experiment;
    const questions = Array.from({ length: questionCount }, (_, index) => index);
    const runs = settings.map((it) => ({ setting: it.name, questions }));
    tell(`${settings.length * questionCount} runs: every setting, every question`);
    return (await this.play({ stop: [], runs, end: null }, 1)) ?? "questions";
  }

  trials(): readonly Trial[] {
    return this.known.map(({ name }) => trialOf(name, this.results.get(name) ?? []));
  }

  stoppedNames(): ReadonlySet<string> {
    return new Set(this.stopped.keys());
  }

  outcome(end: ExperimentEnd): ExperimentOutcome {
    const best = new Set(frontierOf(this.trials()).map((it) => it.setting));
    const figures = this.known.map(({ name }) =>
      figuresOf(name, this.results.get(name) ?? [], {
        isOnFrontier: best.has(name),
        stopped: this.stopped.get(name)?.reason ?? null,
      }),
    );
    return { end, figures, results: [...this.results.values()].flat() };
  }

  private state(share: number): ExperimentState {
    const leftMs = this.leftMs(share);
    const meanMs = this.runCount === 0 ? 0 : this.elapsedMs() / this.runCount;
    // Before the first run nobody knows what one takes: the clock alone decides then.
    const runsLeft = meanMs === 0 ? Number.MAX_SAFE_INTEGER : Math.floor(leftMs / meanMs);
    return {
      trials: this.trials(),
      stopped: this.stoppedNames(),
      questionCount: this.experiment.questionCount,
      firstCount: FIRST_COUNT,
      runsLeft: leftMs <= 0 ? 0 : runsLeft,
    };
  }

  /** Question by question over all settings, so that what is cut off is cut off evenly. */
  private async play(round: Round, share: number): Promise<ExperimentEnd | null> {
    const byName = new Map(this.known.map((setting) => [setting.name, setting]));
    const depth = Math.max(...round.runs.map((it) => it.questions.length));
    const jobs: { readonly setting: Setting; readonly question: number }[] = [];
    for (let at = 0; at < depth; at += 1) {
      for (const { setting, questions } of round.runs) {
        const question = questions[at];
        const found = byName.get(setting);
        if (question !== undefined && found !== undefined) jobs.push({ setting: found, question });
      }
    }
    let next = 0;
    let end: ExperimentEnd | null = null;
    const work = async (): Promise<void> => {
      while (next < jobs.length && end === null) {
        const job = jobs[next];
        next += 1;
        if (job === undefined) return;
        if (this.leftMs(share) <= 0) end = "time";
        else if (!(await this.runOne(job.setting, job.question))) end = "interrupted";
      }
    };
    const count = Math.min(this.experiment.parallelCount, jobs.length);
    await Promise.all(Array.from({ length: count }, work));
    return end;
  }

  /** False: the user ended it. */
  private async runOne(setting: Setting, question: number): Promise<boolean> {
    try {
      const result = await this.experiment.run(setting, question);
      this.results.set(setting.name, [...(this.results.get(setting.name) ?? []), result]);
      this.runCount += 1;
      return true;
    } catch (error) {
      if (this.signal.aborted) return false;
      throw error;
    }
  }

  private describe(round: Round, share: number): string {
    const live = this.known.length - this.stopped.size;
    const count = round.runs.reduce((sum, it) => sum + it.questions.length, 0);
    const leftSec = Math.round(this.leftMs(share) / 1_000);
    return `round ${this.roundNumber}: ${live} of ${this.known.length} settings left, ${count} runs planned for ${round.runs.length} of them, ${leftSec} s left`;
  }

  private elapsedMs(): number {
    return this.experiment.nowMs() - this.startedAtMs;
  }

  private leftMs(share: number): number {
    return this.experiment.budgetMs * share - this.elapsedMs();
  }
}

/**
 * The changes that made it cheaper at no clear loss of quality, per place the cheapest; null when
 * fewer than two did. One that was stopped counts too: what dominates it may change another place.
 */
function combineBest(settings: readonly Setting[], trials: readonly Trial[]): Setting | null {
  const base = trials.find((it) => it.setting === "base");
  if (base === undefined || base.quality.count === 0) return null;
  const wanted = qualityEstimate({ labelled: base.quality }).mean;
  const best = new Map<string, { readonly setting: Setting; readonly cost: number }>();
  for (const trial of trials) {
    const setting = settings.find((it) => it.name === trial.setting);
    const [change] = setting?.changes ?? [];
    if (setting === undefined || change === undefined || trial.quality.count === 0) continue;
    const { high } = qualityEstimate({ labelled: trial.quality });
    const isAsGood = high >= wanted; // it may be: the combination is asked questions of its own
    const before = best.get(placeOf(change));
    const isCheapest = trial.cost < Math.min(base.cost, before?.cost ?? base.cost);
    if (isAsGood && isCheapest) best.set(placeOf(change), { setting, cost: trial.cost });
  }
  return combine([...best.values()].map((it) => it.setting));
}
