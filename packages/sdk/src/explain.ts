/**
 * Why a job got the plan that it got, and what became of what the plan said.
 *
 * Owns:      finding the plan of a job that has ended (its events keep it), and the comparison.
 * Does not:  judge: a ratio is measured over expected, no more.
 */
import type { Messaging } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import type {
  Estimate,
  JobPlan,
  JobState,
  PlanExplanation,
  Prediction,
  Provenance,
  Receipt,
} from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, READ_POLICY, type RepeatPolicy } from "./call-until-answered.ts";
import { jobStatusIn, listIn } from "./read-answer.ts";

/** Some hundred solves; and whoever does not listen must not be waited for long. */
const EXPLAIN_POLICY: RepeatPolicy = {
  ...READ_POLICY,
  silenceMs: [10_000],
  totalMs: 10_000,
  absentMs: 0,
};
/** A job's plan comes within its first events; a page has hundreds. */
const EVENT_PAGES_MAX = 100;

/** One figure: what was said of it and what it came to. */
export interface Comparison {
  readonly expected: Estimate;
  readonly actual: number;
  /** `actual` over the expected value; null where nothing was expected. */
  readonly ratio: number | null;
  /** At most the bound that is passed once in twenty times. */
  readonly isWithin: boolean;
}

export interface StepComparison {
  readonly step: string;
  readonly provenance: Provenance;
  /** Summed over the step's attempts. */
  readonly runMs: Comparison;
  readonly costUsd: Comparison;
  readonly energyWh: Comparison;
}

export interface JobComparison {
  readonly latencyMs: Comparison;
  readonly costUsd: Comparison;
  readonly energyWh: Comparison;
  /** Steps that ran and of which something was said. */
  readonly steps: readonly StepComparison[];
  /** Steps of the plan that never ran: left out because a draft was sure enough, or not reached. */
  readonly notRun: readonly string[];
}

export interface JobExplanation {
  readonly jobId: string;
  readonly state: JobState;
  /** The plan that was accepted; null where it is not known any more. */
  readonly plan: JobPlan | null;
  /** The plan after the last re-choice on the way; equal to `plan` without one. */
  readonly lastPlan: JobPlan | null;
  /** Null from a scheduler that does not explain. */
  readonly explanation: PlanExplanation | null;
  readonly predicted: Prediction | null;
  /** Null until the job has ended. */
  readonly receipt: Receipt | null;
  /** Null until the job has ended, and where nothing was predicted. */
  readonly comparison: JobComparison | null;
}

/** Errors: `NOT_FOUND`, `EXPIRED`. */
export async function explainJob(messaging: Messaging, jobId: string): Promise<JobExplanation> {
  const subject = subjects.jobGet(jobId);
  const request = { subject, value: null };
  const status = jobStatusIn(
    await callUntilAnswered(messaging, request, { policy: READ_POLICY }),
    subject,
  );
  const plans = await plansOf(messaging, jobId);
  const plan = plans[0] ?? status.plan;
  const receipt = status.receipt ?? null;
  const lastPlan = plans.at(-1) ?? status.plan;
  const explanation = await explanationOf(messaging, jobId);
  return {
    jobId: status.jobId,
    state: status.state,
    plan,
    lastPlan,
    explanation: explanation ?? plan?.explanation ?? null,
    predicted: receipt?.predicted ?? plan?.predicted ?? null,
    receipt,
    comparison: receipt === null ? null : compareReceipt(receipt, lastPlan),
  };
}

/** The reasons, worked out when they are asked for; null from a scheduler that does not explain. */
async function explanationOf(messaging: Messaging, jobId: string): Promise<PlanExplanation | null> {
  const request = { subject: subjects.jobExplain(jobId), value: null };
  try {
    const answer = await callUntilAnswered<{ explanation?: PlanExplanation | null }>(
      messaging,
      request,
      { policy: EXPLAIN_POLICY },
    );
    return answer.explanation ?? null;
  } catch (error) {
    // One of a former version does not listen there; its plan says what it can.
    if (isRuntimeError(error) && (error.isRetryable || error.code === "EXPIRED")) return null;
    throw error;
  }
}

/** Null where the receipt has no prediction. */
export function compareReceipt(receipt: Receipt, plan: JobPlan | null): JobComparison | null {
  const { predicted } = receipt;
  if (predicted === undefined) return null;
  const ran = new Set(receipt.steps.flatMap(({ step, attempts }) => (attempts > 0 ? [step] : [])));
  const planned = plan?.steps ?? receipt.steps;
  return {
    latencyMs: compare(predicted.latencyMs, receipt.latencyMs),
    costUsd: compare(predicted.costUsd, receipt.costUsd),
    energyWh: compare(predicted.energyWh, receipt.energyWh),
    steps: receipt.steps.flatMap((step): StepComparison[] => {
      const said = step.predicted;
      if (said === undefined || !ran.has(step.step)) return [];
      return [
        {
          step: step.step,
          provenance: said.provenance,
          runMs: compare(said.runMs, step.runMs),
          costUsd: compare(said.costUsd, step.costUsd),
          energyWh: compare(said.energyWh, step.energyWh),
        },
      ];
    }),
    notRun: planned.flatMap(({ step }) => (ran.has(step) ? [] : [step])),
  };
}

function compare(expected: Estimate, actual: number): Comparison {
  const ratio = expected.p50 > 0 ? actual / expected.p50 : null;
  return { expected, actual, ratio, isWithin: actual <= expected.p95 };
}

/** In the order in which they were made: the first is the accepted one. */
/** The parts of a plan that a choice on the way may change are in its event. */
function changedPlan(plan: JobPlan, data: Readonly<Record<string, unknown>>): JobPlan {
  const { steps, output, notes, stages, predicted } = data as Partial<JobPlan>;
  return {
    ...plan,
    ...(steps === undefined ? {} : { steps }),
    ...(output === undefined ? {} : { output }),
    ...(notes === undefined ? {} : { notes }),
    ...(stages === undefined ? {} : { stages }),
    ...(predicted === undefined ? {} : { predicted }),
  };
}

async function plansOf(messaging: Messaging, jobId: string): Promise<JobPlan[]> {
  const subject = subjects.jobEvents(jobId);
  const plans: JobPlan[] = [];
  let after = 0;
  for (let page = 0; page < EVENT_PAGES_MAX; page += 1) {
    const request = { subject, value: { after } };
    const answer = await callUntilAnswered<{ hasMore?: boolean }>(messaging, request, {
      policy: READ_POLICY,
    });
    const events = listIn<JobEvent>(answer, "events", subject);
    for (const { event, data } of events) {
      const plan = data["plan"] as JobPlan | undefined;
      if (Array.isArray(plan?.steps)) plans.push(plan);
      const last = plans.at(-1);
      if (event === "replanned" && last !== undefined) plans.push(changedPlan(last, data));
    }
    const last = events.at(-1)?.number;
    if (answer.hasMore !== true || last === undefined || last <= after) break;
    after = last;
  }
  return plans;
}
