/**
 * Runs external programs: an argument array, never a shell line; each in a process group of its own.
 *
 * Owns:      their limits (time, output), their end, and what a bad end means.
 * Does not:  know executors, or measure (see usage-meter.ts).
 *
 * Invariants:
 *   P1. `run` settles only when the program has closed, and then nothing of its group is left.
 *   P2. A program gets PATH, HOME and LANG of this process, its own TMPDIR and what the request
 *       names. Nothing else is inherited: no tokens, no NATS settings.
 *   P3. Memory held for a program's output is bounded: stdout by its limit, stderr by its tail.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { AbortSignalLike, RuntimeError } from "@murakkab/kit";
import {
  EngineFailedError,
  InvalidArgumentError,
  RetryableError,
  redact,
  TerminalError,
} from "@murakkab/kit";
import type { RunResult } from "@murakkab/library";
import { INSTANCE_VARIABLE } from "@murakkab/protocol";
import { diskFull } from "../failure.ts";
import { type GroupLedger, signalGroup } from "./group-ledger.ts";
import { OutputTail } from "./output-tail.ts";

/** Between SIGTERM and SIGKILL, ms: enough to delete a temporary file, short for a waiting user. */
export const KILL_GRACE_MS = 500;
/** After the program's end, how long a stranger may keep its pipes open, ms. */
const PIPE_GRACE_MS = 500;
/** Default bound of stdout, bytes: text results are kilobytes; files go to the scratch directory. */
export const STDOUT_LIMIT_BYTES_DEFAULT = 16 * 1024 * 1024;
/** Inherited where they are set (P2). */
const INHERITED_VARIABLES = ["PATH", "HOME", "LANG"] as const;
const NO_SPACE = /no space left on device|disk quota exceeded/i;

export interface ProgramRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Working directory and TMPDIR. */
  readonly cwd: string;
  readonly signal: AbortSignalLike;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly stdin?: Uint8Array | undefined;
  readonly timeLimitMs?: number | undefined;
  readonly stdoutLimitBytes?: number | undefined;
  readonly okExitCodes?: readonly number[] | undefined;
}

export interface ProgramRunnerOptions {
  readonly instance: string;
  /** This process's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class ProgramRunner {
  private readonly ledger: GroupLedger;
  private readonly baseEnv: Readonly<Record<string, string>>;
  private started = 0;
  private ended = 0;

  constructor(components: { readonly ledger: GroupLedger }, options: ProgramRunnerOptions) {
    this.ledger = components.ledger;
    const inherited = INHERITED_VARIABLES.flatMap((name) => {
      const value = options.env[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    this.baseEnv = { ...Object.fromEntries(inherited), [INSTANCE_VARIABLE]: options.instance };
  }

  /** Programs started so far. */
  get startedCount(): number {
    return this.started;
  }

  /** Of those, the ones that ended and were waited for. */
  get endedCount(): number {
    return this.ended;
  }

  /**
   * Errors: the signal's reason when it aborted; `PROGRAM_MISSING`, `ENGINE_CRASHED` and
   * `DISK_FULL` (retryable); `ENGINE_FAILED`, `ENGINE_TIMEOUT` and `OUTPUT_LIMIT` (terminal).
   */
  run(request: ProgramRequest): Promise<RunResult> {
    if (request.signal.aborted) return Promise.reject(abortReason(request));
    this.started += 1;
    const env = { ...this.baseEnv, TMPDIR: request.cwd, ...request.env };
    const { ended } = new RunningProgram(this.ledger, request, env);
    const count = (): void => void (this.ended += 1);
    ended.then(count, count);
    return ended;
  }

  /** Ends every group at once. For a process that is about to exit. */
  killAll(): void {
    for (const pgid of this.ledger.active) signalGroup(pgid, "SIGKILL");
  }
}

class RunningProgram {
  readonly ended: Promise<RunResult>;
  private readonly ledger: GroupLedger;
  private readonly request: ProgramRequest;
  private readonly stdout: Buffer[] = [];
  private readonly stderr = new OutputTail();
  private readonly timers = new Set<NodeJS.Timeout>();
  private stdoutBytes = 0;
  private child: ChildProcess | null = null;
  /** Why we ended it; the program's own end then says nothing. */
  private stopReason: unknown = null;
  private readonly onAbort = (): void => this.stop(abortReason(this.request), "SIGTERM");

  constructor(ledger: GroupLedger, request: ProgramRequest, env: Record<string, string>) {
    this.ledger = ledger;
    this.request = request;
    this.ended = new Promise((resolve, reject) => {
      try {
        this.child = this.start(env);
      } catch (error) {
        reject(this.startError(error));
        return;
      }
      const { child } = this;
      child.once("error", (error) => {
        this.release();
        reject(this.startError(error));
      });
      child.once("exit", () => this.onExit(child));
      child.once("close", (code, signal) => {
        this.release();
        const failure = this.failure(code, signal);
        if (failure === null) resolve(this.result(code ?? 0));
        else reject(failure);
      });
    });
  }

  private start(env: Record<string, string>): ChildProcess {
    const { program, args, cwd, stdin, signal, timeLimitMs } = this.request;
    const input = stdin === undefined ? "ignore" : "pipe";
    const child = spawn(program, [...args], {
      cwd,
      env,
      detached: true, // a session and group of its own, so that its whole family can be ended
      stdio: [input, "pipe", "pipe"],
      windowsHide: true,
    });
    if (child.pid === undefined) return child; // an "error" event follows
    this.ledger.add(child.pid);
    child.stdout?.on("data", (chunk: Buffer) => this.onStdout(chunk));
    child.stderr?.on("data", (chunk: Buffer) => this.stderr.push(chunk));
    // EPIPE: a program may end without reading its input; its exit code tells the story.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(stdin);
    signal.addEventListener("abort", this.onAbort);
    if (timeLimitMs !== undefined) {
      this.arm(timeLimitMs, () => this.stop(this.timeoutError(timeLimitMs), "SIGTERM"));
    }
    return child;
  }

  private arm(delayMs: number, fn: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      fn();
    }, delayMs);
    this.timers.add(timer);
  }

  private onStdout(chunk: Buffer): void {
    const limitBytes = this.request.stdoutLimitBytes ?? STDOUT_LIMIT_BYTES_DEFAULT;
    this.stdoutBytes += chunk.length;
    if (this.stdoutBytes <= limitBytes) this.stdout.push(chunk);
    else this.stop(this.floodError(limitBytes), "SIGKILL"); // P3
  }

  private stop(reason: unknown, signal: "SIGTERM" | "SIGKILL"): void {
    const pgid = this.child?.pid;
    if (this.stopReason !== null || pgid === undefined) return;
    this.stopReason = reason;
    this.stdout.length = 0;
    signalGroup(pgid, signal);
    if (signal === "SIGTERM") this.arm(KILL_GRACE_MS, () => signalGroup(pgid, "SIGKILL"));
  }

  /** P1: what the program left behind in its group ends with it, and so do its pipes. */
  private onExit(child: ChildProcess): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
    this.arm(PIPE_GRACE_MS, () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  }

  private release(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.request.signal.removeEventListener("abort", this.onAbort);
    if (this.child?.pid !== undefined) this.ledger.remove(this.child.pid);
  }

  private result(exitCode: number): RunResult {
    return { stdout: Buffer.concat(this.stdout), stderr: this.stderr.text(), exitCode };
  }

  private failure(code: number | null, signal: NodeJS.Signals | null): unknown {
    if (this.stopReason !== null) return this.stopReason;
    const { program, okExitCodes = [0] } = this.request;
    const detail = redact(this.stderr.lastLines());
    const options = detail === "" ? {} : { detail };
    if (signal !== null) {
      const hint = signal === "SIGKILL" ? ", most often because memory ran out" : "";
      const message = `program "${program}" was ended by signal ${signal}${hint}`;
      return new RetryableError("ENGINE_CRASHED", message, options);
    }
    if (code !== null && okExitCodes.includes(code)) return null;
    if (NO_SPACE.test(detail)) return diskFull(program);
    return new EngineFailedError(
      `program "${program}" ended with exit code ${code}, expected ${okExitCodes.join(" or ")}`,
      { ...options, context: { exitCode: code } },
    );
  }

  private startError(cause: unknown): unknown {
    const { program, cwd } = this.request;
    const { code } = cause as NodeJS.ErrnoException;
    if ((code === "ENOENT" || code === "EACCES") && existsSync(cwd)) {
      const message = `program "${program}" cannot be started, expected it on the PATH of this node`;
      return new RetryableError("PROGRAM_MISSING", message, { cause });
    }
    if (code === "E2BIG" || code === "ERR_INVALID_ARG_VALUE") {
      const message = `the arguments of program "${program}" are too long or contain a zero byte`;
      return new InvalidArgumentError(message, { cause });
    }
    return cause;
  }

  private timeoutError(timeLimitMs: number): RuntimeError {
    const message = `program "${this.request.program}" took longer than its limit of ${timeLimitMs} ms`;
    return new TerminalError("ENGINE_TIMEOUT", message, { context: { timeLimitMs } });
  }

  private floodError(limitBytes: number): RuntimeError {
    const message = `program "${this.request.program}" wrote more than its limit of ${limitBytes} bytes to stdout`;
    return new TerminalError("OUTPUT_LIMIT", message, { context: { limitBytes } });
  }
}

function abortReason({ signal, program }: ProgramRequest): unknown {
  return signal.reason ?? new TerminalError("CANCELLED", `program "${program}" was cancelled`);
}
