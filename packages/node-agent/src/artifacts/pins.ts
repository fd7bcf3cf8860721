/**
 * Which jobs need which artifacts, until when.
 *
 * Owns:      pins by (job, artifact) with an end by the monotonic clock.
 * Does not:  hold bytes, or decide what is evicted.
 *
 * Invariants:
 *   P1. Writing extends a pin, never shortens it; only an explicit pin replaces the time.
 *   P2. A pin whose time has passed counts for nothing, whether or not it was swept yet.
 */
import { OverloadedError } from "@murakkab/kit";
import { FULL_RETRY_AFTER_MS, PINNING_JOB_COUNT_MAX } from "../limits.ts";

/** Uploads that no job has named yet. Its pins are per artifact: one upload renews no other. */
export const UPLOAD_JOB = "upload";
/** What was found at a start, until its jobs' owners renew their pins. */
export const RECOVERED_JOB = "recovered";

export class Pins {
  /** Job to artifact hash to end, monotonic ms. */
  readonly #untilByJob = new Map<string, Map<string, number>>();

  /** P1. */
  extend(jobId: string, hash: string, untilMs: number): void {
    const pins = this.#pinsOf(jobId);
    pins.set(hash, Math.max(untilMs, pins.get(hash) ?? 0));
  }

  /** Sets the end for all artifacts that the job has pinned here, and for `hashes`. */
  replace(jobId: string, hashes: readonly string[], untilMs: number): void {
    const known = this.#untilByJob.get(jobId);
    if (known === undefined && hashes.length === 0) return;
    const pins = known ?? this.#pinsOf(jobId);
    if (jobId !== UPLOAD_JOB) for (const hash of pins.keys()) pins.set(hash, untilMs);
    for (const hash of hashes) pins.set(hash, untilMs);
  }

  release(jobId: string): void {
    this.#untilByJob.delete(jobId);
  }

  isPinned(hash: string, nowMs: number): boolean {
    for (const pins of this.#untilByJob.values()) {
      if ((pins.get(hash) ?? Number.NEGATIVE_INFINITY) > nowMs) return true;
    }
    return false;
  }

  /** Hashes pinned now: one pass, for eviction over many artifacts. */
  pinnedHashes(nowMs: number): Set<string> {
    const pinned = new Set<string>();
    for (const pins of this.#untilByJob.values()) {
      for (const [hash, untilMs] of pins) if (untilMs > nowMs) pinned.add(hash);
    }
    return pinned;
  }

  /** Forgets pins that have ended. */
  sweep(nowMs: number): void {
    for (const [jobId, pins] of this.#untilByJob) {
      for (const [hash, untilMs] of pins) if (untilMs <= nowMs) pins.delete(hash);
      if (pins.size === 0) this.#untilByJob.delete(jobId);
    }
  }

  #pinsOf(jobId: string): Map<string, number> {
    const known = this.#untilByJob.get(jobId);
    if (known !== undefined) return known;
    if (this.#untilByJob.size >= PINNING_JOB_COUNT_MAX) {
      throw new OverloadedError(
        `${this.#untilByJob.size} jobs have pins here, expected at most ${PINNING_JOB_COUNT_MAX}`,
        { retryAfterMs: FULL_RETRY_AFTER_MS },
      );
    }
    const created = new Map<string, number>();
    this.#untilByJob.set(jobId, created);
    return created;
  }
}
