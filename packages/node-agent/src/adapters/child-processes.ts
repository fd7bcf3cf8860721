/**
 * Workers as child processes, each the leader of its own process group.
 *
 * Owns:      spawning, the start spec, the IPC channel, the tail of stderr, scratch directories.
 * Does not:  decide when to start or stop (instances/instance-supervisor.ts).
 *
 * Invariants:
 *   D1. Nothing secret is in a worker's arguments or environment: the spec goes over stdin.
 *   D2. `onExit` comes once, never within `spawn`.
 *   D3. A scratch directory lives exactly as long as its instance; what an earlier, killed agent
 *       left is ended and removed before the first start.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { redact } from "@murakkab/kit";
import type { WorkerSpec } from "@murakkab/protocol";
import { INSTANCE_VARIABLE, STDERR_TAIL_BYTES, workerMessageSchema } from "@murakkab/protocol";
import type {
  InstanceProcess,
  ProcessEvents,
  ProcessPort,
  ProcessUsage,
  SpawnRequest,
} from "../ports.ts";
import { bootId, isLinux, processTree, readStat, residentBytes } from "./proc.ts";
import { reap, sendSignal } from "./reaper.ts";
import { TailBuffer } from "./tail-buffer.ts";

/** A command that outlives its worker may hold the stderr pipe open; the rest is not waited for. */
const OUTPUT_WAIT_MS = 200;
/** Variables with credentials of ours: a worker gets them in its spec only (D1). */
const SECRET_VARIABLE = /^(?:NATS_|MURAKKAB_TOKEN)/;

/** In the scratch directory, beside what the worker writes there. */
const ORIGIN_FILE = "origin.json";

export interface ChildProcessOptions {
  /** Directory for the instances' scratch directories. */
  readonly dir: string;
  readonly node: string;
  /** Program that runs a worker; it gets the spec on stdin. */
  readonly workerMain: string;
  readonly bus: WorkerSpec["bus"];
  readonly logLevel: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the workers' logs go. */
  readonly onStderr: (chunk: Buffer) => void;
}

export class ChildProcesses implements ProcessPort {
  readonly #options: ChildProcessOptions;

  constructor(options: ChildProcessOptions) {
    this.#options = options;
  }

  /** D3. */
  async recover(): Promise<void> {
    const { dir } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    for (const instance of await readdir(dir)) {
      const scratchDir = join(dir, instance);
      await reap({ instance, scratchDir, groupId: null, startTicks: readOrigin(scratchDir) });
      await rm(scratchDir, { recursive: true, force: true });
    }
  }

  spawn(request: SpawnRequest, events: ProcessEvents): InstanceProcess {
    const { dir, workerMain, env } = this.#options;
    const { instance } = request;
    const scratchDir = join(dir, instance);
    mkdirSync(scratchDir, { recursive: true, mode: 0o700 });
    const child = spawn(process.execPath, [workerMain], {
      cwd: scratchDir,
      detached: true,
      stdio: ["pipe", "ignore", "pipe", "ipc"],
      env: { ...withoutSecrets(env), [INSTANCE_VARIABLE]: instance },
    });
    const pid = child.pid ?? null;
    const startTicks = pid === null || !isLinux ? null : (readStat(pid)?.startTicks ?? null);
    writeOrigin(scratchDir, startTicks);
    this.#sendSpec(child, request, scratchDir);
    listen(child, events, this.#options.onStderr);
    return {
      scratchDir,
      terminate: () => signalGroup(pid, "SIGTERM"),
      kill: () => signalGroup(pid, "SIGKILL"),
      reap: async () => {
        await reap({ instance, scratchDir, groupId: pid, startTicks });
        await rm(scratchDir, { recursive: true, force: true });
      },
      usage: () => (pid === null ? null : treeUsage(pid)),
    };
  }

  #sendSpec(child: ChildProcess, request: SpawnRequest, scratchDir: string): void {
    const { node, bus, logLevel } = this.#options;
    const spec: WorkerSpec = { node, ...request, scratchDir, bus, logLevel };
    child.stdin?.on("error", () => undefined); // it ended at once: `exit` tells
    child.stdin?.end(JSON.stringify(spec));
  }
}

function listen(
  child: ChildProcess,
  events: ProcessEvents,
  onStderr: (chunk: Buffer) => void,
): void {
  const tail = new TailBuffer({ bytesMax: STDERR_TAIL_BYTES });
  child.stderr?.on("data", (chunk: Buffer) => {
    tail.push(chunk);
    onStderr(chunk);
  });
  child.on("message", (message) => {
    const parsed = workerMessageSchema.safeParse(message);
    if (!parsed.success) return; // of a newer version, say
    if (parsed.data.kind === "ready") events.onReady();
    else events.onStatus(parsed.data);
  });
  let isReported = false;
  const report = (exit: { code: number | null; signal: string | null; error?: string }): void => {
    if (isReported) return; // D2
    isReported = true;
    events.onExit({ ...exit, stderrTail: redact(tail.toString()).trimEnd() });
  };
  child.on("error", (error) => {
    if (child.pid === undefined) {
      report({ code: null, signal: null, error: `could not be started: ${error.message}` });
    }
  });
  child.on("exit", (code, signal) => {
    const timer = setTimeout(() => {
      child.stderr?.destroy();
      report({ code, signal });
    }, OUTPUT_WAIT_MS);
    child.on("close", () => {
      clearTimeout(timer);
      report({ code, signal });
    });
  });
}

/**
 * When the worker started, for the next agent should this one be killed: group numbers say
 * something only of processes that started later, and only until the host boots again.
 */
function writeOrigin(scratchDir: string, startTicks: number | null): void {
  if (startTicks === null) return;
  writeFileSync(join(scratchDir, ORIGIN_FILE), JSON.stringify([bootId(), startTicks]));
}

function readOrigin(scratchDir: string): number | null {
  try {
    const origin: unknown = JSON.parse(readFileSync(join(scratchDir, ORIGIN_FILE), "utf8"));
    const [boot, startTicks] = origin as [unknown, unknown];
    return boot === bootId() && typeof startTicks === "number" ? startTicks : null;
  } catch {
    return null;
  }
}

function withoutSecrets(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SECRET_VARIABLE.test(name)));
}

function signalGroup(pid: number | null, signal: NodeJS.Signals): void {
  if (pid !== null) sendSignal(-pid, signal);
}

/**
 * CPU seconds include children that were waited for. Memory is the sum of resident sizes, so
 * pages that processes share count more than once: an upper bound.
 */
function treeUsage(rootPid: number): ProcessUsage | null {
  if (!isLinux || readStat(rootPid) === null) return null;
  let cpuSec = 0;
  let memoryBytes = 0;
  for (const pid of processTree(rootPid)) {
    cpuSec += readStat(pid)?.cpuSec ?? 0;
    memoryBytes += residentBytes(pid);
  }
  return { cpuSec, memoryBytes };
}
