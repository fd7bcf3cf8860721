/**
 * A whole cluster on this host: bus, schedulers, agents.
 *
 * Owns:      the order of start and stop, what each process is told, what belongs to the cluster
 *            and must be gone at the end.
 * Does not:  submit anything, or print.
 *
 * Invariants:
 *   K1. A failed or interrupted start leaves nothing: what was started is stopped first.
 *   K2. Stop order is schedulers, agents, bus, files: nobody reacts to the loss of what is stopped
 *       on purpose.
 *   K3. No secret is in an argument list: the token goes by file, a URL with credentials by
 *       environment.
 */
import { hostname } from "node:os";
import { isRuntimeError, UnavailableError } from "@murakkab/kit";
import type { NodeOffer } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import type { Client } from "@murakkab/sdk";
import { connect, redactUrl } from "@murakkab/sdk";
import { Child } from "./child.ts";
import type { DataDir } from "./data-dir.ts";
import { openDataDir } from "./data-dir.ts";
import type { EmbeddedBus } from "./nats-server.ts";
import { startEmbeddedBus } from "./nats-server.ts";
import { programPath } from "./process-paths.ts";
import type { ProcessSpec } from "./process-spec.ts";
import { agentSpec, childSpec, schedulerSpec } from "./process-spec.ts";
import { shareHost, thisHost } from "./share-host.ts";

export interface ClusterOptions {
  /** A bus that is there already. Absent: an embedded one. */
  readonly natsUrl?: string;
  readonly schedulerCount: number;
  readonly agentCount: number;
  /** Kept afterwards. Absent: a temporary directory. */
  readonly dataDir?: string;
  /** Keep even a temporary directory. Default false. */
  readonly isDataKept?: boolean;
  readonly libraries: readonly string[];
  /** Below this directory agents may read inputs by path. */
  readonly inputRoot: string;
  readonly isInsecure: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

export interface Cluster {
  readonly natsUrl: string;
  readonly nodes: readonly string[];
  readonly dataDir: string;
  readonly client: Client;
  /** Resolves with the reason when a process ends that should run. */
  readonly died: Promise<UnavailableError>;
  stop(): Promise<void>;
}

/** Why 5 s: the scheduler's and the agents' own bound for an orderly end is below it. */
const STOP_GRACE_MS = 5_000;
/** More than a host's cores can use: each takes one core under load. */
export const SCHEDULER_COUNT_MAX = 8;
/** How long the leader may take to see all agents, ms. */
const REGISTER_TIMEOUT_MS = 15_000;
const REGISTER_POLL_MS = 50;

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const shares = shareHost(thisHost(), options.agentCount); // Fails before anything is started.
  const dataDir = openDataDir(options.dataDir, options.isDataKept);
  const parts: Parts = { dataDir, bus: null, schedulers: [], agents: [], client: null };
  const removeFiles = (): void => parts.dataDir.remove();
  process.once("exit", removeFiles);
  const stop = async (): Promise<void> => {
    await stopParts(parts);
    process.removeListener("exit", removeFiles);
  };
  try {
    const natsUrl = await startParts(parts, shares, options);
    const { client } = parts;
    if (client === null) throw new UnavailableError("the cluster has no client");
    const nodes = parts.agents.map((child) => child.name);
    return {
      ...{ natsUrl, nodes, client, stop },
      dataDir: parts.dataDir.path,
      died: firstDeath(parts),
    };
  } catch (error) {
    await stop(); // K1
    throw error;
  }
}

interface Parts {
  readonly dataDir: DataDir;
  bus: EmbeddedBus | null;
  readonly schedulers: Child[];
  readonly agents: Child[];
  client: Client | null;
}

async function startParts(
  parts: Parts,
  shares: readonly NodeOffer[],
  options: ClusterOptions,
): Promise<string> {
  const { signal, onProgress } = options;
  const paths = { scheduler: programPath("scheduler"), agent: programPath("node-agent") };
  if (options.natsUrl === undefined) {
    parts.bus = await startEmbeddedBus(parts.dataDir, options.env);
    onProgress(`nats-server is ready at ${parts.bus.url}`);
  }
  signal.throwIfAborted();
  const natsUrl = parts.bus?.url ?? options.natsUrl ?? "";
  parts.client = await connect({ nats: natsUrl, name: "murakkab-up" });
  await refuseSecondCluster(parts.client, natsUrl);

  // One that fails ends the wait for the others.
  const failure = new AbortController();
  const shared = { parts, options, natsUrl, signal: AbortSignal.any([signal, failure.signal]) };
  // All at once: on two cores the start of Node is what takes the time.
  const program = paths.scheduler;
  const { libraries, inputRoot, schedulerCount } = options;
  const schedulers = Array.from({ length: schedulerCount }, (_, index) =>
    startChild(shared, schedulerSpec(schedulerName(index, schedulerCount), { program, libraries })),
  );
  const agents = shares.map((share, index) => {
    const name = nodeName(index, parts.bus !== null);
    const data = parts.dataDir.sub(name);
    return startChild(shared, agentSpec(name, { program: paths.agent, share, data, inputRoot }));
  });
  for (const start of [...schedulers, ...agents]) {
    start.catch((error: unknown) => failure.abort(error));
  }
  await takeStarted(schedulers, parts.schedulers);
  await takeStarted(agents, parts.agents);
  failure.signal.throwIfAborted();
  await waitForNodes(parts, signal);
  return natsUrl;
}

async function startChild(
  shared: { parts: Parts; options: ClusterOptions; natsUrl: string; signal: AbortSignal },
  spec: ProcessSpec,
): Promise<Child> {
  const { parts, options, natsUrl, signal } = shared;
  const { isInsecure, env } = options;
  const surroundings = { natsUrl, isInsecure, env, dataDir: parts.dataDir };
  const child = await Child.start(childSpec(spec, surroundings), signal); // K3
  options.onProgress(`${spec.name} is ready`);
  return child;
}

/** Each outcome is awaited, so that after a failure none is started behind stopParts' back. */
async function takeStarted(starts: readonly Promise<Child>[], into: Child[]): Promise<void> {
  for (const outcome of await Promise.allSettled(starts)) {
    if (outcome.status === "fulfilled") into.push(outcome.value);
  }
}

function schedulerName(index: number, count: number): string {
  return count === 1 ? "scheduler" : `scheduler-${index + 1}`;
}

/** On a shared bus the host's name keeps agents of several hosts apart. */
function nodeName(index: number, isAlone: boolean): string {
  const host = isAlone
    ? "node"
    : hostname()
        .replace(/[^A-Za-z0-9_-]/g, "-")
        .slice(0, 60);
  return `${host}-${index + 1}`;
}

/**
 * Schedulers of one cluster share its jobs, but a cluster of `up` is one of its own: it has its own
 * token, which the agents of another one refuse.
 */
async function refuseSecondCluster(client: Client, natsUrl: string): Promise<void> {
  if (!(await hasScheduler(client))) return;
  throw new UnavailableError(
    `a cluster already runs on ${redactUrl(natsUrl)}, expected none: add to it with ` +
      '"murakkab node" or "murakkab scheduler" and its --token-file',
  );
}

export async function hasScheduler(client: Client): Promise<boolean> {
  try {
    await client.ask(subjects.schedulerPing, {});
    return true;
  } catch (error) {
    // Somebody is there who is too busy to answer.
    return isRuntimeError(error) && error.code === "TIMEOUT";
  }
}

async function waitForNodes(parts: Parts, signal: AbortSignal): Promise<void> {
  const expected = parts.agents.map((child) => child.name);
  const isDead = firstDeath(parts);
  const deadline = performance.now() + REGISTER_TIMEOUT_MS;
  for (;;) {
    signal.throwIfAborted();
    const known = await parts.client?.nodes().catch(() => []);
    const missing = expected.filter((name) => !known?.some(({ node }) => node === name));
    if (missing.length === 0) return;
    if (performance.now() > deadline) {
      throw new UnavailableError(
        `${missing.join(", ")} did not register within ${REGISTER_TIMEOUT_MS} ms`,
      );
    }
    const pause = new Promise<null>((resolve) => setTimeout(resolve, REGISTER_POLL_MS, null));
    const death = await Promise.race([isDead, pause]);
    if (death !== null) throw death;
  }
}

function firstDeath({ bus, schedulers, agents }: Parts): Promise<UnavailableError> {
  const deaths = [...schedulers, ...agents].map(async (child) => {
    const reason = await child.exited;
    return child.isStopping ? new Promise<never>(() => undefined) : child.failure(reason);
  });
  const busDeath = (bus?.died ?? new Promise<string>(() => undefined)).then(
    (reason) => new UnavailableError(`nats-server ended unexpectedly: ${reason}`),
  );
  return Promise.race([...deaths, busDeath]);
}

/** K2. */
async function stopParts(parts: Parts): Promise<void> {
  await Promise.all(parts.schedulers.map((scheduler) => scheduler.stop(STOP_GRACE_MS)));
  await Promise.all(parts.agents.map((agent) => agent.stop(STOP_GRACE_MS)));
  await parts.client?.close();
  await parts.bus?.stop();
  parts.dataDir.remove();
}
