/**
 * Jobs per second and their latency where the steps do nothing: what the runtime itself takes.
 *
 * Each run is a five-step diamond (1 -> 3 -> 1) with a payload of 512 bytes: submission by a client
 * process, planning, five attempts in a worker process, receipt. The reference is written by hand
 * on the NATS client with the same exchanges and the same promises (dag-raw-coordinator.ts). Both
 * run in turn on one nats-server, so that what else the machine does meets both; ratios are formed
 * per round and their medians reported.
 */
import type { RealCluster } from "@murakkab/testkit";
import { BenchClient } from "./client-commands.ts";
import {
  type CpuSecByPart,
  cpuSecByPart,
  type OutsidePids,
  withDagCluster,
} from "./dag-cluster.ts";
import {
  costFigures,
  IN_FLIGHT_COUNT,
  JOBS,
  JOBS_VOLATILE,
  LOADS,
  type Load,
  ourFigures,
  RAW,
  type Round,
  referenceFigures,
  type Slice,
  showRound,
  showSlice,
  sliceOf,
} from "./dag-figures.ts";
import { PAYLOAD } from "./dag-work.ts";
import { PeerProcess } from "./peer-process.ts";
import {
  type Bench,
  type BenchContext,
  describeMachine,
  type Figure,
  median,
  round,
} from "./report.ts";

const ROUND_COUNT = 5;
const ROUND_COUNT_LONG = 15;
/** Long enough for some hundred jobs even on a slow build; short enough that both sides meet the same machine. */
const SLICE_MS = 4_000;
/** Until the compilers of the processes have settled, which takes tens of thousands of steps. */
const WARM_UP_MS = 6_000;
const SINGLE_MS = 5_000;
const PROFILE_MS = 20_000;
const BURST_COUNT_MAX = 900;
/** A burst ends within about this time, whatever the build can do, ms. */
const BURST_DRAIN_MS = 15_000;

export const dagBench: Bench = {
  method:
    "five-step jobs of no work (1 -> 3 -> 1, 512 bytes) from a client process, 64 in flight; in turn with the same exchanges written by hand on the NATS client; medians over the rounds",
  run: async (context) => (context.isProfiled ? runProfiled(context) : runMeasured(context)),
};

async function runMeasured(context: BenchContext) {
  return withDagCluster(context, (cluster) =>
    withPeers(cluster, async (client, reference) => {
      const meter = new Meter(context, { cluster, client, reference });
      for (const load of LOADS) await meter.measure(load, { forMs: WARM_UP_MS });
      const roundCount = context.isLong ? ROUND_COUNT_LONG : ROUND_COUNT;
      const rounds: Round[] = [];
      for (let index = 0; index < roundCount; index += 1) {
        const slices = new Map<Load, Slice>();
        for (const load of LOADS) slices.set(load, await meter.measure(load, { forMs: SLICE_MS }));
        rounds.push(slices);
        context.say(`round ${index + 1} of ${roundCount}: ${showRound(slices)}`);
      }
      const single = { forMs: SINGLE_MS, inFlightCount: 1 };
      const rawSingle = await meter.measure(RAW, single);
      const jobsSingle = await meter.measure(JOBS, single);
      const perSec = median(rounds.map((slices) => sliceOf(slices, JOBS).perSec));
      const intake = await measureIntake(client, perSec);
      return {
        name: "dag",
        machine: describeMachine(cluster.server.version),
        settings: {
          ...{ steps: 5, payloadBytes: PAYLOAD.length, inFlight: IN_FLIGHT_COUNT },
          ...{ rounds: roundCount, sliceMs: SLICE_MS, warmUpMs: WARM_UP_MS },
          ...{ schedulers: 1, agents: 1, workers: 1, journal: "file", intakeBurst: intake.count },
        },
        figures: [
          ...ourFigures(rounds, jobsSingle),
          ...referenceFigures(rounds, rawSingle),
          intake.figure,
          ...costFigures(rounds),
        ],
      };
    }),
  );
}

/** One cluster and so one profile for each kind of job. */
async function runProfiled(context: BenchContext) {
  const figures: Figure[] = [];
  let version = "unknown";
  for (const load of [JOBS, JOBS_VOLATILE]) {
    const name = load.isDurable ? "durable" : "volatile";
    const run = async (cluster: RealCluster): Promise<void> => {
      version = cluster.server.version;
      const client = await BenchClient.start(cluster.server.url);
      try {
        const meter = new Meter(context, { cluster, client, reference: [] });
        await meter.measure(load, { forMs: WARM_UP_MS });
        const slice = await meter.measure(load, { forMs: PROFILE_MS });
        context.say(`${name}: ${showSlice(load, slice)}`);
        const value = round(slice.perSec, 0);
        figures.push({ key: `${name}PerSecProfiled`, value, unit: "1/s" });
      } finally {
        await client.stop();
      }
    };
    await withDagCluster(context, run, `profile-${name}`);
  }
  const settings = { inFlight: IN_FLIGHT_COUNT, profiledMs: PROFILE_MS };
  return { name: "dag", machine: describeMachine(version), settings, figures };
}

/** The client and the processes of the two references. */
async function withPeers<T>(
  { server }: RealCluster,
  use: (client: BenchClient, reference: readonly number[]) => Promise<T>,
): Promise<T> {
  const peers: (PeerProcess | BenchClient)[] = [];
  try {
    for (const program of ["dag-raw-worker", "dag-raw-coordinator", "dag-actor-host"] as const) {
      peers.push(await PeerProcess.start(program, [server.url]));
    }
    const reference = peers.map((peer) => peer.pid);
    const client = await BenchClient.start(server.url);
    peers.push(client);
    return await use(client, reference);
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

class Meter {
  private readonly context: BenchContext;
  private readonly cluster: RealCluster;
  private readonly client: BenchClient;
  private readonly pids: OutsidePids;

  constructor(
    context: BenchContext,
    parts: {
      readonly cluster: RealCluster;
      readonly client: BenchClient;
      readonly reference: readonly number[];
    },
  ) {
    this.context = context;
    this.cluster = parts.cluster;
    this.client = parts.client;
    this.pids = { client: parts.client.pid, reference: parts.reference };
  }

  async measure(
    load: Load,
    { forMs, inFlightCount = IN_FLIGHT_COUNT }: { forMs: number; inFlightCount?: number },
  ): Promise<Slice> {
    this.context.signal.throwIfAborted();
    const before = await cpuSecByPart(this.cluster, this.pids);
    const result = await this.client.ask("loop", { ...load, forMs, inFlightCount });
    const after = await cpuSecByPart(this.cluster, this.pids);
    if (result.failedCount > 0) {
      this.context.say(`${result.failedCount} runs failed, the first with: ${result.failure}`);
    }
    return { ...result, cpuSec: subtract(after, before) };
  }
}

async function measureIntake(client: BenchClient, perSec: number) {
  const count = Math.min(BURST_COUNT_MAX, Math.ceil((perSec * BURST_DRAIN_MS) / 1_000));
  const burst = await client.ask("burst", { count, inFlightCount: IN_FLIGHT_COUNT });
  const refused = burst.refusedCount === 0 ? "" : `, ${burst.refusedCount} refused`;
  const figure: Figure = {
    key: "intakePerSec",
    value: round(burst.acceptedPerSec, 0),
    unit: "1/s",
    note: `durable submissions answered as accepted, in a burst of ${count}, ${IN_FLIGHT_COUNT} in flight${refused}`,
  };
  return { figure, count };
}

function subtract(after: CpuSecByPart, before: CpuSecByPart): CpuSecByPart {
  return {
    scheduler: after.scheduler - before.scheduler,
    agent: after.agent - before.agent,
    worker: after.worker - before.worker,
    nats: after.nats - before.nats,
    client: after.client - before.client,
    reference: after.reference - before.reference,
  };
}
