/**
 * Requests that may be repeated: they survive the loss of the bus connection.
 *
 * An answer that was under way when the connection broke never comes. The requester learns of the
 * break from its own connection and asks again, instead of waiting out its time.
 */
import {
  AbortSource,
  type Clock,
  deadlineAfter,
  delay,
  RetryableError,
  UnavailableError,
} from "@murakkab/kit";
import type { Messaging } from "./messaging.ts";
import { type CallOptions, call, type Schema } from "./rpc.ts";

/** Pause before the next try while the bus is away, ms: it also bounds a missed status change. */
const AWAY_PAUSE_MS = 100;

/**
 * `call`, repeated when the connection was lost in between, until an answer or the time-out. The
 * receiver must treat repeats as one: they carry the same value. Errors: as `call`.
 */
export async function callIdempotent<T>(
  { messaging, clock }: { readonly messaging: Messaging; readonly clock: Clock },
  request: { subject: string; value: unknown; schema?: Schema<T> },
  options: CallOptions,
): Promise<T> {
  const deadline = deadlineAfter(clock, options.timeoutMs);
  for (;;) {
    const attempt = new AbortSource();
    const onAbort = (): void => attempt.abort(options.signal?.reason);
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener("abort", onAbort);
    let wasLost = false;
    const status = messaging.onStatus((now) => {
      if (now === "disconnected") wasLost = true;
      if (now === "connected" && wasLost)
        attempt.abort(new RetryableError("BUS_WAS_AWAY", "the bus was away"));
    });
    try {
      const timeoutMs = deadline.remainingMs();
      return await call<T>(messaging, request, { ...options, timeoutMs, signal: attempt.signal });
    } catch (error) {
      const isAway = wasLost || error instanceof UnavailableError;
      if (!isAway || options.signal?.aborted || deadline.remainingMs() <= AWAY_PAUSE_MS)
        throw error;
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
      status.unsubscribe();
    }
    await delay(clock, AWAY_PAUSE_MS, options.signal);
  }
}
