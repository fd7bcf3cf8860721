/** The cluster of the demo, for benches: embedded bus, scheduler, two agents, the sample video. */
import { fileURLToPath } from "node:url";
import { type Cluster, startCluster } from "@murakkab/cli/cluster";
import { assert } from "@murakkab/kit";
import { isTerminalState, type Receipt } from "@murakkab/model";
import type { JobEvent } from "@murakkab/protocol";
import type { BenchContext } from "./report.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const SAMPLE_VIDEO = `${ROOT}examples/video-qa/road_trip.mp4`;
export const SAMPLE_QUESTION = "What is the name of the person wearing the red dress?";

export async function withCluster<T>(
  { signal, say }: BenchContext,
  use: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const natsUrl = process.env["NATS_URL"];
  const cluster = await startCluster({
    ...(natsUrl === undefined ? {} : { natsUrl }),
    schedulerCount: 1,
    agentCount: 2,
    libraries: [],
    inputRoot: ROOT,
    isInsecure: false,
    env: process.env,
    signal,
    onProgress: say,
  });
  try {
    return await use(cluster);
  } finally {
    await cluster.stop();
  }
}

export interface FinishedJob {
  readonly receipt: Receipt;
  readonly events: readonly JobEvent[];
}

/** Submits and reads every event up to the terminal one. */
export async function runJob(
  cluster: Cluster,
  job: { readonly description: string; readonly inputs: readonly string[] },
): Promise<FinishedJob> {
  const handle = await cluster.client.submit({ ...job, fresh: true }); // every step runs
  const events: JobEvent[] = [];
  for await (const event of handle.events()) events.push(event);
  const last = events.at(-1);
  assert(last !== undefined, "a job without events");
  const receipt = last.data["receipt"] as Receipt;
  assert(isTerminalState(receipt.state), `the last event of job ${handle.jobId} is ${last.event}`);
  return { receipt, events };
}

export function natsServerVersion(cluster: Cluster): string {
  return /nats-server (\S+)/.exec(cluster.client.description)?.[1] ?? "unknown";
}
