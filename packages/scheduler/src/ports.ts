/** What the scheduler's protocol logic needs of the platform. */
import type { ArtifactHolder, ArtifactRef, JobPlan } from "@murakkab/model";
import type { JobRecord } from "@murakkab/protocol";
import type { SettledStage } from "./job-machine.ts";

/** Writes values that are too large for a message into some agent's store. */
export interface ArtifactUplink {
  put(
    holder: ArtifactHolder,
    value: { readonly jobId: string; readonly data: Uint8Array; readonly mediaType: string },
  ): Promise<ArtifactRef>;
}

/** Looks whether an agent's artifact server answers under the address that it advertises. */
export interface AddressProbe {
  /** Errors: `ADDRESS_UNREACHABLE` (retryable), naming node and address. */
  check(holder: ArtifactHolder): Promise<void>;
}

/** Short-lived permission to upload or download, signed with the cluster's token. */
export interface TicketIssuer {
  ticket(purpose: "upload" | "download", lifetimeMs: number): string;
}

/** A step that is done, as it really was. */
export interface DoneStep {
  readonly step: string;
  /** Items of its fan-out; 1 without one. */
  readonly itemCount: number;
  /** Summed over all attempts. */
  readonly runMs: number;
  readonly costUsd: number;
  readonly energyWh: number;
  /** By port. `size` in the port's unit, `count` of a list; null where not known, or no list. */
  readonly outputs: Readonly<
    Record<string, { readonly size: number | null; readonly count: number | null }>
  >;
}

/** A step that has started: it can't be chosen otherwise any more. */
export interface RunningStep {
  readonly step: string;
  readonly itemCount: number;
  readonly doneCount: number;
  readonly costUsd: number;
  readonly energyWh: number;
}

export interface RechooseInput {
  /**
   * `step`: steps could start now. `retry`: an attempt failed and is repeated. `budget`: the next
   * step's upper bound does not fit into what is left.
   */
  readonly at: "step" | "retry" | "budget";
  /** Submission (SLO, objective, constraints), the plan that was accepted, sizes of the inputs. */
  readonly record: JobRecord;
  /** As it is now, after earlier choices. */
  readonly plan: JobPlan;
  readonly done: readonly DoneStep[];
  readonly running: readonly RunningStep[];
  /** Drafts that were looked at: what they deferred may start, unless one was sure. */
  readonly stages: readonly SettledStage[];
  readonly spentUsd: number;
  readonly spentWh: number;
  /** For attempts that are out, by their predictions. Not part of what is spent. */
  readonly reservedUsd: number;
  readonly reservedWh: number;
  /** Since the job was accepted, ms. */
  readonly elapsedMs: number;
}

export type Rechoice =
  /** One sentence with numbers on why; it is on the receipt. */
  | { readonly plan: JobPlan; readonly reason: string }
  /** Nothing that is left can keep the promise: one clause on why. The job ends with what it has. */
  | { readonly stop: string };

/**
 * Chooses the steps that have not started again, with the slack and money that are left.
 *
 * Asked:    before steps start, after a failed attempt, and when a budget is short; only for jobs
 *           whose plan was predicted and that have an SLO or an objective. In the middle of a job's
 *           events: it must be quick, synchronous and must not throw.
 * Answers:  null = go on as planned. A plan has the same started steps, unchanged, and none that
 *           are new; steps that have not started may be chosen otherwise or be left out, where
 *           nothing needs their outputs. One that breaks this is logged and not taken.
 * Repeat:   the owner of a job may change at any moment: what was chosen is journaled before it
 *           takes effect, and the same question may be asked twice.
 */
export interface Rechooser {
  rechoose(input: RechooseInput): Rechoice | null;
}
