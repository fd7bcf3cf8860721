/** A submission that survives the end of the scheduler that held it. */
import type { Messaging } from "@murakkab/bus";
import type { SubmitRequest } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, type RepeatPolicy } from "./call-until-answered.ts";
import { type AcceptedJob, JobNotAcceptedError, plannedJobIn } from "./job-reply.ts";

/** Why 150 s: the scheduler may have to fetch an input of some GB, and bounds that so. */
const SUBMIT_TOTAL_MS = 150_000;
/** Why 10 min: work that waits for a full cluster is in no hurry; see `retryOverloaded`. */
const OVERLOADED_MS_MAX = 600_000;
const SUBMIT_POLICY: RepeatPolicy = {
  silenceMs: [1_000, 2_000, 5_000, 10_000],
  totalMs: SUBMIT_TOTAL_MS,
  absentMs: 10_000,
  troubleMs: 10_000,
};

/** The only decision that is no error. */
export interface SubmitReply extends AcceptedJob {
  readonly jobId: string;
}

export interface SubmitRepeatOptions {
  readonly signal?: AbortSignal;
  readonly retryOverloaded?: boolean;
  /** How long "nobody is there" is borne, ms. Default 10 s. */
  readonly absentMs?: number;
}

/**
 * `body` carries its job id, so that repeats are one job.
 * Errors: what the scheduler answers; `JobNotAcceptedError` for a counter-offer or a rejection.
 */
export async function submitUntilAnswered(
  messaging: Messaging,
  body: SubmitRequest,
  { signal, retryOverloaded, absentMs }: SubmitRepeatOptions,
): Promise<SubmitReply> {
  const overloadedMs = retryOverloaded === true ? OVERLOADED_MS_MAX : 0;
  let isRepeated = false;
  const { jobSubmit } = subjects;
  const answer = await callUntilAnswered<{ readonly jobId?: unknown }>(
    messaging,
    { subject: jobSubmit, value: body },
    {
      policy: {
        ...SUBMIT_POLICY,
        totalMs: SUBMIT_TOTAL_MS + overloadedMs,
        overloadedMs,
        ...(absentMs === undefined ? {} : { absentMs }),
      },
      onRepeat: () => (isRepeated = true),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const jobId = typeof answer?.jobId === "string" ? answer.jobId : (body.jobId ?? "");
  const reply = plannedJobIn(answer, jobSubmit);
  if (reply.decision !== "accepted") throw new JobNotAcceptedError(reply, jobId);
  if (!isRepeated) return { ...reply, jobId };
  // That was us.
  const ownNote = `job ${body.jobId ?? ""} was accepted before`;
  return { ...reply, jobId, notes: reply.notes.filter((note) => note !== ownNote) };
}
