/** What a caller of the client asks for, and its form on the wire. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { JobConstraints, Objective, Workflow } from "@murakkab/model";
import { parseSlo, parseSloObject } from "@murakkab/model";
import type { SubmitRequest } from "@murakkab/protocol";
import { submitSchema, validate } from "@murakkab/protocol";

export interface JobOptions {
  /** `"cost<$2,latency<30s"` or `{ cost: "<$2", latency: "<30s" }`. Default: no bounds. */
  readonly slo?: string | Readonly<Record<string, string>>;
  /** What to make small (quality: large) within the bounds. */
  readonly objective?: Objective;
  readonly constraints?: JobConstraints;
  /** A name in the library, or a workflow of your own. Default: planned from the description. */
  readonly workflow?: string | Workflow;
  /** Default `default`. */
  readonly tenant?: string;
  /** Two submissions with the same key are one job. Default: none. */
  readonly idempotencyKey?: string;
  /** Milliseconds from acceptance until the job is given up. */
  readonly deadlineMs?: number;
  /** False: nothing is journaled; the job is lost with its scheduler. Default true. */
  readonly durable?: boolean;
  /** True: every step runs, whatever equal steps of other jobs gave. Default false. */
  readonly fresh?: boolean;
  /** A UUID. Default: a new one. */
  readonly jobId?: string;
}

export interface JobRequest extends JobOptions {
  /** The question or task. May be absent when a workflow is given. */
  readonly description?: string;
  /** Paths of local files, `artifact://` references, http(s) addresses. */
  readonly inputs?: readonly string[];
}

/**
 * The message that goes out, checked as the scheduler will check it, so that a mistake is told
 * before a file is uploaded. Errors: `INVALID_ARGUMENT` with the field.
 */
export function toSubmitRequest(request: JobRequest, jobId: string): SubmitRequest {
  const given = { inputs: [], ...request, jobId };
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  const checked = validate(submitSchema, Object.fromEntries(fields), "submission");
  if (typeof checked.slo === "string") parseSlo(checked.slo);
  else if (checked.slo !== undefined) parseSloObject(checked.slo);
  if (checked.description === undefined && checked.workflow === undefined) {
    throw new InvalidArgumentError("submission has neither a description nor a workflow");
  }
  return checked;
}
