/**
 * The scheduler process: reads flags and environment, builds the adapters, starts the logic.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ActorSystem } from "@murakkab/actor";
import type { Bus } from "@murakkab/bus";
import { checkBusIsSafe, connectNats, readTokenFile, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { QUALITY_POLICY, type QualityPolicy } from "@murakkab/core";
import {
  canonicalJson,
  describeError,
  InvalidArgumentError,
  type Logger,
  seededRandom,
  sha256Hex,
} from "@murakkab/kit";
import {
  CATALOGUE_DIR,
  formatProblem,
  loadLibrary,
  loadPrices,
  loadProfiles,
  PRICES_FILE,
  PROFILES_FOLDER,
} from "@murakkab/library";
import {
  ACTIVE_JOB_COUNT_MAX,
  JOB_RETENTION_MS,
  makeTicket,
  PARTITION_COUNT,
} from "@murakkab/protocol";
import { pino } from "pino";
import { httpAddressProbe } from "./adapters/address-probe.ts";
import { httpArtifactUplink } from "./adapters/artifact-uplink.ts";
import { Scheduler } from "./scheduler.ts";

const VERSION = "0.1.0";
/** An instance without work for this long is stopped, ms: re-use pays off within minutes. */
const IDLE_STOP_MS = 10 * 60_000;
/** A worker process is ready in well under a second; model engines will bring limits of their own. */
const START_LIMIT_MS = 20_000;
/** Leaving in order takes at most this long; then the process ends anyway, ms. */
const EXIT_GRACE_MS = 4_500;
const LEASE_SEC_SINGLE = 1.5;
const LEASE_SEC_CLUSTER = 15;

const HELP = `murakkab scheduler: plans and runs jobs; start two or more and they share them

  --nats URL             bus (default NATS_URL, else nats://127.0.0.1:4222)
  --token-file FILE      the cluster's token (or MURAKKAB_TOKEN_FILE)
  --library DIR          further executors and workflows (repeatable)
  --connect-timeout SEC  how long to wait for the bus at the start (default 10)
  --log-level LEVEL      trace, debug, info, warn, error (default info)
  --lease SEC            how long the leader's lease lasts (default 1.5; 15 with replicas, because
                         a cluster needs 4 to 7 s for an election of its own)
  --retention HOURS      how long jobs are kept (default 168)
  --replicas COUNT       copies of the state on a cluster of NATS servers: 1, 3 or 5 (default 1)
  --active-jobs COUNT    unfinished jobs that are accepted at most (default ${ACTIVE_JOB_COUNT_MAX})
  --promise low|mean     what plans promise of quality: the lower end of its interval, or what is
                         expected (default low)
  --explore SHARE        share of the jobs without a bound on quality that may run what is not sure to
                         be good, so that it becomes known: 0 to 0.1 (default 0)
  --share-across-tenants jobs may use results that jobs of other tenants made (default: no)
  --insecure             allow a bus on another host without credentials

Credentials: in the URL, or NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS (a path).
`;

interface Settings {
  readonly nats: string;
  readonly token: string;
  readonly libraryDirs: readonly string[];
  readonly connectTimeoutMs: number;
  readonly logLevel: string;
  readonly replicaCount: number;
  readonly leaseMs: number;
  readonly retentionMs: number;
  readonly activeJobsMax: number;
  readonly shareAcrossTenants: boolean;
  readonly qualityPolicy: QualityPolicy;
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
      lease: { type: "string" },
      retention: { type: "string" },
      replicas: { type: "string" },
      "active-jobs": { type: "string" },
      "share-across-tenants": { type: "boolean" },
      promise: { type: "string" },
      explore: { type: "string" },
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
  if (values.insecure !== true) {
    const { env } = process;
    const credentials = env["NATS_USER"] ?? env["NATS_TOKEN"] ?? env["NATS_CREDS"];
    checkBusIsSafe(nats, Boolean(credentials));
  }
  const replicaCount = readNumber(values.replicas, "--replicas", { min: 1, max: 5, preset: 1 });
  const leasePreset = replicaCount > 1 ? LEASE_SEC_CLUSTER : LEASE_SEC_SINGLE;
  const leaseSec = readNumber(values.lease, "--lease", { min: 0.5, max: 120, preset: leasePreset });
  const connectTimeoutSec = readNumber(values["connect-timeout"], "--connect-timeout", {
    min: 0,
    max: 3_600,
    preset: 10,
  });
  const retentionPreset = JOB_RETENTION_MS / 3_600_000;
  const retentionHours = readNumber(values.retention, "--retention", {
    min: 0.01,
    max: 24 * 366,
    preset: retentionPreset,
  });
  return {
    replicaCount,
    leaseMs: leaseSec * 1_000,
    retentionMs: Math.round(retentionHours * 3_600_000),
    activeJobsMax: readNumber(values["active-jobs"], "--active-jobs", {
      min: 1,
      max: 1_000_000,
      preset: ACTIVE_JOB_COUNT_MAX,
    }),
    shareAcrossTenants: values["share-across-tenants"] === true,
    qualityPolicy: {
      ...QUALITY_POLICY,
      promise: readPromise(values.promise),
      explorationRatio: readNumber(values.explore, "--explore", { min: 0, max: 0.1, preset: 0 }),
    },
    nats,
    token: readTokenFile(tokenFile),
    libraryDirs: [CATALOGUE_DIR, ...(values.library ?? [])],
    connectTimeoutMs: connectTimeoutSec * 1_000,
    logLevel: values["log-level"] ?? "info",
  };
}

function readPromise(text: string | undefined): QualityPolicy["promise"] {
  if (text === undefined || text === "low") return "low";
  if (text === "mean") return "mean";
  throw new InvalidArgumentError(`--promise is "${text}", expected low or mean`);
}

function readNumber(
  text: string | undefined,
  flag: string,
  { min, max, preset }: { readonly min: number; readonly max: number; readonly preset: number },
): number {
  if (text === undefined) return preset;
  const value = Number(text);
  if (text.trim() !== "" && value >= min && value <= max) return value;
  throw new InvalidArgumentError(`${flag} is "${text}", expected a number from ${min} to ${max}`);
}

async function connect(settings: Settings, log: Logger, name: string): Promise<Bus> {
  const { env } = process;
  return connectNats({
    servers: settings.nats,
    name,
    log,
    replicaCount: settings.replicaCount,
    waitForConnectMs: settings.connectTimeoutMs,
    inboxPrefix: "_INBOX_scheduler",
    ...(env["NATS_USER"] === undefined ? {} : { user: env["NATS_USER"] }),
    ...(env["NATS_PASSWORD"] === undefined ? {} : { password: env["NATS_PASSWORD"] }),
    ...(env["NATS_TOKEN"] === undefined ? {} : { token: env["NATS_TOKEN"] }),
    ...(env["NATS_CREDS"] === undefined ? {} : { credsFile: env["NATS_CREDS"] }),
  });
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
  const profileDirs = settings.libraryDirs.map((dir) => join(dir, PROFILES_FOLDER));
  const profiles = loadProfiles(profileDirs, library.executors);
  const wrong = profiles.problems.find((problem) => problem.severity === "error");
  if (wrong !== undefined) throw new InvalidArgumentError(`profiles: ${formatProblem(wrong)}`);
  const prices = loadPrices(join(CATALOGUE_DIR, PRICES_FILE));
  const { energy } = prices;
  const bus = await connect(settings, log, "murakkab-scheduler");
  // Messages of one connection queue up behind each other: jobs must not wait behind a flood.
  const intake = await connect(settings, log, "murakkab-scheduler-intake");
  const random = seededRandom(randomUUID());
  const id = `scheduler-${randomUUID().slice(0, 8)}`;
  const clock = SYSTEM_CLOCK;
  const actors = new ActorSystem({ messaging: bus.messaging, clock, random, log });
  const scheduler = new Scheduler(
    {
      bus,
      intake: intake.messaging,
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
      profiles,
      rates: {
        pricePerCoreHourUsd: prices.perCoreHourUsd,
        busyWattsPerCore: energy.busyWattsPerCore,
        idleWattsPerCore: energy.idleWattsPerCore,
        memoryWattsPerGib: energy.memoryWattsPerGib,
      },
      energyMethod: `CPU-seconds x ${round(energy.busyWattsPerCore - energy.idleWattsPerCore)} W + reserved core-seconds x ${energy.idleWattsPerCore} W + memory x ${energy.memoryWattsPerGib} W/GiB (${energy.provenance.kind}: constants of the price table)`,
      id,
      version: VERSION,
      config: sha256Hex(
        canonicalJson({
          executors: library.executors,
          workflows: library.workflows,
          PARTITION_COUNT,
        }),
      ).slice(0, 16),
      partitionCount: PARTITION_COUNT,
      retentionMs: settings.retentionMs,
      leaseMs: settings.leaseMs,
      activeJobsMax: settings.activeJobsMax,
      shareAcrossTenants: settings.shareAcrossTenants,
      qualityPolicy: settings.qualityPolicy,
      idleStopMs: IDLE_STOP_MS,
      startLimitMs: START_LIMIT_MS,
    },
  );
  await scheduler.start();
  log.info(
    {
      event: "scheduler.started",
      scheduler: id,
      bus: bus.description,
      executorCount: library.executors.length,
    },
    "scheduler started",
  );
  process.stdout.write(
    `${JSON.stringify({ event: "scheduler.ready", scheduler: id, executors: library.executors.length })}\n`,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stop(scheduler, [intake, bus], log));
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

async function stop(scheduler: Scheduler, buses: readonly Bus[], log: Logger): Promise<void> {
  setTimeout(() => process.exit(1), EXIT_GRACE_MS).unref();
  await scheduler.stop();
  for (const bus of buses) await bus.close();
  log.info({ event: "scheduler.stopped" }, "scheduler stopped");
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stderr.write(`murakkab scheduler: ${describeError(error)}\n`);
  process.exit(1);
});
