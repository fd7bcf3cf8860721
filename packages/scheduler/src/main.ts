/**
 * The scheduler process: reads flags and environment, builds the adapters, starts the logic.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ActorSystem } from "@murakkab/actor";
import { type Bus, call } from "@murakkab/bus";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import {
  describeError,
  InvalidArgumentError,
  isRuntimeError,
  type Logger,
  seededRandom,
  TerminalError,
} from "@murakkab/kit";
import {
  CATALOGUE_DIR,
  formatProblem,
  loadLibrary,
  loadPrices,
  PRICES_FILE,
} from "@murakkab/library";
import { makeTicket, subjects } from "@murakkab/protocol";
import { pino } from "pino";
import { httpAddressProbe } from "./adapters/address-probe.ts";
import { httpArtifactUplink } from "./adapters/artifact-uplink.ts";
import { Scheduler } from "./scheduler.ts";

const VERSION = "0.1.0";
/** An instance without work for this long is stopped, ms: re-use pays off within minutes. */
const IDLE_STOP_MS = 10 * 60_000;
/** A worker process is ready in well under a second; model engines will bring limits of their own. */
const START_LIMIT_MS = 20_000;
const TOKEN_CHARS_MIN = 16;
const EXIT_GRACE_MS = 3_000;

const HELP = `murakkab scheduler: plans and runs jobs; one per bus

  --nats URL             bus (default NATS_URL, else nats://127.0.0.1:4222)
  --token-file FILE      the cluster's token (or MURAKKAB_TOKEN_FILE)
  --library DIR          further executors and workflows (repeatable)
  --connect-timeout SEC  how long to wait for the bus at the start (default 10)
  --log-level LEVEL      trace, debug, info, warn, error (default info)
  --insecure             allow a bus on another host without credentials

Credentials: in the URL, or NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS (a path).
`;

interface Settings {
  readonly nats: string;
  readonly token: string;
  readonly libraryDirs: readonly string[];
  readonly connectTimeoutMs: number;
  readonly logLevel: string;
}

function readSettings(argv: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      nats: { type: "string" },
      "token-file": { type: "string" },
      library: { type: "string", multiple: true },
      "connect-timeout": { type: "string" },
      "log-level": { type: "string" },
      insecure: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const nats = values.nats ?? process.env["NATS_URL"] ?? "nats://127.0.0.1:4222";
  const tokenFile = values["token-file"] ?? process.env["MURAKKAB_TOKEN_FILE"];
  if (tokenFile === undefined) {
    throw new InvalidArgumentError(
      "--token-file is missing, expected the file with the cluster's token",
    );
  }
  if (values.insecure !== true) checkBusIsSafe(nats);
  return {
    nats,
    token: readToken(tokenFile),
    libraryDirs: [CATALOGUE_DIR, ...(values.library ?? [])],
    connectTimeoutMs: readSeconds(values["connect-timeout"] ?? "10") * 1_000,
    logLevel: values["log-level"] ?? "info",
  };
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw new InvalidArgumentError(`--connect-timeout is "${text}", expected a number of seconds`);
}

function readToken(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new InvalidArgumentError(
      `token file ${file} can't be read, expected the cluster's token`,
      { cause },
    );
  }
  if (token.length >= TOKEN_CHARS_MIN) return token;
  throw new InvalidArgumentError(
    `token file ${file} holds ${token.length} characters, expected at least ${TOKEN_CHARS_MIN}`,
  );
}

/** Anyone who reaches a bus without credentials can run programs on the fleet. */
function checkBusIsSafe(nats: string): void {
  const { env } = process;
  const hasCredentials = Boolean(env["NATS_USER"] ?? env["NATS_TOKEN"] ?? env["NATS_CREDS"]);
  for (const part of nats.split(",")) {
    const url = new URL(part.includes("://") ? part : `nats://${part}`);
    const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
    if (isLoopback || hasCredentials || url.username !== "") continue;
    throw new InvalidArgumentError(
      `the bus at ${url.host} is not on this machine and no credentials are given, expected NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, or --insecure`,
    );
  }
}

async function connect(settings: Settings, log: Logger): Promise<Bus> {
  const { env } = process;
  return connectNats({
    servers: settings.nats,
    name: "murakkab-scheduler",
    log,
    waitForConnectMs: settings.connectTimeoutMs,
    inboxPrefix: "_INBOX_scheduler",
    ...(env["NATS_USER"] === undefined ? {} : { user: env["NATS_USER"] }),
    ...(env["NATS_PASSWORD"] === undefined ? {} : { password: env["NATS_PASSWORD"] }),
    ...(env["NATS_TOKEN"] === undefined ? {} : { token: env["NATS_TOKEN"] }),
    ...(env["NATS_CREDS"] === undefined ? {} : { credsFile: env["NATS_CREDS"] }),
  });
}

/** Until several schedulers share the jobs, a second one would answer for jobs it doesn't know. */
async function checkIsAlone(bus: Bus): Promise<void> {
  try {
    await call(bus.messaging, { subject: subjects.schedulerPing, value: {} }, { timeoutMs: 1_000 });
  } catch (error) {
    if (isRuntimeError(error) && error.code === "NO_RESPONDERS") return;
    throw error;
  }
  throw new TerminalError(
    "SCHEDULER_RUNNING",
    "another scheduler already serves this bus, expected none",
  );
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  const log: Logger = pino(
    { level: settings.logLevel, base: { process: "scheduler" } },
    pino.destination({ fd: 2, sync: true }),
  );
  const library = loadLibrary(settings.libraryDirs);
  const fatal = library.problems.filter((problem) => problem.severity === "error");
  if (fatal[0] !== undefined) throw new InvalidArgumentError(`library: ${formatProblem(fatal[0])}`);
  const prices = loadPrices(join(CATALOGUE_DIR, PRICES_FILE));
  const { energy } = prices;
  const bus = await connect(settings, log);
  await checkIsAlone(bus);
  const random = seededRandom(randomUUID());
  const clock = SYSTEM_CLOCK;
  const actors = new ActorSystem({ messaging: bus.messaging, clock, random, log });
  const scheduler = new Scheduler(
    {
      bus,
      actors,
      clock,
      random,
      log,
      uplink: httpArtifactUplink(settings.token),
      addressProbe: httpAddressProbe(),
      tickets: {
        ticket: (purpose, lifetimeMs) =>
          makeTicket({
            token: settings.token,
            purpose,
            expiresAtWallMs: clock.wallMs() + lifetimeMs,
          }),
      },
    },
    {
      library,
      rates: {
        pricePerCoreHourUsd: prices.perCoreHourUsd,
        busyWattsPerCore: energy.busyWattsPerCore,
        idleWattsPerCore: energy.idleWattsPerCore,
        memoryWattsPerGib: energy.memoryWattsPerGib,
      },
      energyMethod: `CPU-seconds x ${round(energy.busyWattsPerCore - energy.idleWattsPerCore)} W + reserved core-seconds x ${energy.idleWattsPerCore} W + memory x ${energy.memoryWattsPerGib} W/GiB (${energy.provenance.kind}: constants of the price table)`,
      version: VERSION,
      idleStopMs: IDLE_STOP_MS,
      startLimitMs: START_LIMIT_MS,
    },
  );
  await scheduler.start();
  log.info(
    { event: "scheduler.started", bus: bus.description, executorCount: library.executors.length },
    "scheduler started",
  );
  process.stdout.write(
    `${JSON.stringify({ event: "scheduler.ready", executors: library.executors.length })}\n`,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stop(scheduler, bus, log));
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

async function stop(scheduler: Scheduler, bus: Bus, log: Logger): Promise<void> {
  setTimeout(() => process.exit(1), EXIT_GRACE_MS).unref();
  scheduler.stop();
  await bus.close();
  log.info({ event: "scheduler.stopped" }, "scheduler stopped");
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stderr.write(`murakkab scheduler: ${describeError(error)}\n`);
  process.exit(1);
});
