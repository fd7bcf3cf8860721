/**
 * The clock port. Decision code and protocol logic never read time themselves: the simulator and
 * the tests drive them under virtual time.
 */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. The only time that decisions may use. */
  monotonicMs(): number;
  /** Unix milliseconds, for display, price tables and journals only. */
  wallMs(): number;
  /** Calls `fn` once after `delayMs`; the returned function forgets it. */
  after(delayMs: number, fn: () => void): Cancel;
}

/** Calls `fn` every `intervalMs` until cancelled; the next call is armed after `fn` returned. */
export function every(clock: Clock, intervalMs: number, fn: () => void): Cancel {
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  const arm = (): void => {
    cancel = clock.after(intervalMs, () => {
      if (isStopped) return;
      fn();
      if (!isStopped) arm();
    });
  };
  arm();
  return () => {
    isStopped = true;
    cancel();
  };
}

/** Resolves after `delayMs`. Rejects at once with the signal's reason when it aborts first. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignalLike): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason ?? new Error("aborted"));
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort);
  });
}

/** The part of AbortSignal that rooms without platform types may use. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** A deadline by the local monotonic clock, made from the remaining milliseconds of a message. */
export interface Deadline {
  remainingMs(): number;
}

export function deadlineAfter(clock: Clock, remainingMs: number): Deadline {
  const endsAtMs = clock.monotonicMs() + remainingMs;
  return { remainingMs: () => Math.max(0, endsAtMs - clock.monotonicMs()) };
}
