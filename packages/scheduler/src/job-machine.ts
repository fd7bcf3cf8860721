/**
 * A job's way through its DAG, as data.
 *
 * Owns:      which attempts run next, retries, fan-out, the one terminal state.
 * Does not:  talk to workers, journal or read clocks: it takes events and returns effects.
 *
 * Invariants:
 *   J1. A step starts only when all its sources are done.
 *   J2. An item has at most one attempt in flight, and at most ATTEMPTS_MAX in all.
 *   J3. Exactly one `finish` effect; after it nothing is dispatched.
 *   J4. An answer of an attempt that is no longer the item's current one changes nothing but the bill.
 */
import type { WireError } from "@murakkab/kit";
import { assert, assertNever } from "@murakkab/kit";
import type { JobPlan, PlannedStep, TerminalState } from "@murakkab/model";
import type { AttemptMeasure, JobEventName, PassedValue } from "@murakkab/protocol";
import { ATTEMPTS_MAX, FAN_OUT_ITEMS_MAX } from "@murakkab/protocol";
import { countOf, gather, itemOf } from "./passed-value.ts";

export interface AttemptId {
  readonly step: string;
  readonly item: number;
  readonly attempt: number;
}

export interface AttemptPlace {
  readonly instance: string;
  readonly node: string;
}

export type JobInput =
  | { readonly kind: "begin"; readonly nowMs: number }
  | {
      readonly kind: "attempt-started";
      readonly id: AttemptId;
      readonly place: AttemptPlace;
      readonly nowMs: number;
    }
  | {
      readonly kind: "attempt-finished";
      readonly id: AttemptId;
      readonly place: AttemptPlace;
      readonly outputs: Readonly<Record<string, PassedValue>>;
      readonly measure: AttemptMeasure;
      readonly cost: { readonly costUsd: number; readonly energyWh: number };
      readonly nowMs: number;
    }
  | {
      readonly kind: "attempt-failed";
      readonly id: AttemptId;
      readonly place: AttemptPlace | null;
      readonly error: WireError;
      readonly measure: AttemptMeasure | null;
      readonly cost: { readonly costUsd: number; readonly energyWh: number };
      readonly nowMs: number;
    }
  | { readonly kind: "end"; readonly state: "cancelled" | "failed"; readonly error: WireError };

export type JobEffect =
  | {
      readonly kind: "dispatch";
      readonly id: AttemptId;
      readonly planned: PlannedStep;
      readonly inputs: Readonly<Record<string, PassedValue>>;
      readonly avoidInstances: ReadonlySet<string>;
      /** Number of the repeat: 0 = at once, above = back off. */
      readonly repeat: number;
    }
  | {
      readonly kind: "emit";
      readonly event: JobEventName;
      readonly data: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "abort-attempts"; readonly error: WireError }
  | {
      readonly kind: "finish";
      readonly state: TerminalState;
      readonly output: PassedValue | null;
      readonly error: (WireError & { readonly step?: string }) | null;
    };

export interface ItemRun {
  state: "pending" | "running" | "done";
  attempt: number;
  readonly failedInstances: Set<string>;
  outputs: Readonly<Record<string, PassedValue>> | null;
  readyAtMs: number;
}

/** Running sums of a step, for the receipt. */
export interface StepRun {
  readonly planned: PlannedStep;
  state: "waiting" | "running" | "done";
  items: ItemRun[];
  doneCount: number;
  outputs: Readonly<Record<string, PassedValue>> | null;
  readonly nodes: Set<string>;
  lastPlace: AttemptPlace | null;
  attemptsMax: number;
  queueMs: number;
  runMs: number;
  cpuSec: number | null;
  memoryBytesMax: number | null;
  costUsd: number;
  energyWh: number;
}

export class JobMachine {
  readonly plan: JobPlan;
  readonly steps: ReadonlyMap<string, StepRun>;
  private readonly inputs: Readonly<Record<string, PassedValue>>;
  private isFinished = false;

  constructor(plan: JobPlan, inputs: Readonly<Record<string, PassedValue>>) {
    this.plan = plan;
    this.inputs = inputs;
    this.steps = new Map(plan.steps.map((planned) => [planned.step, newStepRun(planned)]));
  }

  get finished(): boolean {
    return this.isFinished;
  }

  step(input: JobInput): readonly JobEffect[] {
    switch (input.kind) {
      case "begin":
        return this.isFinished
          ? []
          : [{ kind: "emit", event: "started", data: {} }, ...this.startReady(input.nowMs)];
      case "attempt-started":
        return this.onStarted(input);
      case "attempt-finished":
        return this.onFinished(input);
      case "attempt-failed":
        return this.onFailed(input);
      case "end":
        return this.finish(input.state, null, input.error);
      default:
        return assertNever(input);
    }
  }

  private startReady(nowMs: number): readonly JobEffect[] {
    const effects: JobEffect[] = [];
    let hasProgress = true;
    // A step over an empty list is done at once and may make its successors ready.
    while (hasProgress && !this.isFinished) {
      hasProgress = false;
      for (const run of this.steps.values()) {
        if (run.state !== "waiting" || !this.isReady(run.planned)) continue;
        effects.push(...this.startStep(run, nowMs));
        hasProgress = true;
      }
    }
    if (!this.isFinished && [...this.steps.values()].every((run) => run.state === "done")) {
      effects.push(...this.finish("succeeded", this.sourceValue(this.plan.output), null));
    }
    return effects;
  }

  private isReady(planned: PlannedStep): boolean {
    return Object.values(planned.inputs).every(
      (source) => source.kind === "input" || this.steps.get(source.step)?.state === "done",
    );
  }

  private startStep(run: StepRun, nowMs: number): readonly JobEffect[] {
    const { planned } = run;
    const source = planned.fanOut === undefined ? undefined : planned.inputs[planned.fanOut];
    const count = source === undefined ? 1 : countOf(this.sourceValue(source));
    if (count > FAN_OUT_ITEMS_MAX) {
      return this.finish("failed", null, {
        code: "FAN_OUT_LIMIT",
        message: `step "${planned.step}" would fan out over ${count} items, expected at most ${FAN_OUT_ITEMS_MAX}`,
        retryable: false,
        step: planned.step,
      });
    }
    run.state = "running";
    run.items = Array.from({ length: count }, () => newItemRun(nowMs));
    const effects: JobEffect[] = [
      {
        kind: "emit",
        event: "step-started",
        data: { step: planned.step, executor: planned.executor, total: count },
      },
    ];
    for (let item = 0; item < count; item += 1) effects.push(this.dispatch(run, item, 0));
    if (count === 0) effects.push(...this.completeStep(run));
    return effects;
  }

  private dispatch(run: StepRun, item: number, repeat: number): JobEffect {
    const itemRun = run.items[item];
    assert(itemRun !== undefined && itemRun.attempt < ATTEMPTS_MAX, "J2");
    itemRun.attempt += 1;
    run.attemptsMax = Math.max(run.attemptsMax, itemRun.attempt);
    itemRun.state = "pending";
    const inputs: Record<string, PassedValue> = {};
    for (const [name, source] of Object.entries(run.planned.inputs)) {
      const value = this.sourceValue(source);
      inputs[name] = name === run.planned.fanOut ? itemOf(value, item) : value;
    }
    return {
      kind: "dispatch",
      id: { step: run.planned.step, item, attempt: itemRun.attempt },
      planned: run.planned,
      inputs,
      avoidInstances: new Set(itemRun.failedInstances),
      repeat,
    };
  }

  private sourceValue(source: PlannedStep["inputs"][string]): PassedValue {
    const value =
      source.kind === "input"
        ? this.inputs[source.input]
        : this.steps.get(source.step)?.outputs?.[source.output];
    assert(value !== undefined, `J1: no value for ${JSON.stringify(source)}`);
    return value;
  }

  private current(id: AttemptId): { run: StepRun; item: ItemRun } | null {
    const run = this.steps.get(id.step);
    const item = run?.items[id.item];
    if (this.isFinished || run === undefined || item === undefined) return null;
    if (item.attempt !== id.attempt || item.state === "done") return null;
    return { run, item };
  }

  private onStarted({ id, place }: Extract<JobInput, { kind: "attempt-started" }>) {
    const current = this.current(id);
    if (current === null) return [];
    current.item.state = "running";
    return [emit("attempt-started", { ...id, ...place })];
  }

  private onFinished(input: Extract<JobInput, { kind: "attempt-finished" }>): readonly JobEffect[] {
    const { id, place, measure } = input;
    this.book(id, input);
    const current = this.current(id);
    if (current === null) return []; // J4
    const { run, item } = current;
    item.state = "done";
    item.outputs = input.outputs;
    run.doneCount += 1;
    run.lastPlace = place;
    run.nodes.add(place.node);
    run.queueMs += Math.max(0, input.nowMs - item.readyAtMs - measure.runMs);
    const effects: JobEffect[] = [
      emit("attempt-finished", {
        ...id,
        ...place,
        runMs: measure.runMs,
        cpuSec: measure.cpuSec,
        startedAtMs: measure.startedAtMs,
        endedAtMs: measure.endedAtMs,
        done: run.doneCount,
        total: run.items.length,
      }),
    ];
    if (run.doneCount === run.items.length) effects.push(...this.completeStep(run));
    effects.push(...this.startReady(input.nowMs));
    return effects;
  }

  private completeStep(run: StepRun): readonly JobEffect[] {
    run.state = "done";
    run.outputs = gather(
      run.planned,
      run.items.map((item) => item.outputs),
    );
    return [
      emit("step-finished", {
        step: run.planned.step,
        done: run.doneCount,
        total: run.items.length,
        runMs: run.runMs,
      }),
    ];
  }

  private onFailed(input: Extract<JobInput, { kind: "attempt-failed" }>): readonly JobEffect[] {
    const { id, place, error } = input;
    this.book(id, input);
    const current = this.current(id);
    if (current === null) return []; // J4
    const { run, item } = current;
    if (place !== null) item.failedInstances.add(place.instance);
    const willRetry = error.retryable && item.attempt < ATTEMPTS_MAX;
    const failed = emit("attempt-failed", { ...id, ...place, error, willRetry });
    if (willRetry) return [failed, this.dispatch(run, id.item, item.attempt)];
    return [failed, ...this.finish("failed", null, { ...error, step: id.step })];
  }

  /** The bill counts every attempt, failed and superseded ones too. */
  private book(
    id: AttemptId,
    input: Extract<JobInput, { kind: "attempt-finished" | "attempt-failed" }>,
  ): void {
    const run = this.steps.get(id.step);
    if (run === undefined) return;
    run.costUsd += input.cost.costUsd;
    run.energyWh += input.cost.energyWh;
    if (input.measure === null) return;
    run.runMs += input.measure.runMs;
    const { cpuSec, memoryBytesMax } = input.measure;
    if (cpuSec !== null) run.cpuSec = (run.cpuSec ?? 0) + cpuSec;
    if (memoryBytesMax !== null) {
      run.memoryBytesMax = Math.max(run.memoryBytesMax ?? 0, memoryBytesMax);
    }
  }

  private finish(
    state: TerminalState,
    output: PassedValue | null,
    error: (WireError & { readonly step?: string }) | null,
  ): readonly JobEffect[] {
    if (this.isFinished) return []; // J3
    this.isFinished = true;
    const effects: JobEffect[] = [];
    if (error !== null) effects.push({ kind: "abort-attempts", error });
    effects.push({ kind: "finish", state, output, error });
    return effects;
  }
}

function emit(event: JobEventName, data: Readonly<Record<string, unknown>>): JobEffect {
  return { kind: "emit", event, data };
}

function newItemRun(readyAtMs: number): ItemRun {
  return { state: "pending", attempt: 0, failedInstances: new Set(), outputs: null, readyAtMs };
}

function newStepRun(planned: PlannedStep): StepRun {
  return {
    planned,
    state: "waiting",
    items: [],
    doneCount: 0,
    outputs: null,
    nodes: new Set(),
    lastPlace: null,
    attemptsMax: 0,
    queueMs: 0,
    runMs: 0,
    cpuSec: null,
    memoryBytesMax: null,
    costUsd: 0,
    energyWh: 0,
  };
}
