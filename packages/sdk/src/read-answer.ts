/** Answers of the public subjects, as the client's types. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { JobState, JobStatus, Receipt } from "@murakkab/model";
import { isTerminalState } from "@murakkab/model";

/** The list in `{ [key]: […] }`. Errors: `INVALID_ARGUMENT` naming the subject. */
export function listIn<T>(answer: unknown, key: string, subject: string): T[] {
  const list = Array.isArray(answer) ? answer : fieldsOf(answer)[key];
  if (Array.isArray(list)) return list as T[];
  throw new InvalidArgumentError(`answer on ${subject} has no list "${key}"`);
}

/** A job as `job.get` and `job.wait` answer it: its status, or its receipt once it has ended. */
export function jobStatusIn(answer: unknown, subject: string): JobStatus {
  const fields = fieldsOf(answer);
  if (typeof fields["jobId"] !== "string" || typeof fields["state"] !== "string") {
    throw new InvalidArgumentError(`answer on ${subject} is no job, expected jobId and state`);
  }
  if ("stepStates" in fields) return answer as JobStatus;
  const receipt = answer as Receipt;
  return {
    jobId: receipt.jobId,
    state: receipt.state,
    tenant: "default",
    description: null,
    workflow: receipt.workflow,
    acceptedAtMs: 0,
    plan: null,
    stepStates: {},
    receipt,
  };
}

export function hasEnded(job: { readonly state: JobState }): boolean {
  return isTerminalState(job.state);
}

function fieldsOf(answer: unknown): Readonly<Record<string, unknown>> {
  return answer !== null && typeof answer === "object"
    ? (answer as Readonly<Record<string, unknown>>)
    : {};
}
