/**
 * One process that the command started.
 *
 * Owns:      its start until the line that says it is ready, its log file, its end.
 * Does not:  restart it, or know what it does.
 *
 * Invariants:
 *   P1. Each child leads a process group of its own: Ctrl-C reaches only the command, which then
 *       ends its children in order, and what a child started is ended with it.
 *   P2. `stop` ends in a dead process group: SIGTERM, then SIGKILL after the grace time.
 *   P3. No child outlives this process, whatever way it ends (orphan-guard.ts for SIGKILL).
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { UnavailableError } from "@murakkab/kit";
import { guardGroup } from "./orphan-guard.ts";
import { readableLine } from "./readable-line.ts";

export interface ChildSpec {
  /** What messages call it, such as `node-1`. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** The log file outlives the cluster, so that it is worth naming. */
  readonly isLogKept: boolean;
  /** `event` of the JSON line on stdout that says it is ready. */
  readonly readyEvent: string;
}

/** Why 30 s: a cold start on two busy cores takes some; longer means that it hangs. */
const READY_TIMEOUT_MS = 30_000;
/** How long the last lines of a child that has ended are waited for, ms. */
const LAST_LINES_MS = 250;
/** Lines of a child's log that are shown when it dies. */
const TAIL_LINES = 12;
const alive = new Set<Child>();

export class Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves with a sentence on how it ended. Never rejects. */
  readonly exited: Promise<string>;
  readonly #process: ChildProcess;
  readonly #spec: ChildSpec;
  readonly #tail: string[] = [];
  #readyLine: Readonly<Record<string, unknown>> = {};
  #isStopping = false;
  #hasExited = false;

  private constructor(spec: ChildSpec, child: ChildProcess, onLine: (line: string) => void) {
    this.name = spec.name;
    this.pid = child.pid ?? 0;
    this.#process = child;
    this.#spec = spec;
    this.#keepLog(onLine);
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      child.once("exit", (code, signal) => {
        const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
        // Its last lines may still be in the pipe; a grandchild may hold the pipe for ever.
        child.once("close", () => resolve(reason));
        setTimeout(resolve, LAST_LINES_MS, reason);
      });
    });
    alive.add(this);
    const dismissGuard = this.pid > 0 ? guardGroup(this.pid) : () => undefined;
    void this.exited.then(() => {
      this.#hasExited = true;
      this.#killGroup(); // Children of it that outlived it.
      alive.delete(this);
      dismissGuard();
    });
  }

  /** Errors: `UNAVAILABLE` with the last lines of its log when it dies or stays silent. */
  static async start(spec: ChildSpec, signal: AbortSignal): Promise<Child> {
    signal.throwIfAborted();
    const process_ = spawn(process.execPath, spec.args, {
      env: spec.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // P1
    });
    let markReady: () => void = () => undefined;
    const ready = new Promise<"ready">((resolve) => {
      markReady = () => resolve("ready");
    });
    const child = new Child(spec, process_, (line) => {
      if (eventOf(line) !== spec.readyEvent) return;
      child.#readyLine = JSON.parse(line) as Readonly<Record<string, unknown>>;
      markReady();
    });
    const outcome = await child.#firstOf(ready, signal);
    if (outcome === "ready") return child;
    await child.stop(0);
    signal.throwIfAborted();
    throw child.failure(outcome);
  }

  /** What it told when it was ready. */
  get readyLine(): Readonly<Record<string, unknown>> {
    return this.#readyLine;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** P2. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#hasExited || this.pid === 0) return;
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#killGroup(), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** SIGKILL to the process alone; resolves once it is gone. Its end then counts as wanted. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    if (this.#hasExited || this.pid === 0) return;
    this.#signal("SIGKILL");
    await this.exited;
  }

  failure(reason: string): UnavailableError {
    const lines = this.#tail.map(readableLine).filter((line) => line !== "");
    const { isLogKept, logFile } = this.#spec;
    const detail = [...lines, ...(isLogKept ? [`full log: ${logFile}`] : [])].join("\n");
    return new UnavailableError(`${this.name} ended unexpectedly: ${reason}`, { detail });
  }

  /** For the last moment of this process: synchronous, no grace. */
  static killAll(): void {
    for (const child of alive) child.#killGroup();
  }

  #keepLog(onLine: (line: string) => void): void {
    const log = createWriteStream(this.#spec.logFile, { flags: "a", mode: 0o600 });
    log.on("error", () => undefined); // A full disk must not end the cluster.
    const take = (line: string): void => {
      log.write(`${line}\n`);
      this.#tail.push(line);
      if (this.#tail.length > TAIL_LINES) this.#tail.shift();
      onLine(line);
    };
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", take);
    }
    this.#process.once("close", () => log.end());
  }

  async #firstOf(ready: Promise<"ready">, signal: AbortSignal): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    let onAbort: () => void = () => undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(
        resolve,
        READY_TIMEOUT_MS,
        `it was not ready after ${READY_TIMEOUT_MS} ms`,
      );
      onAbort = () => resolve("interrupted");
      signal.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([ready, this.exited, late]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.pid, signal);
    } catch {
      // It ended in this moment.
    }
  }

  #killGroup(): void {
    try {
      if (this.pid > 0) process.kill(-this.pid, "SIGKILL");
    } catch {
      // Nobody of the group is left.
    }
  }
}

process.on("exit", () => Child.killAll()); // P3

function eventOf(line: string): string | null {
  if (!line.startsWith("{")) return null;
  try {
    const { event } = JSON.parse(line) as { event?: unknown };
    return typeof event === "string" ? event : null;
  } catch {
    return null;
  }
}
