/**
 * What a chaos run saw: plain data that the checkers judge. Whoever fills it (the live observer, a
 * test that plants a violation) does not know the checkers.
 *
 * Every `atMs` counts from the start of the run by the observer's monotonic clock.
 */

/** The part of a job's event that the checkers need; plans and receipts would fill the memory. */
export interface EventNote {
  readonly number: number;
  readonly event: string;
  readonly step?: string;
  readonly item?: number;
  readonly attempt?: number;
  /** Of `step-rerun`: items whose result was lost or is of other inputs. */
  readonly items?: readonly number[];
  /** Hash of the values that the attempt was given. */
  readonly inputsHash?: string;
  /** Of the error that the event tells. */
  readonly code?: string;
}

/** What one execution of `use` consumed: by way of the artifact, and directly from its source. */
export interface UsedMarks {
  readonly viaFile: readonly string[];
  readonly direct: readonly string[];
}

export interface JobObservation {
  readonly jobId: string;
  /** When the client got the answer that the job is accepted; null = it never did. */
  readonly acceptedAtMs: number | null;
  /** Events as the cluster tells them at the end, in its order; null = nobody could tell. */
  readonly history: readonly EventNote[] | null;
  /** Events as they came by, in order of arrival; some may be missing. */
  readonly live: readonly (EventNote & { readonly atMs: number })[];
  /** Terminal states that clients were told. */
  readonly receipts: readonly { readonly atMs: number; readonly state: string }[];
  /** From the receipt's output, where the job's workflow tells it. */
  readonly used?: UsedMarks;
}

/** One look at the host's processes. */
export interface ProcessScan {
  readonly atMs: number;
  readonly workers: readonly WorkerProcess[];
}

export interface WorkerProcess {
  readonly pid: number;
  /** With the pid, what tells a process from a later one of the same number. */
  readonly startTicks: number;
  readonly instance: string;
}

/** What an agent says that it holds. */
export interface AgentTable {
  readonly atMs: number;
  readonly node: string;
  /** Of the agent's process; null where the message does not say. */
  readonly incarnation: string | null;
  readonly instances: readonly {
    readonly instance: string;
    /** `<pid>:<startTicks>` where the process was found. */
    readonly process: string | null;
  }[];
}

/** The highest leader generation that an agent says it obeyed. */
export interface ObeyedGeneration {
  readonly atMs: number;
  readonly node: string;
  readonly generation: number;
}

/** One stored write of a partition's journal. */
export interface JournalBatch {
  readonly atMs: number;
  readonly sequence: number;
  readonly partition: number;
  readonly generation: number;
  readonly owner: string;
  /** The batch has an `owned` entry: from here on older generations must not write. */
  readonly isTakeover: boolean;
}

/** An actor's address was given to a process. */
export interface Activation {
  readonly atMs: number;
  readonly address: string;
  readonly generation: number;
  readonly process: string;
}

/** One line of the effects file. */
export interface Effect {
  readonly jobId: string;
  readonly step: string;
  readonly item: number;
  /** Another one for each execution. */
  readonly token: string;
}

export interface ChaosRecord {
  readonly jobs: readonly JobObservation[];
  readonly scans: readonly ProcessScan[];
  readonly tables: readonly AgentTable[];
  readonly obeyed: readonly ObeyedGeneration[];
  readonly batches: readonly JournalBatch[];
  readonly activations: readonly Activation[];
  readonly effects: readonly Effect[];
  /** When the record was closed. */
  readonly endedAtMs: number;
}

export const EMPTY_RECORD: ChaosRecord = {
  jobs: [],
  scans: [],
  tables: [],
  obeyed: [],
  batches: [],
  activations: [],
  effects: [],
  endedAtMs: 0,
};

export interface Violation {
  /** `INV1` to `INV8`, see docs/invariants.md. */
  readonly invariant: string;
  readonly atMs: number;
  /** One sentence with the ids. */
  readonly detail: string;
}

/** A violation before it is known whose it is. */
export type Finding = Omit<Violation, "invariant">;
export type Checker = (record: ChaosRecord) => readonly Finding[];
