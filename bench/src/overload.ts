/**
 * What happens when far more is submitted than can be done: memory, answers, fairness.
 *
 * An open-loop client offers ten times the capacity that a closed loop measured just before. Then,
 * on a fresh cluster, one tenant offers its share and next ten times its share, while the latency
 * of another tenant, who stays below its own, is watched. Latencies count from when a job was due
 * and include what a client that obeys refusals waits before it comes again.
 */
import type { RealCluster } from "@murakkab/testkit";
import { BenchClient } from "./client-commands.ts";
import { withDagCluster } from "./dag-cluster.ts";
import type { FloodResult, PacedResult } from "./offered-load.ts";
import { rssMbOf } from "./process-cost.ts";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  round,
} from "./report.ts";

const OVERLOAD_FACTOR = 10;
const FLOOD_MS = 30_000;
const FLOOD_MS_LONG = 60_000;
const CAPACITY_IN_FLIGHT_COUNT = 64;
const WARM_UP_MS = 5_000;
const CAPACITY_MS = 8_000;
const RSS_INTERVAL_MS = 500;
/** Memory that is no sign of trouble in a Node process, however it got there, MB. */
const RSS_FREE_MB = 600;
/** Growth after the first quarter that is still called bounded. */
const RSS_GROWTH_MAX = 1.5;
/** Of two tenants: half of the capacity each. */
const SHARE_RATIO = 0.5;
/** What the watched tenant offers of its share: below it, as its promise requires. */
const WATCHED_RATIO = 0.5;
const FAIRNESS_MS = 20_000;
/** For the last ends of the watched tenant. Whatever takes longer counts as this long, ms. */
const FAIRNESS_GRACE_MS = 20_000;

export const overloadBench: Bench = {
  method:
    "open-loop submissions at ten times the capacity measured just before; then one tenant at its share and at ten times its share while another one's latency is watched",
  run: async (context) => {
    const floodMs = context.isLong ? FLOOD_MS_LONG : FLOOD_MS;
    const flooded = await withDagCluster(context, (cluster) =>
      measureFlood(context, cluster, floodMs),
    );
    const { capacityPerSec } = flooded;
    // Fresh, because the first one may take minutes to work off what it accepted.
    const fairness = await withDagCluster(context, (cluster) =>
      measureFairness(context, cluster, capacityPerSec),
    );
    return {
      name: "overload",
      machine: describeMachine(flooded.natsVersion),
      settings: {
        ...{ capacityPerSec: round(capacityPerSec, 0), overloadFactor: OVERLOAD_FACTOR },
        ...{ floodSec: floodMs / 1_000, fairnessSec: FAIRNESS_MS / 1_000 },
        ...{ shareRatio: SHARE_RATIO, watchedRatio: WATCHED_RATIO },
      },
      figures: [...flooded.figures, ...fairness],
    };
  },
};

async function measureFlood(context: BenchContext, cluster: RealCluster, forMs: number) {
  const client = await BenchClient.start(cluster.server.url);
  try {
    const capacityPerSec = await measureCapacity(context, client);
    const ratePerSec = capacityPerSec * OVERLOAD_FACTOR;
    context.say(`offering ${Math.round(ratePerSec)}/s for ${forMs / 1_000} s`);
    const rss = new RssWatch(cluster.scheduler.pid);
    const flood = await client.ask("flood", { ratePerSec, forMs, tenant: "flood" });
    const samplesMb = await rss.stop();
    context.say(`answers: ${JSON.stringify(flood)}`);
    return {
      capacityPerSec,
      natsVersion: cluster.server.version,
      figures: [rssFigure(samplesMb), ...floodFigures(flood)],
    };
  } finally {
    await client.stop();
  }
}

async function measureCapacity(context: BenchContext, client: BenchClient): Promise<number> {
  const loop = {
    side: "jobs",
    isDurable: true,
    inFlightCount: CAPACITY_IN_FLIGHT_COUNT,
  } as const;
  await client.ask("loop", { ...loop, forMs: WARM_UP_MS });
  const { perSec } = await client.ask("loop", { ...loop, forMs: CAPACITY_MS });
  context.say(`capacity: ${Math.round(perSec)} jobs/s`);
  return perSec;
}

/** Resident memory of a process, sampled until it is stopped. */
class RssWatch {
  private readonly pid: number;
  private readonly samplesMb: number[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.pid = pid;
    this.timer = setInterval(() => void this.sample(), RSS_INTERVAL_MS);
  }

  async stop(): Promise<readonly number[]> {
    clearInterval(this.timer);
    await this.sample();
    return this.samplesMb;
  }

  private async sample(): Promise<void> {
    this.samplesMb.push(await rssMbOf(this.pid));
  }
}

function rssFigure(samplesMb: readonly number[]): Figure {
  const maxMb = Math.max(...samplesMb);
  const quarterMb = samplesMb[Math.floor(samplesMb.length / 4)] ?? Number.NaN;
  const grownMb = quarterMb * RSS_GROWTH_MAX;
  const why = grownMb > RSS_FREE_MB ? `${RSS_GROWTH_MAX} x the first quarter's end` : "free";
  const note = `scheduler; ${round(quarterMb, 0)} MB after the first quarter; bound: ${why}`;
  return bounded(
    { key: "rssMbMax", value: round(maxMb, 0), unit: "MB", note },
    { atMost: round(Math.max(RSS_FREE_MB, grownMb), 0) },
  );
}

function floodFigures(flood: FloodResult): Figure[] {
  const errorCount = Object.values(flood.errorCounts).reduce((sum, count) => sum + count, 0);
  const refusedCount = flood.overloadedCount + errorCount;
  const codes = Object.entries(flood.errorCounts).map(([code, count]) => `${code} ${count}`);
  // Nothing refused: nobody was left without a time to come again.
  const retryAfterShare = refusedCount === 0 ? 1 : flood.retryAfterCount / refusedCount;
  return [
    bounded(
      {
        key: "unanswered",
        value: flood.unansweredCount,
        unit: "count",
        note: `of ${flood.offeredCount}: ${flood.acceptedCount} accepted, ${flood.overloadedCount} OVERLOADED, ${codes.join(", ") || "no"} other errors`,
      },
      { atMost: 0 },
    ),
    bounded(
      { key: "retryAfterShare", value: round(retryAfterShare, 3), unit: "0-1" },
      { atLeast: 1 },
    ),
    {
      key: "offeredPerSec",
      value: round(flood.offeredPerSec, 0),
      unit: "1/s",
      note: "what the client really sent on the shared cores",
    },
  ];
}

async function measureFairness(
  context: BenchContext,
  cluster: RealCluster,
  capacityPerSec: number,
): Promise<Figure[]> {
  const { url } = cluster.server;
  const [watched, loud] = [await BenchClient.start(url), await BenchClient.start(url)];
  try {
    await measureCapacity(context, watched); // As warm as the first cluster was.
    const sharePerSec = capacityPerSec * SHARE_RATIO;
    const runPhase = async (factor: number): Promise<PacedResult> => {
      context.signal.throwIfAborted();
      const flood = loud.ask("flood", {
        ...{ tenant: "loud", ratePerSec: sharePerSec * factor, forMs: FAIRNESS_MS },
      });
      const paced = await watched.ask("paced", {
        ...{ tenant: "watched", ratePerSec: sharePerSec * WATCHED_RATIO },
        ...{ forMs: FAIRNESS_MS, graceMs: FAIRNESS_GRACE_MS },
      });
      context.say(`loud tenant at ${factor} x its share; watched: ${JSON.stringify(paced)}`);
      await flood;
      return paced;
    };
    return fairnessFigures(await runPhase(1), await runPhase(OVERLOAD_FACTOR));
  } finally {
    await Promise.all([watched.stop(), loud.stop()]);
  }
}

function fairnessFigures(calm: PacedResult, loud: PacedResult): Figure[] {
  const isBound = loud.openCount > 0 ? "at least, " : "";
  return [
    bounded(
      {
        key: "fairnessP99Ratio",
        value: round(loud.latencyMsP99 / calm.latencyMsP99, 2),
        unit: "ratio",
        note: `${isBound}watched tenant's p99 ${round(loud.latencyMsP99, 1)} ms against ${round(calm.latencyMsP99, 1)} ms`,
      },
      { atMost: 2 },
    ),
    {
      key: "fairnessRefused",
      value: loud.refusedCount,
      unit: "count",
      note: `refusals to the watched tenant, of ${loud.offeredCount} jobs; ${loud.openCount} open at the end, ${loud.failedCount} failed`,
    },
  ];
}
