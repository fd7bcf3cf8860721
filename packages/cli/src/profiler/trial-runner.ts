/**
 * Runs one setting on one question as a real job, and gives its score back to the cluster.
 *
 * Owns:      submitting, judging, feedback, cancelling what runs when the user interrupts.
 * Does not:  decide what to run.
 *
 * All settings have one tenant, within which equal steps run once: most settings differ in one step,
 * and time goes to what was not seen yet. What a job would have cost alone is then its own steps as
 * measured, and the shared ones as the cluster's profiles have them, from those that ran.
 */
import { randomUUID } from "node:crypto";
import { isRuntimeError } from "@murakkab/kit";
import { type QuestionEntry, scoreAnswer } from "@murakkab/library";
import type { JobConstraints, Receipt, StepReceipt, Workflow } from "@murakkab/model";
import type { Client, JobHandle } from "@murakkab/sdk";

export interface TrialRequest {
  readonly setting: string;
  readonly constraints: JobConstraints;
  readonly workflow: string | Workflow;
  readonly inputs: readonly string[];
  /** Null: only times are measured. */
  readonly entry: QuestionEntry | null;
  readonly deadlineMs: number;
  /** Nothing is taken from earlier runs: to measure the same thing again. */
  readonly isFresh: boolean;
}

export interface TrialResult {
  readonly jobId: string;
  readonly setting: string;
  /** Null: nothing to judge by. A job that failed has score 0. */
  readonly score: number | null;
  readonly receipt: Receipt;
  /** What it takes alone: as measured where nothing was shared, else with profiles' figures. */
  readonly cpuSec: number;
  readonly costUsd: number;
  readonly energyWh: number;
  /** Null where something was shared: then no latency was measured. */
  readonly latencyMs: number | null;
}

export class TrialRunner {
  private readonly client: Client;
  private readonly signal: AbortSignal;
  private readonly tenant = `profile-${randomUUID().slice(0, 8)}`;

  constructor(client: Client, signal: AbortSignal) {
    this.client = client;
    this.signal = signal;
  }

  /** Errors: the client's; the signal's reason once the job is cancelled. */
  async run(request: TrialRequest): Promise<TrialResult> {
    this.signal.throwIfAborted();
    const { setting, constraints, workflow, inputs, entry, deadlineMs, isFresh } = request;
    const { tenant } = this;
    const job = await this.client.submit(
      {
        ...{ inputs, workflow, constraints, tenant, deadlineMs, fresh: isFresh },
        ...(entry === null ? {} : { description: entry.question }),
      },
      { signal: this.signal, retryOverloaded: true },
    );
    const receipt = await this.resultOf(job);
    const score = entry === null ? null : judge(entry, receipt);
    if (score !== null && receipt.state === "succeeded") {
      await this.client.feedback(job.jobId, score, { tenant, labelled: true });
    }
    return { jobId: job.jobId, setting, score, receipt, ...takenAlone(receipt) };
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
}

/** A step that was shared at least in part counts as it was predicted. */
function takenAlone(
  receipt: Receipt,
): Pick<TrialResult, "cpuSec" | "costUsd" | "energyWh" | "latencyMs"> {
  const sum = (valueOf: (step: StepReceipt) => number): number =>
    receipt.steps.reduce((all, step) => all + valueOf(step), 0);
  const isShared = ({ shared }: StepReceipt): boolean => shared !== undefined;
  return {
    cpuSec: sum((it) => (isShared(it) ? it.predicted?.cpuSec.p50 : it.cpuSec) ?? it.cpuSec ?? 0),
    costUsd: sum((it) => (isShared(it) ? it.predicted?.costUsd.p50 : it.costUsd) ?? it.costUsd),
    energyWh: sum((it) => (isShared(it) ? it.predicted?.energyWh.p50 : it.energyWh) ?? it.energyWh),
    latencyMs: receipt.steps.some(isShared) ? null : receipt.latencyMs,
  };
}

function judge(entry: QuestionEntry, { answer, evidence, state }: Receipt): number {
  if (state !== "succeeded" || answer === null) return 0;
  return scoreAnswer(entry, answer, evidence[0]?.atSec ?? undefined) ? 1 : 0;
}
