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
 *   J5. A result counts only for the inputs that it was made of: when those change, it runs again.
 *   J6. Replaying a job's events and resuming dispatches only what they do not show as done.
 */
import type { WireError } from "@murakkab/kit";
import {
  assert,
  assertNever,
  canonicalJson,
  hashText64,
  isRuntimeError,
  toWireError,
} from "@murakkab/kit";
import {
  isTerminalState,
  type JobPlan,
  type PlannedStep,
  type TerminalState,
} from "@murakkab/model";
import type {
  AttemptMeasure,
  EventDetail,
  JobEventName,
  JournaledEvent,
  PassedValue,
} from "@murakkab/protocol";
import {
  ATTEMPTS_MAX,
  FAN_OUT_ITEMS_MAX,
  RERUNS_MAX,
  TRANSIENT_FAILURES_MAX,
} from "@murakkab/protocol";
import { artifactsIn, countOf, gather, itemOf } from "./passed-value.ts";

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
  /** After `replay`: what the events do not show as done. */
  | { readonly kind: "resume"; readonly nowMs: number }
  | { readonly kind: "end"; readonly state: "cancelled" | "failed"; readonly error: WireError };

export type JobEffect =
  | {
      readonly kind: "dispatch";
      readonly id: AttemptId;
      readonly planned: PlannedStep;
      readonly inputs: Readonly<Record<string, PassedValue>>;
      readonly inputsHash: string;
      readonly avoidInstances: ReadonlySet<string>;
      /** Number of the repeat: 0 = at once, above = back off. */
      readonly repeat: number;
      /** A former owner sent it there: that instance is asked again, under the same key. */
      readonly resumeAt: AttemptPlace | null;
    }
  | {
      readonly kind: "emit";
      readonly event: JobEventName;
      readonly data: Readonly<Record<string, unknown>>;
      readonly detail?: EventDetail;
    }
  /** Nobody holds the artifact any more, as far as was known. */
  | { readonly kind: "forget-artifact"; readonly artifact: string }
  | { readonly kind: "abort-attempts"; readonly error: WireError }
  | {
      readonly kind: "finish";
      readonly state: TerminalState;
      readonly output: PassedValue | null;
      readonly error: (WireError & { readonly step?: string }) | null;
    };

export interface ItemRun {
  /** `blocked`: waits until a step that it needs has run again. */
  state: "blocked" | "pending" | "running" | "done";
  attempt: number;
  failureCount: number;
  transientCount: number;
  readonly failedInstances: Set<string>;
  outputs: Readonly<Record<string, PassedValue>> | null;
  /** Of the inputs that `outputs` were made of, or that the present attempt got. */
  inputsHash: string;
  place: AttemptPlace | null;
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
  private readonly hashes = new WeakMap<object, string>();
  private isBegun = false;
  private isFinished = false;
  private rerunCount = 0;
  /** From replayed events: the failure whose terminal event is missing. */
  private fatal: (WireError & { readonly step?: string }) | null = null;

  constructor(plan: JobPlan, inputs: Readonly<Record<string, PassedValue>>) {
    this.plan = plan;
    this.inputs = inputs;
    this.steps = new Map(plan.steps.map((planned) => [planned.step, newStepRun(planned)]));
  }

  get finished(): boolean {
    return this.isFinished;
  }

  /** Times that finished work was done again. */
  get reruns(): number {
    return this.rerunCount;
  }

  step(input: JobInput): readonly JobEffect[] {
    switch (input.kind) {
      case "begin":
        return this.isFinished ? [] : this.begin(input.nowMs);
      case "resume":
        return this.isFinished ? [] : this.resume(input.nowMs);
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

  private begin(nowMs: number): readonly JobEffect[] {
    this.isBegun = true;
    return [emit("started", {}), ...this.startReady(nowMs)];
  }

  private startReady(nowMs: number): readonly JobEffect[] {
    const effects: JobEffect[] = [];
    let hasProgress = true;
    // A step over an empty list is done at once and may make its successors ready.
    while (hasProgress && !this.isFinished) {
      hasProgress = false;
      for (const run of this.steps.values()) {
        if (!this.isReady(run.planned)) continue;
        if (run.state === "waiting") {
          effects.push(...this.startStep(run, nowMs));
          hasProgress = true;
        } else if (this.rerunCount > 0) {
          const again = this.verify(run, nowMs);
          effects.push(...again);
          hasProgress ||= again.length > 0;
        }
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
    let count: number;
    try {
      count = this.countItems(planned);
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      return this.finish("failed", null, { ...toWireError(error), step: planned.step });
    }
    if (count > FAN_OUT_ITEMS_MAX) {
      return this.finish("failed", null, {
        code: "FAN_OUT_LIMIT",
        message: `step "${planned.step}" would fan out over ${count} items, expected at most ${FAN_OUT_ITEMS_MAX}`,
        retryable: false,
        step: planned.step,
      });
    }
    openItems(run, count, nowMs);
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

  private countItems({ fanOut, inputs }: PlannedStep): number {
    const source = fanOut === undefined ? undefined : inputs[fanOut];
    return source === undefined ? 1 : countOf(this.sourceValue(source));
  }

  private dispatch(run: StepRun, item: number, repeat: number): JobEffect {
    const itemRun = run.items[item];
    assert(itemRun !== undefined && itemRun.state !== "running", "J2");
    itemRun.attempt += 1;
    return this.send(run, item, { repeat, resumeAt: null });
  }

  private send(
    run: StepRun,
    item: number,
    how: { readonly repeat: number; readonly resumeAt: AttemptPlace | null },
  ): JobEffect {
    const itemRun = run.items[item];
    assert(itemRun !== undefined, `no item ${item}`);
    run.attemptsMax = Math.max(run.attemptsMax, itemRun.attempt);
    itemRun.state = how.resumeAt === null ? "pending" : "running";
    const inputs = this.inputsOf(run.planned, item);
    itemRun.inputsHash = this.hashInputs(run.planned, inputs);
    return {
      kind: "dispatch",
      id: { step: run.planned.step, item, attempt: itemRun.attempt },
      planned: run.planned,
      inputs,
      inputsHash: itemRun.inputsHash,
      avoidInstances: new Set(itemRun.failedInstances),
      ...how,
    };
  }

  private inputsOf(planned: PlannedStep, item: number): Record<string, PassedValue> {
    const inputs: Record<string, PassedValue> = {};
    for (const [name, source] of Object.entries(planned.inputs)) {
      const value = this.sourceValue(source);
      inputs[name] = name === planned.fanOut ? itemOf(value, item) : value;
    }
    return inputs;
  }

  private hashInputs(
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
    current.item.place = place;
    const { inputsHash } = current.item;
    return [emit("attempt-started", { ...id, ...place, inputsHash })];
  }

  private onFinished(input: Extract<JobInput, { kind: "attempt-finished" }>): readonly JobEffect[] {
    const { id, place, measure } = input;
    this.book(id, input);
    const current = this.current(id);
    if (current === null) return []; // J4
    const { run, item } = current;
    this.markDone(run, item, input);
    const { outputs, cost } = input;
    const effects: JobEffect[] = [
      emit(
        "attempt-finished",
        {
          ...id,
          ...place,
          runMs: measure.runMs,
          cpuSec: measure.cpuSec,
          startedAtMs: measure.startedAtMs,
          endedAtMs: measure.endedAtMs,
          done: run.doneCount,
          total: run.items.length,
          inputsHash: item.inputsHash,
        },
        { outputs, measure, cost },
      ),
    ];
    if (run.doneCount === run.items.length) effects.push(...this.completeStep(run));
    effects.push(...this.startReady(input.nowMs));
    return effects;
  }

  private markDone(
    run: StepRun,
    item: ItemRun,
    result: {
      readonly place: AttemptPlace;
      readonly outputs: Readonly<Record<string, PassedValue>>;
      readonly measure: AttemptMeasure;
      readonly nowMs: number;
    },
  ): void {
    item.state = "done";
    item.outputs = result.outputs;
    run.doneCount += 1;
    run.lastPlace = result.place;
    run.nodes.add(result.place.node);
    run.queueMs += Math.max(0, result.nowMs - item.readyAtMs - result.measure.runMs);
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
    const { id, place, error, measure, cost } = input;
    this.book(id, input);
    const current = this.current(id);
    if (current === null) return []; // J4
    const { run, item } = current;
    const artifact = lostArtifact(error);
    this.countFailure(item, place, error);
    const mayRetry =
      item.failureCount < ATTEMPTS_MAX && item.transientCount < TRANSIENT_FAILURES_MAX;
    const willRetry = error.retryable && mayRetry && this.rerunCount < RERUNS_MAX;
    const failed = emit("attempt-failed", { ...id, ...place, error, willRetry }, { measure, cost });
    if (!willRetry) return [failed, ...this.finish("failed", null, { ...error, step: id.step })];
    item.state = "pending";
    const repeat = item.failureCount + item.transientCount;
    if (artifact === null) return [failed, this.dispatch(run, id.item, repeat)];
    const effects: JobEffect[] = [failed, { kind: "forget-artifact", artifact }];
    const producers = this.rerunProducers(artifact);
    if (producers.length === 0) return [...effects, this.dispatch(run, id.item, repeat)];
    item.state = "blocked";
    return [...effects, ...producers];
  }

  private countFailure(item: ItemRun, place: AttemptPlace | null, error: WireError): void {
    if (TRANSIENT_CODES.has(error.code)) {
      item.transientCount += 1;
      return;
    }
    item.failureCount += 1;
    if (place !== null) item.failedInstances.add(place.instance);
  }

  /** Every item whose result holds the artifact runs again. */
  private rerunProducers(artifact: string): readonly JobEffect[] {
    const effects: JobEffect[] = [];
    for (const run of this.steps.values()) {
      const items = run.items.flatMap((item, index) =>
        item.state === "done" && holdsArtifact(item.outputs, artifact) ? [index] : [],
      );
      if (items.length === 0) continue;
      effects.push(emit("step-rerun", { step: run.planned.step, items, artifact }));
      effects.push(...this.rerun(run, items));
    }
    return effects;
  }

  private rerun(run: StepRun, items: readonly number[]): readonly JobEffect[] {
    this.reset(run, items);
    // What it needs itself may be on its way again, too.
    if (!this.isReady(run.planned)) {
      for (const index of items) {
        const item = run.items[index];
        if (item !== undefined) item.state = "blocked";
      }
      return [];
    }
    return items.map((index) => this.dispatch(run, index, 0));
  }

  private reset(run: StepRun, items: readonly number[]): void {
    this.rerunCount += items.length;
    run.state = "running";
    run.outputs = null;
    for (const index of items) {
      const item = run.items[index];
      if (item?.state !== "done") continue;
      item.state = "pending";
      item.outputs = null;
      run.doneCount -= 1;
    }
  }

  /** J5. For a step whose sources are done: what waits for them goes on, what changed runs again. */
  private verify(run: StepRun, nowMs: number): readonly JobEffect[] {
    // Its list has another length now: none of its items is what it was.
    if (this.countItems(run.planned) !== run.items.length) return this.startStep(run, nowMs);
    const effects: JobEffect[] = [];
    const changed: number[] = [];
    for (const [index, item] of run.items.entries()) {
      if (item.state === "blocked") effects.push(this.dispatch(run, index, 0));
      if (item.state !== "done") continue;
      const inputs = this.inputsOf(run.planned, index);
      if (this.hashInputs(run.planned, inputs) !== item.inputsHash) changed.push(index);
    }
    if (changed.length === 0) return effects;
    const { step } = run.planned;
    return [
      ...effects,
      emit("step-rerun", { step, items: changed, reason: "its inputs changed" }),
      ...this.rerun(run, changed),
    ];
  }

  // ---- resume --------------------------------------------------------------------------------

  /** Brings a fresh machine to where these events left the job. Effects are not repeated (J6). */
  replay(journaled: readonly JournaledEvent[]): void {
    for (const it of journaled) this.replayOne(it);
  }

  private replayOne({ event: { event, data, sinceMs }, detail }: JournaledEvent): void {
    const id = data as unknown as AttemptId & AttemptPlace;
    const run = this.steps.get(id.step);
    const item = run?.items[id.item];
    if (event === "started") this.isBegun = true;
    if (isTerminalState(event as TerminalState)) this.isFinished = true;
    if (run === undefined) return;
    if (event === "step-started") {
      openItems(run, Number(data["total"]), sinceMs);
    } else if (event === "step-finished") this.completeStep(run);
    else if (event === "step-rerun") this.reset(run, data["items"] as readonly number[]);
    if (item === undefined) return;
    const place = { instance: id.instance, node: id.node };
    if (event === "attempt-started") {
      item.attempt = id.attempt;
      run.attemptsMax = Math.max(run.attemptsMax, id.attempt);
      item.state = "running";
      item.place = place;
    } else if (event === "attempt-finished" || event === "attempt-failed") {
      item.attempt = id.attempt;
      const measure = detail?.measure ?? null;
      this.book(id, { measure, cost: detail?.cost ?? { costUsd: 0, energyWh: 0 } });
      if (event === "attempt-finished" && measure !== null) {
        item.inputsHash = String(data["inputsHash"]);
        this.markDone(run, item, {
          place,
          outputs: detail?.outputs ?? {},
          measure,
          nowMs: sinceMs,
        });
      } else this.replayFailure(item, id, data);
    }
  }

  private replayFailure(
    item: ItemRun,
    id: AttemptId & Partial<AttemptPlace>,
    data: Readonly<Record<string, unknown>>,
  ): void {
    const error = data["error"] as WireError;
    item.state = "pending";
    item.place = null;
    const { instance, node, step } = id;
    const place = instance === undefined || node === undefined ? null : { instance, node };
    this.countFailure(item, place, error);
    if (data["willRetry"] !== true) this.fatal = { ...error, step };
  }

  /** J6. */
  private resume(nowMs: number): readonly JobEffect[] {
    if (this.fatal !== null) return this.finish("failed", null, this.fatal);
    if (!this.isBegun) return this.begin(nowMs);
    const effects: JobEffect[] = [];
    for (const run of this.steps.values()) {
      if (run.state !== "running") continue;
      if (this.isReady(run.planned) && this.countItems(run.planned) !== run.items.length) continue;
      // Its last item was journaled, its end was not.
      if (run.doneCount === run.items.length) {
        effects.push(...this.completeStep(run));
        continue;
      }
      for (const [index, item] of run.items.entries()) {
        item.readyAtMs = nowMs;
        if (item.state === "done") continue;
        if (!this.isReady(run.planned)) item.state = "blocked";
        else if (item.state === "running" && item.place !== null) {
          effects.push(this.send(run, index, { repeat: 0, resumeAt: item.place }));
        } else {
          item.state = "pending";
          effects.push(this.dispatch(run, index, 0));
        }
      }
    }
    // J5 for all that is done: an input may have changed while nobody looked.
    for (const run of this.steps.values()) {
      if (run.state !== "waiting" && this.isReady(run.planned)) {
        effects.push(...this.verify(run, nowMs));
      }
    }
    return [...effects, ...this.startReady(nowMs)];
  }

  /** The bill counts every attempt, failed and superseded ones too. */
  private book(
    id: AttemptId,
    input: {
      readonly measure: AttemptMeasure | null;
      readonly cost: { readonly costUsd: number; readonly energyWh: number };
    },
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

/** Failures that say nothing about the work: they have a bound of their own. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  "ARTIFACT_LOST",
  "MAILBOX_FULL",
  "NODE_LEAVING",
  "SPOOL_FULL",
  "UNAVAILABLE",
]);

function lostArtifact(error: WireError): string | null {
  if (error.code !== "ARTIFACT_LOST") return null;
  const artifact = error.context?.["artifact"];
  return typeof artifact === "string" ? artifact : null;
}

function holdsArtifact(
  outputs: Readonly<Record<string, PassedValue>> | null,
  artifact: string,
): boolean {
  if (outputs === null) return false;
  return Object.values(outputs).some((value) =>
    artifactsIn(value).some((ref) => ref.artifact === artifact),
  );
}

function emit(
  event: JobEventName,
  data: Readonly<Record<string, unknown>>,
  detail?: EventDetail,
): JobEffect {
  return { kind: "emit", event, data, ...(detail === undefined ? {} : { detail }) };
}

/** Fresh items. Attempts of earlier ones may still answer: theirs have lower numbers (J4). */
function openItems(run: StepRun, count: number, nowMs: number): void {
  run.state = "running";
  run.doneCount = 0;
  run.outputs = null;
  run.items = Array.from({ length: count }, () => ({
    ...newItemRun(nowMs),
    attempt: run.attemptsMax,
  }));
}

function newItemRun(readyAtMs: number): ItemRun {
  return {
    state: "pending",
    attempt: 0,
    failureCount: 0,
    transientCount: 0,
    failedInstances: new Set(),
    outputs: null,
    inputsHash: "",
    place: null,
    readyAtMs,
  };
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
