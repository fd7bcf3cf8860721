/** A submission that survives the end of the scheduler that held it. */
import type { Messaging } from "@murakkab/bus";
import type { JobPlan } from "@murakkab/model";
import type { SubmitRequest } from "@murakkab/protocol";
import { subjects } from "@murakkab/protocol";
import { callUntilAnswered, type RepeatPolicy } from "./call-until-answered.ts";

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

export interface SubmitReply {
  readonly jobId: string;
  readonly plan: JobPlan;
  readonly notes?: readonly string[];
}

export interface SubmitRepeatOptions {
  readonly signal?: AbortSignal;
  readonly retryOverloaded?: boolean;
  /** How long "nobody is there" is borne, ms. Default 10 s. */
  readonly absentMs?: number;
}

/** `body` carries its job id, so that repeats are one job. Errors: what the scheduler answers. */
export async function submitUntilAnswered(
  messaging: Messaging,
  body: SubmitRequest,
  { signal, retryOverloaded, absentMs }: SubmitRepeatOptions,
): Promise<SubmitReply> {
  const overloadedMs = retryOverloaded === true ? OVERLOADED_MS_MAX : 0;
  let isRepeated = false;
  const reply = await callUntilAnswered<SubmitReply>(
    messaging,
    { subject: subjects.jobSubmit, value: body },
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
  if (!isRepeated || reply.notes === undefined) return reply;
  // That was us.
  const ownNote = `job ${body.jobId ?? ""} was accepted before`;
  return { ...reply, notes: reply.notes.filter((note) => note !== ownNote) };
}
