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
import type { ActiveJob, Rates } from "@murakkab/core";
import {
  assertNever,
  type Cancel,
  type Deadline,
  deadlineAfter,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import type { JobPlan, JobStatus, PlannedStep, Receipt, TerminalState } from "@murakkab/model";
import {
  type AttemptReply,
  type EventDetail,
  JOB_DEADLINE_MS_DEFAULT,
  type JobEvent,
  type JobEventName,
  type JobRecord,
  type JournaledEvent,
} from "@murakkab/protocol";
import { type JobEffect, type JobInput, JobMachine, type SettledStage } from "./job-machine.ts";
import { ArtifactHolds, type HoldsComponents } from "./job-run/artifact-holds.ts";
import { AttemptSender, type SenderComponents } from "./job-run/attempt-sender.ts";
import { forecastOf } from "./job-run/forecast.ts";
import { JobBudget } from "./job-run/job-budget.ts";
import { type EntrySink, JobLog } from "./job-run/job-log.ts";
import { StepGate, type StepGateComponents } from "./job-run/step-gate.ts";
import { whereabouts } from "./job-run/whereabouts.ts";
import { FencedError } from "./journal/partition-journal.ts";
import { makeReceipt } from "./receipt.ts";

export type { EntrySink } from "./job-run/job-log.ts";

export interface JobRunComponents extends SenderComponents, HoldsComponents, StepGateComponents {
  /** Tells everyone who listens; called once the event is stored. `text` is the event as JSON. */
  readonly publishEvent: (event: JobEvent, text: string) => void;
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

/**
 * Jobs without a latency SLO are due this long after they were accepted, ms: behind every SLO that
 * someone waits for, and before what comes ten minutes later, so that they are never starved.
 */
const DUE_MS_DEFAULT = 10 * 60_000;

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

export class JobRun {
  private readonly parts: JobRunComponents;
  private readonly settings: JobRunSettings;
  private readonly machine: JobMachine;
  private readonly deadline: Deadline;
  private readonly acceptedAtMs: number;
  private readonly log: JobLog;
  private readonly holds: ArtifactHolds;
  private readonly sender: AttemptSender;
  private readonly budget: JobBudget | null;
  private readonly gate: StepGate;
  private readonly cancelDeadline: Cancel;
  /** Fed while another input is taken: machine and effects see one at a time. */
  private readonly queue: JobInput[] = [];
  private isFeeding = false;
  private currentStatus: JobStatus;
  private finishing: Promise<void> | null = null;
  private isDetached = false;

  constructor(components: JobRunComponents, settings: JobRunSettings) {
    const { record, past } = settings;
    this.parts = components;
    this.settings = settings;
    const asksFirst = StepGate.isNeeded(record, components.rechooser);
    this.machine = new JobMachine(record.status.plan ?? NO_PLAN, record.inputValues, { asksFirst });
    const deadlineMs = record.submission.deadlineMs ?? JOB_DEADLINE_MS_DEFAULT;
    // Time in which nobody had the job is not counted: no clock that both owners share tells it.
    const spentMs = past.at(-1)?.event.sinceMs ?? 0;
    this.acceptedAtMs = components.clock.monotonicMs() - spentMs;
    this.deadline = deadlineAfter(components.clock, Math.max(0, deadlineMs - spentMs));
    this.currentStatus = past.length > 1 ? { ...record.status, state: "running" } : record.status;
    const nowMs = (): number => this.nowMs;
    const onRefused = (): void => {
      this.isDetached = true;
    };
    this.log = new JobLog(components, { ...settings, nowMs, onRefused });
    this.holds = new ArtifactHolds(components, this.jobId);
    const { machine } = this;
    this.budget = JobBudget.of(record.submission.slo);
    this.gate = new StepGate(components, { record, machine, budget: this.budget, nowMs });
    this.sender = new AttemptSender(components, {
      ...{ record, sink: settings.sink, rates: settings.rates, holds: this.holds, nowMs },
      deadline: this.deadline,
      dueAtMs: this.acceptedAtMs + (record.submission.slo.latencyMsMax ?? DUE_MS_DEFAULT),
      plan: () => this.machine.plan,
      budget: this.budget,
      onStarved: ({ planned, batchItems }) =>
        this.feed(this.gate.starved(planned, batchItems ?? 1)),
      feed: (input) => this.feed(input),
    });
    for (const [artifact, nodes] of Object.entries(record.holders)) {
      for (const node of nodes) this.holds.hold(artifact, node);
    }
    this.machine.replay(past);
    this.budget?.replay(machine.steps, past);
    for (const it of past) this.holds.replay(it);
    const { clock } = components;
    this.cancelDeadline = clock.after(this.deadline.remainingMs(), () =>
      this.onDeadline(deadlineMs),
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
    const isReplanned = this.machine.replans.length > 0;
    const plan = isReplanned ? this.machine.plan : this.currentStatus.plan;
    return { ...this.currentStatus, plan, stepStates };
  }

  /** The plan as it ran, and what its drafts came to. */
  get outcome(): { readonly plan: JobPlan; readonly stages: readonly SettledStage[] } {
    const { plan, stages } = this.machine;
    return { plan, stages };
  }

  /** What is still to come by its plan; null where nothing was predicted or it has ended. */
  get forecast(): ActiveJob | null {
    const { plan } = this.machine;
    const { predicted } = plan;
    if (predicted === undefined || this.machine.finished) return null;
    return forecastOf([...this.machine.steps.values()], predicted, {
      latencyMsMax: this.settings.record.submission.slo.latencyMsMax,
      elapsedMs: this.nowMs,
    });
  }

  /** The job as the journal has it, for whoever carries it forward. */
  get past(): { readonly record: JobRecord; readonly events: readonly JournaledEvent[] } {
    return { record: this.settings.record, events: this.log.events };
  }

  /** Events that are stored, as everyone sees them. */
  get storedEvents(): readonly JournaledEvent[] {
    return this.log.storedEvents;
  }

  /** Range of the journal that holds it; null before anything is stored, or when nothing ever is. */
  get range(): { readonly first: number; readonly last: number } | null {
    return this.isQuiet ? null : this.log.range;
  }

  /** Its entries were written again there: what lies before is no longer needed. */
  moved(range: { readonly first: number; readonly last: number }): void {
    this.log.moved(range);
  }

  /** Time since its first entry was written where it is now, ms; of this process's time. */
  get unmovedMs(): number {
    return this.log.unmovedMs;
  }

  /** Journals `accepted`; resolves once that is stored. Errors: FencedError. */
  accept(): Promise<void> {
    const { submission } = this.settings.record;
    return this.log.emit("accepted", {
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
    this.holds.keepPinned();
    this.prewarm();
    this.feed({ kind: "begin", nowMs: this.nowMs });
  }

  /** Goes on where the journal ends. */
  resume(): void {
    const hasPlan = this.log.events.some(({ event }) => event.event === "planned");
    if (!hasPlan) {
      this.begin();
      return;
    }
    this.currentStatus = { ...this.currentStatus, state: "running" };
    this.holds.keepPinned();
    this.feed({ kind: "resume", nowMs: this.nowMs });
  }

  /** Instances of what can start without waiting for a draft. */
  private prewarm(): void {
    const { executor, dispatcher, fleet } = this.parts;
    const wanted = byDepth(this.machine.wanted).flatMap((step) => {
      const entry = executor(step.executor);
      if (entry === undefined) return [];
      return [{ executor: entry, where: whereabouts(this.settings.record, step, fleet) }];
    });
    dispatcher.prewarm(wanted);
  }

  fail(error: WireError): void {
    this.feed({ kind: "end", state: "failed", error });
  }

  /** Another owner has the job, or the process ends: attempts are left to their workers. */
  detach(): void {
    this.isDetached = true;
    this.cancelDeadline();
    this.holds.stop();
    this.sender.detach();
  }

  /** A result that came another way than as the answer to our ask. False: nobody waits for it. */
  deliver(key: string, reply: AttemptReply): boolean {
    return this.sender.deliver(key, reply);
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

  private feed(input: JobInput): void {
    this.queue.push(input);
    if (this.isFeeding) return;
    this.isFeeding = true;
    try {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
        if (this.isDetached) continue;
        for (const effect of this.machine.step(next)) this.apply(effect);
      }
    } finally {
      this.isFeeding = false;
    }
  }

  private apply(effect: JobEffect): void {
    switch (effect.kind) {
      case "emit":
        this.emitFreely(effect.event, effect.data, effect.detail);
        if (effect.event === "stage-settled" && effect.data["isSure"] === false) this.prewarm();
        break;
      case "dispatch":
        this.sender.send(effect);
        break;
      case "forget-artifact":
        this.parts.shared?.invalidate(effect.artifact);
        this.holds.forget(effect.artifact);
        break;
      case "abort-attempts":
        if (effect.ids === undefined) this.sender.abortAll(effect.error);
        else this.sender.abort(effect.ids, effect.error);
        break;
      case "boundary":
        this.feed(this.gate.answer(effect.at));
        break;
      case "finish":
        this.finishing = this.finish(effect).catch((error: unknown) => {
          // Without its last entry the job is unfinished: the next owner of its partition ends it.
          const fields = { event: "job.not-ended", jobId: this.jobId, err: error };
          this.parts.log.error(fields, "the end of a job could not be stored");
        });
        break;
      default:
        assertNever(effect);
    }
  }

  /** Without waiting: entries of a job are stored in order, and the terminal one is waited for. */
  private emitFreely(
    event: JobEventName,
    data: Readonly<Record<string, unknown>>,
    detail?: EventDetail,
  ): void {
    if (this.isQuiet) return;
    this.log.write(event, data, detail, {
      resolve: () => undefined,
      reject: (error) => this.onNotStored(error),
    });
  }

  private onNotStored(error: unknown): void {
    if (error instanceof FencedError || this.isDetached) return; // the new owner goes on
    this.fail(toWireError(error));
  }

  private async finish(effect: Extract<JobEffect, { kind: "finish" }>): Promise<void> {
    this.cancelDeadline();
    this.sender.stop();
    const receipt = makeReceipt({
      record: this.settings.record,
      machine: this.machine,
      overrun: this.budget?.overrun ?? null,
      latencyMs: this.nowMs,
      effect,
      rates: this.settings.rates,
      energyMethod: this.settings.energyMethod,
    });
    const state = receipt.state satisfies TerminalState;
    try {
      await this.log.emit(state, { receipt });
    } catch (error) {
      if (error instanceof FencedError || this.isDetached) return;
      throw error;
    }
    this.currentStatus = { ...this.status, state, receipt };
    this.holds.release();
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
