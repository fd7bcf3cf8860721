/**
 * What a partition's journal says about its jobs. Pure.
 *
 * Invariants:
 *   F1. Events of a job are numbered without a gap; a job that has one is `broken` and says why.
 *   F2. A batch that can't be read is named and skipped; other jobs are not touched by it.
 *   F3. Batches of an unknown version are refused as a whole: skipping them would lose jobs.
 */
import type { LogEntry } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import {
  decodeBatch,
  type JobRecord,
  type JournalBatch,
  type JournalEntry,
  type JournaledEvent,
} from "@murakkab/protocol";

export interface FoldedJob {
  readonly jobId: string;
  /** Null when the entry that held it can't be read. */
  record: JobRecord | null;
  events: JournaledEvent[];
  firstSequence: number;
  lastSequence: number;
  /** One sentence on what is missing; null when the job is whole. */
  broken: string | null;
}

export interface CorruptBatch {
  readonly sequence: number;
  readonly reason: string;
  readonly data: Uint8Array;
}

export interface FoldedPartition {
  readonly jobs: ReadonlyMap<string, FoldedJob>;
  readonly corrupt: readonly CorruptBatch[];
  /** Highest generation that wrote; 0 = nobody. */
  readonly generation: number;
  /** Sequence of the last entry, readable or not; 0 = none. */
  readonly lastSequence: number;
}

/** Errors: `UNSUPPORTED_VERSION` (F3). */
export function foldPartition(entries: readonly LogEntry[]): FoldedPartition {
  const jobs = new Map<string, FoldedJob>();
  const corrupt: CorruptBatch[] = [];
  let generation = 0;
  for (const { data, sequence } of entries) {
    const batch = readBatch(data, (reason) => corrupt.push({ sequence, reason, data })); // F2
    if (batch === null) continue;
    generation = Math.max(generation, batch.generation);
    for (const entry of batch.entries) foldEntry(jobs, entry, sequence);
  }
  for (const job of jobs.values()) {
    if (job.record === null && job.broken === null) job.broken = "its first entry is missing";
    if (job.broken !== null && corrupt.length > 0) {
      job.broken += ` (unreadable: ${corrupt.map((it) => `sequence ${it.sequence}`).join(", ")})`;
    }
  }
  return { jobs, corrupt, generation, lastSequence: entries.at(-1)?.sequence ?? 0 };
}

function readBatch(data: Uint8Array, onCorrupt: (reason: string) => void): JournalBatch | null {
  try {
    return decodeBatch(data);
  } catch (error) {
    if (!isRuntimeError(error) || error.code === "UNSUPPORTED_VERSION") throw error; // F3
    onCorrupt(error.message);
    return null;
  }
}

function foldEntry(jobs: Map<string, FoldedJob>, entry: JournalEntry, sequence: number): void {
  if (entry.kind === "owned") return;
  const jobId = entry.kind === "carried" ? entry.jobId : entry.event.jobId;
  const job = jobs.get(jobId) ?? newJob(jobId, sequence);
  jobs.set(jobId, job);
  job.lastSequence = sequence;
  if (entry.kind === "carried") {
    const isOlder = entry.events.length < job.events.length;
    if (isOlder && job.broken === null) return;
    job.record = entry.record;
    job.events = [...entry.events];
    job.firstSequence = sequence;
    job.broken = null;
    return;
  }
  if (entry.kind === "accepted") job.record ??= entry.record;
  const { event } = entry;
  const expected = (job.events.at(-1)?.event.number ?? 0) + 1;
  if (event.number < expected) return; // written again by a repeat
  if (event.number > expected) {
    job.broken ??= `its events ${expected} to ${event.number - 1} are missing`; // F1
  }
  const detail = entry.kind === "event" ? entry.detail : undefined;
  job.events.push({ event, ...(detail === undefined ? {} : { detail }) });
}

function newJob(jobId: string, sequence: number): FoldedJob {
  return {
    jobId,
    record: null,
    events: [],
    firstSequence: sequence,
    lastSequence: sequence,
    broken: null,
  };
}
