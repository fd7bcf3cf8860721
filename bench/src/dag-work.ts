/**
 * One run of the five-step diamond, from the client's side, in the three ways that are compared.
 * All use the same client connection and payload, so that the difference is on the other side.
 */
import type { ActorSystemPort } from "@murakkab/actor";
import { isTerminalState, type JobState } from "@murakkab/model";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";
import { pack, unpack } from "msgpackr";
import { headers, type MsgHdrs, type NatsConnection } from "nats";
import type { RawSubmission } from "./dag-raw-coordinator.ts";

export const BENCH_WORKFLOW = "bench-dag";
export const BENCH_ACTOR = { type: "bench", key: "pass" } as const;
export const PAYLOAD = "x".repeat(512);
/** Longer than any wait that is worth a figure. A request that takes it counts as unanswered, ms. */
export const ANSWER_TIMEOUT_MS = 30_000;
const WAIT_MS = ANSWER_TIMEOUT_MS - 5_000;
/** A job that is not over after so many waits fails its run: minutes, which only a burst takes. */
const WAIT_COUNT_MAX = 5;

export interface JobWish {
  readonly isDurable: boolean;
  readonly tenant?: string;
}

export type Submitted =
  | { readonly kind: "accepted"; readonly jobId: string }
  | { readonly kind: "refused"; readonly code: string; readonly retryAfterMs: number | null };

/** Errors: the client's own, above all its time-out. */
export class JobClient {
  private readonly connection: NatsConnection;
  private readonly headers: MsgHdrs = headers();

  constructor(connection: NatsConnection) {
    this.connection = connection;
    // Made once: the best that a user of the client could do.
    for (const [name, text] of Object.entries(contentHeaders("msgpack"))) {
      this.headers.set(name, text);
    }
  }

  async submit({ isDurable, tenant }: JobWish): Promise<Submitted> {
    const answer = (await this.request(subjects.jobSubmit, {
      workflow: BENCH_WORKFLOW,
      description: PAYLOAD,
      fresh: true, // every step runs: the payload is the same for all
      ...(isDurable ? {} : { durable: false }),
      ...(tenant === undefined ? {} : { tenant }),
    })) as SubmitAnswer;
    if (answer.error === undefined && answer.jobId !== undefined) {
      return { kind: "accepted", jobId: answer.jobId };
    }
    const { code = "NO_JOB_ID", retryAfterMs = null } = answer.error ?? {};
    return { kind: "refused", code, retryAfterMs };
  }

  /** Resolves when the job succeeded. Errors: any other end, or none in time. */
  async wait(jobId: string): Promise<void> {
    let receipt = await this.waitOnce(jobId);
    for (let count = 1; count < WAIT_COUNT_MAX && !isTerminal(receipt); count += 1) {
      receipt = await this.waitOnce(jobId);
    }
    if (receipt.state === "succeeded") return;
    const why = receipt.error === undefined ? "" : `: ${receipt.error.message}`;
    throw new Error(`job ${jobId} is ${receipt.state}${why}`);
  }

  private async waitOnce(jobId: string): Promise<WaitAnswer> {
    const value = { timeoutMs: WAIT_MS };
    return (await this.request(subjects.jobWait(jobId), value)) as WaitAnswer;
  }

  /** Submission, plan, five steps, receipt. */
  async run(wish: JobWish): Promise<void> {
    const submitted = await this.submit(wish);
    if (submitted.kind === "refused") throw new Error(`submission refused: ${submitted.code}`);
    await this.wait(submitted.jobId);
  }

  private async request(subject: string, value: unknown): Promise<unknown> {
    const reply = await this.connection.request(subject, encode(value, "msgpack"), {
      timeout: ANSWER_TIMEOUT_MS,
      headers: this.headers,
    });
    return decode(reply.data, contentHeaders("msgpack")).value;
  }
}

interface SubmitAnswer {
  readonly jobId?: string;
  readonly error?: { readonly code: string; readonly retryAfterMs?: number };
}

/** A receipt, or the status of a job that is not over. */
interface WaitAnswer {
  readonly state: string;
  readonly error?: { readonly message: string };
}

function isTerminal({ state }: WaitAnswer): boolean {
  return isTerminalState(state as JobState);
}

/** The same exchanges with the hand-written coordinator. */
export async function runRaw(connection: NatsConnection, isDurable: boolean): Promise<void> {
  const submission: RawSubmission = { isDurable, payload: PAYLOAD };
  const timeout = ANSWER_TIMEOUT_MS;
  const accepted = await connection.request("raw.submit", pack(submission), { timeout });
  const { id } = unpack(accepted.data) as { id: number };
  const receipt = await connection.request("raw.wait", pack({ id }), { timeout });
  const { output } = unpack(receipt.data) as { output: string };
  if (output.length !== PAYLOAD.length) throw new Error(`the raw run ${id} lost its payload`);
}

/** The caller drives the five asks itself: no job, no plan, no scheduler. */
export async function runOverActors(actors: ActorSystemPort): Promise<void> {
  const ask = (value: unknown): Promise<unknown> =>
    actors.ask(BENCH_ACTOR, value, { deadlineMs: ANSWER_TIMEOUT_MS });
  const first = await ask(PAYLOAD);
  const [value] = await Promise.all([ask(first), ask(first), ask(first)]);
  await ask(value);
}
