/**
 * What the runtime adds to a job beyond the work of its engines.
 *
 * Overhead of a job = its life from acceptance to the terminal state, less the union of the times
 * in which at least one of its attempts ran in an engine. With one job on an idle fleet, whenever
 * none runs and the job is not over, one is ready and every core is free.
 */
import type { FinishedJob } from "./demo-cluster.ts";
import {
  natsServerVersion,
  runJob,
  SAMPLE_QUESTION,
  SAMPLE_VIDEO,
  withCluster,
} from "./demo-cluster.ts";
import { type Bench, bounded, describeMachine, median, quantile, round } from "./report.ts";

const RUN_COUNT = 10;
const WARM_UP_COUNT = 2;

export const overheadBench: Bench = {
  method:
    "time in a job's life in which none of its attempts ran in an engine, over 10 warm runs of the demo's job",
  run: (context) =>
    withCluster(context, async (cluster) => {
      const { ref, cold } = await runCold();
      const job = { description: SAMPLE_QUESTION, inputs: [ref] };
      for (let index = 1; index < WARM_UP_COUNT; index += 1) await runJob(cluster, job);
      const runs: FinishedJob[] = [];
      for (let index = 0; index < RUN_COUNT; index += 1) {
        const finished = await runJob(cluster, job);
        runs.push(finished);
        context.say(
          `run ${index + 1} of ${RUN_COUNT}: overhead ${round(overheadMs(finished), 1)} ms of ${finished.receipt.latencyMs} ms`,
        );
      }
      const overheads = runs.map(overheadMs);
      return {
        name: "overhead",
        machine: describeMachine(natsServerVersion(cluster)),
        settings: { runs: RUN_COUNT, warmUps: WARM_UP_COUNT, agents: 2, question: SAMPLE_QUESTION },
        figures: [
          bounded(
            { key: "overheadMsP50", value: round(median(overheads), 1), unit: "ms" },
            { atMost: 30 },
          ),
          { key: "overheadMsMax", value: round(Math.max(...overheads), 1), unit: "ms" },
          {
            key: "coldStartMs",
            value: round(overheadMs(cold), 1),
            unit: "ms",
            note: "the same for the first job, while its model-worker processes start",
          },
          {
            key: "latencyMsP50",
            value: round(median(runs.map((it) => it.receipt.latencyMs)), 1),
            unit: "ms",
          },
          {
            key: "latencyMsP90",
            value: round(
              quantile(
                runs.map((it) => it.receipt.latencyMs),
                0.9,
              ),
              1,
            ),
            unit: "ms",
          },
          {
            key: "attemptsPerJob",
            value: median(runs.map((it) => intervals(it).length)),
            unit: "count",
          },
        ],
      };

      async function runCold() {
        const artifact = await cluster.client.upload(SAMPLE_VIDEO);
        const finished = await runJob(cluster, {
          description: SAMPLE_QUESTION,
          inputs: [artifact.artifact],
        });
        context.say(
          `cold run: overhead ${round(overheadMs(finished), 1)} ms of ${finished.receipt.latencyMs} ms`,
        );
        return { ref: artifact.artifact, cold: finished };
      }
    }),
};

function intervals({ events }: FinishedJob): { startMs: number; endMs: number }[] {
  return events
    .filter((event) => event.event === "attempt-finished")
    .map(({ data }) => ({ startMs: Number(data["startedAtMs"]), endMs: Number(data["endedAtMs"]) }))
    .sort((a, b) => a.startMs - b.startMs);
}

export function overheadMs(finished: FinishedJob): number {
  let coveredMs = 0;
  let reachedMs = Number.NEGATIVE_INFINITY;
  for (const { startMs, endMs } of intervals(finished)) {
    coveredMs += Math.max(0, endMs - Math.max(startMs, reachedMs));
    reachedMs = Math.max(reachedMs, endMs);
  }
  return finished.receipt.latencyMs - coveredMs;
}
