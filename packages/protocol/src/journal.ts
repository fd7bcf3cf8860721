/**
 * The jobs' journal as it is stored: one message per batch on `mk.v1.journal.<partition>`.
 *
 * Every batch names the generation of its writer. The first batch of a new owner starts with an
 * `owned` entry; its expected last sequence makes every later write of an older owner fail.
 */
import { InvalidArgumentError, TerminalError, UnsupportedVersionError } from "@murakkab/kit";
import type { JobStatus, Submission, Workflow } from "@murakkab/model";
import { z } from "zod";
import { contentHeaders, decode } from "./codec.ts";
import { PARTITION_COUNT } from "./limits.ts";
import type { AttemptMeasure, JobEvent, PassedValue } from "./messages.ts";

/** Raised when a reader of the former version could misread an entry. */
export const JOURNAL_VERSION = 1;

/** What is needed to show a job, or to resume it. */
export interface JobRecord {
  readonly submission: Submission;
  readonly status: JobStatus;
  readonly inputValues: Readonly<Record<string, PassedValue>>;
  /** What the inputs lack (`video x.mp4 has no sound`): told when nothing was found without it. */
  readonly inputGaps: readonly string[];
  /** Artifact to the nodes that held it when the job was accepted. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
  /** By the plan's input. Absent: a record of a former version. */
  readonly inputSizes?: Readonly<Record<string, InputSize>>;
  /** What the plan was chosen from, of jobs whose plan may be chosen again on the way. */
  readonly logical?: {
    readonly workflow: Workflow;
    readonly excludedTypes: Readonly<Record<string, string>>;
  };
}

export interface InputSize {
  readonly bytes: number;
  /** Of media that has a duration. */
  readonly sec?: number;
}

/** What resuming needs beyond what the event shows to everyone. */
export interface EventDetail {
  readonly outputs?: Readonly<Record<string, PassedValue>>;
  readonly measure?: AttemptMeasure | null;
  readonly cost?: { readonly costUsd: number; readonly energyWh: number };
}

export interface JournaledEvent {
  readonly event: JobEvent;
  readonly detail?: EventDetail;
}

export type JournalEntry =
  | { readonly kind: "owned" }
  /** First entry of a job. */
  | { readonly kind: "accepted"; readonly event: JobEvent; readonly record: JobRecord }
  /** `text`: the event as JSON, where that was made already. It is not stored twice. */
  | ({ readonly kind: "event"; readonly text?: string } & JournaledEvent)
  /** A job with all its events so far, written again so that what lies before can go. */
  | {
      readonly kind: "carried";
      readonly jobId: string;
      readonly record: JobRecord;
      readonly events: readonly JournaledEvent[];
    };

export interface JournalBatch {
  readonly v: number;
  readonly partition: number;
  readonly generation: number;
  /** Id of the scheduler that wrote it. */
  readonly owner: string;
  /** Changes when the owner found that the store had lost what it acknowledged. */
  readonly incarnation: string;
  readonly entries: readonly JournalEntry[];
}

const eventSchema = z.looseObject({
  jobId: z.string(),
  number: z.number().int().positive(),
  event: z.string(),
  data: z.record(z.string(), z.unknown()),
});
const entrySchema = z.union([
  z.looseObject({ kind: z.literal("owned") }),
  z.looseObject({
    kind: z.literal("accepted"),
    event: eventSchema,
    record: z.looseObject({ submission: z.looseObject({ jobId: z.string() }) }),
  }),
  z.looseObject({ kind: z.literal("event"), event: eventSchema }),
  z.looseObject({
    kind: z.literal("carried"),
    jobId: z.string(),
    record: z.looseObject({ submission: z.looseObject({ jobId: z.string() }) }),
    events: z.array(z.looseObject({ event: eventSchema })),
  }),
]);
const batchSchema = z.looseObject({
  v: z.number().int(),
  partition: z.number().int().nonnegative(),
  generation: z.number().int().nonnegative(),
  owner: z.string(),
  incarnation: z.string(),
  entries: z.array(entrySchema),
});

const textEncoder = new TextEncoder();

/**
 * JSON, so that anyone can read the journal, and because an event's text is made once: for the
 * journal and for those who listen.
 */
export function encodeBatch(batch: JournalBatch): Uint8Array {
  const { entries, ...head } = batch;
  let text = `${JSON.stringify(head).slice(0, -1)},"entries":[`;
  for (const [index, entry] of entries.entries())
    text += (index === 0 ? "" : ",") + entryText(entry);
  return textEncoder.encode(`${text}]}`);
}

function entryText(entry: JournalEntry): string {
  if (entry.kind !== "event") return JSON.stringify(entry);
  const { event, detail, text } = entry;
  const start = `{"kind":"event","event":${text ?? JSON.stringify(event)}`;
  return detail === undefined ? `${start}}` : `${start},"detail":${JSON.stringify(detail)}}`;
}

/**
 * Errors: `UNSUPPORTED_VERSION` naming both versions; `JOURNAL_CORRUPT` (terminal) for bytes
 * that are no batch.
 */
export function decodeBatch(data: Uint8Array): JournalBatch {
  let value: unknown;
  try {
    value = decode(data, contentHeaders("json")).value;
  } catch (cause) {
    throw new TerminalError("JOURNAL_CORRUPT", "the batch is no JSON", { cause });
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === "number" && version > JOURNAL_VERSION) {
    throw new UnsupportedVersionError(
      `the journal has entries of version ${version}, and this program reads versions up to ${JOURNAL_VERSION}: start a newer one`,
      { context: { found: version, known: JOURNAL_VERSION } },
    );
  }
  const parsed = batchSchema.safeParse(value);
  if (parsed.success) return value as JournalBatch;
  const issue = parsed.error.issues[0];
  throw new TerminalError(
    "JOURNAL_CORRUPT",
    `the batch has no valid ${issue?.path.join(".") ?? "form"}: ${issue?.message ?? "unknown"}`,
  );
}

/**
 * The partition of a job: from the last two digits of its UUID, which are random in versions 4
 * and 7. `partitionCount` is a power of two up to 256.
 */
export function partitionOf(jobId: string, partitionCount: number = PARTITION_COUNT): number {
  const value = Number.parseInt(jobId.slice(-2), 16);
  if (Number.isNaN(value)) {
    throw new InvalidArgumentError(`job id "${jobId.slice(0, 140)}" is no UUID`, {
      field: "jobId",
    });
  }
  return value & (partitionCount - 1);
}

/** The same UUID with its partition set. */
export function withPartition(uuid: string, partition: number): string {
  return uuid.slice(0, -2) + partition.toString(16).padStart(2, "0");
}
