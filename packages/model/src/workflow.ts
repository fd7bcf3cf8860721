/**
 * A workflow: a named logical DAG of steps. No model, knob or hardware is in it, except what the
 * author asks for as a constraint.
 */
import type { KnobValues } from "./executor.ts";

/** Where a step's input comes from. */
export type Source =
  | { readonly kind: "input"; readonly input: string }
  | { readonly kind: "step"; readonly step: string; readonly output: string };

export interface WorkflowStep {
  readonly id: string;
  readonly capability: string;
  /** Input port to source. Optional ports may be missing. */
  readonly inputs: Readonly<Record<string, Source>>;
  /** Constraint: only this executor. */
  readonly executor?: string;
  /** Constraint: these knob values. */
  readonly knobs?: KnobValues;
}

export interface Workflow {
  readonly name: string;
  readonly description?: string;
  /** Input name to type. The input named `question` or `description` is the job's text. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly steps: readonly WorkflowStep[];
  readonly output: Source;
}
