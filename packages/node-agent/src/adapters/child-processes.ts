/**
 * Workers as child processes, each the leader of its own process group.
 *
 * Owns:      spawning, the start spec, the IPC channel, the tail of stderr, scratch directories.
 * Does not:  decide when to start or stop (instances/instance-supervisor.ts).
 *
 * Invariants:
 *   D1. Nothing secret is in a worker's arguments or environment: the spec goes over stdin.
 *   D2. `onExit` comes once, never within `spawn`.
 *   D3. A scratch directory lives exactly as long as its instance.
 *   D4. Of what an earlier, killed agent left, a ready worker that can be told for certain is
 *       offered for adoption; all else is ended, by recorded identity, and removed before the first
 *       start. Where the host does not tell who a process is (no /proc), nothing is adopted and
 *       nothing is ended: a worker left there hears from the new agent that it is nobody's.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "@murakkab/kit";
import { describeError, redact } from "@murakkab/kit";
import type { WorkerSpec } from "@murakkab/protocol";
import { INSTANCE_VARIABLE, STDERR_TAIL_BYTES, workerMessageSchema } from "@murakkab/protocol";
import { KILL_WAIT_MS } from "../limits.ts";
import type {
  InstanceProcess,
  LeftWorker,
  ProcessEvents,
  ProcessPort,
  ProcessUsage,
  SpawnRequest,
} from "../ports.ts";
import type { InstanceRecord } from "./instance-record.ts";
import { findRecorded, isRunning, recordOf, writeRecord } from "./instance-record.ts";
import { isLinux, processTree, readStat, residentBytes } from "./proc.ts";
import type { ReapTarget } from "./reaper.ts";
import { reap, sendSignal } from "./reaper.ts";
import { TailBuffer } from "./tail-buffer.ts";

/** A command that outlives its worker may hold the stderr pipe open; the rest is not waited for. */
const OUTPUT_WAIT_MS = 200;
/** Variables with credentials of ours: a worker gets them in its spec only (D1). */
const SECRET_VARIABLE = /^(?:NATS_|MURAKKAB_TOKEN)/;

/** How soon the end of an adopted worker is noticed, ms: it is no child, so nobody tells. */
const ADOPTED_LOOK_MS = 200;

export interface ChildProcessOptions {
  /** Directory for the instances' scratch directories. */
  readonly dir: string;
  readonly node: string;
  /** Program that runs a worker; it gets the spec on stdin. */
  readonly workerMain: string;
  readonly bus: WorkerSpec["bus"];
  readonly logLevel: string;
  readonly orphanLimitMs: number;
  readonly spool?: { readonly dir: string; readonly limitBytes: number };
  readonly log: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the workers' logs go. */
  readonly onStderr: (chunk: Buffer) => void;
}

export class ChildProcesses implements ProcessPort {
  readonly #options: ChildProcessOptions;

  constructor(options: ChildProcessOptions) {
    this.#options = options;
  }

  /** D4. */
  async recover(): Promise<readonly LeftWorker[]> {
    const { dir, log } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const left: LeftWorker[] = [];
    for (const instance of await readdir(dir)) {
      const scratchDir = join(dir, instance);
      const found = findRecorded(scratchDir, instance);
      if (found.kind === "alive" && found.record.isReady) {
        left.push(leftWorker(scratchDir, found.record));
        continue;
      }
      const reason =
        found.kind === "unreadable"
          ? found.reason
          : found.kind === "gone"
            ? "its worker has ended"
            : "its worker was not ready yet";
      log.info({ event: "instance.reaped", instanceId: instance, reason }, "leftovers are ended");
      const target = { instance, scratchDir, ...identityIn(found), isWitnessed: false };
      if (await this.#reapLeft(target)) await rm(scratchDir, { recursive: true, force: true });
    }
    return left;
  }

  /** False when something does not end: its record stays for the next look. */
  async #reapLeft(target: ReapTarget): Promise<boolean> {
    const late = new AbortController();
    const timer = pause(KILL_WAIT_MS, false, { signal: late.signal });
    const isGone = await Promise.race([reap(target, late.signal).then(() => true), timer]);
    late.abort();
    timer.catch(() => undefined);
    const { instance: instanceId } = target;
    if (!isGone) {
      this.#options.log.error(
        { event: "instance.reap-failed", instanceId },
        "leftovers do not end",
      );
    }
    return isGone;
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
    const record = pid === null ? null : recordOf({ pid, ...request });
    if (record !== null) this.#record(scratchDir, record);
    this.#sendSpec(child, request, scratchDir);
    const onReady = (): void => {
      if (record !== null) this.#record(scratchDir, { ...record, isReady: true });
      events.onReady();
    };
    listen(child, { ...events, onReady }, this.#options.onStderr);
    return {
      scratchDir,
      terminate: () => signalGroup(pid, "SIGTERM"),
      kill: () => signalGroup(pid, "SIGKILL"),
      reap: () =>
        reapInstance(scratchDir, { instance, pid, startTicks: record?.startTicks ?? null }),
      usage: () => (pid === null ? null : treeUsage(pid)),
    };
  }

  /** Without its record a worker serves as well; only the next agent could not adopt it. */
  #record(scratchDir: string, record: InstanceRecord): void {
    try {
      writeRecord(scratchDir, record);
    } catch (error) {
      const { instance: instanceId } = record;
      const fields = { event: "instance.not-recorded", instanceId, reason: describeError(error) };
      this.#options.log.warn(fields, "instance not recorded");
    }
  }

  #sendSpec(child: ChildProcess, request: SpawnRequest, scratchDir: string): void {
    const { node, bus, logLevel, orphanLimitMs, spool } = this.#options;
    const spec: WorkerSpec = {
      node,
      ...request,
      scratchDir,
      bus,
      logLevel,
      orphanLimitMs,
      ...(spool === undefined ? {} : { spool }),
    };
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

function identityIn(found: ReturnType<typeof findRecorded>): {
  groupId: number | null;
  startTicks: number | null;
} {
  if (found.kind === "alive")
    return { groupId: found.record.pid, startTicks: found.record.startTicks };
  return { groupId: null, startTicks: found.kind === "gone" ? found.startTicks : null };
}

async function reapInstance(
  scratchDir: string,
  worker: {
    readonly instance: string;
    readonly pid: number | null;
    readonly startTicks: number | null;
  },
): Promise<void> {
  const { instance, pid, startTicks } = worker;
  await reap({ instance, scratchDir, groupId: pid, startTicks, isWitnessed: true });
  await rm(scratchDir, { recursive: true, force: true });
}

/** A worker of a former agent: told by its identity at every touch, and looked at until it ends. */
function leftWorker(scratchDir: string, record: InstanceRecord): LeftWorker {
  const { instance, executor, pid, startTicks } = record;
  const signal = (name: NodeJS.Signals): void => {
    if (isRunning(pid, startTicks)) signalGroup(pid, name);
  };
  const adopt = (events: ProcessEvents): InstanceProcess => {
    const timer = setInterval(() => {
      if (isRunning(pid, startTicks)) return;
      clearInterval(timer);
      // It is no child of this process: how it ended is told to nobody.
      const error = "ended, adopted from a former agent";
      events.onExit({ code: null, signal: null, error, stderrTail: "" });
    }, ADOPTED_LOOK_MS);
    return {
      scratchDir,
      terminate: () => signal("SIGTERM"),
      kill: () => signal("SIGKILL"),
      reap: async () => {
        clearInterval(timer);
        await reapInstance(scratchDir, { instance, pid, startTicks });
      },
      usage: () => (isRunning(pid, startTicks) ? treeUsage(pid) : null),
    };
  };
  return { request: { instance, executor }, adopt };
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
