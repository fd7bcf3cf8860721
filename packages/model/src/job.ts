/**
 * A job: one submission, its states and its receipt.
 */

import type { WireError } from "@murakkab/kit";
import type { KnobValue, KnobValues, Provenance } from "./executor.ts";
import type { JobPlan } from "./plan.ts";
import type { CounterOffer, Prediction, StepPrediction } from "./prediction.ts";
import type { Objective, Slo, SloOutcome } from "./slo.ts";

/** What the user wants fixed: an executor for a capability, or knobs of a step or capability. */
export interface JobConstraints {
  /** Capability to executor id. */
  readonly executors?: Readonly<Record<string, string>>;
  /** Executor id or capability to knob values. */
  readonly knobs?: Readonly<Record<string, KnobValues>>;
  /** Node labels that every step's node must have. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Every step runs on the host that holds the inputs, and only by executors that send nothing
   * elsewhere ("no data leaves this host").
   */
  readonly staysOnHost?: boolean;
  /**
   * Exactly this configuration, as receipts and profiles name it: what runs, in which stages, by
   * which executors and knobs. Nothing is chosen then, and no bound is promised.
   */
  readonly configuration?: string;
}

/** A validated submission. */
export interface Submission {
  readonly jobId: string;
  readonly description?: string;
  readonly workflow?: string;
  readonly inputs: readonly string[];
  readonly slo: Slo;
  readonly objective?: Objective;
  readonly constraints: JobConstraints;
  readonly tenant: string;
  readonly idempotencyKey?: string;
  /** Milliseconds from acceptance. */
  readonly deadlineMs?: number;
  /** False: nothing is journaled; the job is lost with its scheduler. Default true. */
  readonly durable?: boolean;
  /** True: nothing is taken from other jobs' results. Default false. */
  readonly fresh?: boolean;
}

export const TERMINAL_STATES = ["succeeded", "failed", "cancelled", "rejected"] as const;
export type TerminalState = (typeof TERMINAL_STATES)[number];
export type JobState = "accepted" | "running" | TerminalState;

export function isTerminalState(state: JobState): state is TerminalState {
  return (TERMINAL_STATES as readonly string[]).includes(state);
}

export interface Evidence {
  /** `speech`, `screen-text`, `picture`, or another step's kind of result. */
  readonly source: string;
  /** Seconds from the start of the video; null where the source has no time. */
  readonly atSec: number | null;
  readonly text: string;
}

export interface StepReceipt {
  readonly step: string;
  readonly capability: string;
  readonly executor: string;
  readonly knobs: KnobValues;
  /** Node and instance of the last successful attempt; every attempt is in `runs`. */
  readonly node: string | null;
  readonly instance: string | null;
  /** Highest number of attempts that an item of the step took. */
  readonly attempts: number;
  /** Number of items that the step was fanned out over; 1 without fan-out. */
  readonly items: number;
  /** Mean over items: time from ready to the start in an engine, ms. */
  readonly queueMs: number;
  /** Summed over items: time in an engine, ms. */
  readonly runMs: number;
  /** Summed over all attempts, failed ones too. `null` where the host cannot tell. */
  readonly cpuSec: number | null;
  readonly memoryBytesMax: number | null;
  readonly costUsd: number;
  readonly energyWh: number;
  readonly nodes: readonly string[];
  /** What the plan said of it; absent where it said nothing. */
  readonly predicted?: StepPrediction;
  readonly batchItems?: number;
  /** Attempts whose result was taken from another job (or an equal step), and from which. */
  readonly shared?: { readonly items: number; readonly fromJobs: readonly string[] };
}

export interface ReceiptError {
  readonly code: string;
  readonly message: string;
  readonly step?: string;
  readonly detail?: string;
}

export interface Receipt {
  readonly jobId: string;
  readonly state: TerminalState;
  readonly workflow: string | null;
  readonly answer: string | null;
  readonly evidence: readonly Evidence[];
  /** The whole output value of the workflow, when it is not an answer. */
  readonly output?: unknown;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly costProvenance: Provenance;
  readonly energyWh: number;
  readonly energyProvenance: "measured" | "modelled";
  readonly energyMethod: string;
  readonly slo: Slo;
  readonly sloMet: SloOutcome;
  readonly notes: readonly string[];
  /** Times that a finished step ran again because its result was lost. Absent: none. */
  readonly reruns?: number;
  readonly steps: readonly StepReceipt[];
  readonly error?: ReceiptError;
  readonly objective?: Objective;
  /** What the plan promised when the job was accepted. */
  readonly predicted?: Prediction;
  /** Canonical text of the configuration that ran: what feedback is about. */
  readonly configuration?: string;
  /** How the remaining steps were chosen again on the way, one sentence each. */
  readonly replans?: readonly string[];
  /** Dollars and watt-hours by which an attempt passed what was reserved for it. */
  readonly overrun?: { readonly costUsd: number; readonly energyWh: number };
}

/** What `mk.v1.job.get` answers while a job is not terminal. */
export interface JobStatus {
  readonly jobId: string;
  readonly state: JobState;
  readonly tenant: string;
  readonly description: string | null;
  readonly workflow: string | null;
  readonly acceptedAtMs: number;
  readonly plan: JobPlan | null;
  readonly stepStates: Readonly<Record<string, { readonly done: number; readonly total: number }>>;
  readonly receipt?: Receipt;
}

export type JobReply =
  | {
      readonly jobId: string;
      readonly decision: "accepted";
      readonly plan: JobPlan;
      readonly notes?: readonly string[];
    }
  | {
      readonly jobId: string;
      readonly decision: "counter-offer";
      /** Why the SLOs can't hold together, one sentence. */
      readonly message: string;
      /** The nearest bounds that can be kept, one per axis that may give way. */
      readonly offers: readonly CounterOffer[];
      readonly notes?: readonly string[];
    }
  | {
      readonly jobId: string;
      readonly decision: "rejected";
      readonly message: string;
      /** The constraint that binds: an axis, a capability, an executor. */
      readonly binding: string;
      readonly notes?: readonly string[];
    }
  | { readonly error: WireError };

export type { KnobValue };
