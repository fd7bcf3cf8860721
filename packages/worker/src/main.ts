/**
 * The process of one model instance. Started by the node agent, which gives its spec on stdin.
 *
 * Owns:      building the adapters, the process's signals and its end.
 *
 * Invariants:
 *   W1. Whatever ends the process, the programs that it started end with it; what a SIGKILL leaves
 *       behind is named in the scratch directory's `pgids`.
 *   W2. `ready` is sent once the actor answers.
 *   W3. It outlives its agent and the bus, either for as long as the other is there, both together
 *       for `orphanLimitMs`; one that was not ready yet ends with its agent: nobody knows of it.
 */
import { randomUUID } from "node:crypto";
import type { ActorHandle } from "@murakkab/actor";
import { ActorSystem } from "@murakkab/actor";
import type { Bus } from "@murakkab/bus";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import type { Logger } from "@murakkab/kit";
import { describeError, redact, seededRandom } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { WorkerSpec } from "@murakkab/protocol";
import { pino } from "pino";
import { receiveSpec, sendToAgent } from "./adapters/agent-channel.ts";
import { GroupLedger } from "./adapters/group-ledger.ts";
import { makeEngine } from "./adapters/make-engine.ts";
import { ProgramRunner } from "./adapters/program.ts";
import { ScratchDisk } from "./adapters/scratch-disk.ts";
import { SpoolDisk } from "./adapters/spool-disk.ts";
import { StderrLines } from "./adapters/stderr-lines.ts";
import { UsageMeter } from "./adapters/usage-meter.ts";
import { AgentClient } from "./agent-client.ts";
import { AgentLink } from "./agent-link.ts";
import { ModelWorker, WORKER_ACTOR_TYPE } from "./model-worker.ts";
import { OrphanWatch } from "./orphan-watch.ts";
import { NO_SPOOL } from "./ports.ts";

/**
 * How long running attempts may go on after SIGTERM, ms; then they are aborted. Well below the
 * grace after which an agent sends SIGKILL, so that an aborted attempt still answers.
 */
const STOP_GRACE_MS = 1_000;
/** Beyond the grace, for killing programs and closing connections, ms; then the process exits. */
const EXIT_SLACK_MS = 1_500;
/** Shortest time between two `status` messages, ms: the agent samples once a second. */
const STATUS_INTERVAL_MS = 200;

interface Running {
  readonly bus: Bus;
  readonly handle: ActorHandle;
  readonly link: AgentLink;
  readonly orphan: OrphanWatch;
  readonly programs: ProgramRunner;
  readonly log: Logger;
}

let running: Running | null = null;
let isEnding = false;

process.on("uncaughtException", (error) => fail(error));
process.on("unhandledRejection", (error) => fail(error));
process.on("exit", () => running?.programs.killAll()); // W1
process.on("SIGTERM", () => end(STOP_GRACE_MS));
process.on("SIGINT", () => end(STOP_GRACE_MS));
process.on("disconnect", onAgentGone);
// Both ends of stdio are the agent's: without it a write fails, which must not end the process.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

try {
  const specPath = specFile(process.argv);
  running = await boot(await receiveSpec(specPath));
  // Started by hand there is no agent at all: the bus alone keeps it.
  if (specPath !== null) running.orphan.setAgent(false);
  reportStatus(running);
  sendToAgent({ kind: "ready" }); // W2
} catch (error) {
  fail(error);
}

function specFile(argv: readonly string[]): string | null {
  const at = argv.indexOf("--spec");
  return at === -1 ? null : (argv[at + 1] ?? null);
}

async function boot(spec: WorkerSpec): Promise<Running> {
  const { instance, node, executor, scratchDir, logLevel } = spec;
  process.title = `murakkab-worker ${instance}`;
  const log = makeLogger(logLevel, { component: "worker", nodeId: node, instanceId: instance });
  const programs = new ProgramRunner(
    { ledger: new GroupLedger(scratchDir) },
    { instance, env: process.env },
  );
  const random = seededRandom(randomUUID());
  const [bus, engine] = await Promise.all([
    connectNats({
      ...spec.bus,
      name: `murakkab-worker-${instance}`,
      log,
      clock: SYSTEM_CLOCK,
      random: random.stream("bus"),
      onDefect: fail,
    }),
    makeEngine(executor, programs),
  ]);
  const { messaging } = bus;
  const clock = SYSTEM_CLOCK;
  const onOrphaned = (): void => {
    log.warn({ event: "worker.orphaned", limitMs: spec.orphanLimitMs }, "no agent and no bus");
    end(0);
  };
  const orphan = new OrphanWatch(clock, { limitMs: spec.orphanLimitMs, onOrphaned });
  const disk = spec.spool === undefined ? null : new SpoolDisk(spec.spool);
  await disk?.look();
  let isBusThere = true;
  messaging.onStatus((status) => {
    if (status === "closed" && !isEnding) fail(new Error("the connection to the bus is closed"));
    isBusThere = status === "connected";
    orphan.setBus(isBusThere);
    void disk?.look(); // others may have filled it while the bus was away
  });
  const system = new ActorSystem({ messaging, clock, random, log });
  const agent = new AgentClient({ messaging, clock }, { node, instance });
  const components = {
    agent,
    scratch: new ScratchDisk(scratchDir),
    usage: new UsageMeter(programs),
    engine,
    clock,
    log,
    spool: disk ?? NO_SPOOL,
    isBusThere: () => isBusThere,
  };
  const handle = system.spawn(
    { type: WORKER_ACTOR_TYPE, key: instance },
    () => new ModelWorker(components, { entry: executor, threads: threadsOf(executor), node }),
    { concurrency: engine.capabilities.concurrencyMax, onEscalate: fail },
  );
  const link = new AgentLink(
    { messaging, clock, log },
    {
      node,
      describe: () => ({ instance, holds: agent.holds, ...queueOf(handle) }),
      onNewAgent: () => agent.onNewAgent(),
      onDisowned: () => {
        log.warn(
          { event: "worker.disowned" },
          "the agent of this node does not have this instance",
        );
        end(STOP_GRACE_MS);
      },
    },
  );
  await messaging.flush(); // the server knows the subscription: W2
  log.debug({ event: "worker.started", executorId: executor.id }, "worker started");
  return { bus, handle, link, orphan, programs, log };
}

function makeLogger(level: string, base: Readonly<Record<string, string>>): Logger {
  return pino({ level, base }, new StderrLines());
}

/** W3. */
function onAgentGone(): void {
  if (running === null) {
    end(0);
    return;
  }
  running.log.info({ event: "agent.gone" }, "the agent is gone, going on");
  running.orphan.setAgent(false);
  running.link.detach();
}

function queueOf({ queuedCount, inFlightCount }: ActorHandle) {
  return { queuedCount, inFlightCount };
}

/** As many as the attempt holds cores, so that it uses what it holds and no more. */
function threadsOf({ resources }: ExecutorEntry): number {
  return Math.max(1, Math.floor(resources.cores));
}

function reportStatus({ handle, link }: Running): void {
  let sent = { queuedCount: 0, inFlightCount: 0 };
  const timer = setInterval(() => {
    const { queuedCount, inFlightCount } = queueOf(handle);
    if (queuedCount === sent.queuedCount && inFlightCount === sent.inFlightCount) return;
    sent = { queuedCount, inFlightCount };
    sendToAgent({ kind: "status", ...sent });
    link.report();
  }, STATUS_INTERVAL_MS);
  timer.unref();
}

/** Finishes or aborts what runs, then exits 0. A second call changes nothing. */
function end(graceMs: number): void {
  if (isEnding) return;
  isEnding = true;
  if (running === null) process.exit(0);
  const { bus, handle, link, log } = running;
  link.stop();
  log.debug({ event: "worker.stopping", graceMs }, "worker stopping");
  setTimeout(() => process.exit(0), graceMs + EXIT_SLACK_MS);
  const close = async (): Promise<void> => {
    await handle.stop({ graceMs });
    await bus.close();
  };
  close().then(
    () => process.exit(0),
    (error: unknown) => {
      log.error({ event: "worker.stop-failed", err: error }, "worker did not stop cleanly");
      process.exit(1);
    },
  );
}

/** One line, then the end: the agent tells the scheduler, which starts another instance. */
function fail(error: unknown): void {
  const reason = redact(describeError(error));
  const fields = { event: "worker.failed", err: error };
  if (running === null) process.stderr.write(`worker failed: ${reason}\n`);
  else running.log.error(fields, `worker failed: ${reason}`);
  process.exit(1);
}
