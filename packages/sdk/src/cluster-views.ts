/** What the read subjects of a cluster answer. */
import type {
  ExecutorEntry,
  InstanceSample,
  JobStatus,
  NodeRegistration,
  NodeSample,
  Workflow,
} from "@murakkab/model";

/** A node as the scheduler sees it: what it registered, and its latest sample. */
export interface NodeView extends NodeRegistration {
  readonly lastHeardMsAgo: number;
  readonly cpusReserved: number;
  /** `null` = not known: no sample, or too old a one. */
  readonly sample: NodeSample | null;
  readonly sampleAgeMs: number | null;
}

export interface InstanceView extends InstanceSample {
  readonly node: string;
}

export interface ExecutorView extends ExecutorEntry {
  /** Why no node can run it now, one clause; `null` when one can. */
  readonly unavailable: string | null;
}

export interface LibraryView {
  readonly executors: readonly ExecutorView[];
  readonly workflows: readonly Workflow[];
}

/** A job in the list: without plan and receipt. */
export interface JobSummary extends Omit<JobStatus, "plan" | "receipt"> {
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly answer: string | null;
}

/** One message of the ops stream. */
export interface OpsEvent {
  readonly subject: string;
  readonly data: unknown;
}
