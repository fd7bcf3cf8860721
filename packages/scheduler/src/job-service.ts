/**
 * The jobs of the partitions that this scheduler owns: submission, runs, and what clients may ask.
 *
 * Owns:      the runs, who waits for their ends, and recently finished jobs.
 * Does not:  know who owns a partition (ownership.ts) or how requests get here (job-router.ts).
 *
 * Invariants:
 *   V1. Every accepted job is found by get, wait and events until retention ends.
 *   V2. A job of a taken partition goes on where its journal ends; what is journaled is not done
 *       again.
 *   V3. A job whose terminal event is stored never gets another one.
 *   V4. A job is answered as accepted only after its first entry is stored.
 *   V5. The same job id or idempotency key gives the same job.
 */
import type { Log } from "@murakkab/bus";
import type { ActiveJob, Rates } from "@murakkab/core";
import {
  type Cancel,
  canonicalJson,
  delay,
  isRuntimeError,
  NotFoundError,
  type Random,
  sha256Hex,
  TerminalError,
  UnavailableError,
} from "@murakkab/kit";
import {
  isTerminalState,
  type JobReply,
  type JobStatus,
  type PlanExplanation,
  type Receipt,
} from "@murakkab/model";
import {
  type AttemptResult,
  type JobEvent,
  type JobRecord,
  type JournaledEvent,
  partitionOf,
  SCHEDULER_LOST_AFTER_MS,
  type SubmitRequest,
  subjects,
  withPartition,
} from "@murakkab/protocol";
import type { Admission } from "./admission.ts";
import { DEFAULT_TENANT, type Intake, type Preparation, type PreparedJob } from "./intake.ts";
import { type EntrySink, JobRun, type JobRunComponents } from "./job-run.ts";
import { type FoldedJob, type FoldedPartition, foldPartition } from "./journal/fold-partition.ts";
import type { IndexedJob, JobIndex } from "./journal/job-index.ts";
import { carried, type OwnedPartition, restoreEvents } from "./journal/owned-partition.ts";
import { FencedError } from "./journal/partition-journal.ts";
import type { Ownership } from "./ownership.ts";
import type { JobPlanner } from "./planning/job-planner.ts";

export interface JobServiceComponents extends JobRunComponents {
  readonly intake: Intake;
  readonly planner: JobPlanner;
  /** Told of each job that succeeded, for whoever learns from it. */
  readonly onSucceeded?: (run: JobRun) => void;
  readonly admission: Admission;
  readonly index: JobIndex;
  readonly journal: Log;
  readonly random: Random;
  /** Keeps bytes that can't be read, for whoever looks into it. */
  readonly quarantine: (key: string, data: Uint8Array) => Promise<void>;
}

export interface JobServiceSettings {
  readonly rates: Rates;
  readonly energyMethod: string;
  readonly partitionCount: number;
}

/** Finished jobs kept in memory; older ones are read from the store. */
const FINISHED_KEPT_COUNT = 1_000;
/** One answer of `job.events` stays well below the usual payload limit, bytes. */
const EVENTS_ANSWER_BYTES = 512 * 1024;
/** A job whose first entry lies further behind is written again, so that marks can move on. */
const CARRY_DISTANCE = 8_192;
/** And was there for this long, ms. */
const CARRY_AGE_MS = 30_000;
/** Jobs that are written again at a time. */
const CARRY_COUNT_MAX = 128;

/**
 * A key whose job is not journaled after this time belongs to a submission that died: by then its
 * scheduler is known to be lost, and its partition is fenced. ms.
 */
const CLAIM_WAIT_MS = 2 * SCHEDULER_LOST_AFTER_MS;
const CLAIM_PAUSE_MS = 50;

/** A job that is not durable: it lives and ends with this process. */
const VOLATILE_SINK: EntrySink = {
  append: () => Promise.resolve(0),
  add: (_entries, { resolve }) => resolve(0),
};

export class JobService {
  private readonly parts: JobServiceComponents;
  private readonly settings: JobServiceSettings;
  private readonly ids: Random;
  private ownership!: Ownership;
  private readonly runs = new Map<string, JobRun>();
  private readonly finished = new Map<string, JobStatus>();
  private readonly waiters = new Map<string, Set<(status: JobStatus) => void>>();
  /** Counted by admission. */
  private readonly counted = new Set<JobRun>();
  /** Taken over, and not resumed before the fleet is known. */
  private readonly resuming = new Set<JobRun>();
  /** Same id or key submitted twice at the same moment: the second waits for the first. */
  private readonly submitting = new Map<string, Promise<JobReply>>();
  private mayResume = false;

  constructor(components: JobServiceComponents, settings: JobServiceSettings) {
    this.parts = components;
    this.settings = settings;
    this.ids = components.random.stream("job-ids");
  }

  /** Ownership tells this service what it has; this service asks where new jobs go. */
  useOwnership(ownership: Ownership): void {
    this.ownership = ownership;
  }

  get activeCount(): number {
    return this.runs.size;
  }

  /** What is predicted of jobs that have not ended; those without a prediction are not seen. */
  activeJobs(): readonly ActiveJob[] {
    return [...this.runs.values()].flatMap((run) => run.forecast ?? []);
  }

  // ---- partitions ----------------------------------------------------------------------------

  /** V2. */
  async onTaken(owned: OwnedPartition, folded: FoldedPartition): Promise<void> {
    for (const { sequence, reason, data } of folded.corrupt) {
      await this.putAway({ partition: owned.partition, sequence, reason, data });
    }
    let hasUnfinished = false;
    for (const job of folded.jobs.values()) {
      if (this.adoptFinished(owned, job)) continue;
      this.takeUp(owned, job);
      hasUnfinished = true;
    }
    // Written at once: from here on no former owner can write what we have not read.
    if (hasUnfinished) await owned.journal.append([]);
    if (this.mayResume) this.resumeAll();
  }

  /** Those that are over are put into the index again. */
  onReadAgain(owned: OwnedPartition, folded: FoldedPartition): void {
    for (const job of folded.jobs.values()) this.adoptFinished(owned, job);
  }

  private async putAway(batch: {
    readonly partition: number;
    readonly sequence: number;
    readonly reason: string;
    readonly data: Uint8Array;
  }): Promise<void> {
    const { partition, sequence, reason } = batch;
    const key = `${partition}.${sequence}`;
    this.parts.log.error(
      { event: "journal.corrupt", partition, sequence, reason, quarantine: key },
      "journal entry can't be read, it was put away",
    );
    await this.parts.quarantine(key, batch.data);
  }

  /** V3. True when the job needs nothing more. */
  private adoptFinished(owned: OwnedPartition, job: FoldedJob): boolean {
    const last = job.events.at(-1)?.event;
    const receipt = last?.data["receipt"] as Receipt | undefined;
    if (last === undefined || receipt === undefined) return false;
    // Its first entries are below the mark: then it is in the index, by the mark's invariant.
    if (job.record === null) return true;
    const status = { ...job.record.status, state: receipt.state, receipt };
    this.keepFinished(status);
    const indexed = toIndexed(status, { first: job.firstSequence, last: job.lastSequence });
    void this.index(owned, indexed);
    return true;
  }

  private takeUp(owned: OwnedPartition, job: FoldedJob): void {
    const { jobId } = job;
    const record = job.record ?? unreadableRecord(jobId, this.parts.clock.wallMs());
    const run = this.makeRun(owned, record, {
      past: restoreEvents(record, job.events),
      firstSequence: job.firstSequence,
    });
    if (job.broken === null) {
      this.resuming.add(run);
      return;
    }
    run.fail({
      code: "JOURNAL_CORRUPT",
      message: `the journal of job ${jobId} can't be read: ${job.broken}`,
      retryable: false,
    });
  }

  /** From now on the fleet is known: what was taken over goes on. */
  startResuming(): void {
    this.mayResume = true;
    this.resumeAll();
  }

  private resumeAll(): void {
    const runs = [...this.resuming];
    this.resuming.clear();
    for (const run of runs) run.resume();
    if (runs.length > 0) {
      this.parts.log.info({ event: "jobs.resumed", count: runs.length }, "unfinished jobs go on");
    }
  }

  /** Another scheduler owns it: its jobs go on there. */
  onDropped(owned: OwnedPartition): void {
    for (const [jobId, run] of owned.runs) {
      if (this.runs.get(jobId) === run) this.runs.delete(jobId);
      this.resuming.delete(run);
      if (run.past.record.submission.durable === false) {
        run.fail({
          code: "OWNER_CHANGED",
          message: "the job is not durable, and its scheduler gave its partition away",
          retryable: true,
        });
        continue;
      }
      run.detach();
      this.uncount(run);
      // Whoever waits asks again, and is sent to the new owner.
      this.tellWaiters(jobId, run.status);
    }
    owned.runs.clear();
  }

  /** Once per run, whether it ended, failed to be accepted or went elsewhere. */
  private uncount(run: JobRun): void {
    if (!this.counted.delete(run)) return;
    this.parts.admission.leave(run.past.record.submission.tenant);
  }

  /** Jobs that began long ago are written again, so that little must be read at a takeover. */
  carryOld(): void {
    let carriedCount = 0;
    const settledSequence = this.ownership.lastSeenSequence;
    for (const owned of this.ownership.all()) {
      for (const run of owned.runs.values()) {
        const { range } = run;
        if (range === null || range.first === 0 || owned.isClosing) continue;
        if (settledSequence - range.first < CARRY_DISTANCE) continue;
        // A backlog passes by in seconds, and writing all of it again would only lengthen it.
        if (run.unmovedMs < CARRY_AGE_MS) continue;
        if (carriedCount >= CARRY_COUNT_MAX) return;
        carriedCount += 1;
        owned.journal.append([carried(run.jobId, run.past)]).then(
          (sequence) => run.moved({ first: sequence, last: sequence }),
          () => undefined, // fenced: the new owner has it
        );
      }
    }
  }

  // ---- submission ----------------------------------------------------------------------------

  /** The partition that a submission must go to; null = any, this scheduler picks one. */
  partitionFor({ jobId }: SubmitRequest): number | null {
    return jobId === undefined ? null : partitionOf(jobId, this.settings.partitionCount);
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
    const earlier = await this.findEarlier(request);
    if (earlier !== null) return earlier; // V5
    const tenant = request.tenant ?? DEFAULT_TENANT;
    const { admission } = this.parts;
    admission.check(tenant);
    const jobId = request.jobId ?? this.newJobId();
    admission.enter(tenant);
    let run: JobRun | null = null;
    try {
      const preparation = await this.parts.intake.prepare(request, jobId);
      if (preparation.kind === "refused") return refusedReply(jobId, preparation);
      const prepared = preparation.job;
      const key = idempotencyHash(request);
      const claimed = key === null ? null : await this.claim(key, jobId);
      if (claimed !== null) return claimed;
      run = this.makeRun(this.ownedOf(jobId), prepared.record, { past: [], firstSequence: null });
      return await this.start(run, prepared);
    } finally {
      // From here on it is counted with its run.
      if (run === null) admission.leave(tenant);
    }
  }

  private newJobId(): string {
    const partition = this.ownership.hotPartition();
    if (partition === null) throw new UnavailableError("this scheduler owns no partition yet");
    return withPartition(this.ids.uuid(), partition);
  }

  private async findEarlier(request: SubmitRequest): Promise<JobReply | null> {
    const { jobId } = request;
    if (jobId === undefined) return null;
    const running = this.runs.get(jobId)?.past.record;
    const indexed = running === undefined ? await this.readIndexed(jobId) : null;
    const known = running ?? indexed?.record ?? null;
    if (known !== null) {
      checkSame(known, request);
      return repeatReply(known.submission.jobId, known.status);
    }
    // Not durable, or not in the index yet.
    const ended = this.finished.get(jobId);
    return ended === undefined ? null : repeatReply(jobId, ended);
  }

  /** V5. Null: the key stands for this job now. */
  private async claim(key: string, jobId: string): Promise<JobReply | null> {
    const { index, clock } = this.parts;
    for (;;) {
      const claimed = await index.claimKey(key, jobId);
      if (claimed === jobId) return null;
      const endMs = clock.monotonicMs() + CLAIM_WAIT_MS;
      for (;;) {
        const plan = await this.findPlan(claimed);
        if (plan !== null)
          return acceptedReply(claimed, plan, [`job ${claimed} was accepted before`]);
        if (clock.monotonicMs() >= endMs) break;
        await delay(clock, CLAIM_PAUSE_MS);
      }
      // Claimed by a submission that died before it was journaled: this one takes over.
      if (await index.moveKey(key, { from: claimed, to: jobId })) return null;
    }
  }

  /** Of an accepted job, wherever it is; null when there is none (yet). */
  private async findPlan(jobId: string): Promise<JobStatus["plan"]> {
    const own = this.runs.get(jobId)?.status ?? this.finished.get(jobId);
    if (own !== undefined) return own.plan;
    try {
      const indexed = await this.readIndexed(jobId);
      if (indexed?.record) return indexed.record.status.plan;
      return (await this.getAnywhere(jobId)).plan ?? null; // a receipt has none: it is indexed soon
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : "";
      if (code === "NOT_FOUND" || code === "EXPIRED") return null;
      throw error;
    }
  }

  /** Where a job of any partition can be asked for; set by the router. */
  getAnywhere: (jobId: string) => Promise<{ readonly plan?: JobStatus["plan"] }> = (jobId) =>
    this.get(jobId);

  private async start(run: JobRun, { plan, notes }: PreparedJob): Promise<JobReply> {
    const { jobId } = run;
    const stored = run.accept();
    run.begin();
    try {
      await stored; // V4
    } catch (error) {
      run.detach();
      this.forget(run);
      throw error;
    }
    return acceptedReply(jobId, plan, notes);
  }

  private forget(run: JobRun): void {
    const { jobId } = run;
    const owned = this.ownership.get(partitionOf(jobId, this.settings.partitionCount));
    if (owned?.runs.get(jobId) === run) owned.runs.delete(jobId);
    if (this.runs.get(jobId) === run) this.runs.delete(jobId);
    this.uncount(run);
  }

  private ownedOf(jobId: string): OwnedPartition {
    const partition = partitionOf(jobId, this.settings.partitionCount);
    const owned = this.ownership.get(partition);
    if (owned === undefined) throw new FencedError(partition);
    return owned;
  }

  /** The plan that a submission would get; nothing is journaled or run. */
  async plan(request: SubmitRequest): Promise<JobReply> {
    const jobId = request.jobId ?? this.ids.uuid();
    const preparation = await this.parts.intake.prepare(request, jobId, { mustExplain: true });
    if (preparation.kind === "refused") return refusedReply(jobId, preparation);
    const { plan, notes } = preparation.job;
    return acceptedReply(jobId, plan, notes);
  }

  private makeRun(
    owned: OwnedPartition,
    record: JobRecord,
    from: { readonly past: readonly JournaledEvent[]; readonly firstSequence: number | null },
  ): JobRun {
    const { jobId, durable, tenant } = record.submission;
    const run: JobRun = new JobRun(this.parts, {
      record,
      ...from,
      sink: durable === false ? VOLATILE_SINK : owned.journal,
      ...this.settings,
      onTerminal: (ended) => this.onTerminal(owned, ended),
    });
    if (from.past.length > 0) this.parts.admission.enter(tenant);
    this.counted.add(run);
    this.runs.set(jobId, run);
    owned.runs.set(jobId, run);
    return run;
  }

  private async onTerminal(owned: OwnedPartition, run: JobRun): Promise<void> {
    const { jobId, status, range, past } = run;
    const { durable } = past.record.submission;
    const { receipt } = status;
    if (receipt?.state === "succeeded") {
      const { stages } = run.outcome;
      if (isWhole(run, receipt)) {
        this.parts.planner.observe(receipt.latencyMs, receipt.predicted, {
          isStaged: stages.length > 0,
        });
      }
      this.parts.onSucceeded?.(run);
    }
    this.keepFinished(status);
    owned.runs.delete(jobId);
    if (this.runs.get(jobId) === run) this.runs.delete(jobId);
    this.uncount(run);
    this.tellWaiters(jobId, status);
    if (durable === false || range === null) return;
    this.ownership.sawSequence(range.last);
    const indexed = toIndexed(status, range);
    owned.keep({ record: past.record, events: past.events, indexed });
    await this.index(owned, indexed);
  }

  private async index(owned: OwnedPartition, job: IndexedJob): Promise<void> {
    owned.unindexed.set(job.jobId, job.first);
    try {
      await this.parts.index.put(job);
      owned.unindexed.delete(job.jobId);
    } catch (error) {
      // It stays unindexed: the mark does not pass it, and the next owner tries again.
      this.parts.log.error({ event: "index.failed", jobId: job.jobId, err: error }, "not indexed");
    }
  }

  private tellWaiters(jobId: string, status: JobStatus): void {
    for (const tell of this.waiters.get(jobId) ?? []) tell(status);
    this.waiters.delete(jobId);
  }

  private keepFinished(status: JobStatus): void {
    this.finished.set(status.jobId, status);
    if (this.finished.size <= FINISHED_KEPT_COUNT) return;
    const oldest = this.finished.keys().next().value;
    if (oldest !== undefined) this.finished.delete(oldest);
  }

  // ---- questions -----------------------------------------------------------------------------

  /** Errors: `NOT_FOUND`, `EXPIRED`. */
  async get(jobId: string): Promise<JobStatus> {
    const known = this.runs.get(jobId)?.status ?? this.finished.get(jobId);
    if (known !== undefined) return known;
    const stored = await this.readIndexed(jobId);
    if (stored === null) throw new NotFoundError(`job ${jobId} is not known`, { field: "jobId" });
    const receipt = stored.events.at(-1)?.event.data["receipt"] as Receipt | undefined;
    if (stored.record === null || receipt === undefined) throw expired(jobId);
    return { ...stored.record.status, state: receipt.state, receipt };
  }

  /** Why it got its plan, by what is known now; null for jobs that had nothing to choose by. */
  async explain(jobId: string): Promise<{ readonly explanation: PlanExplanation | null }> {
    const record = this.runs.get(jobId)?.past.record ?? (await this.readIndexed(jobId))?.record;
    if (record === undefined || record === null) {
      await this.get(jobId); // says why it is not there
      return { explanation: null };
    }
    return { explanation: this.parts.planner.explainRecord(record) };
  }

  /** The terminal state, or the present one after `timeoutMs` or when the job moves elsewhere. */
  async wait(jobId: string, timeoutMs: number): Promise<JobStatus> {
    const status = await this.get(jobId);
    // It may have ended since: then nobody would tell.
    if (!this.runs.has(jobId)) return isTerminalState(status.state) ? status : this.get(jobId);
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
        resolve(this.runs.get(jobId)?.status ?? this.finished.get(jobId) ?? status);
      });
    });
  }

  async cancel(jobId: string, reason: string): Promise<JobStatus> {
    const run = this.runs.get(jobId);
    if (run === undefined) return this.get(jobId);
    run.cancel(reason);
    await run.settled();
    // Not stored, because another scheduler owns the job now: it is to be asked.
    if (!isTerminalState(run.status.state)) {
      throw new FencedError(partitionOf(jobId, this.settings.partitionCount));
    }
    return run.status;
  }

  /** Events after `number`, oldest first, as many as fit into one answer. */
  async events(jobId: string, number: number): Promise<{ events: JobEvent[]; hasMore: boolean }> {
    const run = this.runs.get(jobId);
    const stored = run === undefined ? await this.readIndexed(jobId) : null;
    const journaled = run?.storedEvents ?? stored?.events;
    if (journaled === undefined) {
      // A finished job that is not durable is known while it is remembered, but not its events.
      await this.get(jobId);
      return { events: [], hasMore: false };
    }
    const events: JobEvent[] = [];
    let bytes = 0;
    for (const { event } of journaled) {
      if (event.number <= number) continue;
      bytes += JSON.stringify(event).length;
      if (bytes > EVENTS_ANSWER_BYTES && events.length > 0) return { events, hasMore: true };
      events.push(event);
    }
    return { events, hasMore: false };
  }

  /** A result from an agent's spool. True also when nobody waits for it: it may be forgotten. */
  deliver({ jobId, key, reply }: AttemptResult): void {
    if (this.resuming.has(this.runs.get(jobId) as JobRun)) {
      throw new UnavailableError(`job ${jobId} is being resumed`);
    }
    this.runs.get(jobId)?.deliver(key, reply);
  }

  /** This process's unfinished jobs, and the finished ones that it remembers. */
  list(): readonly JobStatus[] {
    return [...this.finished.values(), ...[...this.runs.values()].map((run) => run.status)];
  }

  private async readIndexed(
    jobId: string,
  ): Promise<{ record: JobRecord | null; events: readonly JournaledEvent[] } | null> {
    const partition = partitionOf(jobId, this.settings.partitionCount);
    const kept = this.ownership.get(partition)?.kept(jobId);
    if (kept !== undefined) return { ...kept, events: restoreEvents(kept.record, kept.events) };
    const found = await this.parts.index.find(jobId);
    if (found === null) return null;
    const entries = await this.parts.journal.read(subjects.journal(partition), {
      fromSequence: found.first,
      toSequence: found.last,
    });
    const job = foldPartition(entries).jobs.get(jobId);
    if (job === undefined) throw expired(jobId);
    return { record: job.record, events: restoreEvents(job.record, job.events) };
  }

  /** Ends the process's part: runs stay unfinished in the journal and are taken up by others. */
  stop(): void {
    for (const run of this.runs.values()) run.detach();
    this.runs.clear();
  }
}

/** Results of other jobs, drafts that were sure and choices on the way make another job of it. */
function isWhole({ outcome }: JobRun, { steps, replans = [] }: Receipt): boolean {
  const isShared = steps.some((step) => step.shared !== undefined);
  return !isShared && outcome.stages.every((it) => !it.isSure) && replans.length === 0;
}

function expired(jobId: string): TerminalError {
  return new TerminalError(
    "EXPIRED",
    `job ${jobId} has expired: its journal is older than the retention time`,
    { field: "jobId" },
  );
}

function acceptedReply(
  jobId: string,
  plan: NonNullable<JobStatus["plan"]>,
  notes: readonly string[],
): JobReply {
  return { jobId, decision: "accepted", plan, ...(notes.length === 0 ? {} : { notes }) };
}

/** Not journaled: whoever takes an offer submits again. */
function refusedReply(
  jobId: string,
  { decision, notes }: Extract<Preparation, { kind: "refused" }>,
): JobReply {
  const { kind, ...rest } = decision;
  const said = notes.length === 0 ? {} : { notes };
  return { jobId, decision: kind, ...rest, ...said } as JobReply;
}

function repeatReply(jobId: string, { plan }: JobStatus): JobReply {
  if (plan === null) throw new NotFoundError(`job ${jobId} has no plan`);
  return acceptedReply(jobId, plan, [`job ${jobId} was accepted before`]);
}

function checkSame(known: JobRecord, request: SubmitRequest): void {
  const { description, workflow, inputs, jobId } = known.submission;
  const name = typeof request.workflow === "string" ? request.workflow : request.workflow?.name;
  const before = canonicalJson({ description, workflow, inputs });
  const now = canonicalJson({
    description: request.description,
    workflow: name,
    inputs: request.inputs,
  });
  if (before === now) return;
  throw new TerminalError(
    "JOB_ID_TAKEN",
    `job id ${jobId} belongs to another job, expected a fresh UUID`,
    { field: "jobId" },
  );
}

function idempotencyHash({ tenant, idempotencyKey }: SubmitRequest): string | null {
  if (idempotencyKey === undefined) return null;
  return sha256Hex(`${tenant ?? DEFAULT_TENANT}\n${idempotencyKey}`);
}

function toIndexed(
  status: JobStatus,
  range: { readonly first: number; readonly last: number },
): IndexedJob {
  const { jobId, state, tenant, description, workflow, acceptedAtMs, receipt } = status;
  return {
    ...{ jobId, state, tenant, description, workflow, acceptedAtMs },
    latencyMs: receipt?.latencyMs ?? null,
    costUsd: receipt?.costUsd ?? null,
    answer: receipt?.answer ?? null,
    ...range,
  };
}

/** Enough to fail a job whose own record is gone. */
function unreadableRecord(jobId: string, nowWallMs: number): JobRecord {
  return {
    submission: { jobId, inputs: [], slo: {}, constraints: {}, tenant: DEFAULT_TENANT },
    status: {
      jobId,
      state: "running",
      tenant: DEFAULT_TENANT,
      description: null,
      workflow: null,
      acceptedAtMs: nowWallMs,
      plan: null,
      stepStates: {},
    },
    inputValues: {},
    inputGaps: [],
    holders: {},
  };
}
