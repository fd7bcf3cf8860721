/**
 * A cluster of real processes for tests: nats-server, scheduler, agents, each of which can be
 * killed and started again.
 *
 * Owns:      their start, their end, and that nothing of them is left.
 * Does not:  know the CLI: the processes are started by path, as an operator's units do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Bus, call } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { type NatsServerProcess, startNatsServer } from "@murakkab/bus/nats-server";
import { assert } from "@murakkab/kit";
import type { JobReply, Receipt } from "@murakkab/model";
import { decode, type JobEvent, subjects } from "@murakkab/protocol";
import { waitFor } from "../wait-for.ts";

const PACKAGES = fileURLToPath(new URL("../../..", import.meta.url));
const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
/** Log lines of a process that are kept for the message of a failed test. */
const TAIL_LINES = 40;

export interface AgentSpec {
  readonly node: string;
  readonly cpus: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface RealClusterOptions {
  readonly agents: readonly AgentSpec[];
  /** Folders with executors for the test. */
  readonly libraries?: readonly string[];
  /** Arguments for Node itself when it runs the scheduler, such as `--cpu-prof`. */
  readonly schedulerNodeArgs?: readonly string[];
}

export class RealProcess {
  readonly name: string;
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  hasExited = false;
  exitCode: number | null = null;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.process = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        if (this.lines.length > TAIL_LINES) this.lines.shift();
      });
    }
    child.once("exit", (code) => {
      this.hasExited = true;
      this.exitCode = code;
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  async ready(event: string): Promise<void> {
    await waitFor(() => this.hasExited || this.lines.some((line) => line.includes(`"${event}"`)), {
      what: `${this.name} to report ${event}`,
      timeoutMs: READY_MS_MAX,
    });
    assert(!this.hasExited, `${this.name} ended before it was ready: ${this.lines.join("\n")}`);
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.hasExited) this.process.kill(signal);
  }

  async ended(): Promise<void> {
    await waitFor(() => this.hasExited, { what: `${this.name} to end`, timeoutMs: STOP_MS_MAX });
  }
}

export class RealCluster {
  readonly server: NatsServerProcess;
  readonly bus: Bus;
  readonly directory: string;
  /** The first one, or what `restartScheduler` put into its place. */
  scheduler: RealProcess;
  /** All that were started, also those that have ended. */
  readonly schedulers: RealProcess[];
  readonly agents = new Map<string, RealProcess>();
  private readonly options: RealClusterOptions;

  private constructor(parts: {
    server: NatsServerProcess;
    bus: Bus;
    directory: string;
    scheduler: RealProcess;
    options: RealClusterOptions;
  }) {
    this.server = parts.server;
    this.bus = parts.bus;
    this.directory = parts.directory;
    this.scheduler = parts.scheduler;
    this.schedulers = [parts.scheduler];
    this.options = parts.options;
  }

  static async start(options: RealClusterOptions): Promise<RealCluster> {
    const directory = await mkdtemp(join(tmpdir(), "murakkab-test-"));
    await writeFile(join(directory, "token"), randomBytes(32).toString("hex"), { mode: 0o600 });
    const binary = process.env["MURAKKAB_NATS_SERVER"];
    const server = await startNatsServer({
      directory: join(directory, "nats"),
      ...(binary === undefined ? {} : { binary }),
    });
    const bus = await connectNats({ servers: server.url, name: "test" });
    const scheduler = startScheduler({ server, directory, options });
    const cluster = new RealCluster({ server, directory, options, bus, scheduler });
    try {
      await scheduler.ready("scheduler.ready");
      for (const agent of options.agents) cluster.startAgent(agent);
      for (const agent of cluster.agents.values()) await agent.ready("node.ready");
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  startAgent(spec: AgentSpec): RealProcess {
    const args = [
      join(PACKAGES, "node-agent/dist/main.js"),
      ...["--nats", this.server.url, "--token-file", join(this.directory, "token")],
      ...["--node", spec.node, "--cpus", `${spec.cpus}`, "--memory", "2048"],
      ...["--data", join(this.directory, spec.node)],
      ...(spec.args ?? []),
    ];
    const agent = start(spec.node, args, spec.env ?? {});
    this.agents.set(spec.node, agent);
    return agent;
  }

  /** One more scheduler beside those that run. It is there once `ready("scheduler.ready")`. */
  startScheduler(): RealProcess {
    const { server, directory, options } = this;
    const scheduler = startScheduler({ server, directory, options });
    this.schedulers.push(scheduler);
    return scheduler;
  }

  async restartScheduler(): Promise<void> {
    this.scheduler.kill("SIGKILL");
    await this.scheduler.ended();
    this.scheduler = this.startScheduler();
    await this.scheduler.ready("scheduler.ready");
  }

  submit(body: Readonly<Record<string, unknown>>): Promise<JobReply> {
    const request = { subject: subjects.jobSubmit, value: body };
    return call<JobReply>(this.bus.messaging, request, { timeoutMs: 30_000, encoding: "json" });
  }

  wait(jobId: string, timeoutMs = 60_000): Promise<Receipt> {
    const request = { subject: subjects.jobWait(jobId), value: { timeoutMs } };
    return call<Receipt>(this.bus.messaging, request, {
      timeoutMs: timeoutMs + 5_000,
      encoding: "json",
    });
  }

  /** Resolves with the first event of this name for which `matches` holds. */
  nextEvent(
    jobId: string,
    name: string,
    matches: (event: JobEvent) => boolean = () => true,
  ): Promise<JobEvent> {
    return new Promise((resolve) => {
      const subscription = this.bus.messaging.subscribe(
        subjects.jobEvent(name, jobId),
        (message) => {
          const event = decode(message.data, message.headers).value as JobEvent;
          if (!matches(event)) return;
          subscription.unsubscribe();
          resolve(event);
        },
      );
    });
  }

  /** Processes that carry the instance's id: the worker and what it started. */
  async pidsOfInstance(instance: string): Promise<number[]> {
    const found: number[] = [];
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const environment = await readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
      if (environment.split("\0").includes(`MURAKKAB_INSTANCE=${instance}`))
        found.push(Number(name));
    }
    return found;
  }

  /** Stops everything and removes its files. */
  async stop(): Promise<void> {
    const processes = [...this.schedulers, ...this.agents.values()];
    for (const it of processes) it.kill("SIGTERM");
    for (const it of processes) await it.ended();
    await this.bus.close();
    await this.server.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function startScheduler(context: {
  readonly server: NatsServerProcess;
  readonly directory: string;
  readonly options: RealClusterOptions;
}): RealProcess {
  const libraries = context.options.libraries ?? [];
  return start(
    "scheduler",
    [
      "--max-semi-space-size=32", // as the CLI starts it
      ...(context.options.schedulerNodeArgs ?? []),
      join(PACKAGES, "scheduler/dist/main.js"),
      ...["--nats", context.server.url, "--token-file", join(context.directory, "token")],
      ...libraries.flatMap((directory) => ["--library", directory]),
    ],
    {},
  );
}

function start(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): RealProcess {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new RealProcess(name, child);
}
