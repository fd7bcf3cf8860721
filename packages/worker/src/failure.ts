/**
 * Which error an attempt fails with, and whether a repeat makes sense.
 *
 * Rule:  killed by a signal -> ENGINE_CRASHED, retryable. Bad exit code, bad output -> ENGINE_FAILED,
 *        terminal. Executor's own time limit -> ENGINE_TIMEOUT, terminal: it would pass again. Job's
 *        deadline -> DEADLINE_EXCEEDED. Too much output -> OUTPUT_LIMIT, terminal. Program gone from
 *        this node -> PROGRAM_MISSING, retryable: another node may have it. Disk full -> DISK_FULL,
 *        retryable. Out of processes, files or memory -> OVERLOADED, retryable.
 */
import type { RuntimeError } from "@murakkab/kit";
import {
  AssertionError,
  describeError,
  EngineFailedError,
  isRuntimeError,
  OverloadedError,
  RetryableError,
  redact,
  TerminalError,
} from "@murakkab/kit";

/** A repeat on this node makes sense after this, ms: about as long as a neighbour's attempt. */
const PRESSED_RETRY_AFTER_MS = 1_000;
const FULL_CODES: readonly string[] = ["ENOSPC", "EDQUOT"];
const PRESSED_CODES: readonly string[] = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"];
const CAUSE_DEPTH_MAX = 5;

/** Errors: rethrows an AssertionError, because a defect of ours ends the actor. */
export function attemptFailure(error: unknown, executor: string): RuntimeError {
  if (error instanceof AssertionError) throw error;
  const code = systemCode(error);
  if (code !== null && FULL_CODES.includes(code)) return diskFull(executor, error);
  if (code !== null && PRESSED_CODES.includes(code)) {
    return new OverloadedError(
      `executor "${executor}" could not run: the host is out of ${resource(code)}`,
      {
        cause: error,
        retryAfterMs: PRESSED_RETRY_AFTER_MS,
      },
    );
  }
  if (isRuntimeError(error)) return error;
  const reason = redact(describeError(error));
  return new EngineFailedError(`executor "${executor}" failed: ${reason}`, { cause: error });
}

export function diskFull(who: string, cause?: unknown): RetryableError {
  return new RetryableError("DISK_FULL", `"${who}" could not write: the disk of its node is full`, {
    cause,
    retryAfterMs: PRESSED_RETRY_AFTER_MS,
  });
}

export function engineTimeout(executor: string, timeLimitMs: number): TerminalError {
  return new TerminalError(
    "ENGINE_TIMEOUT",
    `executor "${executor}" took longer than its limit of ${timeLimitMs} ms`,
    { context: { timeLimitMs } },
  );
}

function resource(code: string): string {
  if (code === "ENOMEM") return "memory";
  return code === "EAGAIN" ? "processes" : "file handles";
}

/** The `code` of a system error somewhere in the chain. A RuntimeError's own code is none. */
function systemCode(error: unknown): string | null {
  let at: unknown = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && at instanceof Error; depth += 1) {
    const { code } = at as { code?: unknown };
    if (!isRuntimeError(at) && typeof code === "string") return code;
    at = at.cause;
  }
  return null;
}
