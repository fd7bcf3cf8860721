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
  assert,
  backoffMs,
  type Cancel,
  type Clock,
  type Deadline,
  deadlineAfter,
  every,
  type Logger,
  type Random,
  type WireError,
} from "@murakkab/kit";
import type {
  ArtifactHolder,
  ExecutorEntry,
  JobStatus,
  PlannedStep,
  Receipt,
  TerminalState,
} from "@murakkab/model";
import { isTerminalState } from "@murakkab/model";
import {
  type AttemptMeasure,
  type AttemptRequest,
  encode,
  JOB_DEADLINE_MS_DEFAULT,
  JOB_PIN_MS,
  type JobEventName,
  type PassedValue,
  SPILL_BYTES,
  subjects,
} from "@murakkab/protocol";
import type { AttemptHandle, Dispatcher } from "./dispatcher.ts";
import type { Fleet } from "./fleet.ts";
import type { JobJournal, JobRecord } from "./job-journal.ts";
import { type AttemptPlace, type JobEffect, JobMachine } from "./job-machine.ts";
import { artifactsIn } from "./passed-value.ts";
import type { ArtifactUplink } from "./ports.ts";
import { makeReceipt } from "./receipt.ts";

export interface JobRunComponents {
  readonly bus: Bus;
  readonly fleet: Fleet;
  readonly dispatcher: Dispatcher;
  readonly journal: JobJournal;
  readonly uplink: ArtifactUplink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly executor: (id: string) => ExecutorEntry | undefined;
}

export interface JobRunSettings {
  readonly record: JobRecord;
  readonly holders: ReadonlyMap<string, ReadonlySet<string>>;
  /** Number of the job's last event in the journal; 0 for a new job. */
  readonly lastEventNumber: number;
  readonly rates: Rates;
  readonly energyMethod: string;
  readonly onTerminal: (status: JobStatus) => void;
}

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
  private eventNumber: number;
  private currentStatus: JobStatus;
  private finishing: Promise<void> | null = null;

  constructor(components: JobRunComponents, settings: JobRunSettings) {
    const { record } = settings;
    assert(record.status.plan !== null, "a job runs only with a plan");
    this.parts = components;
    this.settings = settings;
    this.machine = new JobMachine(record.status.plan, record.inputValues);
    this.acceptedAtMs = components.clock.monotonicMs();
    const deadlineMs = record.submission.deadlineMs ?? JOB_DEADLINE_MS_DEFAULT;
    this.deadline = deadlineAfter(components.clock, deadlineMs);
    this.eventNumber = settings.lastEventNumber;
    this.currentStatus = record.status;
    for (const [artifact, nodes] of settings.holders) this.holders.set(artifact, new Set(nodes));
    this.timers.push(
      components.clock.after(deadlineMs, () => this.onDeadline(deadlineMs)),
      every(components.clock, JOB_PIN_MS / 3, () => this.pin()),
    );
  }

  get jobId(): string {
    return this.settings.record.submission.jobId;
  }

  get status(): JobStatus {
    const stepStates = Object.fromEntries(
      [...this.machine.steps].map(([step, run]) => [
        step,
        { done: run.doneCount, total: run.state === "waiting" ? 0 : run.items.length },
      ]),
    );
    return { ...this.currentStatus, stepStates };
  }

  /** Journals `accepted` (acknowledged when it resolves). */
  async accept(): Promise<void> {
    const { submission } = this.settings.record;
    await this.emit("accepted", {
      tenant: submission.tenant,
      description: submission.description ?? null,
      workflow: submission.workflow ?? null,
      inputCount: submission.inputs.length,
    });
  }

  begin(): void {
    const { plan } = this.settings.record.status;
    this.currentStatus = { ...this.currentStatus, state: "running" };
    void this.emit("planned", { plan });
    this.pin();
    const executors = byDepth(plan?.steps ?? []).flatMap((step) => {
      const entry = this.parts.executor(step.executor);
      return entry === undefined ? [] : [entry];
    });
    this.parts.dispatcher.prewarm(executors, this.labels);
    this.feed({ kind: "begin", nowMs: this.nowMs });
  }

  /** Holders that were found after a restart. */
  addHolders(holders: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const [artifact, nodes] of holders) {
      for (const node of nodes) this.hold(artifact, node);
    }
  }

  fail(error: WireError): void {
    this.feed({ kind: "end", state: "failed", error });
  }

  /** The process ends: no more timers, attempts are left to their workers. */
  detach(): void {
    for (const cancel of this.timers.splice(0)) cancel();
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
    return this.parts.clock.monotonicMs();
  }

  private get labels(): Readonly<Record<string, string>> {
    return this.settings.record.submission.constraints.labels ?? {};
  }

  private feed(input: Parameters<JobMachine["step"]>[0]): void {
    for (const effect of this.machine.step(input)) this.apply(effect);
  }

  private apply(effect: JobEffect): void {
    if (effect.kind === "emit") void this.emit(effect.event, effect.data);
    else if (effect.kind === "dispatch") this.dispatch(effect);
    else if (effect.kind === "abort-attempts") this.abortAttempts(effect.error);
    else this.finishing = this.finish(effect);
  }

  private emit(event: JobEventName, data: Readonly<Record<string, unknown>>): Promise<void> {
    this.eventNumber += 1;
    return this.parts.journal.append({
      jobId: this.jobId,
      number: this.eventNumber,
      event,
      at: new Date(this.parts.clock.wallMs()).toISOString(),
      sinceMs: Math.round((this.nowMs - this.acceptedAtMs) * 10) / 10,
      data,
    });
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
    const key = `${this.jobId}:${id.step}:${id.item}:${id.attempt}`;
    if (executor === undefined) {
      this.onFailed(effect, null, null, {
        code: "EXECUTOR_UNKNOWN",
        message: `executor ${planned.executor} is no longer in the library`,
        retryable: false,
      });
      return;
    }
    const handle = this.parts.dispatcher.submit({
      jobId: this.jobId,
      key,
      executor,
      labels: this.labels,
      avoidInstances: effect.avoidInstances,
      localBytes: this.localBytes(effect.inputs),
      deadline: this.deadline,
      makeRequest: (place) => this.makeRequest(effect, key, place),
      onStarted: (place) => this.feed({ kind: "attempt-started", id, place, nowMs: this.nowMs }),
      onFinished: (place, outputs, measure) => {
        this.handles.delete(key);
        this.onFinished(effect, { place, outputs, measure, executor });
      },
      onFailed: (place, error, measure) => {
        this.handles.delete(key);
        this.onFailed(effect, place, measure, error, executor);
      },
    });
    if (!this.machine.finished) this.handles.set(key, handle);
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
    const latencyMs = this.nowMs - this.acceptedAtMs;
    const receipt = makeReceipt({
      record: this.settings.record,
      steps: [...this.machine.steps.values()],
      latencyMs,
      effect,
      rates: this.settings.rates,
      energyMethod: this.settings.energyMethod,
    });
    const state = receipt.state satisfies TerminalState;
    await this.emit(state, { receipt });
    this.currentStatus = { ...this.status, state, receipt };
    await this.parts.journal.saveRecord({ ...this.settings.record, status: this.currentStatus });
    this.release();
    this.settings.onTerminal(this.currentStatus); // R1
    this.logEnd(receipt);
  }

  private logEnd(receipt: Receipt): void {
    this.parts.log.info(
      {
        event: `job.${receipt.state}`,
        jobId: this.jobId,
        latencyMs: Math.round(receipt.latencyMs),
        ...(receipt.error === undefined
          ? {}
          : { code: receipt.error.code, step: receipt.error.step }),
      },
      "job ended",
    );
  }

  /** Resolves when the terminal state is journaled. */
  async settled(): Promise<void> {
    await this.finishing;
  }

  private nodesOfJob(): readonly string[] {
    return [...new Set([...this.holders.values()].flatMap((nodes) => [...nodes]))].sort();
  }

  private pin(): void {
    if (isTerminalState(this.currentStatus.state)) return;
    for (const node of this.nodesOfJob()) {
      const artifacts = [...this.holders].filter(([, nodes]) => nodes.has(node)).map(([it]) => it);
      publishValue(this.parts.bus.messaging, subjects.artifactPin(node), {
        jobId: this.jobId,
        artifacts,
        holdMs: JOB_PIN_MS,
      });
    }
  }

  private release(): void {
    for (const node of this.parts.fleet.listNodes()) {
      publishValue(this.parts.bus.messaging, subjects.artifactRelease(node.registration.node), {
        jobId: this.jobId,
      });
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
