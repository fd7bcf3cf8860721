/**
 * What a client sees while a part of the cluster is lost.
 *
 * 600 tasks of 100 ms, 32 in flight, once undisturbed and once per fault; the fault comes when a
 * seeded number of tasks has ended. Latency is the client's: from its first submission, repeats
 * included, to the receipt.
 */
import { setMaxListeners } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Bus } from "@murakkab/bus";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import {
  type ChaosRecord,
  type ClientJob,
  checkAll,
  effectsByItem,
  type JobObservation,
  LeaderFinder,
  Load,
  MomentFeed,
  Observer,
  PAUSE_MS,
  readEffects,
  repeatedEffects,
  taskJob,
  terminalEvents,
  writeLoadLibrary,
} from "@murakkab/chaos";
import { BreakableCluster } from "@murakkab/cli/breakable-cluster";
import { describeError, isRuntimeError, type Random, seededRandom } from "@murakkab/kit";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  type Report,
  round,
} from "./report.ts";

const TASK_COUNT = 600;
const IN_FLIGHT_COUNT = 32;
/** Instances are started, caches filled; not measured. */
const WARM_UP_COUNT = 100;
const AGENT_COUNT = 2;
const SCHEDULER_COUNT = 2;
const SEED = 1;
/** What a supervisor takes to start a process again, ms. */
const RESTART_MS = 500;
const START_TRIES_MAX = 10;
/** A client that heard nothing asks again after this time, ms. */
const ANSWER_TIMEOUT_MS = 500;
/** Tasks that have not ended this long after the last fault are lost, ms. */
const QUIET_MS_MAX = 30_000;
/** After a paused process continues, what it still writes must show, ms. */
const AFTERMATH_MS = 1_000;

const FAULTS = ["none", "worker", "agent", "scheduler", "nats", "paused"] as const;
type Fault = (typeof FAULTS)[number];

type EffectOrder = "before" | "after";

interface Bed {
  readonly cluster: BreakableCluster;
  readonly clientBus: Bus;
  readonly leaders: LeaderFinder;
  readonly random: Random;
  readonly say: BenchContext["say"];
  /** Of every task that was begun. */
  readonly orders: Map<string, EffectOrder>;
  readonly jobs: Map<string, ClientJob>;
}

export const recoveryBench: Bench = {
  method: `${TASK_COUNT} tasks of 100 ms, ${IN_FLIGHT_COUNT} in flight, per fault; worst time from a client's first submission to its receipt`,
  run: (context) => withBed(context, measure),
};

async function withBed<T>(
  { signal, say }: BenchContext,
  use: (bed: Bed, observer: Observer, effectsFile: string) => Promise<T>,
): Promise<T> {
  let effectsFile = "";
  const cluster = await BreakableCluster.start({
    schedulerCount: SCHEDULER_COUNT,
    agentCount: AGENT_COUNT,
    prepareLibrary: (dataDir) => {
      effectsFile = join(dataDir, "effects.txt");
      const directory = join(dataDir, "library");
      writeLoadLibrary({ directory, effectsFile });
      return directory;
    },
    ...{ env: process.env, signal, onProgress: say },
  });
  try {
    const servers = cluster.natsUrl;
    const clientBus = await connectNats({ servers, name: "murakkab-bench-clients" });
    const observerBus = await connectNats({ servers, name: "murakkab-bench-observer" });
    const { messaging } = observerBus;
    const parts = { messaging, clock: SYSTEM_CLOCK };
    const observer = new Observer({ ...parts, cluster, moments: new MomentFeed() });
    observer.start();
    const leaders = new LeaderFinder({ ...parts, cluster });
    const random = seededRandom(SEED);
    const bed = { cluster, clientBus, leaders, random, say, orders: new Map(), jobs: new Map() };
    try {
      return await use(bed, observer, effectsFile);
    } finally {
      observer.stop();
      await Promise.all([clientBus.close(), observerBus.close()]);
    }
  } finally {
    await cluster.stop();
  }
}

async function measure(bed: Bed, observer: Observer, effectsFile: string): Promise<Report> {
  const worstMs = new Map<Fault, number>();
  await runTasks(bed, { fault: "none", taskCount: WARM_UP_COUNT });
  for (const fault of FAULTS) {
    const worst = await runTasks(bed, { fault, taskCount: TASK_COUNT });
    worstMs.set(fault, worst.latencyMsMax);
    const name = fault === "none" ? "undisturbed" : fault;
    bed.say(`${name}: worst ${round(worst.latencyMsMax, 0)} ms, ${worst.unendedCount} not ended`);
  }
  const effects = await readEffects(effectsFile);
  const repeated = new Set(
    [...effectsByItem(effects).values()].flatMap(([first, ...more]) =>
      first === undefined || more.length === 0 ? [] : [first.jobId],
    ),
  );
  // Thousands of tasks: the events of those that ended with one effect have nothing to tell.
  const record = await observer.record(
    bed.jobs.values(),
    effects,
    ({ jobId, endedAtMs }) => endedAtMs === null || repeated.has(jobId),
  );
  return {
    name: "recovery",
    machine: describeMachine(bed.cluster.natsVersion),
    settings: {
      ...{ seed: SEED, tasks: TASK_COUNT, inFlight: IN_FLIGHT_COUNT, taskMs: 100 },
      ...{ agents: AGENT_COUNT, schedulers: SCHEDULER_COUNT },
      ...{ restartMs: RESTART_MS, pauseMs: PAUSE_MS, answerTimeoutMs: ANSWER_TIMEOUT_MS },
    },
    figures: [...countFigures(record, bed.orders), ...latencyFigures(worstMs)],
  };
}

async function runTasks(
  bed: Bed,
  { fault, taskCount }: { readonly fault: Fault; readonly taskCount: number },
): Promise<{ readonly latencyMsMax: number; readonly unendedCount: number }> {
  const random = bed.random.stream(fault).stream(String(taskCount));
  const faultAfterCount = Math.round(taskCount * (0.2 + 0.4 * random.next()));
  const giveUp = new AbortController();
  setMaxListeners(0, giveUp.signal);
  let begunCount = 0;
  let isMended = fault === "none";
  const load: Load = new Load(
    { messaging: bed.clientBus.messaging, clock: SYSTEM_CLOCK },
    {
      nextJob: () => {
        begunCount += 1;
        const order: EffectOrder = random.next() < 0.5 ? "before" : "after";
        const job = taskJob(random, order);
        bed.orders.set(job.jobId, order);
        return job;
      },
      // Tasks go on until the fault is over: what a woken process does must meet work.
      wantsMore: () => begunCount < taskCount || !isMended,
      inFlightCount: IN_FLIGHT_COUNT,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
    },
  );
  const loading = load.run(giveUp.signal);
  if (fault !== "none") {
    while (endedCount(load) < faultAfterCount) await pause(5);
    await breakAndMend(bed, fault, random);
    isMended = true;
  }
  const lateTimer = setTimeout(() => giveUp.abort(new Error("too late")), QUIET_MS_MAX);
  await loading;
  clearTimeout(lateTimer);
  for (const [jobId, job] of load.jobs) bed.jobs.set(jobId, job);
  const tasks = [...load.jobs.values()];
  // One that has not ended has been waited for until now: a loss must not look like speed.
  const latencies = tasks.map(
    ({ submittedAtMs, endedAtMs }) => (endedAtMs ?? load.nowMs) - submittedAtMs,
  );
  const unendedCount = tasks.filter(({ endedAtMs }) => endedAtMs === null).length;
  return { latencyMsMax: Math.max(...latencies), unendedCount };
}

function endedCount({ jobs }: Load): number {
  let count = 0;
  for (const { endedAtMs } of jobs.values()) if (endedAtMs !== null) count += 1;
  return count;
}

async function breakAndMend(
  { cluster, leaders, say }: Bed,
  fault: Exclude<Fault, "none">,
  random: Random,
): Promise<void> {
  const pick = <T>(items: readonly T[]): T => {
    const found = items[random.index(items.length)];
    if (found === undefined) throw new Error(`no ${fault} runs, expected one to break`);
    return found;
  };
  const findLeader = async () => (await leaders.find()) ?? pick(cluster.schedulers());
  switch (fault) {
    case "worker":
      cluster.killWorker(pick(await cluster.workers()));
      return;
    case "nats":
      await cluster.kill("nats-server");
      await cluster.start("nats-server");
      return;
    case "agent":
    case "scheduler": {
      const { name } = fault === "agent" ? pick(cluster.agents()) : await findLeader();
      await cluster.kill(name);
      await startUntilReady(cluster, name, say);
      return;
    }
    case "paused": {
      const { pid } = await findLeader();
      cluster.pause(pid);
      await pause(PAUSE_MS);
      cluster.resume(pid);
      await pause(AFTERMATH_MS);
    }
  }
}

/** As a supervisor does: a start that fails is told and tried again. */
async function startUntilReady(
  cluster: BreakableCluster,
  name: string,
  say: BenchContext["say"],
): Promise<void> {
  for (let triesLeft = START_TRIES_MAX; ; triesLeft -= 1) {
    await pause(RESTART_MS);
    try {
      await cluster.start(name);
      return;
    } catch (error) {
      if (triesLeft <= 1) throw error;
      const detail = isRuntimeError(error) ? `: ${error.detail ?? ""}` : "";
      say(`${describeError(error)}${detail}`);
    }
  }
}

function countFigures(
  record: ChaosRecord,
  orders: ReadonlyMap<string, EffectOrder>,
): readonly Figure[] {
  const repeated = repeatedEffects(record);
  const unit = "count";
  const extra = (order: EffectOrder): number =>
    [...effectsByItem(record.effects).values()]
      .filter(([first]) => first !== undefined && orders.get(first.jobId) === order)
      .reduce((sum, group) => sum + group.length - 1, 0);
  const none = { atMost: 0 };
  const staleWrites = checkAll(record).filter(({ invariant }) => invariant === "INV4").length;
  const ended = record.jobs.filter((job) => terminalEvents(job).length > 1).length;
  return [
    bounded(
      {
        key: "lost",
        value: record.jobs.filter(isLost).length,
        unit,
        note: `accepted and not ended within ${QUIET_MS_MAX / 1_000} s after the fault was over`,
      },
      none,
    ),
    bounded({ key: "duplicatedTerminal", value: ended, unit }, none),
    {
      key: "duplicatedEffects",
      value: repeated.reduce((sum, it) => sum + it.count - it.allowedCount, 0),
      unit,
      note: "beyond one per task and one per failure that was reported",
    },
    bounded({ key: "staleWrites", value: staleWrites, unit }, none),
    {
      key: "duplicatedEffectsBeforeEffectKill",
      value: extra("after"),
      unit,
      note: "tasks whose effect follows their wait, all faults: effects above one per task",
    },
    {
      key: "duplicatedEffectsAfterEffectKill",
      value: extra("before"),
      unit,
      note: "tasks whose effect precedes their wait: a repeat after a loss repeats it",
    },
    { key: "tasks", value: record.jobs.length, unit },
    {
      key: "tasksNotSucceeded",
      value: record.jobs.filter(({ receipts }) => receipts[0]?.state !== "succeeded").length,
      unit,
    },
  ];
}

/** As the client saw it: an end that came later was too late. */
function isLost({ acceptedAtMs, receipts }: JobObservation): boolean {
  return acceptedAtMs !== null && receipts.length === 0;
}

function latencyFigures(worstMs: ReadonlyMap<Fault, number>): readonly Figure[] {
  const figure = (key: string, fault: Fault, note?: string): Figure => {
    const value = round(worstMs.get(fault) ?? Number.NaN, 0);
    return { key, value, unit: "ms", ...(note === undefined ? {} : { note }) };
  };
  return [
    figure("worstMsUndisturbed", "none"),
    bounded(figure("worstMsWorker", "worker"), { atMost: 1_000 }),
    bounded(figure("worstMsAgent", "agent"), { atMost: 1_000 }),
    bounded(figure("worstMsScheduler", "scheduler", "kill -9 of the leader"), { atMost: 2_000 }),
    bounded(figure("worstMsNats", "nats", "kill -9 and start"), { atMost: 3_000 }),
    figure("worstMsPaused", "paused", `SIGSTOP of the leader for ${PAUSE_MS / 1_000} s`),
  ];
}
