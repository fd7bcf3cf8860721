/**
 * A job's plan: its workflow with an executor and knobs chosen for each step.
 */
import type { KnobValues } from "./executor.ts";
import type { PlanExplanation, Prediction, StepPrediction } from "./prediction.ts";
import type { Source } from "./workflow.ts";

export interface PlannedStep {
  readonly step: string;
  readonly capability: string;
  readonly executor: string;
  readonly knobs: KnobValues;
  readonly inputs: Readonly<Record<string, Source>>;
  /** The input port whose list is fanned out over, one attempt per item. */
  readonly fanOut?: string;
  /** Types of the step's outputs after fan-out. */
  readonly outputs: Readonly<Record<string, string>>;
  /** Items per attempt of a fan-out; the executor then gets and gives lists. Absent: one, alone. */
  readonly batchItems?: number;
  /** Only on nodes of this kind. Absent: any. */
  readonly nodeKind?: string;
  readonly predicted?: StepPrediction;
}

/**
 * A stage: `draft` answers from part of the evidence. When it is sure enough its output is the
 * workflow's, and everything that only the rest needs (`deferred`) never runs. Stages are in order.
 */
export interface PlanStage {
  readonly draft: string;
  /** Output port of `draft` that stands for the workflow's output. */
  readonly output: string;
  /** Where in that port's value, or in `confidencePort`'s, the draft says how sure it is. */
  readonly confidencePort: string;
  readonly confidenceField: string;
  readonly atLeast: number;
  /** Steps that start only when the draft was not sure enough. */
  readonly deferred: readonly string[];
}

export interface JobPlan {
  readonly workflow: string;
  readonly planner: "type-directed" | "named";
  readonly inputs: Readonly<Record<string, string>>;
  /** In an order in which every step comes after its sources. */
  readonly steps: readonly PlannedStep[];
  readonly output: Source;
  readonly outputType: string;
  /** What was left out and what that costs, in plain sentences. */
  readonly notes: readonly string[];
  readonly stages?: readonly PlanStage[];
  /**
   * Signature of the logical workflow that this was planned from (see core's `workflowSignature`):
   * steps that were left out count in it. Absent: that of the plan's own steps.
   */
  readonly workflowSignature?: string;
  /** Class of the job's question, where the answering executor names classes. */
  readonly questionClass?: string;
  /** Absent where nothing was predicted (profiles lack). */
  readonly predicted?: Prediction;
  readonly explanation?: PlanExplanation;
}
