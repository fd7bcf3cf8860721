/**
 * The agent's process: one per host. Reads flags and environment, builds the adapters, starts the
 * agent, and takes everything down again when it is told to.
 *
 * Owns:      the order of start and end, signals, the log, the exit code.
 * Does not:  hold any logic of the fleet (agent.ts).
 *
 * Invariants:
 *   Z1. Once it is ready it prints one line on stdout; everything else goes to stderr.
 *   Z2. Told to stop or refused by the fleet, it leaves no process, port, lock or temporary file.
 *       After a SIGKILL or a defect its workers go on, and the next agent on the same directory
 *       adopts them: a defect of ours is no reason to lose their work.
 *   Z3. No credential is logged.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { cpus, hostname, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bus } from "@murakkab/bus";
import { connectNats, isLoopback, readTokenFile, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import type { Logger } from "@murakkab/kit";
import { describeError, InvalidArgumentError, redact, seededRandom } from "@murakkab/kit";
import { pino } from "pino";
import type { ArtifactServer } from "./adapters/artifact-server.ts";
import { startArtifactServer } from "./adapters/artifact-server.ts";
import { ChildProcesses } from "./adapters/child-processes.ts";
import { lockDataDir } from "./adapters/data-lock.ts";
import { Ffprobe } from "./adapters/ffprobe.ts";
import { FileBlobs } from "./adapters/file-blobs.ts";
import { FilePaths } from "./adapters/file-paths.ts";
import { onFormerPort } from "./adapters/former-port.ts";
import { GenerationFile } from "./adapters/generation-file.ts";
import { GpuSampler } from "./adapters/gpu-sampler.ts";
import { HostSampler } from "./adapters/host-sampler.ts";
import { HttpFetch } from "./adapters/http-fetch.ts";
import { InputSources } from "./adapters/input-sources.ts";
import { LocalHost } from "./adapters/local-host.ts";
import type { AgentSettings } from "./adapters/options.ts";
import { readSettings, USAGE } from "./adapters/options.ts";
import { SpoolFiles } from "./adapters/spool-files.ts";
import { NodeAgent } from "./agent.ts";
import { ArtifactStore } from "./artifacts/artifact-store.ts";
import { SHUTDOWN_GRACE_MS } from "./limits.ts";

const VERSION = "0.1.0";
/** Beyond the instances' grace, for killing and closing, ms; then the process ends anyway. */
const EXIT_SLACK_MS = 8_000;
/** Overridden by tests and by who builds the worker elsewhere. */
const WORKER_MAIN = fileURLToPath(new URL("../../worker/dist/main.js", import.meta.url));
const REDACTED = ["*.password", "*.token", "*.user", "password", "token", "authorization"];

type Cleanup = () => Promise<void> | void;

/** Undone in reverse order, each once, whatever the others do (Z2). */
const cleanups: Cleanup[] = [];
let isEnding = false;
let isReady = false;
let log: Logger | null = null;

process.on("SIGTERM", () => end(0));
process.on("SIGINT", () => end(0));
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

const { env } = process;
try {
  const settings = readSettings(process.argv.slice(2), env, {
    hostname: hostname(),
    cores: cpus().length,
    memoryBytes: totalmem(),
  });
  if (settings === "help") process.stdout.write(`${USAGE}\n`);
  else await start(settings);
} catch (error) {
  fail(error);
}

async function start(settings: AgentSettings): Promise<void> {
  const { node, bus: busSettings } = settings;
  const token = readTokenFile(settings.tokenFile);
  const dataDir = resolve(settings.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  cleanups.push(lockDataDir(dataDir));
  const rootLog: Logger = pino(
    { level: settings.logLevel, base: { process: "node-agent", nodeId: node }, redact: REDACTED },
    pino.destination({ fd: 2, sync: true }),
  );
  log = rootLog;
  const bus = await connectNats({
    ...busSettings,
    name: `murakkab-node-${node}`,
    log: rootLog.child({ component: "bus" }),
    waitForConnectMs: settings.connectTimeoutMs,
    onDefect: crash,
  });
  cleanups.push(() => bus.close());
  bus.messaging.onStatus((status) => {
    if (status === "closed" && !isEnding) crash(new Error("the connection to the bus was closed"));
  });
  const agent = await buildAgent(settings, { bus, token, dataDir, rootLog });
  if (isEnding) return;
  cleanups.push(() => agent.stop());
  await agent.start();
  if (isEnding) return;
  isReady = true;
  rootLog.info({ event: "node.ready", bus: bus.description }, "node ready");
  process.stdout.write(
    `${JSON.stringify({ event: "node.ready", node, artifactUrl: agent.artifactUrl })}\n`, // Z1
  );
}

interface Parts {
  readonly bus: Bus;
  readonly token: string;
  readonly dataDir: string;
  readonly rootLog: Logger;
}

async function buildAgent(settings: AgentSettings, parts: Parts): Promise<NodeAgent> {
  const { bus, token, dataDir, rootLog } = parts;
  const { node } = settings;
  const clock = SYSTEM_CLOCK;
  const blobs = new FileBlobs({ dir: join(dataDir, "artifacts") });
  const limitBytes = Math.floor(settings.artifactLimitMib * 1_048_576);
  const store = new ArtifactStore({ clock, blobs }, { limitBytes });
  await store.open();
  const { host, port } = settings.listen;
  const server = await onFormerPort({ dir: dataDir, port }, (listenPort) =>
    startArtifactServer(
      { store, log: rootLog.child({ component: "artifact-server" }) },
      { host, port: listenPort, token, wallMs: () => clock.wallMs() },
    ),
  );
  cleanups.push(() => server.close());
  const spoolDir = join(dataDir, "spool");
  const processes = new ChildProcesses({
    dir: join(dataDir, "instances"),
    node,
    workerMain: env["MURAKKAB_WORKER_MAIN"] ?? WORKER_MAIN,
    bus: settings.bus,
    logLevel: settings.logLevel,
    orphanLimitMs: settings.orphanLimitMs,
    spool: { dir: spoolDir, limitBytes: Math.floor(settings.spoolLimitMib * 1_048_576) },
    log: rootLog.child({ component: "instances" }),
    env,
    onStderr: (chunk) => process.stderr.write(redact(chunk.toString("utf8"))),
  });
  const path = env["PATH"] ?? "";
  const monotonicMs = (): number => clock.monotonicMs();
  const gpus = new GpuSampler(rootLog.child({ component: "gpu" }), { path, monotonicMs });
  cleanups.push(() => gpus.stop());
  await gpus.start();
  return new NodeAgent(
    {
      clock,
      random: seededRandom(randomUUID()),
      messaging: bus.messaging,
      log: rootLog,
      host: new LocalHost({
        path,
        extraPrograms: settings.extraPrograms,
        wallMs: () => clock.wallMs(),
      }),
      processes,
      sampler: new HostSampler(gpus, { dataDir, monotonicMs }),
      store,
      source: new InputSources({
        inputRoots: settings.inputRoots,
        arePrivateUrlsAllowed: settings.arePrivateUrlsAllowed,
      }),
      fetcher: new HttpFetch({ token }),
      probe: new Ffprobe(),
      paths: new FilePaths(),
      generations: new GenerationFile(join(dataDir, "generation")),
      spool: new SpoolFiles(spoolDir),
    },
    {
      node,
      offer: { cpus: settings.cpus, memoryMib: settings.memoryMib },
      labels: settings.labels,
      artifactUrl: artifactUrl(settings, server),
      version: VERSION,
      onRefused: fail,
    },
  );
}

/** What listens everywhere has no address that others could use, unless it is told. */
function artifactUrl({ advertise, listen }: AgentSettings, server: ArtifactServer): string {
  if (advertise === null && /^(?:0\.0\.0\.0|::)$/.test(server.host)) {
    throw new InvalidArgumentError(
      `--advertise is missing for --artifact-listen ${listen.host}:${server.port}, ` +
        "expected the HOST:PORT under which other nodes reach this one",
    );
  }
  if (advertise === null && !isLoopback(server.host)) {
    log?.debug(
      { event: "node.advertised", host: server.host },
      "advertising the listening address",
    );
  }
  const { host, port } = advertise ?? server;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function fail(error: unknown): void {
  const reason = redact(describeError(error));
  // Whoever starts an agent by hand reads one sentence; later there is only the log.
  if (!isReady || log === null) process.stderr.write(`${reason}\n`);
  else log.error({ event: "node.failed", reason }, `node agent failed: ${reason}`);
  end(1);
}

/** Z2. Ends at once: what this process knows can no longer be trusted, what it wrote down can. */
function crash(error: unknown): void {
  if (isEnding) return;
  isEnding = true;
  const reason = redact(describeError(error));
  if (log === null) process.stderr.write(`${reason}\n`);
  else log.error({ event: "node.crashed", err: error, reason }, `node agent crashed: ${reason}`);
  process.exit(1);
}

/** Z2. A second call changes nothing. */
function end(exitCode: number): void {
  if (isEnding) return;
  isEnding = true;
  setTimeout(() => process.exit(1), SHUTDOWN_GRACE_MS + EXIT_SLACK_MS).unref();
  cleanUp().then(
    () => process.exit(exitCode),
    () => process.exit(1),
  );
}

async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      const reason = redact(describeError(error));
      log?.error({ event: "node.cleanup-failed", reason }, "something was left behind");
    }
  }
}
