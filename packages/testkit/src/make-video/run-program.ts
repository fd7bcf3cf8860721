/**
 * Starts the external programs, always with an argument array and never through a shell.
 *
 * Owns:      the words said when a program is missing or fails, and stopping it on abort.
 *
 * Invariants:
 *   R1. The program has ended when `runProgram` ends, however it ends: its files may be removed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MakeVideoError } from "./make-video-error.ts";

/** Enough of the end of a program's messages to tell why it failed. */
const STDERR_CHARS_MAX = 4_000;

export interface RunOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** Which Debian package brings the program; named when it is missing. */
  readonly packageName: string;
  readonly signal: AbortSignal;
  /** Chunks for standard input; left out, it gets none. */
  readonly input?: AsyncIterable<Buffer>;
}

interface End {
  readonly code: number | null;
  readonly messages: string;
  /** Why the program did not start, if it did not. */
  readonly startError: NodeJS.ErrnoException | undefined;
}

/**
 * Runs to the end and gives nothing back: programs here write files.
 *
 * Errors: `MakeVideoError` when the program is missing or exits with another code than 0; the
 *         signal's reason when it was aborted; the error of `input` when that fails.
 */
export async function runProgram(options: RunOptions): Promise<void> {
  const { program, args, packageName, signal, input } = options;
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], signal });
  const ended = waitForEnd(child);
  const inputError = await feed(child, input ?? Readable.from([]));
  // Without its input the program would wait, or make a shorter video as if all were well.
  if (inputError !== undefined) child.kill();
  const { code, messages, startError } = await ended;
  signal.throwIfAborted();
  if (inputError !== undefined) throw inputError;
  if (startError?.code === "ENOENT") {
    throw new MakeVideoError(
      `cannot run ${program}: it is not installed; install the Debian package ${packageName}`,
      { cause: startError },
    );
  }
  if (startError !== undefined) throw startError;
  if (code !== 0) {
    const lastLine = messages.trim().split("\n").at(-1) ?? "";
    throw new MakeVideoError(`${program} failed with exit code ${code}: ${lastLine}`);
  }
}

function waitForEnd(child: ChildProcess): Promise<End> {
  let messages = "";
  let startError: NodeJS.ErrnoException | undefined;
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    messages = (messages + chunk).slice(-STDERR_CHARS_MAX);
  });
  return new Promise((resolve) => {
    child.on("error", (err: NodeJS.ErrnoException) => {
      // Abort is an "error" too, but then the program still has to end.
      if (child.pid !== undefined) return;
      startError = err;
      resolve({ code: null, messages, startError });
    });
    child.on("close", (code) => resolve({ code, messages, startError }));
  });
}

/** What went wrong with `input` itself; a program that ends early is told by its exit code. */
async function feed(child: ChildProcess, input: AsyncIterable<Buffer>): Promise<unknown> {
  if (child.stdin === null) return undefined;
  try {
    await pipeline(input, child.stdin);
    return undefined;
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException;
    return code === "EPIPE" || code === "ERR_STREAM_PREMATURE_CLOSE" ? undefined : err;
  }
}
