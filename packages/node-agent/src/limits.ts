/** Every bound of the agent, with its reason. */

/** Attempts that may wait for cores at once; more get OVERLOADED: one full fan-out per core pool. */
export const CORES_WAITING_COUNT_MAX = 4_096;
/** Instances that have exited and are remembered, so that a late repeat does not revive one. */
export const EXITED_REMEMBERED_COUNT_MAX = 1_024;
/** One answer to a registration must come within this, ms: a scheduler answers in a few. */
export const REGISTER_TIMEOUT_MS = 5_000;
/** First and longest delay after a scheduler could not take a registration, ms: it is busy then. */
export const REGISTER_BACKOFF = { baseMs: 250, maxMs: 5_000 } as const;
/** The same while nobody leads, ms: asking costs next to nothing, a new leader is there soon. */
export const LEADERLESS_BACKOFF = { baseMs: 100, maxMs: 500 } as const;
/** How often adopted workers that were not heard yet are asked for what they hold, ms. */
export const MUSTER_INTERVAL_MS = 1_000;
/** How often the spool is looked through, ms: it is empty but for outages. */
export const SPOOL_SCAN_MS = 1_000;
/** One spooled result must be acknowledged within this, ms: a journal entry takes a few. */
export const SPOOL_DELIVER_MS = 5_000;
/** Delays while nobody takes spooled results, ms. */
export const SPOOL_BACKOFF = { baseMs: 250, maxMs: 10_000 } as const;
/** Results that wait for longer are dropped, ms: their jobs have long ended. */
export const SPOOL_AGE_MS_MAX = 24 * 3_600_000;
/** Unreadable files that are kept beside a spool for whoever wants to look; the oldest goes first. */
export const SPOOL_QUARANTINE_COUNT_MAX = 16;
/** How long a worker may take to end after SIGTERM when the agent itself stops, ms. */
export const SHUTDOWN_GRACE_MS = 5_000;
/** Longest wait for the end of a process after SIGKILL, ms; after that it is given up as stuck. */
export const KILL_WAIT_MS = 5_000;
/** How long artifacts found at a start are kept, ms: their jobs' owners renew pins well before. */
export const RECOVERED_PIN_MS = 60_000;
/** When a store or node is full, a repeat makes sense after this, ms: a step's usual length. */
export const FULL_RETRY_AFTER_MS = 1_000;
/** One fetch between nodes at most, ms, whatever the attempt still has. */
export const FETCH_MS_MAX = 10 * 60_000;
/** Holders out of reach for this long have lost the artifact, ms: a restart of an agent is shorter. */
export const LOST_AFTER_MS = 3_000;
/** First pause before holders out of reach are asked again, ms; it doubles. */
export const HOLDER_RETRY_MS = 100;
/** One import at most, ms, whatever the job still has. */
export const IMPORT_MS_MAX = 30 * 60_000;
/** Jobs' pins kept in one store; more get OVERLOADED: the scheduler's bound on active jobs. */
export const PINNING_JOB_COUNT_MAX = 10_000;
