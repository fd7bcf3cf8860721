/**
 * A job's plan: its workflow with an executor and knobs chosen for each step.
 */
import type { KnobValues } from "./executor.ts";
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
}
