/** The cluster of the benches `dag` and `overload`: bus, one scheduler, one agent, one worker. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RealCluster } from "@murakkab/testkit";
import { hotFunctions, readCpuProfile } from "./cpu-profile.ts";
import { ROOT } from "./demo-cluster.ts";
import { cpuSecOf, descendantsOf } from "./process-cost.ts";
import type { BenchContext } from "./report.ts";

const LIBRARY = `${ROOT}bench/library`;
/** Room for exactly one instance of bench-noop, as the reference has one worker. */
const AGENT_MEMORY_MIB = 64;
const AGENT = "n1";
const HOT_FUNCTION_COUNT = 40;

/** `reference`: the processes of what the cluster is compared with. */
export type Part = "scheduler" | "agent" | "worker" | "nats" | "client" | "reference";
export type CpuSecByPart = Readonly<Record<Part, number>>;

export interface OutsidePids {
  readonly client: number;
  readonly reference: readonly number[];
}

/** `profileName`: the scheduler's CPU profile is written and its hot spots are told. */
export async function withDagCluster<T>(
  { signal, say }: BenchContext,
  use: (cluster: RealCluster) => Promise<T>,
  profileName?: string,
): Promise<T> {
  signal.throwIfAborted();
  const profileDir =
    profileName === undefined ? null : await mkdtemp(join(tmpdir(), `murakkab-${profileName}-`));
  const cluster = await RealCluster.start({
    agents: [{ node: AGENT, cpus: 2, args: ["--memory", String(AGENT_MEMORY_MIB)] }],
    libraries: [LIBRARY],
    ...(profileDir === null
      ? {}
      : { schedulerNodeArgs: ["--cpu-prof", `--cpu-prof-dir=${profileDir}`] }),
  });
  try {
    return await use(cluster);
  } finally {
    await cluster.stop();
    if (profileDir !== null) await tellProfile(profileDir, say);
  }
}

async function tellProfile(directory: string, say: BenchContext["say"]): Promise<void> {
  say(`CPU profile of the scheduler (${directory}), self time:`);
  const hot = hotFunctions(await readCpuProfile(directory), HOT_FUNCTION_COUNT);
  for (const { name, selfRatio } of hot)
    say(`${(selfRatio * 100).toFixed(1).padStart(6)} % ${name}`);
}

/** CPU-seconds so far of each part of the cluster, and of those that use it. */
export async function cpuSecByPart(
  cluster: RealCluster,
  { client, reference }: OutsidePids,
): Promise<CpuSecByPart> {
  const agentPid = cluster.agents.get(AGENT)?.pid ?? 0;
  return {
    scheduler: await cpuSecOf(cluster.scheduler.pid),
    agent: await cpuSecOf(agentPid),
    worker: await cpuSecOfAll(await descendantsOf(agentPid)),
    nats: await cpuSecOf(cluster.server.pid),
    client: await cpuSecOf(client),
    reference: await cpuSecOfAll(reference),
  };
}

async function cpuSecOfAll(pids: readonly number[]): Promise<number> {
  const cpuSec = await Promise.all(pids.map(cpuSecOf));
  return cpuSec.reduce((sum, sec) => sum + sec, 0);
}
