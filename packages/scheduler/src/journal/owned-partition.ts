/**
 * One partition in this process's hands: its journal and the jobs in it.
 *
 * Invariants:
 *   O1. The mark is at or below the first entry of every job that is unfinished or not indexed.
 *   O2. When the store has lost acknowledged batches, every job that this process still knows with
 *       entries behind the loss is written again, finished ones too.
 */
import type { JobRecord, JournalEntry, JournaledEvent } from "@murakkab/protocol";
import type { JobRun } from "../job-run.ts";
import type { IndexedJob } from "./job-index.ts";
import type { PartitionJournal } from "./partition-journal.ts";

/** A finished job as it would be written again. */
export interface KeptJob {
  readonly record: JobRecord;
  readonly events: readonly JournaledEvent[];
  indexed: IndexedJob;
}

/** Finished jobs of one partition that could be written again after a loss of the store's tail. */
const KEPT_COUNT_MAX = 8;

export class OwnedPartition {
  readonly partition: number;
  readonly runs = new Map<string, JobRun>();
  /** Finished, and not yet in the index. */
  readonly unindexed = new Map<string, number>();
  /** Set right after construction: journal and partition know each other. */
  journal!: PartitionJournal;
  isClosing = false;
  private readonly keptJobs = new Map<string, KeptJob>();
  private beingRewritten: { readonly kept: KeptJob[]; readonly runs: JobRun[] } | null = null;
  private readonly reindex: (job: IndexedJob) => void;

  constructor(partition: number, { reindex }: { readonly reindex: (job: IndexedJob) => void }) {
    this.partition = partition;
    this.reindex = reindex;
  }

  /** A job that ended here lately. */
  kept(jobId: string): KeptJob | undefined {
    return this.keptJobs.get(jobId);
  }

  keep(job: KeptJob): void {
    this.keptJobs.set(job.indexed.jobId, job);
    if (this.keptJobs.size <= KEPT_COUNT_MAX) return;
    const oldest = this.keptJobs.keys().next().value;
    if (oldest !== undefined) this.keptJobs.delete(oldest);
  }

  /** O1. `settled`: a sequence up to which the whole stream is known to be written. */
  mark(settled: number): number {
    const { journal } = this;
    // Before our first batch a former owner may still write behind what we read.
    const own = journal.isFencing
      ? Math.max(settled, journal.lastSequence)
      : Math.min(settled, journal.readUpTo);
    let mark = own + 1;
    for (const run of this.runs.values()) mark = Math.min(mark, run.range?.first ?? mark);
    for (const first of this.unindexed.values()) mark = Math.min(mark, first);
    return mark;
  }

  /** O2. */
  rewrite(lastSequence: number): readonly JournalEntry[] {
    const kept = [...this.keptJobs.values()].filter((job) => job.indexed.last > lastSequence);
    const runs = [...this.runs.values()].filter((run) => (run.range?.last ?? 0) > lastSequence);
    this.beingRewritten = { kept, runs };
    return [
      ...kept.map((job) => carried(job.indexed.jobId, job)),
      ...runs.map((run) => carried(run.jobId, run.past)),
    ];
  }

  rewritten(range: { readonly first: number; readonly last: number }): void {
    const { kept, runs } = this.beingRewritten ?? { kept: [], runs: [] };
    this.beingRewritten = null;
    for (const job of kept) {
      job.indexed = { ...job.indexed, ...range };
      this.reindex(job.indexed);
    }
    for (const run of runs) run.moved(range);
  }
}

export function carried(
  jobId: string,
  job: { readonly record: JobRecord; readonly events: readonly JournaledEvent[] },
): JournalEntry {
  const events = job.events.map((it) => (it.event.event === "planned" ? withoutPlan(it) : it));
  return { kind: "carried", jobId, record: job.record, events };
}

/** The plan is in the record: it is not stored twice. */
function withoutPlan(it: JournaledEvent): JournaledEvent {
  return { ...it, event: { ...it.event, data: {} } };
}

/** Events as everyone sees them. */
export function restoreEvents(
  record: JobRecord | null,
  events: readonly JournaledEvent[],
): JournaledEvent[] {
  const plan = record?.status.plan ?? null;
  return events.map((it) =>
    it.event.event === "planned" ? { ...it, event: { ...it.event, data: { plan } } } : it,
  );
}
