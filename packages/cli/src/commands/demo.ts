/**
 * `murakkab demo`: a cluster, one question about the example video, the answer and its bill.
 *
 * Owns:      the order of what is shown, and that nothing of it stays behind.
 * Does not:  do anything that `up` and `submit` could not: it is both.
 */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { NotFoundError } from "@murakkab/kit";
import type { Client } from "@murakkab/sdk";
import { checkInputs, connect } from "@murakkab/sdk";
import { rootPath } from "../cluster/process-paths.ts";
import type { ClusterOptions } from "../cluster/start-cluster.ts";
import { hasScheduler, startCluster } from "../cluster/start-cluster.ts";
import type { Context } from "../context.ts";
import { columnsOf, EXIT, orInterrupted, printJson, printLines } from "../context.ts";
import { parseObjective, parseSloOption } from "../parse-options.ts";
import { renderPlan } from "../render/render-plan.ts";
import { renderReceipt } from "../render/render-receipt.ts";
import { formatDuration } from "../render/units.ts";
import type { UpFlags } from "./up.ts";
import { clusterOptions } from "./up.ts";
import { watchJob } from "./watch-job.ts";

export interface DemoFlags extends UpFlags {
  readonly input?: string;
  readonly question?: string;
  readonly slo?: readonly string[];
  readonly objective?: string;
  /** Keep the data directory and say where it is. */
  readonly keep?: boolean;
}

const EXAMPLE_VIDEO = "examples/video-qa/road_trip.mp4";
const EXAMPLE_QUESTION = "What is the name of the person wearing the red dress?";

/** What a demonstration of choosing asks for: good quality for little energy. */
const SLO_DEFAULT = "good";
const OBJECTIVE_DEFAULT = "energy";

/** Milliseconds since the command started. */
interface Timings {
  clusterReadyMs: number;
  acceptedMs: number;
  answeredMs: number;
  totalMs: number;
}

export async function demo(context: Context, flags: DemoFlags): Promise<number> {
  const startedAtMs = performance.now();
  const since = (): number => Math.round(performance.now() - startedAtMs);
  const timings: Timings = { clusterReadyMs: 0, acceptedMs: 0, answeredMs: 0, totalMs: 0 };
  const isJson = flags.json === true;
  const progress = isJson ? context.stderr : context.stdout;
  const say = (text: string): void =>
    void progress.write(`${formatDuration(since()).padStart(8)}  ${text}\n`);
  const agents = flags.agents ?? "2";
  say(`starting nats-server, scheduler and ${agents} node agents on this host`);
  const input = await findInput(flags.input);

  const outcome = await withCluster(context, flags, say, async (client) => {
    timings.clusterReadyMs = since();
    const question = flags.question ?? EXAMPLE_QUESTION;
    say(`asking: ${question} (${relative(context.cwd, input) || input})`);
    const slo = flags.slo === undefined ? SLO_DEFAULT : parseSloOption(flags.slo);
    const objective = parseObjective(flags.objective ?? OBJECTIVE_DEFAULT);
    const job = await client.submit(
      { description: question, inputs: [input], slo, objective },
      { signal: context.signal },
    );
    timings.acceptedMs = since();
    if (!isJson) {
      const { stdout, paint } = context;
      printLines(stdout, ["", ...renderPlan(job.plan, { columns: columnsOf(stdout), paint }), ""]);
    }
    const paint = isJson ? context.paintErr : context.paint;
    const { signal } = context;
    await watchJob(job.events(), { output: progress, paint, plan: job.plan, signal });
    const receipt = await job.result({ signal });
    timings.answeredMs = since();
    if (!isJson) {
      const { stdout, paint: receiptPaint } = context;
      const options = { columns: columnsOf(stdout), paint: receiptPaint };
      printLines(stdout, ["", ...renderReceipt(receipt, options), ""]);
    }
    return { plan: job.plan, receipt };
  });
  timings.totalMs = since();
  say("stopped, nothing is left behind");
  if (isJson) printJson(context.stdout, { ...outcome, timings });
  return outcome.receipt.state === "succeeded" ? EXIT.ok : EXIT.failed;
}

async function findInput(given: string | undefined): Promise<string> {
  const path = given ?? rootPath(EXAMPLE_VIDEO);
  if (given === undefined && !existsSync(path)) {
    throw new NotFoundError(`the example video ${path} is missing, make it with "pnpm make-video"`);
  }
  await checkInputs([path]); // Told before anything is started.
  return path;
}

/** A cluster of our own for the time of `use`; or the one that already serves the given bus. */
async function withCluster<T>(
  context: Context,
  flags: DemoFlags,
  say: (text: string) => void,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const { signal } = context;
  const options = clusterOptions(context, flags, say);
  const shared = options.natsUrl === undefined ? null : await joinCluster(options);
  if (shared !== null) {
    say("a scheduler already serves this bus: using its cluster");
    try {
      return await orInterrupted(use(shared), signal);
    } finally {
      await shared.close();
    }
  }
  const cluster = await startCluster({
    ...options,
    ...(flags.keep === true && options.dataDir === undefined ? { isDataKept: true } : {}),
  });
  try {
    const death = cluster.died.then((error) => Promise.reject(error));
    return await orInterrupted(Promise.race([use(cluster.client), death]), signal);
  } finally {
    if (signal.aborted) say("interrupted, stopping");
    await cluster.stop();
    if (flags.keep === true) say(`data and logs are kept in ${cluster.dataDir}`);
  }
}

async function joinCluster({ natsUrl, env }: ClusterOptions): Promise<Client | null> {
  const client = await connect({
    env,
    name: "murakkab-demo",
    ...(natsUrl === undefined ? {} : { nats: natsUrl }),
  });
  if (await hasScheduler(client)) return client;
  await client.close();
  return null;
}
