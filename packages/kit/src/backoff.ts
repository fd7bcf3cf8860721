/**
 * Delays between attempts: exponential with full jitter from a seeded stream.
 *
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
import type { Random } from "./random.ts";

export interface BackoffOptions {
  /** Delay bound of the first repeat, ms. */
  readonly baseMs: number;
  /** No delay is longer, ms. */
  readonly maxMs: number;
}

/** Milliseconds to wait before repeat number `attempt` (1 = first repeat). */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const boundMs = Math.min(options.maxMs, options.baseMs * 2 ** (attempt - 1));
  return Math.round(boundMs * (0.5 + random.next() / 2));
}
