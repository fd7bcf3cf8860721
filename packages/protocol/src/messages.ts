/**
 * Schemas of everything that crosses the wire. `satisfies` makes the compiler hold them against
 * the domain types of `model`.
 *
 * Public requests are strict: an unknown field is refused. Messages between our own processes
 * ignore unknown fields, so that version N speaks with N-1.
 */
import type {
  ArtifactLocation,
  ArtifactRef,
  ExecutorEntry,
  GpuSample,
  InstanceSample,
  NodeRegistration,
  NodeSample,
  Workflow,
} from "@murakkab/model";
import { OBJECTIVES } from "@murakkab/model";
import { z } from "zod";
import {
  CONFIGURATION_CHARS_MAX,
  DESCRIPTION_CHARS_MAX,
  INPUT_COUNT_MAX,
  JOB_DEADLINE_MS_MAX,
  JOB_WAIT_MS_MAX,
  STEP_COUNT_MAX,
} from "./limits.ts";

const idSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected 1 to 128 letters, digits, "-" or "_"');
const knobValueSchema = z.union([z.string(), z.number(), z.boolean()]);
const knobValuesSchema = z.record(z.string(), knobValueSchema);
const milliseconds = z.number().nonnegative();

// ---- artifacts -------------------------------------------------------------------------------

export const artifactRefSchema = z.object({
  artifact: z.string().regex(/^artifact:\/\/sha256\/[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
  mediaType: z.string(),
  name: z.string().exactOptional(),
}) satisfies z.ZodType<ArtifactRef>;

export const artifactLocationSchema = artifactRefSchema.extend({
  holders: z.array(z.object({ node: idSchema, url: z.string() })),
}) satisfies z.ZodType<ArtifactLocation>;

/** What a probe of a media file found. */
export const mediaInfoSchema = z.object({
  /** Interface type: `video`, `audio`, `image` or `file`. */
  type: z.enum(["video", "audio", "image", "file"]),
  hasAudio: z.boolean(),
  hasPictures: z.boolean(),
  durationSec: z.number().nonnegative().nullable(),
});
export type MediaInfo = z.infer<typeof mediaInfoSchema>;

/** Take an input of a job in: an http(s) URL or a path below an input root. */
export const artifactImportSchema = z.object({
  jobId: idSchema,
  source: z.string().min(1),
  remainingMs: milliseconds,
});
export type ArtifactImport = z.infer<typeof artifactImportSchema>;
export const artifactImportReplySchema = z.object({ artifact: artifactRefSchema });

export const artifactStatSchema = z.object({
  artifact: z.string(),
  /** Also tell what kind of media it is (runs ffprobe). */
  probe: z.boolean(),
});
export type ArtifactStat = z.infer<typeof artifactStatSchema>;

/** `artifact` is null when this node does not hold it. */
export const artifactStatReplySchema = z.object({
  artifact: artifactRefSchema.nullable(),
  media: mediaInfoSchema.nullable(),
  /** One sentence why `media` is `file` or null: what the probe could not read. */
  problem: z.string().exactOptional(),
});
export type ArtifactStatReply = z.infer<typeof artifactStatReplySchema>;

/** Fetch from a holder and pin for the job. Answers as an import does. */
export const artifactCopySchema = z.object({
  jobId: idSchema,
  artifact: artifactLocationSchema,
  holdMs: milliseconds,
  remainingMs: milliseconds,
});
export type ArtifactCopy = z.infer<typeof artifactCopySchema>;

/** Pin for a job: `holdMs` from arrival. A later pin of the same job replaces the time. */
export const artifactPinSchema = z.object({
  jobId: idSchema,
  artifacts: z.array(z.string()),
  holdMs: milliseconds,
});
export type ArtifactPin = z.infer<typeof artifactPinSchema>;
/** `missing`: the named artifacts that this node does not hold. */
export const artifactPinReplySchema = z.object({ missing: z.array(z.string()) });

export const artifactReleaseSchema = z.object({ jobId: idSchema });

/** From a worker: give me a readable local path, fetch from a holder if need be. */
export const artifactOpenSchema = z.object({
  jobId: idSchema,
  artifact: artifactLocationSchema,
  remainingMs: milliseconds,
});
export type ArtifactOpen = z.infer<typeof artifactOpenSchema>;
export const artifactOpenReplySchema = z.object({ path: z.string() });

/** From a worker: take this file (it is moved) into the store and pin it for the job. */
export const artifactIngestSchema = z.object({
  jobId: idSchema,
  path: z.string(),
  mediaType: z.string(),
  name: z.string().exactOptional(),
});
export type ArtifactIngest = z.infer<typeof artifactIngestSchema>;
export const artifactIngestReplySchema = z.object({ artifact: artifactRefSchema });

export const uploadRequestSchema = z.strictObject({
  bytes: z.number().int().nonnegative(),
  name: z.string().max(255).exactOptional(),
});
/** `POST url` with `Authorization: Bearer ticket`, body = the file; answers an ArtifactRef. */
export const uploadReplySchema = z.object({ node: idSchema, url: z.string(), ticket: z.string() });
export type UploadReply = z.infer<typeof uploadReplySchema>;

export const downloadRequestSchema = z.strictObject({
  artifact: z
    .string()
    .regex(/^artifact:\/\/sha256\/[0-9a-f]{64}$/, "expected artifact://sha256/ and 64 hex digits"),
});
/** `GET url` with `Authorization: Bearer ticket`. */
export const downloadReplySchema = uploadReplySchema.extend({ artifact: artifactRefSchema });
export type DownloadReply = z.infer<typeof downloadReplySchema>;

// ---- jobs ------------------------------------------------------------------------------------

const sourceSchema = z.union([
  z.strictObject({ kind: z.literal("input"), input: z.string().min(1) }),
  z.strictObject({
    kind: z.literal("step"),
    step: z.string().min(1),
    output: z.string().min(1),
  }),
]);

export const workflowSchema = z.strictObject({
  name: idSchema,
  description: z.string().exactOptional(),
  inputs: z.record(z.string(), z.string()),
  steps: z
    .array(
      z.strictObject({
        id: idSchema,
        capability: z.string().min(1),
        inputs: z.record(z.string(), sourceSchema),
        executor: z.string().exactOptional(),
        knobs: knobValuesSchema.exactOptional(),
      }),
    )
    .min(1, "expected at least one step")
    .max(STEP_COUNT_MAX, `expected at most ${STEP_COUNT_MAX} steps`),
  output: sourceSchema,
}) satisfies z.ZodType<Workflow>;

export const submitSchema = z
  .strictObject({
    jobId: z.uuid("expected a UUID").exactOptional(),
    description: z
      .string()
      .trim()
      .min(1, "expected a question or task of at least one character")
      .max(DESCRIPTION_CHARS_MAX, `expected at most ${DESCRIPTION_CHARS_MAX} characters`)
      .exactOptional(),
    /** A name in the library, or a whole workflow. */
    workflow: z.union([idSchema, workflowSchema]).exactOptional(),
    inputs: z
      .array(z.string().min(1, "expected an artifact reference, URL or path"))
      .max(INPUT_COUNT_MAX, `expected at most ${INPUT_COUNT_MAX} inputs`)
      .default([]),
    slo: z.union([z.string(), z.record(z.string(), z.string())]).exactOptional(),
    objective: z.enum(OBJECTIVES, `expected one of ${OBJECTIVES.join(", ")}`).exactOptional(),
    constraints: z
      .strictObject({
        executors: z.record(z.string(), z.string()).exactOptional(),
        knobs: z.record(z.string(), knobValuesSchema).exactOptional(),
        labels: z.record(z.string(), z.string()).exactOptional(),
        configuration: z
          .string()
          .min(1, "expected a configuration such as a receipt names")
          .max(CONFIGURATION_CHARS_MAX, `expected at most ${CONFIGURATION_CHARS_MAX} characters`)
          .exactOptional(),
        staysOnHost: z.boolean("expected true or false").exactOptional(),
      })
      .exactOptional(),
    tenant: idSchema.exactOptional(),
    idempotencyKey: z.string().min(1).max(256).exactOptional(),
    deadlineMs: z
      .number()
      .int()
      .positive("expected a positive number of milliseconds")
      .max(JOB_DEADLINE_MS_MAX, `expected at most ${JOB_DEADLINE_MS_MAX} ms`)
      .exactOptional(),
    /** False: nothing is journaled; the job is lost with its scheduler. For work that is cheap to repeat. */
    durable: z.boolean("expected true or false").exactOptional(),
    /** True: nothing is taken from other jobs' results. Default false. */
    fresh: z.boolean("expected true or false").exactOptional(),
  })
  .refine((job) => job.description !== undefined || job.workflow !== undefined, {
    message: "expected at least one of description and workflow",
  });
export type SubmitRequest = z.infer<typeof submitSchema>;

/** An empty request body means "no options". */
export const jobWaitSchema = z
  .strictObject({
    timeoutMs: z
      .number()
      .positive("expected a positive number of milliseconds")
      .max(JOB_WAIT_MS_MAX, `expected at most ${JOB_WAIT_MS_MAX} ms`)
      .default(30_000),
  })
  .nullable();
export const jobEventsSchema = z
  .strictObject({ after: z.number().int().nonnegative().default(0) })
  .nullable();
export const jobExplainSchema = z.strictObject({}).nullable();
export const jobCancelSchema = z
  .strictObject({ reason: z.string().max(500).exactOptional() })
  .nullable();
export const jobListSchema = z
  .strictObject({ limit: z.number().int().positive().max(1_000).default(100) })
  .nullable();

export const JOB_EVENT_NAMES = [
  "accepted",
  "planned",
  "started",
  "step-started",
  "attempt-started",
  "attempt-finished",
  "attempt-failed",
  /** Its step is not needed any more. */
  "attempt-stopped",
  "step-finished",
  /** A finished step runs again: its result was lost, or its inputs changed. */
  "step-rerun",
  /** A draft is done and was sure enough, or not. */
  "stage-settled",
  /** Steps that have not started were chosen again. */
  "replanned",
  "succeeded",
  "failed",
  "cancelled",
  "rejected",
] as const;
export type JobEventName = (typeof JOB_EVENT_NAMES)[number];

/** One event of a job. `number` counts from 1 per job without a gap. */
export interface JobEvent {
  readonly jobId: string;
  readonly number: number;
  readonly event: JobEventName;
  /** ISO 8601, the scheduler's wall clock: for display only. */
  readonly at: string;
  /** Milliseconds since the job was accepted, by the scheduler's monotonic clock. */
  readonly sinceMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

// ---- nodes and instances ---------------------------------------------------------------------

export const gpuSampleSchema = z.object({
  uuid: z.string(),
  index: z.number(),
  name: z.string(),
  memoryTotalBytes: z.number().nullable(),
  memoryUsedBytes: z.number().nullable(),
  utilizationRatio: z.number().nullable(),
  powerWatts: z.number().nullable(),
  temperatureC: z.number().nullable(),
}) satisfies z.ZodType<GpuSample>;

export const instanceSampleSchema = z.object({
  instance: idSchema,
  executor: z.string(),
  state: z.enum(["starting", "ready", "busy", "stopping", "exited"]),
  cpuSec: z.number().nullable(),
  memoryBytes: z.number().nullable(),
  queuedCount: z.number(),
  inFlightCount: z.number(),
}) satisfies z.ZodType<InstanceSample>;

export const nodeRegistrationSchema = z.object({
  node: idSchema,
  host: z.object({
    machineId: z.string(),
    bootId: z.string(),
    hostname: z.string(),
    cores: z.number().positive(),
    memoryBytes: z.number().positive(),
    kind: z.string().exactOptional(),
  }),
  offer: z.object({ cpus: z.number().positive(), memoryMib: z.number().positive() }),
  labels: z.record(z.string(), z.string()),
  programs: z.record(z.string(), z.string()),
  gpus: z.array(gpuSampleSchema),
  artifactUrl: z.string(),
  incarnation: z.string(),
  /** Highest leader generation that this agent obeyed, from its disk. */
  generation: z.number().int().nonnegative().default(0),
  instances: z.array(instanceSampleSchema),
}) satisfies z.ZodType<NodeRegistration>;

/** Answer to a registration that was taken. A refused one answers an error. */
export const nodeRegisterReplySchema = z.object({
  accepted: z.literal(true),
  /** Programs that the library's executors need: the agent looks for those it did not tell of. */
  programs: z.array(z.string()).default([]),
  /** The leader's generation. */
  generation: z.number().int().nonnegative().default(0),
});

export const nodeHeartbeatSchema = z.object({
  node: idSchema,
  incarnation: z.string(),
  seq: z.number(),
});

/** Says nothing: what counts is that somebody answers. */
export const nodeProbeSchema = z.unknown();

export const nodeLeftSchema = z.object({ node: idSchema, incarnation: z.string() });

export const nodeSampleSchema = z.object({
  node: idSchema,
  host: z.string(),
  seq: z.number(),
  sampledAt: z.string(),
  ageMs: z.number(),
  cpu: z.object({
    cores: z.number(),
    busyRatio: z.number().nullable(),
    perCore: z.array(z.number()),
  }),
  memory: z.object({ totalBytes: z.number(), usedBytes: z.number() }),
  disk: z.object({
    totalBytes: z.number().nullable(),
    usedBytes: z.number().nullable(),
    artifactBytes: z.number(),
    artifactLimitBytes: z.number(),
  }),
  network: z.object({ rxBytesPerSec: z.number().nullable(), txBytesPerSec: z.number().nullable() }),
  gpus: z.array(gpuSampleSchema),
  instances: z.array(instanceSampleSchema),
}) satisfies z.ZodType<NodeSample>;

const executorEntrySchema = z.custom<ExecutorEntry>(
  (value) => value !== null && typeof value === "object" && "id" in value && "engine" in value,
  "expected an executor entry",
);

/** Start one instance of an executor. Repeating it with the same id is harmless. */
export const instanceStartSchema = z.object({
  instance: idSchema,
  executor: executorEntrySchema,
  remainingMs: milliseconds,
  /** Of the leader that commands; an agent that obeyed a higher one answers STALE_GENERATION. */
  generation: z.number().int().nonnegative().default(0),
});
export type InstanceStart = z.infer<typeof instanceStartSchema>;
export const instanceStartReplySchema = z.object({
  instance: idSchema,
  state: z.literal("ready"),
});

export const instanceStopSchema = z.object({
  instance: idSchema,
  graceMs: milliseconds,
  generation: z.number().int().nonnegative().default(0),
});
export type InstanceStop = z.infer<typeof instanceStopSchema>;

export const instanceReadySchema = z.object({
  node: idSchema,
  instance: idSchema,
  executor: z.string(),
});
export type InstanceReady = z.infer<typeof instanceReadySchema>;

export const instanceExitedSchema = z.object({
  node: idSchema,
  instance: idSchema,
  executor: z.string(),
  /** One clause: `exit code 1`, `signal SIGKILL`, `did not become ready within 20 s`. */
  reason: z.string(),
  wasExpected: z.boolean(),
  stderrTail: z.string(),
});
export type InstanceExited = z.infer<typeof instanceExitedSchema>;

/** Waits in the agent's queue until the cores are free, at most `remainingMs`. */
export const coresAcquireSchema = z.object({
  instance: idSchema,
  /** Names one run of an attempt on one instance; a repeat and the release use the same. */
  attempt: z.string(),
  cores: z.number().positive(),
  remainingMs: milliseconds,
});
export type CoresAcquire = z.infer<typeof coresAcquireSchema>;
export const coresReleaseSchema = z.object({ attempt: z.string() });
/**
 * From a worker whose channel to its agent is gone: to a new agent the truth about its cores and
 * its queue, later on its queue only. An agent that does not have the instance answers
 * INSTANCE_ENDED: the worker ends itself.
 */
export const instanceHelloSchema = z.object({
  instance: idSchema,
  /** Acquired and not yet released. */
  holds: z.array(z.object({ attempt: z.string(), cores: z.number().positive() })),
  queuedCount: z.number().int().nonnegative(),
  inFlightCount: z.number().int().nonnegative(),
});
export type InstanceHello = z.infer<typeof instanceHelloSchema>;
export const instanceHelloReplySchema = z.object({ incarnation: z.string() });

export const instanceMusterSchema = z.object({ incarnation: z.string() });

export const okReplySchema = z.object({ ok: z.literal(true) });

// ---- attempts --------------------------------------------------------------------------------

/**
 * A step's value on its way. `spilled` is a value as an artifact of JSON; `list` is the gathered
 * result of a fan-out; `packed` is any of these, itself as an artifact of JSON because it was too
 * large for a message.
 */
export type PassedValue =
  | { readonly kind: "inline"; readonly value: unknown }
  | {
      readonly kind: "spilled";
      readonly artifact: ArtifactRef;
      /** Number of items when the value is a list. */
      readonly count?: number;
      /** This item of the list only. */
      readonly index?: number;
    }
  | { readonly kind: "list"; readonly items: readonly PassedValue[] }
  | { readonly kind: "packed"; readonly artifact: ArtifactRef };

export const passedValueSchema: z.ZodType<PassedValue> = z.lazy(() =>
  z.union([
    z.object({ kind: z.literal("inline"), value: z.unknown() }),
    z.object({
      kind: z.literal("spilled"),
      artifact: artifactRefSchema,
      count: z.number().int().exactOptional(),
      index: z.number().int().exactOptional(),
    }),
    z.object({ kind: z.literal("list"), items: z.array(passedValueSchema) }),
    z.object({ kind: z.literal("packed"), artifact: artifactRefSchema }),
  ]),
);

/** The ask that a model-worker actor gets: run one attempt of one item of one step. */
export const attemptRequestSchema = z.object({
  jobId: idSchema,
  step: z.string(),
  item: z.number().int().nonnegative(),
  attempt: z.number().int().positive(),
  /**
   * Same work, same key: (job, step, item, hash of inputs and knobs). Repeats of one attempt carry
   * the same `attempt` too; a retry after a reported failure carries the next one.
   */
  key: z.string(),
  inputs: z.record(z.string(), passedValueSchema),
  knobs: knobValuesSchema,
  /**
   * This attempt takes so many items of the fan-out, the first of them `item`: the fan-out's input
   * is a list, and every output will be one, of this length and in this order. Absent: one, alone.
   */
  batchItems: z.number().int().positive().exactOptional(),
  /** Where the artifacts named in `inputs` are. */
  artifacts: z.array(artifactLocationSchema),
  remainingMs: milliseconds,
});
export type AttemptRequest = z.infer<typeof attemptRequestSchema>;

export const attemptMeasureSchema = z.object({
  /** Time in the engine, ms, by the worker's monotonic clock. */
  runMs: z.number(),
  /** CPU seconds of the engine and its children; null where the host cannot tell. */
  cpuSec: z.number().nullable(),
  memoryBytesMax: z.number().nullable(),
  /** Wall-clock start and end in the engine, Unix ms: for display and the overhead bench. */
  startedAtMs: z.number(),
  endedAtMs: z.number(),
});
export type AttemptMeasure = z.infer<typeof attemptMeasureSchema>;

/** A failed attempt answers with `error` and still tells what it cost. */
export const attemptReplySchema = z.union([
  z.object({ outputs: z.record(z.string(), passedValueSchema), measure: attemptMeasureSchema }),
  z.object({
    failure: z.custom<import("@murakkab/kit").WireError>(),
    measure: attemptMeasureSchema,
  }),
]);
export type AttemptReply = z.infer<typeof attemptReplySchema>;

/** From an agent's spool: an attempt's reply that its asker never got. Answered with `{ ok }`. */
export const attemptResultSchema = z.object({
  jobId: idSchema,
  step: z.string(),
  item: z.number().int().nonnegative(),
  attempt: z.number().int().positive(),
  key: z.string(),
  instance: idSchema,
  node: idSchema,
  reply: attemptReplySchema,
});
export type AttemptResult = z.infer<typeof attemptResultSchema>;

// ---- schedulers ------------------------------------------------------------------------------

export const schedulerBeatSchema = z.object({
  scheduler: idSchema,
  version: z.string(),
  /** Hash of what all schedulers of a cluster must agree on: the library, the partition count. */
  config: z.string(),
  /** Highest generation under which it took partitions. */
  generation: z.number().int().nonnegative(),
  /** One hex digit per four partitions, lowest partition in the lowest bit. */
  owned: z.string().regex(/^[0-9a-f]*$/),
  /** Generation of its leadership; 0 = it does not lead. */
  leads: z.number().int().nonnegative().default(0),
  isLeaving: z.boolean().default(false),
  /** It is new: everybody answers with a beat at once. */
  isHello: z.boolean().default(false),
});
export type SchedulerBeat = z.infer<typeof schedulerBeatSchema>;

export const handOverSchema = z.object({
  to: idSchema,
  partitions: z.array(z.number().int().nonnegative()),
});
/** Those whose journal is complete and free to be taken now. */
export const handOverReplySchema = z.object({ partitions: z.array(z.number()) });

export const JOB_VERBS = [
  "submit",
  "get",
  "explain",
  "wait",
  "events",
  "cancel",
  "result",
  "feedback",
] as const;
export type JobVerb = (typeof JOB_VERBS)[number];
/** A request about a job on its way to the owner of its partition. */
export const partitionRequestSchema = z.object({
  verb: z.enum(JOB_VERBS),
  jobId: idSchema,
  body: z.unknown(),
});

export const instanceWantSchema = z.object({
  executor: z.string(),
  labels: z.record(z.string(), z.string()),
  nodeKind: z.string().exactOptional(),
  nodes: z.array(z.string()).exactOptional(),
  waitingCount: z.number().int().nonnegative(),
  avoidInstances: z.array(z.string()),
});
