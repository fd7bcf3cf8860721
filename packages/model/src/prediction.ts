/**
 * What a plan says will happen, and why it is this plan.
 */
import type { KnobValues, Provenance } from "./executor.ts";
import type { Objective, Slo } from "./slo.ts";

/** Expected value (about the median) and a bound that is passed about once in twenty times. */
export interface Estimate {
  readonly p50: number;
  readonly p95: number;
}

/** Quality in [0, 1] with the interval that policy names (default: 90 %). */
export interface QualityEstimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** `measured`: this very configuration was; `modelled`: composed from others; `prior`: guessed. */
  readonly provenance: Provenance;
}

export interface Prediction {
  readonly latencyMs: Estimate;
  readonly costUsd: Estimate;
  readonly energyWh: Estimate;
  /** Null where nothing at all is known of this workflow's quality. */
  readonly quality: QualityEstimate | null;
  /** GPU device-seconds, then CPU core-seconds, expected. */
  readonly gpuSec: number;
  readonly coreSec: number;
  /** Wait before the first step at the present load, ms; part of `latencyMs`. */
  readonly queueMs: number;
  /** By what the last jobs took against their predictions; part of `latencyMs`. Absent: 1. */
  readonly latencyFactors?: Estimate;
}

/** What one step is expected to take, summed over its attempts. */
export interface StepPrediction {
  readonly runMs: Estimate;
  readonly cpuSec: Estimate;
  readonly costUsd: Estimate;
  readonly energyWh: Estimate;
  readonly items: number;
  /** Probability that the step runs at all; below 1 for deferred ones. */
  readonly probability: number;
  readonly provenance: Provenance;
}

/** Why an option is not in the plan. */
export const REJECTION_CODES = [
  /** Another option is as good or better on every axis. */
  "dominated",
  "breaks-latency",
  "breaks-cost",
  "breaks-energy",
  "breaks-quality",
  /** Every bound would hold, but the objective is worse. */
  "worse-objective",
  "constraint",
  "unavailable",
  /** A belief fell below what was promised of it. */
  "demoted",
] as const;
export type RejectionCode = (typeof REJECTION_CODES)[number];

export interface RejectedOption {
  readonly step: string;
  readonly executor: string;
  readonly knobs: KnobValues;
  readonly batchItems?: number;
  readonly code: RejectionCode;
  /** One sentence with numbers and units. */
  readonly reason: string;
  /** What would have to change for it to win, one clause; absent where nothing would do. */
  readonly toWin?: string;
}

/** One point of the frontier: a whole configuration that no other beats on every axis. */
export interface FrontierPoint {
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
  readonly quality: number | null;
  /** `executor knob=value …` per step, for people. */
  readonly summary: string;
  readonly isChosen: boolean;
}

/** The decision behind a plan; the plan itself says what, this says why. */
export interface PlanExplanation {
  readonly objective: Objective;
  /** As understood: tiers resolved to numbers. */
  readonly slo: Slo;
  /** Number of whole configurations that were considered, before pruning. */
  readonly configurationCount: number;
  /** Bound on how much better another configuration could be, 0 = exact. */
  readonly gapRatio: number;
  readonly questionClass: string | null;
  /** Canonical text of the chosen configuration. */
  readonly configuration: string;
  readonly rejected: readonly RejectedOption[];
  readonly frontier: readonly FrontierPoint[];
}

export const SLO_AXES = ["latency", "cost", "energy", "quality"] as const;
export type SloAxis = (typeof SLO_AXES)[number];

/** Bounds that could be kept: all of them together, with what the job would then take. */
export interface CounterOffer {
  /** The axis that gives way. */
  readonly axis: SloAxis;
  readonly slo: Slo;
  /** Text of `slo` in the grammar of `--slo`: what to submit again. */
  readonly sloText: string;
  readonly prediction: Prediction;
}
