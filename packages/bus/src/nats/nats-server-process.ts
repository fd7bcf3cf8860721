/**
 * A nats-server of our own: found, started on 127.0.0.1, watched and stopped.
 *
 * Owns:      its configuration file, its port, its life.
 * Does not:  connect to it (nats-bus.ts), or delete what it stored.
 *
 * Invariants:
 *   P1. Resolves only once the server takes connections; a start that fails leaves no process.
 *   P2. No server outlives this process.
 *   P3. `onExit` is told of exits that nobody asked for, once each.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cancel, Clock } from "@murakkab/kit";
import { delay, UnavailableError } from "@murakkab/kit";
import type { NatsServerBinary } from "./nats-server-binary.ts";
import { findNatsServer } from "./nats-server-binary.ts";
import type { NatsServerSettings } from "./nats-server-config.ts";
import { natsServerConfig } from "./nats-server-config.ts";
import { guardAgainstOrphan } from "./orphan-guard.ts";
import { SYSTEM_CLOCK } from "./system-clock.ts";

export interface NatsServerExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly lastLogLines: readonly string[];
}

export interface NatsServerOptions
  extends Partial<Omit<NatsServerSettings, "storeDirectory" | "portsDirectory">> {
  /** Where JetStream stores; created when missing, never deleted here. */
  readonly directory: string;
  readonly binary?: string;
  readonly projectDirectory?: string;
  /** Longest wait for the server to be ready, ms. Default 15 000: it reads its store first. */
  readonly readyTimeoutMs?: number;
  readonly onExit?: (exit: NatsServerExit) => void;
  readonly clock?: Clock;
}

export interface NatsServerProcess {
  readonly url: string;
  readonly port: number;
  readonly version: string;
  readonly storeDir: string;
  /** Of the process that runs now; another one after `restart`. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** SIGTERM, then SIGKILL; resolves once it is gone. */
  stop(): Promise<void>;
  /** Stops if needed and starts on the same port and store. `isKill`: SIGKILL at once. */
  restart(options?: { readonly isKill?: boolean }): Promise<void>;
}

const READY_TIMEOUT_MS_DEFAULT = 15_000;
const READY_POLL_MS = 10;
/** SIGTERM drains clients; a server that takes longer is killed. */
const STOP_TIMEOUT_MS = 5_000;
const LOG_LINE_COUNT_MAX = 20;

/** Errors: `NOT_FOUND` without the program, `UNAVAILABLE` with the server's last log lines. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServerProcess> {
  const server = new OwnNatsServer(await findNatsServer(options), options);
  await server.start();
  return server;
}

class OwnNatsServer implements NatsServerProcess {
  readonly version: string;
  readonly storeDir: string;
  port: number;
  private readonly binary: NatsServerBinary;
  private readonly options: NatsServerOptions;
  private readonly clock: Clock;
  private running: RunningServer | null = null;
  private lastPid = 0;

  constructor(binary: NatsServerBinary, options: NatsServerOptions) {
    this.binary = binary;
    this.options = options;
    this.version = binary.version.text;
    this.storeDir = options.directory;
    this.port = options.port ?? -1;
    this.clock = options.clock ?? SYSTEM_CLOCK;
  }

  get url(): string {
    return `nats://${this.options.host ?? "127.0.0.1"}:${this.port}`;
  }

  get pid(): number {
    return this.lastPid;
  }

  get isRunning(): boolean {
    return this.running?.hasExited === false;
  }

  async start(): Promise<void> {
    await mkdir(this.storeDir, { recursive: true });
    const workDirectory = await mkdtemp(join(tmpdir(), "murakkab-nats-"));
    try {
      const configFile = join(workDirectory, "nats.conf");
      const settings: NatsServerSettings = {
        ...this.options,
        host: this.options.host ?? "127.0.0.1",
        port: this.port,
        storeDirectory: this.storeDir,
        portsDirectory: workDirectory,
      };
      await writeFile(configFile, natsServerConfig(settings, this.binary.version), { mode: 0o600 });
      const server = new RunningServer(this.binary.path, configFile, this.clock);
      server.onUnwantedExit = this.options.onExit ?? null;
      this.running = server;
      this.lastPid = server.pid;
      this.port = await this.waitUntilReady(server, workDirectory);
    } finally {
      await rm(workDirectory, { recursive: true, force: true });
    }
  }

  async stop(): Promise<void> {
    await this.running?.stop("SIGTERM");
  }

  async restart({ isKill = false }: { readonly isKill?: boolean } = {}): Promise<void> {
    await this.running?.stop(isKill ? "SIGKILL" : "SIGTERM");
    await this.start();
  }

  private async waitUntilReady(server: RunningServer, workDirectory: string): Promise<number> {
    const limitMs = this.options.readyTimeoutMs ?? READY_TIMEOUT_MS_DEFAULT;
    const deadlineMs = this.clock.monotonicMs() + limitMs;
    for (;;) {
      // Both: the ports file is written before the store has been read.
      const port = server.isReady ? await readPort(workDirectory) : null;
      if (port !== null) return port;
      const why = server.hasExited
        ? "it exited"
        : this.clock.monotonicMs() > deadlineMs
          ? `it was not ready within ${limitMs} ms`
          : null;
      if (why !== null) {
        await server.stop("SIGKILL"); // P1
        const log = server.lastLogLines.slice(-3).join(" | ") || "no log";
        throw new UnavailableError(`nats-server ${this.version} did not start: ${why} (${log})`, {
          detail: server.lastLogLines.join("\n"),
        });
      }
      await delay(this.clock, READY_POLL_MS);
    }
  }
}

async function readPort(directory: string): Promise<number | null> {
  const file = (await readdir(directory)).find((name) => name.endsWith(".ports"));
  if (file === undefined) return null;
  try {
    const ports = JSON.parse(await readFile(join(directory, file), "utf8")) as { nats?: string[] };
    const url = ports.nats?.[0];
    return url === undefined ? null : Number(new URL(url).port);
  } catch {
    return null; // half written
  }
}

/** One run of the program. */
class RunningServer {
  readonly pid: number;
  readonly lastLogLines: string[] = [];
  hasExited = false;
  isReady = false;
  onUnwantedExit: ((exit: NatsServerExit) => void) | null = null;
  private readonly child: ChildProcess;
  private readonly clock: Clock;
  private readonly exited: Promise<void>;
  private isStopping = false;

  constructor(binary: string, configFile: string, clock: Clock) {
    this.clock = clock;
    // Detached: Ctrl-C in the terminal must reach us first, who still have jobs to hand over.
    this.child = spawn(binary, ["-c", configFile], {
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    this.pid = this.child.pid ?? 0;
    const killOnExit = (): void => {
      this.child.kill("SIGKILL"); // P2
    };
    process.on("exit", killOnExit);
    const dismissGuard: Cancel = this.pid === 0 ? () => undefined : guardAgainstOrphan(this.pid);
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.takeLog(text);
    });
    this.exited = new Promise((resolve) => {
      const finish = (code: number | null, signal: string | null): void => {
        if (this.hasExited) return;
        this.hasExited = true;
        process.off("exit", killOnExit);
        dismissGuard();
        resolve();
        const { lastLogLines } = this;
        if (!this.isStopping && this.isReady) this.onUnwantedExit?.({ code, signal, lastLogLines });
      };
      this.child.on("exit", finish);
      this.child.on("error", (error) => {
        this.takeLog(`${error.message}\n`);
        finish(null, null);
      });
    });
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.isStopping = true; // P3
    if (this.hasExited) return;
    this.child.kill(signal);
    const cancel = this.clock.after(STOP_TIMEOUT_MS, () => {
      this.child.kill("SIGKILL");
    });
    await this.exited;
    cancel();
  }

  private takeLog(text: string): void {
    if (text.includes("Server is ready")) this.isReady = true;
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    this.lastLogLines.push(...lines);
    this.lastLogLines.splice(0, this.lastLogLines.length - LOG_LINE_COUNT_MAX);
  }
}
