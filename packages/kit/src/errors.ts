/**
 * The error taxonomy that every room shares.
 *
 * Owns:      the base class, the retryable/terminal split, stable codes, the wire form.
 * Does not:  log. An error is logged once, where it is handled.
 *
 * Messages are lower case without a full stop, because they get chained: what failed, for which
 * id, what was expected. `context` holds ids and numbers, never prompts, outputs or credentials.
 */
export type ErrorKind = "retryable" | "terminal";
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

export interface RuntimeErrorOptions {
  readonly context?: ErrorContext;
  readonly cause?: unknown;
  /** Milliseconds after which a repeat makes sense. Only for retryable errors. */
  readonly retryAfterMs?: number;
  /** The field of the caller's input that is wrong, as a dotted path. */
  readonly field?: string;
  /** Last lines of a program's stderr and the like; redacted before it is set. */
  readonly detail?: string;
}

/** `code` is the only thing that code outside the throwing module may test. */
export class RuntimeError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly context: ErrorContext;
  readonly retryAfterMs: number | undefined;
  readonly field: string | undefined;
  readonly detail: string | undefined;

  constructor(code: string, kind: ErrorKind, message: string, options: RuntimeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.kind = kind;
    this.context = options.context ?? {};
    this.retryAfterMs = options.retryAfterMs;
    this.field = options.field;
    this.detail = options.detail;
  }

  get isRetryable(): boolean {
    return this.kind === "retryable";
  }
}

/** Trouble of the world, this time: the same request may succeed later. */
export class RetryableError extends RuntimeError {
  constructor(code: string, message: string, options: RuntimeErrorOptions = {}) {
    super(code, "retryable", message, options);
  }
}

/** This request will never work as it stands. */
export class TerminalError extends RuntimeError {
  constructor(code: string, message: string, options: RuntimeErrorOptions = {}) {
    super(code, "terminal", message, options);
  }
}

/** Nobody answered in time. The request may have run: repeat only with the same idempotency key. */
export class TimeoutError extends RetryableError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("TIMEOUT", message, options);
  }
}

/** Nobody is there: the bus knows that no one listens. The request did not run. */
export class NoRespondersError extends RetryableError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("NO_RESPONDERS", message, options);
  }
}

/** A part that is needed is not reachable now (bus down, store without leader). */
export class UnavailableError extends RetryableError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("UNAVAILABLE", message, options);
  }
}

export class OverloadedError extends RetryableError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("OVERLOADED", message, options);
  }
}

export class MailboxFullError extends RetryableError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("MAILBOX_FULL", message, options);
  }
}

export class InvalidArgumentError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("INVALID_ARGUMENT", message, options);
  }
}

export class NotFoundError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("NOT_FOUND", message, options);
  }
}

export class StaleGenerationError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("STALE_GENERATION", message, options);
  }
}

export class DeadlineExceededError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("DEADLINE_EXCEEDED", message, options);
  }
}

export class CancelledError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("CANCELLED", message, options);
  }
}

export class UnsupportedVersionError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("UNSUPPORTED_VERSION", message, options);
  }
}

export class EngineFailedError extends TerminalError {
  constructor(message: string, options: RuntimeErrorOptions = {}) {
    super("ENGINE_FAILED", message, options);
  }
}

/** A defect of ours. Never caught to carry on: it ends the actor or the process. */
export class AssertionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AssertionError";
  }
}

export function assert(claim: unknown, message: string): asserts claim {
  if (!claim) throw new AssertionError(message);
}

/** For the `default` of an exhaustive switch: the compiler proves that it is never reached. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected case ${JSON.stringify(value)}`);
}

/** The form of an error on the wire. An unknown code becomes a terminal error of that code. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly field?: string;
  readonly detail?: string;
  readonly context?: ErrorContext;
}

export function isRuntimeError(err: unknown): err is RuntimeError {
  return err instanceof RuntimeError;
}

/** Defects become `INTERNAL`: their stack stays on this side of the wire. */
export function toWireError(err: unknown): WireError {
  if (!isRuntimeError(err)) {
    const message = err instanceof Error ? err.message : String(err);
    return { code: "INTERNAL", message: `internal error: ${message}`, retryable: false };
  }
  return {
    code: err.code,
    message: err.message,
    retryable: err.isRetryable,
    ...(err.retryAfterMs === undefined ? {} : { retryAfterMs: err.retryAfterMs }),
    ...(err.field === undefined ? {} : { field: err.field }),
    ...(err.detail === undefined ? {} : { detail: err.detail }),
    ...(Object.keys(err.context).length === 0 ? {} : { context: err.context }),
  };
}

/** The remote side answered with an error: it is rebuilt with its own code and kind. */
export class RemoteError extends RuntimeError {}

export function fromWireError(wire: WireError): RuntimeError {
  const { code, message, retryable, context, field, detail, retryAfterMs } = wire;
  return new RemoteError(code, retryable ? "retryable" : "terminal", message, {
    ...(context === undefined ? {} : { context }),
    ...(field === undefined ? {} : { field }),
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** One line for people: the chain of messages, outermost first, no stack. */
export function describeError(err: unknown): string {
  const parts: string[] = [];
  let at: unknown = err;
  while (at instanceof Error && parts.length < 5) {
    if (!parts.includes(at.message)) parts.push(at.message);
    at = at.cause;
  }
  return parts.length === 0 ? String(err) : parts.join(": ");
}
