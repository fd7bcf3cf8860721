/**
 * Runs one setting on one question as a real job, and gives its score back to the cluster.
 *
 * Owns:      submitting, judging, feedback, cancelling what runs when the user interrupts.
 * Does not:  decide what to run.
 *
 * Every setting has a tenant of its own: within a tenant equal steps may be shared between jobs,
 * which makes many questions cheap to ask; between settings nothing is shared, so that each one's
 * first job costs what it costs.
 */
import { randomUUID } from "node:crypto";
import { isRuntimeError } from "@murakkab/kit";
import { type QuestionEntry, scoreAnswer } from "@murakkab/library";
import type { JobConstraints, Receipt, Workflow } from "@murakkab/model";
import type { Client, JobHandle } from "@murakkab/sdk";

export interface TrialRequest {
  readonly setting: string;
  readonly constraints: JobConstraints;
  readonly workflow: string | Workflow;
  readonly inputs: readonly string[];
  /** Null: only times are measured. */
  readonly entry: QuestionEntry | null;
  readonly deadlineMs: number;
}

export interface TrialResult {
  readonly jobId: string;
  readonly setting: string;
  /** Null: nothing to judge by. A job that failed has score 0. */
  readonly score: number | null;
  readonly receipt: Receipt;
  readonly cpuSec: number;
  /** No step's result was taken from another job: what it cost is what the setting costs. */
  readonly isFresh: boolean;
}

export class TrialRunner {
  private readonly client: Client;
  private readonly signal: AbortSignal;
  private readonly prefix = `profile-${randomUUID().slice(0, 8)}`;
  private readonly tenants = new Map<string, string>();

  constructor(client: Client, signal: AbortSignal) {
    this.client = client;
    this.signal = signal;
  }

  /** Errors: the client's; the signal's reason once the job is cancelled. */
  async run(request: TrialRequest): Promise<TrialResult> {
    this.signal.throwIfAborted();
    const { setting, constraints, workflow, inputs, entry, deadlineMs } = request;
    const tenant = this.tenantOf(setting);
    const job = await this.client.submit(
      {
        ...{ inputs, workflow, constraints, tenant, deadlineMs },
        ...(entry === null ? {} : { description: entry.question }),
      },
      { signal: this.signal, retryOverloaded: true },
    );
    const receipt = await this.resultOf(job);
    const score = entry === null ? null : judge(entry, receipt);
    if (score !== null && receipt.state === "succeeded") {
      await this.client.feedback(job.jobId, score, { tenant, labelled: true });
    }
    const cpuSec = receipt.steps.reduce((sum, step) => sum + (step.cpuSec ?? 0), 0);
    const isFresh = receipt.steps.every((step) => step.shared === undefined);
    return { jobId: job.jobId, setting, score, receipt, cpuSec, isFresh };
  }

  private async resultOf(job: JobHandle): Promise<Receipt> {
    try {
      return await job.result({ signal: this.signal });
    } catch (error) {
      if (this.signal.aborted) {
        await job.cancel("profiling was interrupted").catch((failure: unknown) => {
          if (!isRuntimeError(failure)) throw failure; // it ended meanwhile, or nobody answers
        });
      }
      throw error;
    }
  }

  private tenantOf(setting: string): string {
    const known = this.tenants.get(setting);
    if (known !== undefined) return known;
    const tenant = `${this.prefix}-${this.tenants.size + 1}`;
    this.tenants.set(setting, tenant);
    return tenant;
  }
}

function judge(entry: QuestionEntry, { answer, evidence, state }: Receipt): number {
  if (state !== "succeeded" || answer === null) return 0;
  return scoreAnswer(entry, answer, evidence[0]?.atSec ?? undefined) ? 1 : 0;
}
