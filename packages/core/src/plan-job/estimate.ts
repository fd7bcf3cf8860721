/**
 * What one option of one step takes: from its profile to a point of the choice problem.
 *
 * Model:  an attempt takes `fixed + perUnit x size`, times how fast its nodes are now; attempts of
 *         a step differ by the profile's spread, half of which they share (the same video is slow
 *         for all of its frames), so that the bound on their sum lies nearer to its mean.
 */
import type { ExecutorEntry, ExecutorProfile, KnobValues, StepPrediction } from "@murakkab/model";
import { attemptCost, type Rates } from "../accounting.ts";
import type { OptionPoint } from "../optimize/problem.ts";
import { type AttemptShape, valueAt } from "./sizes.ts";

export interface StepOption {
  readonly id: string;
  readonly entry: ExecutorEntry;
  readonly knobs: KnobValues;
  readonly nodeKind: string | null;
  readonly batchItems: number | null;
  readonly profile: ExecutorProfile;
  readonly shape: AttemptShape;
  readonly point: OptionPoint;
}

/** 95th percentile of a normal distribution, in standard deviations. */
const Z95 = 1.645;
/** Share of the spread that all attempts of one step have in common. */
const SHARED_SPREAD = 0.5;
/** No profile is surer than this, however many runs it has: the host has other work. */
const SPREAD_MIN = 0.05;

export interface EstimateParts {
  readonly rates: Rates;
  /** How much longer things take on these nodes now than the profile says; 1 = as profiled. */
  readonly speedFactor: number;
  /** From being ready to the start in an engine, of an attempt that need not wait, ms. */
  readonly dispatchMs: number;
}

export interface StepCost {
  readonly attemptMs: number;
  readonly cpuSec: number;
  readonly costUsd: number;
  readonly energyWh: number;
  /** Factors on the sum over attempts, and on one attempt, for the 95 % bound. */
  readonly sumUpper: number;
  readonly oneUpper: number;
}

export function stepCost(
  entry: ExecutorEntry,
  profile: ExecutorProfile,
  { attempts, size }: AttemptShape,
  { rates, speedFactor }: EstimateParts,
): StepCost {
  const attemptMs = valueAt(profile.runMs, size) * speedFactor;
  const cpuSec = valueAt(profile.cpuSec, size) * speedFactor;
  const cost = attemptCost(entry, { runMs: attemptMs, cpuSec }, rates);
  const spread = Math.max(SPREAD_MIN, profile.runMs.spread);
  const own = Math.max(1, attempts);
  const sumSpread = spread * Math.sqrt(SHARED_SPREAD + (1 - SHARED_SPREAD) / own);
  return {
    attemptMs,
    cpuSec: cpuSec * attempts,
    costUsd: cost.costUsd * attempts,
    energyWh: cost.energyWh * attempts,
    sumUpper: Math.exp(Z95 * sumSpread),
    oneUpper: Math.exp(Z95 * spread),
  };
}

export function toPoint(
  id: string,
  entry: ExecutorEntry,
  cost: StepCost,
  how: { readonly attempts: number; readonly logLoss: number; readonly dispatchMs: number },
): OptionPoint {
  const { attempts, logLoss, dispatchMs } = how;
  const runMs = attempts === 0 ? 0 : cost.attemptMs + dispatchMs;
  const workMs = cost.attemptMs * attempts * entry.resources.cores;
  return {
    id,
    runMs,
    workMs,
    costUsd: cost.costUsd,
    energyWh: cost.energyWh,
    gpuSec: 0,
    runMsUpper: attempts === 0 ? 0 : cost.attemptMs * cost.oneUpper + dispatchMs,
    workMsUpper: workMs * cost.sumUpper,
    costUsdUpper: cost.costUsd * cost.sumUpper,
    energyWhUpper: cost.energyWh * cost.sumUpper,
    logLoss,
  };
}

export function stepPrediction(
  { entry, profile, shape }: Pick<StepOption, "entry" | "profile" | "shape">,
  parts: EstimateParts,
  probability: number,
): StepPrediction {
  const cost = stepCost(entry, profile, shape, parts);
  const bounded = (p50: number) => ({ p50, p95: p50 * cost.sumUpper });
  return {
    runMs: bounded(cost.attemptMs * shape.attempts),
    cpuSec: bounded(cost.cpuSec),
    costUsd: bounded(cost.costUsd),
    energyWh: bounded(cost.energyWh),
    items: shape.items,
    probability,
    provenance: profile.provenance,
  };
}
