/** Every bound of the wire, with its reason. Listed in docs/limits.md. */

/** A result over this is spilled to an artifact: a quarter of nats-server's default max payload. */
export const SPILL_BYTES = 256 * 1024;
/** Longest job description or question, characters. Longer texts belong into an input file. */
export const DESCRIPTION_CHARS_MAX = 16_384;
/** Inputs of one job. */
export const INPUT_COUNT_MAX = 64;
/** Items of one fanned-out list: bounds what one job can put into the queues. */
export const FAN_OUT_ITEMS_MAX = 4_096;
/** Steps of one workflow. */
export const STEP_COUNT_MAX = 256;
/** A job without a deadline of its own ends after this, ms: nothing runs for ever by accident. */
export const JOB_DEADLINE_MS_DEFAULT = 30 * 60_000;
export const JOB_DEADLINE_MS_MAX = 7 * 24 * 3_600_000;
/** Longest single wait for a job's end, ms: shorter than usual proxies' idle time-outs. */
export const JOB_WAIT_MS_MAX = 60_000;
/** Attempts per item, first one included. */
export const ATTEMPTS_MAX = 3;
/** Attempts per item that may fail for reasons that are not the work's, such as a lost artifact. */
export const TRANSIENT_FAILURES_MAX = 20;
/** Times that finished steps of one job may run again because their results were lost. */
export const RERUNS_MAX = 64;
/** Heartbeat of an agent, ms. */
export const HEARTBEAT_INTERVAL_MS = 1_000;
/** An agent that was silent for this long is lost, ms: three missed beats and some slack. */
export const NODE_LOST_AFTER_MS = 3_500;
/** Telemetry interval, ms. */
export const SAMPLE_INTERVAL_MS = 1_000;
/** How long an upload is pinned before a job names it, ms. */
export const UPLOAD_PIN_MS = 15 * 60_000;
/** How long a job's owner pins its artifacts at a time, ms; renewed at a third of it. */
export const JOB_PIN_MS = 60_000;
/** Lifetime of an upload ticket, ms. */
export const TICKET_MS = 15 * 60_000;
/** How long job events and receipts are kept, ms. */
export const JOB_RETENTION_MS = 7 * 24 * 3_600_000;
/** Nodes that one scheduler keeps; more are refused. */
export const NODE_COUNT_MAX = 4_096;
/** Unfinished jobs that one scheduler accepts; more get OVERLOADED. */
export const ACTIVE_JOB_COUNT_MAX = 10_000;
/** Last part of a program's stderr that is kept, bytes. */
export const STDERR_TAIL_BYTES = 8 * 1024;
/** Partitions that jobs are spread over. A power of two up to 256. */
export const PARTITION_COUNT = 256;
/** How often a scheduler tells that it is there, ms. */
export const SCHEDULER_BEAT_MS = 200;
/** A scheduler that was silent for this long is lost, ms; one whose process ended is known sooner. */
export const SCHEDULER_LOST_AFTER_MS = 1_500;
/**
 * Lease of a process that hosts keyed actors, ms; renewed at a third of it. As long as the actors of
 * a process that hangs (and still holds its connections) are away.
 */
export const ACTOR_LEASE_MS = 10_000;
/** How often a process that hosts actors tells which types it takes, ms. */
export const ACTOR_HOST_BEAT_MS = 1_000;
/** A process that was silent for this long gets no new actors, ms: three missed beats. */
export const ACTOR_HOST_SILENT_AFTER_MS = 3_500;
/** After this silence the sender of an ask to a keyed actor asks whether it is still there, ms. */
export const ACTOR_SILENCE_MS = 2_000;
/** Activations in one process; the directory is told to look elsewhere. */
export const ACTIVATION_COUNT_MAX = 250_000;
/** One page of profiles, bytes of JSON: half of nats-server's default max payload. */
export const PROFILE_PAGE_BYTES = 512 * 1024;
/** Executor profiles, and configurations, of one import; the client sends more in parts. */
export const PROFILE_IMPORT_COUNT_MAX = 1_000;
/** Canonical text of a configuration, characters: some hundred steps with their knobs. */
export const CONFIGURATION_CHARS_MAX = 16_384;
/** Classes of questions, output ports and knobs per profile. */
export const PROFILE_ENTRIES_MAX = 64;
