/** What a score for a finished job is about: which workflow, configuration and class of question. */
import { configurationKey, NO_CLASS, signatureOfPlan } from "@murakkab/core";
import { TerminalError } from "@murakkab/kit";
import { isTerminalState, type JobPlan, type JobStatus, type Receipt } from "@murakkab/model";

export interface FeedbackTarget {
  readonly workflow: string;
  readonly configuration: string;
  readonly questionClass: string;
}

/**
 * The receipt says what ran; without it, that is the plan with what its steps ran by.
 *
 * Errors: `JOB_NOT_FINISHED` while it runs; `JOB_HAS_NO_ANSWER` when it failed, was cancelled or
 * rejected: then there is nothing that the score could be about.
 */
export function feedbackTarget(status: JobStatus): FeedbackTarget {
  const { jobId, state, plan, receipt } = status;
  if (!isTerminalState(state)) {
    throw new TerminalError(
      "JOB_NOT_FINISHED",
      `job ${jobId} is ${state}: feedback is taken when it has finished`,
      { field: "jobId", context: { jobId, state } },
    );
  }
  if (state !== "succeeded" || plan === null) {
    throw new TerminalError(
      "JOB_HAS_NO_ANSWER",
      `job ${jobId} is ${state}: it gave no answer that a score could be about`,
      { field: "jobId", context: { jobId, state } },
    );
  }
  return {
    workflow: signatureOfPlan(plan),
    configuration: configurationOf(plan, receipt),
    questionClass: plan.questionClass ?? plan.explanation?.questionClass ?? NO_CLASS,
  };
}

/** Steps may have been chosen again on the way: the receipt's executors and knobs are what ran. */
function configurationOf(plan: JobPlan, receipt: Receipt | undefined): string {
  if (receipt?.configuration !== undefined) return receipt.configuration;
  const ran = new Map(receipt?.steps.map((step) => [step.step, step]));
  const steps = plan.steps.map((step) => {
    const receipted = ran.get(step.step);
    if (receipted === undefined) return step;
    return { ...step, executor: receipted.executor, knobs: receipted.knobs };
  });
  return configurationKey({ ...plan, steps });
}
