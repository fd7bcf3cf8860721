/**
 * What a scheduler decides about a submission or a plan: accepted, a counter-offer, or rejected.
 *
 * Does not:  decide anything. A scheduler of a former version answers without a decision, or with
 *            a bare plan: that is "accepted".
 */
import { InvalidArgumentError, TerminalError } from "@murakkab/kit";
import type { CounterOffer, JobPlan, SloAxis } from "@murakkab/model";

export interface AcceptedJob {
  readonly decision: "accepted";
  readonly plan: JobPlan;
  readonly notes: readonly string[];
}

export interface CounterOfferedJob {
  readonly decision: "counter-offer";
  /** Why the SLOs can't hold together, one sentence. */
  readonly message: string;
  /** What can be kept instead, one per axis that may give way. */
  readonly offers: readonly CounterOffer[];
  readonly notes: readonly string[];
}

export interface RejectedJob {
  readonly decision: "rejected";
  readonly message: string;
  /** The constraint that binds: an axis, a capability, an executor. */
  readonly binding: string;
  readonly notes: readonly string[];
}

export type PlannedJob = AcceptedJob | CounterOfferedJob | RejectedJob;

/** A job was not taken: `COUNTER_OFFER` (with the offers as data) or `REJECTED` (with `binding`). */
export class JobNotAcceptedError extends TerminalError {
  readonly decision: "counter-offer" | "rejected";
  /** Empty when the job was rejected. */
  readonly offers: readonly CounterOffer[];
  /** Null when there are offers: then it is the bounds together that can't hold. */
  readonly binding: string | null;
  readonly notes: readonly string[];

  constructor(reply: CounterOfferedJob | RejectedJob, jobId: string) {
    const isOffer = reply.decision === "counter-offer";
    super(isOffer ? "COUNTER_OFFER" : "REJECTED", reply.message, { context: { jobId } });
    this.decision = reply.decision;
    this.offers = isOffer ? reply.offers : [];
    this.binding = isOffer ? null : reply.binding;
    this.notes = reply.notes;
  }

  offerOn(axis: SloAxis): CounterOffer | undefined {
    return this.offers.find((offer) => offer.axis === axis);
  }
}

/** Errors: `INVALID_ARGUMENT` naming the subject when it is no decision at all. */
export function plannedJobIn(answer: unknown, subject: string): PlannedJob {
  const fields = fieldsOf(answer);
  const notes = textsIn(fields["notes"]);
  const message = textOr(fields["message"], "the scheduler gives no reason");
  const { decision } = fields;
  if (decision === "counter-offer") {
    const offers = Array.isArray(fields["offers"]) ? (fields["offers"] as CounterOffer[]) : [];
    return { decision, message, offers, notes };
  }
  if (decision === "rejected") {
    return { decision, message, binding: textOr(fields["binding"], "unknown"), notes };
  }
  const plan = planIn(fields["plan"]) ?? planIn(answer);
  if (plan !== null && (decision === undefined || decision === "accepted")) {
    return {
      decision: "accepted",
      plan,
      notes: fields["notes"] === undefined ? plan.notes : notes,
    };
  }
  throw new InvalidArgumentError(
    `answer on ${subject} is no decision, expected accepted, counter-offer or rejected`,
  );
}

function planIn(value: unknown): JobPlan | null {
  return Array.isArray(fieldsOf(value)["steps"]) ? (value as JobPlan) : null;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === "string" && value !== "" ? value : otherwise;
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object"
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
