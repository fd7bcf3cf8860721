/**
 * Starts other programs for the scripts: always with an argument array, never through a shell.
 *
 * Owns:      output capture, time limits, forwarding of signals, exit codes, how a failure is told.
 * Does not:  decide what is run.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";

/** An expected failure: its message is the one sentence that the user sees. */
export class ScriptError extends Error {
  constructor(message, { exitCode = 1, detail = "", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ScriptError";
    this.exitCode = exitCode;
    /** Output of the program that failed; printed above the sentence. */
    this.detail = detail;
  }
}

/** One clear sentence on stderr; the stack only when asked for. Returns the exit code. */
export function tellFailure(error, isVerbose) {
  if (error.detail) process.stderr.write(`${error.detail}\n`);
  process.stderr.write(`murakkab: ${error.message}\n`);
  if (isVerbose || !(error instanceof ScriptError)) process.stderr.write(`${error.stack}\n`);
  return error.exitCode ?? 1;
}

/** Captured output beyond this is dropped from its start: only the end explains a failure. */
const CAPTURE_CHARS_MAX = 4 * 1024 * 1024;
/** npm and the terminal both deliver one Ctrl-C: two signals this close together are one wish. */
const SAME_SIGNAL_MS = 300;

/** Programs that are running, so that a signal to the script does not leave them behind. */
const running = new Set();
/** Called once when a signal ends the script while it prepares things. */
const onEnd = new Set();
let forwardTo = null;
/** The signal that ends the script as soon as no program must be left to finish. */
let endAfterwards = null;
let lastSignalAtMs = Number.NEGATIVE_INFINITY;

function exitCodeOf(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 1);
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
  }
}

function onSignal(signal) {
  const atMs = performance.now();
  const isRepeat = atMs - lastSignalAtMs < SAME_SIGNAL_MS;
  lastSignalAtMs = atMs;
  if (isRepeat) return;
  if (forwardTo !== null) {
    // Only the program itself is told: how its own children end is its business.
    forwardTo.kill(signal);
    return;
  }
  if ([...running].some((child) => child.mayNotBeInterrupted)) {
    endAfterwards = signal;
    return;
  }
  for (const child of running) signalGroup(child, "SIGTERM");
  endBySignal(signal);
}

function endBySignal(signal) {
  for (const clean of onEnd) clean();
  process.exit(exitCodeOf(null, signal));
}

let isListening = false;
/** Idempotent; called by whoever starts a program or holds something that must be given back. */
export function handleSignals() {
  if (isListening) return;
  isListening = true;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => onSignal(signal));
}

/** Runs `clean` (synchronous) if a signal ends the script; the returned function forgets it. */
export function cleanOnSignal(clean) {
  handleSignals();
  onEnd.add(clean);
  return () => onEnd.delete(clean);
}

/**
 * Runs a program to its end and returns `{ code, stdout, stderr }`. `code` is null when it could
 * not be started or ran past `timeoutMs`; `error` then says why.
 *
 * `mayNotBeInterrupted`: a signal to the script waits for its end (a package manager that is
 * killed half-way leaves the machine in need of repair).
 */
export function capture(command, args, options = {}) {
  const { cwd, env, timeoutMs, onOutput, mayNotBeInterrupted = false } = options;
  handleSignals();
  return new Promise((resolve) => {
    // A group of its own: pnpm, apt-get and the like start children that must end with them.
    const child = spawn(command, args, {
      cwd,
      env: env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const output = { stdout: "", stderr: "" };
    let isTimedOut = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            isTimedOut = true;
            signalGroup(child, "SIGKILL");
          }, timeoutMs);
    child.mayNotBeInterrupted = mayNotBeInterrupted;
    running.add(child);
    for (const name of ["stdout", "stderr"]) {
      child[name].setEncoding("utf8");
      child[name].on("data", (chunk) => {
        output[name] = (output[name] + chunk).slice(-CAPTURE_CHARS_MAX);
        onOutput?.(chunk);
      });
    }
    const end = (result) => {
      clearTimeout(timer);
      running.delete(child);
      if (endAfterwards !== null && running.size === 0) endBySignal(endAfterwards);
      resolve({ ...output, ...result });
    };
    child.on("error", (error) => end({ code: null, error: error.message }));
    child.on("close", (code, signal) => {
      if (isTimedOut) end({ code: null, error: `no end after ${timeoutMs / 1000} s` });
      else end({ code: exitCodeOf(code, signal) });
    });
  });
}

/**
 * Hands the terminal over to a program, forwards SIGINT, SIGTERM and SIGHUP to it, and returns
 * its exit code (128 + number when a signal ended it). After `limitMs` it is killed with its group.
 *
 * The program gets a process group of its own. Otherwise one Ctrl-C would reach it up to three
 * times (terminal, npm, this script), and programs take a second one as "end at once".
 */
export function runInTerminal(command, args, { cwd, env, limitMs } = {}) {
  handleSignals();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: env ?? process.env,
      stdio: "inherit",
      detached: true,
    });
    forwardTo = child;
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => {
            process.stderr.write(`no end after ${limitMs / 1000} s: ${command} is ended\n`);
            signalGroup(child, "SIGKILL");
          }, limitMs);
    child.on("error", (error) => {
      forwardTo = null;
      reject(new ScriptError(`${command} could not be started: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      forwardTo = null;
      resolve(exitCodeOf(code, signal));
    });
  });
}
