/**
 * Mixed jobs with bounds at a given load: which are accepted, and which of those keep their bounds.
 *
 * Owns:      the draw of bounds, the arrivals, and the oracle: what the same jobs took when each
 *            ran alone by each of a few plans.
 */
import type { Cluster } from "@murakkab/cli/cluster";
import type { Random } from "@murakkab/kit";
import { formatSlo, type Objective, type Receipt, type Slo } from "@murakkab/model";
import { JobNotAcceptedError } from "@murakkab/sdk";
import type { Clip } from "./clips.ts";

export interface Measured {
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
  /** Lower bound that the plan promised. */
  readonly qualityLow: number;
  readonly coreSec: number;
}

export interface LoadJob {
  readonly clip: Clip & { readonly artifact: string };
  readonly question: string;
  readonly slo: Slo;
  readonly objective: Objective;
  /** A plan that ran alone kept all bounds. */
  readonly isServable: boolean;
  /** No plan came within `CLEAR_MARGIN` of all bounds. */
  readonly isClearlyInfeasible: boolean;
}

export interface LoadResult {
  readonly offered: number;
  readonly servable: number;
  readonly accepted: number;
  readonly acceptedServable: number;
  readonly infeasible: number;
  readonly infeasibleAccepted: number;
  readonly kept: number;
  readonly missed: readonly string[];
}

/** A bound that is missed by less by the best plan may be kept on another day. */
const CLEAR_MARGIN = 0.85;
const OBJECTIVES: readonly Objective[] = ["cost", "energy", "latency"];

export function drawJob(
  clip: LoadJob["clip"],
  { question, plans, random }: { question: string; plans: readonly Measured[]; random: Random },
): LoadJob {
  const reference = plans[random.index(plans.length)];
  const slo: { -readonly [K in keyof Slo]: Slo[K] } = {};
  // From far too little to ample, even on a logarithmic scale.
  const factor = (): number => 0.4 * 12 ** random.next();
  if (reference !== undefined) {
    if (random.next() < 0.7) slo.latencyMsMax = round(reference.latencyMs * factor());
    if (random.next() < 0.5) slo.costUsdMax = round(reference.costUsd * factor());
    if (random.next() < 0.3) slo.energyWhMax = round(reference.energyWh * factor());
    if (random.next() < 0.4) slo.qualityMin = [0.4, 0.6, 0.7, 0.999][random.index(4)] ?? 0.5;
  }
  if (Object.keys(slo).length === 0) slo.latencyMsMax = 30_000;
  const within = (margin: number): boolean => plans.some((it) => keeps(it, slo, margin));
  return {
    clip,
    question,
    slo,
    objective: OBJECTIVES[random.index(OBJECTIVES.length)] ?? "cost",
    isServable: within(1),
    isClearlyInfeasible: !within(CLEAR_MARGIN),
  };
}

function keeps(plan: Measured, slo: Slo, margin: number): boolean {
  return (
    plan.latencyMs * margin <= (slo.latencyMsMax ?? Number.POSITIVE_INFINITY) &&
    plan.costUsd * margin <= (slo.costUsdMax ?? Number.POSITIVE_INFINITY) &&
    plan.energyWh * margin <= (slo.energyWhMax ?? Number.POSITIVE_INFINITY) &&
    plan.qualityLow >= (slo.qualityMin ?? 0) * (margin < 1 ? 0.98 : 1)
  );
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** Poisson arrivals. Resolves when every accepted job has ended. */
export async function runLoad(
  cluster: Cluster,
  jobs: readonly LoadJob[],
  how: {
    readonly ratePerSec: number;
    readonly random: Random;
    readonly say: (line: string) => void;
  },
): Promise<LoadResult> {
  const outcomes: Promise<{ job: LoadJob; receipt: Receipt | null }>[] = [];
  let dueMs = performance.now();
  for (const [index, job] of jobs.entries()) {
    dueMs += (-Math.log(1 - how.random.next()) * 1_000) / how.ratePerSec;
    await until(dueMs);
    outcomes.push(runOne(cluster, job));
    if ((index + 1) % 50 === 0) how.say(`${index + 1} of ${jobs.length} jobs offered`);
  }
  const ended = await Promise.all(outcomes);
  const accepted = ended.filter((it) => it.receipt !== null);
  const missed = accepted.filter(({ receipt }) => receipt !== null && !isKept(receipt));
  return {
    offered: jobs.length,
    servable: jobs.filter((it) => it.isServable).length,
    accepted: accepted.length,
    acceptedServable: accepted.filter(({ job }) => job.isServable).length,
    infeasible: jobs.filter((it) => it.isClearlyInfeasible).length,
    // Whatever was kept could be kept: the oracle does not know every plan.
    infeasibleAccepted: missed.filter(({ job }) => job.isClearlyInfeasible).length,
    kept: accepted.length - missed.length,
    missed: missed.map(({ job, receipt }) => describeMiss(job, receipt)),
  };
}

async function runOne(
  cluster: Cluster,
  job: LoadJob,
): Promise<{ job: LoadJob; receipt: Receipt | null }> {
  try {
    const handle = await cluster.client.submit({
      description: job.question,
      inputs: [job.clip.artifact],
      slo: formatSlo(job.slo),
      objective: job.objective,
      fresh: true,
    });
    return { job, receipt: await handle.result() };
  } catch (error) {
    if (error instanceof JobNotAcceptedError) return { job, receipt: null };
    throw error;
  }
}

/** Quality can't be seen on one answer: its promise is checked over many (see predict-quality.ts). */
function isKept({ state, sloMet }: Receipt): boolean {
  const { latency, cost, energy } = sloMet;
  return state === "succeeded" && latency !== false && cost !== false && energy !== false;
}

function describeMiss({ slo }: LoadJob, receipt: Receipt | null): string {
  if (receipt === null) return "";
  const { state, latencyMs, costUsd, predicted } = receipt;
  const said =
    predicted === undefined
      ? ""
      : `, predicted ${Math.round(predicted.latencyMs.p50)} to ${Math.round(predicted.latencyMs.p95)} ms`;
  return `${state}: ${formatSlo(slo)} took ${Math.round(latencyMs)} ms and $${costUsd.toPrecision(3)}${said}`;
}

function until(dueMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, dueMs - performance.now()));
  });
}
