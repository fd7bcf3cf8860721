/**
 * The choice of one option per step of a DAG, under all bounds of a job together, as plain data.
 *
 * Owns:      the terms of the problem, of its solutions and of what is told about them.
 * Does not:  say where an option's numbers come from: they are predicted elsewhere.
 *
 * In the literature: a multi-choice, multi-dimensional knapsack (cost, energy and loss of quality
 * add up over the steps) plus one bound that does not add up, latency (see evaluate.ts).
 */
import type { Objective, RejectionCode, SloAxis } from "@murakkab/model";

/** One way to run one step, with what it is expected to take, all its attempts together. */
export interface OptionPoint {
  /** Unique within the step; the last tie-break. */
  readonly id: string;
  /** Length of the longest single attempt, as if all items ran at once. */
  readonly runMs: number;
  /** Core-milliseconds of all attempts together; 0 for a step that takes no core. */
  readonly workMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
  readonly gpuSec: number;
  /** Bounds that are passed about once in twenty times; never below the expected value. */
  readonly runMsUpper: number;
  readonly workMsUpper: number;
  readonly costUsdUpper: number;
  readonly energyWhUpper: number;
  /** `-ln(share of the quality that is kept)`, >= 0, added over the steps. */
  readonly logLoss: number;
}

export interface StepOptions {
  readonly step: string;
  readonly after: readonly string[];
  /** That the step runs at all; 1 = always. */
  readonly probability: number;
  /** At least one. */
  readonly options: readonly OptionPoint[];
}

/** What may happen: these steps run and the others do not. */
export interface Scenario {
  readonly probability: number;
  readonly steps: readonly string[];
}

export interface ChoiceLimits {
  readonly latencyMsMax?: number;
  readonly costUsdMax?: number;
  readonly energyWhMax?: number;
  /** Over all steps and the path's own `baseLogLoss`. */
  readonly logLossMax?: number;
}

export interface ChoiceProblem {
  /** Any DAG, listed in any order. */
  readonly steps: readonly StepOptions[];
  /** Probabilities sum to 1. The last one has all steps and is the worst. */
  readonly scenarios: readonly Scenario[];
  /** That the job may use at once; what is below 1 counts as 1. */
  readonly cores: number;
  /** Wait before the first step at the present load; part of latency. */
  readonly queueMs: number;
  /** Of the path as such: what was left out. */
  readonly baseLogLoss: number;
  readonly limits: ChoiceLimits;
  readonly objective: Objective;
  /**
   * Whole configurations that must not be chosen (what was believed of them did not hold), by
   * option ids in the order of `steps`. Pure, and asked about few configurations only.
   */
  readonly isBanned?: (optionIds: readonly string[]) => boolean;
}

export interface ExpectedAndUpper {
  readonly expected: number;
  readonly upper: number;
}

/** What one whole configuration takes. */
export interface ChoiceTotals {
  readonly latencyMs: ExpectedAndUpper;
  readonly costUsd: ExpectedAndUpper;
  readonly energyWh: ExpectedAndUpper;
  readonly logLoss: number;
  readonly gpuSec: number;
  readonly coreSec: number;
  /** The leading value of the objective, in its own unit; for `resources` GPU seconds. */
  readonly objective: number;
  /**
   * What decides, in turn: the objective's own values (`quality`: loss; `resources`: GPU seconds,
   * then core-milliseconds), then cost, energy and latency as tie-breaks. Less is better.
   */
  readonly levels: readonly number[];
}

export interface SolveOptions {
  /** Bound on the search, in options looked at. Default: `CHOICE_NODES_MAX`. */
  readonly nodesMax?: number;
  /** `levels` of a choice already at hand: only what beats it is wanted. */
  readonly cutoff?: readonly number[];
  /** Whether to find `binding` where nothing fits, up to five solves more. Default: true. */
  readonly isReasonWanted?: boolean;
}

export interface SolvedChoice {
  readonly kind: "solved";
  /** Per step, in the problem's order. */
  readonly optionIds: readonly string[];
  readonly totals: ChoiceTotals;
  /** By how much of the objective another choice could be better at most; 0 = proved optimal. */
  readonly gapRatio: number;
  readonly nodeCount: number;
}

export interface InfeasibleChoice {
  readonly kind: "infeasible";
  /** A smallest set of bounds that can't hold together; empty: not asked for, or only bans. */
  readonly binding: readonly SloAxis[];
  /** False: the search ended at its bound and found nothing; there may be something. */
  readonly isProved: boolean;
  readonly nodeCount: number;
}

/** Nothing beats the cutoff, whether or not something keeps the bounds. */
export interface BeatenChoice {
  readonly kind: "beaten";
  readonly isProved: boolean;
  readonly nodeCount: number;
}

export type ChoiceResult = SolvedChoice | InfeasibleChoice | BeatenChoice;

export interface DominatedOption {
  readonly id: string;
  /** As good or better in every number, and itself not dominated. */
  readonly by: string;
}

/** The nearest bound of one axis that can be kept with all the others as they are. */
export interface Relaxation {
  readonly axis: SloAxis;
  /** The least value of that axis' bound, in its unit; for `quality` the least loss. */
  readonly bound: number;
  readonly choice: SolvedChoice;
}

/** Why one option is not in the choice. */
export interface OptionVerdict {
  readonly step: string;
  readonly id: string;
  readonly code: RejectionCode;
  /** `dominated`: by this option of the step. */
  readonly by?: string;
  /** `breaks-…`: the least bound of that axis at which a whole choice with the option exists. */
  readonly feasibleAt?: number;
  /** The best whole choice with this option: its totals. */
  readonly forced?: ChoiceTotals;
  /**
   * `worse-objective`: what the first value that decides (see `levels`) is above the chosen one's,
   * in its unit; 0 where only ids decided. Without `forced`: it is that much at least.
   */
  readonly objectiveBehind?: number;
  /** False: found by a bounded search or from a bound alone. */
  readonly isExact: boolean;
}
