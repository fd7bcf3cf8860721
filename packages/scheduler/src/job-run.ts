/**
 * One job that is being executed: the machine, its clock, its bill and its journal.
 *
 * Owns:      turning the machine's effects into dispatches, events, pins and the receipt.
 * Does not:  decide what runs next (job-machine.ts) or where (dispatcher.ts).
 *
 * Invariants:
 *   R1. The terminal state is told to waiters only after its event is acknowledged.
 *   R2. Artifacts of the job stay pinned until the terminal state.
 */
import type { Bus } from "@murakkab/bus";
import { publishValue } from "@murakkab/bus";
import { attemptCost, type Rates } from "@murakkab/core";
import {
  backoffMs,
  type Cancel,
  type Clock,
  type Deadline,
  deadlineAfter,
  every,
  type Logger,
  type Random,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import type {
  ArtifactHolder,
  ExecutorEntry,
  JobPlan,
  JobStatus,
  PlannedStep,
  Receipt,
  TerminalState,
} from "@murakkab/model";
import { isTerminalState } from "@murakkab/model";
import {
  type AttemptMeasure,
  type AttemptReply,
  type AttemptRequest,
  type EventDetail,
  encode,
  JOB_DEADLINE_MS_DEFAULT,
  JOB_PIN_MS,
  type JobEvent,
  type JobEventName,
  type JobRecord,
  type JournalEntry,
  type JournaledEvent,
  type PassedValue,
  SPILL_BYTES,
  subjects,
} from "@murakkab/protocol";
import type { AttemptHandle, Dispatcher } from "./dispatcher.ts";
import type { Fleet } from "./fleet.ts";
import { type AttemptPlace, type JobEffect, JobMachine } from "./job-machine.ts";
import { FencedError, type Stored } from "./journal/partition-journal.ts";
import { artifactsIn } from "./passed-value.ts";
import type { ArtifactUplink } from "./ports.ts";
import { makeReceipt } from "./receipt.ts";

export interface JobRunComponents {
  readonly bus: Bus;
  readonly fleet: Fleet;
  readonly dispatcher: Dispatcher;
  readonly uplink: ArtifactUplink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly executor: (id: string) => ExecutorEntry | undefined;
  /** Tells everyone who listens; called once the event is stored. `text` is the event as JSON. */
  readonly publishEvent: (event: JobEvent, text: string) => void;
  /** Asks the agents who holds an artifact now. */
  readonly locate: (artifact: string) => Promise<readonly string[]>;
}

/** Where a job's entries go: its partition's journal, or nowhere for one that is not durable. */
export interface EntrySink {
  /** Resolves with the sequence under which they are stored. Errors: FencedError. */
  append(entries: readonly JournalEntry[]): Promise<number>;
  /** The same without a promise. */
  add(entries: readonly JournalEntry[], stored: Stored): void;
}

export interface JobRunSettings {
  readonly record: JobRecord;
  readonly sink: EntrySink;
  /** What the journal has of it; empty for a new job. */
  readonly past: readonly JournaledEvent[];
  /** Sequence of the job's first entry; null for a new one. */
  readonly firstSequence: number | null;
  readonly rates: Rates;
  readonly energyMethod: string;
  /** The terminal event is stored. Resolves when the job can be found without this run. */
  readonly onTerminal: (run: JobRun) => Promise<void>;
}

/** Of a job whose record can't be read: nothing of it runs. */
const NO_PLAN: JobPlan = {
  workflow: "unknown",
  planner: "named",
  steps: [],
  inputs: {},
  output: { kind: "input", input: "" },
  outputType: "unknown",
  notes: [],
};

const RETRY_BACKOFF = { baseMs: 50, maxMs: 2_000 };

export class JobRun {
  private readonly parts: JobRunComponents;
  private readonly settings: JobRunSettings;
  private readonly machine: JobMachine;
  private readonly deadline: Deadline;
  private readonly acceptedAtMs: number;
  private readonly holders = new Map<string, Set<string>>();
  private readonly handles = new Map<string, AttemptHandle>();
  private readonly timers: Cancel[] = [];
  private readonly journaled: JournaledEvent[];
  private firstSequence: number | null;
  private storedSequence = 0;
  private storedCount: number;
  private currentStatus: JobStatus;
  private finishing: Promise<void> | null = null;
  private isDetached = false;
  private movedAtMs: number;
  private isPinning = false;

  constructor(components: JobRunComponents, settings: JobRunSettings) {
    const { record, past } = settings;
    this.parts = components;
    this.settings = settings;
    this.machine = new JobMachine(record.status.plan ?? NO_PLAN, record.inputValues);
    const deadlineMs = record.submission.deadlineMs ?? JOB_DEADLINE_MS_DEFAULT;
    // Time in which nobody had the job is not counted: no clock that both owners share tells it.
    const spentMs = past.at(-1)?.event.sinceMs ?? 0;
    this.acceptedAtMs = components.clock.monotonicMs() - spentMs;
    this.deadline = deadlineAfter(components.clock, Math.max(0, deadlineMs - spentMs));
    this.movedAtMs = components.clock.monotonicMs();
    this.journaled = [...past];
    this.storedCount = past.length;
    this.firstSequence = settings.firstSequence;
    this.currentStatus = past.length > 1 ? { ...record.status, state: "running" } : record.status;
    for (const [artifact, nodes] of Object.entries(record.holders)) {
      for (const node of nodes) this.hold(artifact, node);
    }
    this.machine.replay(past);
    for (const it of past) this.replayHolders(it);
    this.timers.push(
      components.clock.after(this.deadline.remainingMs(), () => this.onDeadline(deadlineMs)),
    );
  }

  /** One that is not durable tells its beginning and its end only. */
  private get isQuiet(): boolean {
    return this.settings.record.submission.durable === false;
  }

  get jobId(): string {
    return this.settings.record.submission.jobId;
  }

  get status(): JobStatus {
    const stepStates = Object.fromEntries(
      [...this.machine.steps].map(([step, run]) => [
        step,
        { done: run.doneCount, total: run.total },
      ]),
    );
    return { ...this.currentStatus, stepStates };
  }

  /** The job as the journal has it, for whoever carries it forward. */
  get past(): { readonly record: JobRecord; readonly events: readonly JournaledEvent[] } {
    return { record: this.settings.record, events: this.journaled };
  }

  /** Events that are stored, as everyone sees them. */
  get storedEvents(): readonly JournaledEvent[] {
    return this.journaled.slice(0, this.storedCount);
  }

  /** Range of the journal that holds it; null before anything is stored, or when nothing ever is. */
  get range(): { readonly first: number; readonly last: number } | null {
    if (this.firstSequence === null || this.isQuiet) return null;
    return { first: this.firstSequence, last: this.storedSequence };
  }

  /** Its entries were written again there: what lies before is no longer needed. */
  moved({ first, last }: { readonly first: number; readonly last: number }): void {
    this.firstSequence = first;
    this.storedSequence = last;
    this.movedAtMs = this.parts.clock.monotonicMs();
  }

  /** Time since its first entry was written where it is now, ms; of this process's time. */
  get unmovedMs(): number {
    return this.parts.clock.monotonicMs() - this.movedAtMs;
  }

  /** Journals `accepted`; resolves once that is stored. Errors: FencedError. */
  accept(): Promise<void> {
    const { submission } = this.settings.record;
    return this.emit("accepted", {
      tenant: submission.tenant,
      description: submission.description ?? null,
      workflow: submission.workflow ?? null,
      inputCount: submission.inputs.length,
    });
  }

  /** Starts what can start. Only pure work runs before `accepted` is stored. */
  begin(): void {
    const { plan } = this.settings.record.status;
    this.currentStatus = { ...this.currentStatus, state: "running" };
    this.emitFreely("planned", { plan });
    this.keepPinned();
    this.parts.dispatcher.prewarm(this.executors(), this.labels);
    this.feed({ kind: "begin", nowMs: this.nowMs });
  }

  /** Goes on where the journal ends. */
  resume(): void {
    const hasPlan = this.journaled.some(({ event }) => event.event === "planned");
    if (!hasPlan) {
      this.begin();
      return;
    }
    this.currentStatus = { ...this.currentStatus, state: "running" };
    this.keepPinned();
    this.feed({ kind: "resume", nowMs: this.nowMs });
  }

  private executors(): readonly ExecutorEntry[] {
    return byDepth(this.settings.record.status.plan?.steps ?? []).flatMap((step) => {
      const entry = this.parts.executor(step.executor);
      return entry === undefined ? [] : [entry];
    });
  }

  fail(error: WireError): void {
    this.feed({ kind: "end", state: "failed", error });
  }

  /** Another owner has the job, or the process ends: attempts are left to their workers. */
  detach(): void {
    this.isDetached = true;
    for (const cancel of this.timers.splice(0)) cancel();
    for (const handle of this.handles.values()) handle.forget();
    this.handles.clear();
  }

  /** A result that came another way than as the answer to our ask. False: nobody waits for it. */
  deliver(key: string, reply: AttemptReply): boolean {
    return this.handles.get(key)?.deliver(reply) ?? false;
  }

  cancel(reason: string): void {
    const error = { code: "CANCELLED", message: reason, retryable: false };
    this.feed({ kind: "end", state: "cancelled", error });
  }

  private onDeadline(deadlineMs: number): void {
    this.feed({
      kind: "end",
      state: "failed",
      error: {
        code: "DEADLINE_EXCEEDED",
        message: `job ${this.jobId} was not done within its deadline of ${deadlineMs} ms`,
        retryable: false,
      },
    });
  }

  private get nowMs(): number {
    return this.parts.clock.monotonicMs() - this.acceptedAtMs;
  }

  private get labels(): Readonly<Record<string, string>> {
    return this.settings.record.submission.constraints.labels ?? {};
  }

  private feed(input: Parameters<JobMachine["step"]>[0]): void {
    if (this.isDetached) return;
    for (const effect of this.machine.step(input)) this.apply(effect);
  }

  private apply(effect: JobEffect): void {
    if (effect.kind === "emit") this.emitFreely(effect.event, effect.data, effect.detail);
    else if (effect.kind === "dispatch") this.dispatch(effect);
    else if (effect.kind === "forget-artifact") this.forget(effect.artifact);
    else if (effect.kind === "abort-attempts") this.abortAttempts(effect.error);
    else {
      this.finishing = this.finish(effect).catch((error: unknown) => {
        // Without its last entry the job is unfinished: the next owner of its partition ends it.
        const fields = { event: "job.not-ended", jobId: this.jobId, err: error };
        this.parts.log.error(fields, "the end of a job could not be stored");
      });
    }
  }

  /** Without waiting: entries of a job are stored in order, and the terminal one is waited for. */
  private emitFreely(
    event: JobEventName,
    data: Readonly<Record<string, unknown>>,
    detail?: EventDetail,
  ): void {
    if (this.isQuiet) return;
    this.write(event, data, detail, {
      resolve: () => undefined,
      reject: (error) => this.onNotStored(error),
    });
  }

  private onNotStored(error: unknown): void {
    if (error instanceof FencedError || this.isDetached) return; // the new owner goes on
    this.fail(toWireError(error));
  }

  /** Resolves once the event is stored; then it is told to everyone. */
  private emit(name: JobEventName, data: Readonly<Record<string, unknown>>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.write(name, data, undefined, { resolve: () => resolve(), reject });
    });
  }

  private write(
    name: JobEventName,
    data: Readonly<Record<string, unknown>>,
    detail: EventDetail | undefined,
    { resolve, reject }: Stored,
  ): void {
    const event: JobEvent = {
      jobId: this.jobId,
      number: (this.journaled.at(-1)?.event.number ?? 0) + 1,
      event: name,
      at: new Date(this.parts.clock.wallMs()).toISOString(),
      sinceMs: Math.round(this.nowMs * 10) / 10,
      data,
    };
    const journaled: JournaledEvent = detail === undefined ? { event } : { event, detail };
    this.journaled.push(journaled);
    const text = JSON.stringify(event); // once, for the journal and for those who listen
    this.settings.sink.add([this.entryOf(journaled, text)], {
      resolve: (sequence) => {
        this.firstSequence ??= sequence;
        this.storedSequence = Math.max(this.storedSequence, sequence);
        this.storedCount += 1;
        this.parts.publishEvent(event, text);
        resolve(sequence);
      },
      reject: (error) => {
        // The job was never accepted: nothing may follow.
        if (event.number === 1) this.isDetached = true;
        reject(error);
      },
    });
  }

  private entryOf(journaled: JournaledEvent, text: string): JournalEntry {
    const { event } = journaled;
    if (event.number === 1) return { kind: "accepted", event, record: this.settings.record };
    // The plan is in the record already.
    if (event.event === "planned") return { kind: "event", event: { ...event, data: {} } };
    return { kind: "event", text, ...journaled };
  }

  private dispatch(effect: Extract<JobEffect, { kind: "dispatch" }>): void {
    if (effect.repeat === 0) {
      this.submit(effect);
      return;
    }
    const waitMs = backoffMs(effect.repeat, RETRY_BACKOFF, this.parts.random);
    this.timers.push(
      this.parts.clock.after(waitMs, () => {
        if (!this.machine.finished) this.submit(effect);
      }),
    );
  }

  private submit(effect: Extract<JobEffect, { kind: "dispatch" }>): void {
    const { id, planned } = effect;
    const executor = this.parts.executor(planned.executor);
    const key = `${this.jobId}:${id.step}:${id.item}:${effect.inputsHash}`;
    if (executor === undefined) {
      this.onFailed(effect, null, null, {
        code: "EXECUTOR_UNKNOWN",
        message: `executor ${planned.executor} is no longer in the library`,
        retryable: false,
      });
      return;
    }
    const handle = this.parts.dispatcher.submit({
      tenant: this.settings.record.submission.tenant,
      resumeAt: effect.resumeAt,
      executor,
      labels: this.labels,
      avoidInstances: effect.avoidInstances,
      localBytes: this.localBytes(effect.inputs),
      deadline: this.deadline,
      makeRequest: (place) => this.makeRequest(effect, key, place),
      onStarted: (place) => this.onStarted(effect, place, executor),
      onFinished: (place, outputs, measure) => {
        this.handles.delete(key);
        this.onFinished(effect, { place, outputs, measure, executor });
      },
      onFailed: (place, error, measure) => {
        this.handles.delete(key);
        this.onFailed(effect, place, measure, error, executor);
      },
    });
    if (!this.machine.finished && !handle.isSettled) this.handles.set(key, handle);
  }

  /** Work with effects starts only once the journal says so: whoever resumes will ask for it. */
  private async onStarted(
    { id }: Extract<JobEffect, { kind: "dispatch" }>,
    place: AttemptPlace,
    executor: ExecutorEntry,
  ): Promise<void> {
    this.feed({ kind: "attempt-started", id, place, nowMs: this.nowMs });
    if (!executor.isPure) await this.settings.sink.append([]);
  }

  private async makeRequest(
    effect: Extract<JobEffect, { kind: "dispatch" }>,
    key: string,
    place: AttemptPlace,
  ): Promise<Omit<AttemptRequest, "remainingMs">> {
    const inputs: Record<string, PassedValue> = {};
    for (const [name, value] of Object.entries(effect.inputs)) {
      inputs[name] = await this.pack(value, place);
    }
    const refs = Object.values(effect.inputs).flatMap((value) => artifactsIn(value));
    const packed = Object.values(inputs).flatMap((value) => artifactsIn(value));
    const unique = new Map([...refs, ...packed].map((ref) => [ref.artifact, ref]));
    return {
      jobId: this.jobId,
      ...effect.id,
      key,
      inputs,
      knobs: effect.planned.knobs,
      ...(effect.batchItems === undefined ? {} : { batchItems: effect.batchItems }),
      artifacts: [...unique.values()].map((ref) => ({
        ...ref,
        holders: this.holdersOf(ref.artifact),
      })),
    };
  }

  /** A value that is too large for a message travels as an artifact on the node that needs it. */
  private async pack(value: PassedValue, place: AttemptPlace): Promise<PassedValue> {
    if (value.kind === "spilled" || value.kind === "packed") return value;
    const data = encode(value, "json");
    if (data.length <= SPILL_BYTES) return value;
    const url = this.parts.fleet.node(place.node)?.registration.artifactUrl ?? "";
    const artifact = await this.parts.uplink.put(
      { node: place.node, url },
      { jobId: this.jobId, data, mediaType: "application/json" },
    );
    this.hold(artifact.artifact, place.node);
    return { kind: "packed", artifact };
  }

  private holdersOf(artifact: string): ArtifactHolder[] {
    return [...(this.holders.get(artifact) ?? [])].sort().flatMap((node) => {
      const url = this.parts.fleet.node(node)?.registration.artifactUrl;
      return url === undefined ? [] : [{ node, url }];
    });
  }

  private hold(artifact: string, node: string): void {
    const nodes = this.holders.get(artifact);
    if (nodes === undefined) this.holders.set(artifact, new Set([node]));
    else nodes.add(node);
    this.keepPinned();
  }

  private replayHolders({ event, detail }: JournaledEvent): void {
    const node = event.data["node"];
    if (detail?.outputs === undefined || typeof node !== "string") return;
    const refs = Object.values(detail.outputs).flatMap((value) => artifactsIn(value));
    for (const ref of refs) this.hold(ref.artifact, node);
  }

  /** Nobody had it when it was asked for: the next attempt learns who has it now. */
  private forget(artifact: string): void {
    this.holders.delete(artifact);
    this.parts.locate(artifact).then(
      (nodes) => {
        for (const node of nodes) this.hold(artifact, node);
      },
      (error: unknown) =>
        this.parts.log.warn(
          { event: "artifact.not-located", jobId: this.jobId, artifact, err: error },
          "artifact not located",
        ),
    );
  }

  private localBytes(inputs: Readonly<Record<string, PassedValue>>): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const ref of Object.values(inputs).flatMap((value) => artifactsIn(value))) {
      for (const node of this.holders.get(ref.artifact) ?? []) {
        bytes.set(node, (bytes.get(node) ?? 0) + ref.bytes);
      }
    }
    return bytes;
  }

  private onFinished(
    effect: Extract<JobEffect, { kind: "dispatch" }>,
    result: {
      readonly place: AttemptPlace;
      readonly outputs: Readonly<Record<string, PassedValue>>;
      readonly measure: AttemptMeasure;
      readonly executor: ExecutorEntry;
    },
  ): void {
    const { place, outputs, measure, executor } = result;
    const produced = Object.values(outputs).flatMap((value) => artifactsIn(value));
    const consumed = Object.values(effect.inputs).flatMap((value) => artifactsIn(value));
    for (const ref of [...produced, ...consumed]) this.hold(ref.artifact, place.node);
    const cost = attemptCost(executor, measure, this.settings.rates);
    this.feed({
      kind: "attempt-finished",
      id: effect.id,
      place,
      outputs,
      measure,
      cost,
      nowMs: this.nowMs,
    });
  }

  private onFailed(
    effect: Extract<JobEffect, { kind: "dispatch" }>,
    place: AttemptPlace | null,
    measure: AttemptMeasure | null,
    error: WireError,
    executor?: ExecutorEntry,
  ): void {
    const cost =
      measure === null || executor === undefined
        ? { costUsd: 0, energyWh: 0 }
        : attemptCost(executor, measure, this.settings.rates);
    const { id } = effect;
    this.feed({ kind: "attempt-failed", id, place, error, measure, cost, nowMs: this.nowMs });
  }

  private abortAttempts(error: WireError): void {
    for (const handle of [...this.handles.values()]) handle.abort(error);
    this.handles.clear();
  }

  private async finish(effect: Extract<JobEffect, { kind: "finish" }>): Promise<void> {
    for (const cancel of this.timers.splice(0)) cancel();
    const receipt = makeReceipt({
      record: this.settings.record,
      steps: [...this.machine.steps.values()],
      reruns: this.machine.reruns,
      latencyMs: this.nowMs,
      effect,
      rates: this.settings.rates,
      energyMethod: this.settings.energyMethod,
    });
    const state = receipt.state satisfies TerminalState;
    try {
      await this.emit(state, { receipt });
    } catch (error) {
      if (error instanceof FencedError || this.isDetached) return;
      throw error;
    }
    this.currentStatus = { ...this.status, state, receipt };
    this.release();
    await this.settings.onTerminal(this); // R1
    this.logEnd(receipt);
  }

  private logEnd({ state, error, latencyMs }: Receipt): void {
    const { log } = this.parts;
    const fields = { event: `job.${state}`, jobId: this.jobId, latencyMs: Math.round(latencyMs) };
    // A line per success would be a fifth of what a busy scheduler writes to anyone.
    if (error === undefined) log.debug(fields, "job ended");
    else log.info({ ...fields, code: error.code, step: error.step }, "job ended");
  }

  /** Resolves when the terminal state is journaled. */
  async settled(): Promise<void> {
    await this.finishing;
  }

  private nodesOfJob(): readonly string[] {
    return [...new Set([...this.holders.values()].flatMap((nodes) => [...nodes]))].sort();
  }

  /** Once there is something to pin. */
  private keepPinned(): void {
    if (this.isPinning || this.isDetached || this.holders.size === 0) return;
    this.isPinning = true;
    this.pin();
    this.timers.push(every(this.parts.clock, JOB_PIN_MS / 3, () => this.pin()));
  }

  private pin(): void {
    if (isTerminalState(this.currentStatus.state)) return;
    for (const node of this.nodesOfJob()) {
      const artifacts = [...this.holders].filter(([, nodes]) => nodes.has(node)).map(([it]) => it);
      this.tellAgent(subjects.artifactPin(node), {
        jobId: this.jobId,
        artifacts,
        holdMs: JOB_PIN_MS,
      });
    }
  }

  private release(): void {
    if (this.holders.size === 0) return;
    for (const node of this.parts.fleet.listNodes()) {
      this.tellAgent(subjects.artifactRelease(node.registration.node), { jobId: this.jobId });
    }
  }

  private tellAgent(subject: string, value: unknown): void {
    try {
      publishValue(this.parts.bus.messaging, subject, value);
    } catch (error) {
      // The bus is away: pins outlast that, and the next one follows.
      this.parts.log.debug({ event: "pin.not-sent", subject, err: error }, "not sent");
    }
  }
}

/** Steps in the order in which they can start: instances of the first ones are wanted first. */
function byDepth(steps: readonly PlannedStep[]): readonly PlannedStep[] {
  const depths = new Map<string, number>();
  for (const step of steps) {
    const sources = Object.values(step.inputs).map((source) =>
      source.kind === "input" ? 0 : (depths.get(source.step) ?? 0) + 1,
    );
    depths.set(step.step, Math.max(0, ...sources));
  }
  return [...steps].sort((a, b) => (depths.get(a.step) ?? 0) - (depths.get(b.step) ?? 0));
}
