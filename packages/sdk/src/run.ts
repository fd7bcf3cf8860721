/** The shortest way from a question to an answer. */
import type { Evidence, JobPlan, Receipt } from "@murakkab/model";
import type { SubmitOptions } from "./client.ts";
import type { ConnectOptions } from "./connect.ts";
import { connect } from "./connect.ts";
import { JobNotSucceededError } from "./job-handle.ts";
import type { JobOptions } from "./job-request.ts";

export interface RunOptions extends JobOptions, ConnectOptions, SubmitOptions {}

/** A job that succeeded. */
export interface FinishedJob {
  readonly jobId: string;
  /** `null` when the workflow's output is no answer; see `output`. */
  readonly answer: string | null;
  readonly evidence: readonly Evidence[];
  readonly output: unknown;
  readonly plan: JobPlan;
  readonly receipt: Receipt;
}

/**
 * Connects, submits, waits for the end and disconnects.
 *
 * Errors: `JobNotSucceededError` (with the receipt) when the job ends in another state; all of
 * `connect` and `client.submit`. An abort of `signal` cancels the job.
 */
export async function run(
  description: string,
  inputs: readonly string[] = [],
  options: RunOptions = {},
): Promise<FinishedJob> {
  const { nats, name, bus, env, connectTimeoutMs, ...rest } = options;
  const { onUpload, onNote, retryOverloaded, acceptOffer, signal, ...job } = rest;
  const client = await connect(withoutUndefined({ nats, name, bus, env, connectTimeoutMs }));
  try {
    const sending = withoutUndefined({ onUpload, onNote, retryOverloaded, acceptOffer, signal });
    const handle = await client.submit({ ...job, description, inputs }, sending);
    try {
      const receipt = await handle.result(withoutUndefined({ signal }));
      if (receipt.state !== "succeeded") throw new JobNotSucceededError(receipt);
      const { jobId, answer, evidence, output } = receipt;
      return { jobId, answer, evidence, output: output ?? null, plan: handle.plan, receipt };
    } catch (error) {
      if (signal?.aborted === true) await handle.cancel("the caller's signal was aborted");
      throw error;
    }
  } finally {
    await client.close();
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as Defined<T>;
}
