/**
 * What a job machine knows, and the values that its steps read.
 *
 * Owns:      the steps' runs; inputs of an attempt and their hash.
 * Does not:  decide what runs (walk.ts).
 */
import { assert, canonicalJson, hashText64 } from "@murakkab/kit";
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { countOf, itemOf, sliceOf } from "../passed-value.ts";
import type { JobFailure } from "./machine-types.ts";
import type { SettledStage } from "./stages.ts";
import { batchOf, newStepRun, type StepRun, type UnitRun } from "./step-run.ts";

/** A draft was sure enough: what still runs is stopped, and its bill waited for. */
export interface Ending {
  readonly output: PassedValue;
  /** Attempts, as `attemptKey` names them. */
  readonly awaited: Set<string>;
}

export const NOTHING_HELD: ReadonlySet<string> = new Set();

export class MachineState {
  plan: JobPlan;
  readonly steps: Map<string, StepRun>;
  isBegun = false;
  isFinished = false;
  /** Times that finished work was done again. */
  rerunCount = 0;
  /** From replayed events: the failure whose terminal event is missing. */
  fatal: JobFailure | null = null;
  /** By draft. */
  readonly settled = new Map<string, SettledStage>();
  ending: Ending | null = null;
  /** Whether `boundary` effects are given before steps start. */
  readonly asksFirst: boolean;
  /** Steps that may not start before something changes. */
  held: ReadonlySet<string> = NOTHING_HELD;
  /** Reasons of the replans so far. */
  readonly replans: string[] = [];
  /** Canonical text of what is chosen now. */
  configuration: string | null;
  private readonly inputs: Readonly<Record<string, PassedValue>>;
  private readonly hashes = new WeakMap<object, string>();

  constructor(
    plan: JobPlan,
    inputs: Readonly<Record<string, PassedValue>>,
    options: { readonly asksFirst: boolean },
  ) {
    this.plan = plan;
    this.asksFirst = options.asksFirst;
    this.configuration = plan.explanation?.configuration ?? null;
    this.inputs = inputs;
    this.steps = new Map(plan.steps.map((planned) => [planned.step, newStepRun(planned)]));
  }

  /** Nothing new is begun. */
  get isOver(): boolean {
    return this.isFinished || this.ending !== null;
  }

  get isAllDone(): boolean {
    for (const run of this.steps.values()) if (run.state !== "done") return false;
    return true;
  }

  /** J1. */
  hasInputs(planned: PlannedStep): boolean {
    return Object.values(planned.inputs).every(
      (source) => source.kind === "input" || this.steps.get(source.step)?.state === "done",
    );
  }

  /** Errors: `INVALID_ARGUMENT` when the fan-out's value is no list. */
  countItems({ fanOut, inputs }: PlannedStep): number {
    const source = fanOut === undefined ? undefined : inputs[fanOut];
    return source === undefined ? 1 : countOf(this.sourceValue(source));
  }

  inputsOf(planned: PlannedStep, { first, itemCount }: UnitRun): Record<string, PassedValue> {
    const inputs: Record<string, PassedValue> = {};
    for (const [name, source] of Object.entries(planned.inputs)) {
      const value = this.sourceValue(source);
      if (name !== planned.fanOut) inputs[name] = value;
      else if (batchOf(planned) === null) inputs[name] = itemOf(value, first);
      else inputs[name] = sliceOf(value, first, first + itemCount);
    }
    return inputs;
  }

  hashInputs(
    { executor, knobs }: PlannedStep,
    inputs: Readonly<Record<string, PassedValue>>,
  ): string {
    const parts = Object.keys(inputs)
      .sort()
      .map((name) => {
        const value = inputs[name];
        return value === undefined ? name : `${name}=${this.hashValue(value)}`;
      });
    return hashText64(`${executor} ${canonicalJson(knobs)} ${parts.join(" ")}`);
  }

  /** Remembered per value: a list that all items of a fan-out share is hashed once. */
  private hashValue(value: PassedValue): string {
    const known = this.hashes.get(value);
    if (known !== undefined) return known;
    const hash = hashText64(canonicalJson(value));
    this.hashes.set(value, hash);
    return hash;
  }

  sourceValue(source: PlannedStep["inputs"][string]): PassedValue {
    const value =
      source.kind === "input"
        ? this.inputs[source.input]
        : this.steps.get(source.step)?.outputs?.[source.output];
    assert(value !== undefined, `J1: no value for ${JSON.stringify(source)}`);
    return value;
  }
}
