/**
 * All jobs of this scheduler: intake, runs, and what clients may ask about them.
 *
 * Invariants:
 *   V1. Every accepted job is found by get, wait and events until retention ends.
 *   V2. After a restart every job without a terminal event runs again.
 *   V3. A job whose terminal event is stored never gets another one.
 */
import type { Bus } from "@murakkab/bus";
import type { Rates } from "@murakkab/core";
import {
  type Cancel,
  isRuntimeError,
  NotFoundError,
  toWireError,
  type WireError,
} from "@murakkab/kit";
import { isTerminalState, type JobReply, type JobStatus, type Receipt } from "@murakkab/model";
import type { SubmitRequest } from "@murakkab/protocol";
import type { Intake, PreparedJob } from "./intake.ts";
import type { JobJournal, JobRecord } from "./job-journal.ts";
import { JobRun, type JobRunComponents } from "./job-run.ts";

export interface JobServiceSettings {
  readonly rates: Rates;
  readonly energyMethod: string;
}

/** Finished jobs kept in memory; older ones are read from the store. */
const FINISHED_KEPT_COUNT = 1_000;

export class JobService {
  private readonly parts: JobRunComponents & {
    readonly intake: Intake;
    readonly journal: JobJournal;
    readonly bus: Bus;
  };
  private readonly settings: JobServiceSettings;
  private readonly runs = new Map<string, JobRun>();
  private readonly finished = new Map<string, JobStatus>();
  private readonly waiters = new Map<string, Set<(status: JobStatus) => void>>();
  private readonly recovering: { readonly run: JobRun; readonly record: JobRecord }[] = [];
  /** Same id or key submitted twice at the same moment: the second waits for the first. */
  private readonly submitting = new Map<string, Promise<JobReply>>();

  constructor(parts: JobService["parts"], settings: JobServiceSettings) {
    this.parts = parts;
    this.settings = settings;
  }

  get activeCount(): number {
    return this.runs.size;
  }

  /** Runs again what a former process left unfinished (V2). Returns their number. */
  async recover(): Promise<number> {
    let count = 0;
    for (const jobId of await this.parts.journal.recordIds()) {
      const record = await this.parts.journal.loadRecord(jobId);
      if (record === null) continue;
      if (isTerminalState(record.status.state)) {
        this.keepFinished(record.status);
        continue;
      }
      const last = await this.parts.journal.lastEvent(jobId);
      const receipt = last?.data["receipt"] as Receipt | undefined;
      if (receipt !== undefined) {
        // The former process ended between the terminal event and its record (V3).
        const status = { ...record.status, state: receipt.state, receipt };
        await this.parts.journal.saveRecord({ ...record, status });
        this.keepFinished(status);
        continue;
      }
      const run = this.makeRun(record, new Map(), last?.number ?? 0);
      if (last === null) await run.accept();
      // Started once agents have registered: their inputs' holders may have changed meanwhile.
      this.recovering.push({ run, record });
      count += 1;
    }
    return count;
  }

  /** Starts recovered jobs once agents have registered; their inputs are located then. */
  async startRecovered(
    locate: (record: JobRecord) => Promise<ReadonlyMap<string, ReadonlySet<string>>>,
  ): Promise<void> {
    for (const { run, record } of this.recovering.splice(0)) {
      try {
        run.addHolders(await locate(record));
        run.begin();
      } catch (error) {
        run.fail(toFailure(error));
      }
    }
  }

  async submit(request: SubmitRequest): Promise<JobReply> {
    const { jobId, idempotencyKey, tenant } = request;
    const key = idempotencyKey === undefined ? jobId : `${tenant ?? ""}\n${idempotencyKey}`;
    if (key === undefined) return this.submitOnce(request);
    const pending = this.submitting.get(key);
    if (pending !== undefined) return pending;
    const reply = this.submitOnce(request);
    this.submitting.set(key, reply);
    try {
      return await reply;
    } finally {
      this.submitting.delete(key);
    }
  }

  private async submitOnce(request: SubmitRequest): Promise<JobReply> {
    const { intake, journal } = this.parts;
    const { jobId, isNew } = await intake.identify(request, this.runs.size);
    if (!isNew) return this.repeatReply(jobId);
    const prepared = await intake.prepare(request, jobId);
    const claimed = await intake.claim(request, jobId);
    if (claimed !== jobId) {
      const earlier = await journal.loadRecord(claimed);
      if (earlier !== null) return this.repeatReply(claimed);
      // The key was claimed by a submission that died before it was journaled: this one takes over.
      await intake.reclaim(request, jobId);
    }
    if ((await journal.createRecord(prepared.record)) === "exists") return this.repeatReply(jobId);
    return this.start(prepared);
  }

  private async start({ record, plan, notes, holders }: PreparedJob): Promise<JobReply> {
    const run = this.makeRun(record, holders, 0);
    await run.accept();
    run.begin();
    const { jobId } = record.submission;
    return { jobId, decision: "accepted", plan, ...(notes.length === 0 ? {} : { notes }) };
  }

  private async repeatReply(jobId: string): Promise<JobReply> {
    const { plan } = await this.get(jobId);
    if (plan === null) throw new NotFoundError(`job ${jobId} has no plan`);
    return { jobId, decision: "accepted", plan, notes: [`job ${jobId} was accepted before`] };
  }

  /** The plan that a submission would get; nothing is journaled or run. */
  async plan(request: SubmitRequest): Promise<JobReply> {
    const { jobId } = await this.parts.intake.identify(request, 0);
    const { plan, notes } = await this.parts.intake.prepare(request, jobId);
    return { jobId, decision: "accepted", plan, ...(notes.length === 0 ? {} : { notes }) };
  }

  private makeRun(
    record: JobRecord,
    holders: ReadonlyMap<string, ReadonlySet<string>>,
    lastEventNumber: number,
  ): JobRun {
    const { jobId } = record.submission;
    const run = new JobRun(this.parts, {
      record,
      holders,
      lastEventNumber,
      ...this.settings,
      onTerminal: (status) => {
        this.runs.delete(jobId);
        this.keepFinished(status);
        for (const tell of this.waiters.get(jobId) ?? []) tell(status);
        this.waiters.delete(jobId);
      },
    });
    this.runs.set(jobId, run);
    return run;
  }

  private keepFinished(status: JobStatus): void {
    this.finished.set(status.jobId, status);
    if (this.finished.size <= FINISHED_KEPT_COUNT) return;
    const oldest = this.finished.keys().next().value;
    if (oldest !== undefined) this.finished.delete(oldest);
  }

  /** Errors: `NOT_FOUND`. */
  async get(jobId: string): Promise<JobStatus> {
    const known = this.runs.get(jobId)?.status ?? this.finished.get(jobId);
    if (known !== undefined) return known;
    const record = await this.parts.journal.loadRecord(jobId);
    if (record === null) throw new NotFoundError(`job ${jobId} is not known`, { field: "jobId" });
    return record.status;
  }

  /** The terminal state, or the present one after `timeoutMs`. */
  async wait(jobId: string, timeoutMs: number): Promise<JobStatus> {
    const status = await this.get(jobId);
    if (isTerminalState(status.state)) return status;
    return new Promise((resolve) => {
      let cancelTimer: Cancel = () => undefined;
      const tell = (terminal: JobStatus): void => {
        cancelTimer();
        resolve(terminal);
      };
      const waiters = this.waiters.get(jobId) ?? new Set();
      this.waiters.set(jobId, waiters.add(tell));
      cancelTimer = this.parts.clock.after(timeoutMs, () => {
        waiters.delete(tell);
        resolve(this.runs.get(jobId)?.status ?? status);
      });
    });
  }

  async cancel(jobId: string, reason: string): Promise<JobStatus> {
    const run = this.runs.get(jobId);
    if (run === undefined) return this.get(jobId);
    run.cancel(reason);
    await run.settled();
    return this.get(jobId);
  }

  list(limit: number): readonly JobStatus[] {
    const all = [...this.finished.values(), ...[...this.runs.values()].map((run) => run.status)];
    return all.sort((a, b) => b.acceptedAtMs - a.acceptedAtMs).slice(0, limit);
  }

  /** Ends the process's part: runs stay unfinished in the store and are taken up by the next one. */
  stop(): void {
    for (const run of this.runs.values()) run.detach();
    this.runs.clear();
  }
}

function toFailure(error: unknown): WireError {
  return isRuntimeError(error)
    ? toWireError(error)
    : { code: "INTERNAL", message: String(error), retryable: false };
}
