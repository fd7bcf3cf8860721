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
import { BenchClient, type LoopSide } from "./client-commands.ts";
import type { LoopResult } from "./closed-loop.ts";
import { type CpuSecByPart, cpuSecByPart, PARTS, withDagCluster } from "./dag-cluster.ts";
import { PAYLOAD } from "./dag-work.ts";
import { PeerProcess } from "./peer-process.ts";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  median,
  round,
} from "./report.ts";

const IN_FLIGHT_COUNT = 64;
const ROUND_COUNT = 5;
const ROUND_COUNT_LONG = 15;
/** Long enough for some hundred jobs even on a slow build; short enough that both sides meet the same machine. */
const SLICE_MS = 4_000;
/** Until the compilers of the processes have settled, which takes tens of thousands of steps. */
const WARM_UP_MS = 6_000;
const SINGLE_MS = 5_000;
const PROFILE_MS = 20_000;
const BURST_COUNT_MAX = 4_000;
/** A burst ends within about this time, whatever the build can do, ms. */
const BURST_DRAIN_MS = 15_000;

interface Load {
  readonly side: LoopSide;
  readonly isDurable: boolean;
}

const JOBS = { side: "jobs", isDurable: true } as const satisfies Load;
const JOBS_VOLATILE = { side: "jobs", isDurable: false } as const satisfies Load;
const RAW = { side: "raw", isDurable: true } as const satisfies Load;
const RAW_VOLATILE = { side: "raw", isDurable: false } as const satisfies Load;
const ACTORS = { side: "actors", isDurable: false } as const satisfies Load;
const LOADS = [RAW, JOBS, RAW_VOLATILE, JOBS_VOLATILE, ACTORS] as const;

interface Slice extends LoopResult {
  readonly cpuSec: CpuSecByPart;
}

type Round = ReadonlyMap<Load, Slice>;

export const dagBench: Bench = {
  method:
    "five-step jobs of no work (1 -> 3 -> 1, 512 bytes) from a client process, 64 in flight; in turn with the same exchanges written by hand on the NATS client; medians over the rounds",
  run: async (context) => (context.isProfiled ? runProfiled(context) : runMeasured(context)),
};

async function runMeasured(context: BenchContext) {
  return withDagCluster(context, (cluster) =>
    withPeers(cluster, async (client) => {
      const meter = new Meter(context, cluster, client);
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
        const meter = new Meter(context, cluster, client);
        await meter.measure(load, { forMs: WARM_UP_MS });
        const slice = await meter.measure(load, { forMs: PROFILE_MS });
        context.say(`${name}: ${showSlice(slice)}`);
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
  use: (client: BenchClient) => Promise<T>,
): Promise<T> {
  const peers: { stop(): Promise<void> }[] = [];
  try {
    for (const program of ["dag-raw-worker", "dag-raw-coordinator", "dag-actor-host"] as const) {
      peers.push(await PeerProcess.start(program, [server.url]));
    }
    const client = await BenchClient.start(server.url);
    peers.push(client);
    return await use(client);
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

class Meter {
  private readonly context: BenchContext;
  private readonly cluster: RealCluster;
  private readonly client: BenchClient;

  constructor(context: BenchContext, cluster: RealCluster, client: BenchClient) {
    this.context = context;
    this.cluster = cluster;
    this.client = client;
  }

  async measure(
    load: Load,
    { forMs, inFlightCount = IN_FLIGHT_COUNT }: { forMs: number; inFlightCount?: number },
  ): Promise<Slice> {
    this.context.signal.throwIfAborted();
    const before = await cpuSecByPart(this.cluster, this.client.pid);
    const result = await this.client.ask("loop", { ...load, forMs, inFlightCount });
    const after = await cpuSecByPart(this.cluster, this.client.pid);
    if (result.failedCount > 0) {
      this.context.say(`${result.failedCount} runs failed, the first with: ${result.failure}`);
    }
    const cpuSec = Object.fromEntries(PARTS.map((part) => [part, after[part] - before[part]]));
    return { ...result, cpuSec: cpuSec as unknown as CpuSecByPart };
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

function ourFigures(rounds: readonly Round[], single: Slice): Figure[] {
  const durable = rounds.map((slices) => sliceOf(slices, JOBS));
  const unended = [...rounds.flatMap((slices) => [...slices.values()]), single];
  return [
    perSecFigure("durablePerSec", rounds, JOBS, 1_000),
    bounded(
      {
        key: "durableMsP50",
        value: round(median(durable.map((slice) => slice.latencyMsP50)), 1),
        unit: "ms",
        note: `${IN_FLIGHT_COUNT} in flight; p99 ${round(median(durable.map((slice) => slice.latencyMsP99)), 1)} ms`,
      },
      { atMost: 60 },
    ),
    bounded(
      {
        key: "durableSingleMsP50",
        value: round(single.latencyMsP50, 1),
        unit: "ms",
        note: `1 in flight; p99 ${round(single.latencyMsP99, 1)} ms`,
      },
      { atMost: 8 },
    ),
    perSecFigure("volatilePerSec", rounds, JOBS_VOLATILE, 2_500),
    perSecFigure("actorDagPerSec", rounds, ACTORS, 6_000),
    bounded(
      {
        key: "failedRuns",
        value: unended.reduce((sum, slice) => sum + slice.failedCount, 0),
        unit: "count",
      },
      { atMost: 0 },
    ),
  ];
}

function referenceFigures(rounds: readonly Round[], single: Slice): Figure[] {
  const ratio = (ours: Load, raw: Load): number =>
    round(
      median(rounds.map((slices) => sliceOf(slices, ours).perSec / sliceOf(slices, raw).perSec)),
      3,
    );
  return [
    perSecFigure("rawNatsPerSec", rounds, RAW),
    perSecFigure("rawNatsVolatilePerSec", rounds, RAW_VOLATILE),
    {
      key: "rawNatsSingleMsP50",
      value: round(single.latencyMsP50, 1),
      unit: "ms",
      note: "durable, 1 in flight",
    },
    bounded(
      {
        key: "rawNatsRatio",
        value: ratio(JOBS, RAW),
        unit: "ratio",
        note: "our durable / hand-written durable",
      },
      { atLeast: 0.25 },
    ),
    bounded(
      {
        key: "volatileRawNatsRatio",
        value: ratio(JOBS_VOLATILE, RAW_VOLATILE),
        unit: "ratio",
        note: "our volatile / hand-written volatile",
      },
      { atLeast: 0.5 },
    ),
  ];
}

function perSecFigure(key: string, rounds: readonly Round[], load: Load, atLeast?: number): Figure {
  const perSec = rounds.map((slices) => sliceOf(slices, load).perSec);
  const note = `${round(Math.min(...perSec), 0)} to ${round(Math.max(...perSec), 0)} over the rounds`;
  const figure = { key, value: round(median(perSec), 0), unit: "1/s", note };
  return atLeast === undefined ? figure : bounded(figure, { atLeast });
}

/** CPU per job: on a shared machine the one figure that can be trusted. */
function costFigures(rounds: readonly Round[]): Figure[] {
  const figure = (key: string, load: Load): Figure => {
    const slices = rounds.map((it) => sliceOf(it, load));
    const count = slices.reduce((sum, slice) => sum + slice.count, 0);
    const msOf = Object.fromEntries(
      PARTS.map((part) => {
        const cpuSec = slices.reduce((sum, slice) => sum + slice.cpuSec[part], 0);
        return [part, (cpuSec * 1_000) / count];
      }),
    );
    const note = Object.entries(msOf).map(([part, ms]) => `${part} ${round(ms, 3)}`);
    const totalMs = Object.values(msOf).reduce((sum, ms) => sum + ms, 0);
    return { key, value: round(totalMs, 3), unit: "ms", note: note.join(", ") };
  };
  return [figure("durableCpuMsPerJob", JOBS), figure("volatileCpuMsPerJob", JOBS_VOLATILE)];
}

function sliceOf(slices: Round, load: Load): Slice {
  const slice = slices.get(load);
  if (slice === undefined) throw new Error(`no slice of ${load.side}`);
  return slice;
}

function showRound(slices: Round): string {
  return [...slices]
    .map(([{ side, isDurable }, slice]) => {
      const kind = side === "actors" ? "" : isDurable ? " durable" : " volatile";
      return `${side}${kind} ${Math.round(slice.perSec)}/s`;
    })
    .join(", ");
}

function showSlice({ perSec, latencyMsP50, count, cpuSec }: Slice): string {
  const cost = PARTS.map((part) => `${part} ${round((cpuSec[part] * 1_000) / count, 3)}`);
  return `${Math.round(perSec)}/s, p50 ${round(latencyMsP50, 1)} ms, CPU ms per job: ${cost.join(", ")}`;
}
