/**
 * What the choice of executors, knobs, paths and parallelism is worth on real programs, against what
 * a developer writes by hand.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Cluster } from "@murakkab/cli/cluster";
import { EngineFailedError } from "@murakkab/kit";
import {
  CATALOGUE_DIR,
  type EnergyModel,
  loadPrices,
  PRICES_FILE,
  type QuestionEntry,
  scoreAnswer,
} from "@murakkab/library";
import type { Objective, Receipt } from "@murakkab/model";
import { questionFileSchema, readYamlFile } from "@murakkab/testkit/make-video";
import { natsServerVersion, ROOT, SAMPLE_VIDEO, withCluster } from "./demo-cluster.ts";
import { cpuSecOf, descendantsOf } from "./process-cost.ts";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  median,
  round,
} from "./report.ts";
import { type BaselineEvidence, runBaseline } from "./slo-baseline.ts";

const QUESTIONS = `${ROOT}examples/video-qa/questions.yaml`;
/** Timed one by one, fresh each time; spread over the file, whose kinds are in order. */
const TIMED_COUNT = 6;
const TIMED_COUNT_LONG = 12;
/** Asked about one video one after the other, where equal steps are shared. */
const TOGETHER_COUNT = 6;
const TIER = "good";
const WARM_UPS = 3;
/** What the baseline's programs need at most, GiB: the recogniser's 384 MiB and some frames. */
const BASELINE_GIB = 0.5;

interface Spent {
  readonly latencyMs: number;
  readonly cpuSec: number;
  readonly energyWh: number;
  /** Of the whole cluster in that time: scheduler, agents, workers and bus too. */
  readonly clusterCpuSec: number;
}

export const sloBench: Bench = {
  method: `the labelled questions about the sample: a baseline written by hand (30 frames in one pass, two crops, recogniser's defaults, one step after the other, everything for every question) against jobs with --slo ${TIER} and the objectives latency and energy; times over at least ${TIMED_COUNT} questions, each fresh, the three in turn; accuracy over all questions, the baseline's recognition made once for it`,
  run: (context) => withCluster(context, (cluster) => measure(cluster, context)),
};

async function measure(cluster: Cluster, context: BenchContext) {
  const { questions } = await readYamlFile(QUESTIONS, questionFileSchema);
  const video = (await cluster.client.upload(SAMPLE_VIDEO)).artifact;
  const energy = loadPrices(join(CATALOGUE_DIR, PRICES_FILE)).energy;
  const ask = { cluster, video };
  const count = context.isLong ? TIMED_COUNT_LONG : TIMED_COUNT;
  const timed = spread(questions, count);
  context.say("warming up: instances start, profiles meet this machine");
  for (const entry of spread(questions, WARM_UPS)) {
    for (const objective of ["latency", "energy"] as const) {
      await runOurs(ask, { entry, objective, isFresh: true, tenant: "warm-up" });
    }
  }
  const rows = await timeInTurn(ask, timed, { context, energy });
  const accuracy = await compareAccuracy(ask, questions, { context, evidence: rows.evidence });
  const together = await timeTogether(ask, spread(questions, TOGETHER_COUNT), context);
  return {
    name: "slo",
    machine: describeMachine(natsServerVersion(cluster)),
    settings: {
      ...{ video: "examples/video-qa/road_trip.mp4", slo: TIER, timed: timed.length, agents: 2 },
      energyMethod: `CPU-seconds x ${round(energy.busyWattsPerCore - energy.idleWattsPerCore, 2)} W + reserved core-seconds x ${energy.idleWattsPerCore} W + memory x ${energy.memoryWattsPerGib} W/GiB, idle hosts apart; modelled for both sides alike, constants ${energy.provenance.kind}`,
    },
    figures: [
      ...ratioFigures(rows),
      ...accuracyFigures(accuracy),
      ...sharedFigures(together, rows),
    ],
  };
}

interface Ask {
  readonly cluster: Cluster;
  readonly video: string;
}

async function runOurs(
  { cluster, video }: Ask,
  how: {
    readonly entry: QuestionEntry;
    readonly objective: Objective;
    readonly isFresh: boolean;
    readonly tenant: string;
  },
): Promise<Receipt> {
  const { entry, objective, isFresh, tenant } = how;
  const handle = await cluster.client.submit({
    ...{ description: entry.question, inputs: [video], slo: TIER, objective, tenant },
    fresh: isFresh,
  });
  return handle.result();
}

interface Timed {
  readonly baseline: readonly Spent[];
  readonly latency: readonly Spent[];
  readonly energy: readonly Spent[];
  readonly evidence: BaselineEvidence;
}

async function timeInTurn(
  ask: Ask,
  entries: readonly QuestionEntry[],
  { context, energy }: { readonly context: BenchContext; readonly energy: EnergyModel },
): Promise<Timed> {
  const sides = { baseline: [] as Spent[], latency: [] as Spent[], energy: [] as Spent[] };
  let evidence: BaselineEvidence | null = null;
  for (const entry of entries) {
    context.signal.throwIfAborted();
    const byHand = await runBaseline(SAMPLE_VIDEO, entry.question);
    evidence ??= byHand.evidence;
    sides.baseline.push(spentByHand(byHand.spent, energy));
    for (const objective of ["latency", "energy"] as const) {
      const tenant = `fresh-${randomUUID().slice(0, 8)}`;
      sides[objective].push(
        await spentBy(() => runOurs(ask, { entry, objective, isFresh: true, tenant })),
      );
    }
    const last = [sides.baseline, sides.latency, sides.energy].map((it) => it.at(-1));
    context.say(
      `${entry.question} by hand ${seconds(last[0])}, latency ${seconds(last[1])}, energy ${seconds(last[2])}`,
    );
  }
  if (evidence === null) throw new Error("no question was timed");
  return { ...sides, evidence };
}

function spentByHand(
  { wallMs, cpuSec }: { readonly wallMs: number; readonly cpuSec: number | null },
  energy: EnergyModel,
): Spent {
  if (cpuSec === null)
    throw new EngineFailedError("this host does not tell CPU seconds, expected /proc");
  const hours = wallMs / 3_600_000;
  const addedWh = (cpuSec / 3_600) * (energy.busyWattsPerCore - energy.idleWattsPerCore);
  const idleWh = hours * (energy.idleWattsPerCore + BASELINE_GIB * energy.memoryWattsPerGib);
  return { latencyMs: wallMs, cpuSec, energyWh: addedWh + idleWh, clusterCpuSec: cpuSec };
}

async function spentBy(run: () => Promise<Receipt>): Promise<Spent> {
  const before = await clusterCpuSec();
  const { latencyMs, energyWh, steps } = await run();
  const after = await clusterCpuSec();
  const cpuSec = steps.reduce((sum, step) => sum + (step.cpuSec ?? 0), 0);
  return { latencyMs, energyWh, cpuSec, clusterCpuSec: after - before };
}

/** Every process that this one has started, and what those started. */
async function clusterCpuSec(): Promise<number> {
  const pids = await descendantsOf(process.pid);
  const all = await Promise.all(pids.map((pid) => cpuSecOf(pid)));
  return all.reduce((sum, it) => sum + it, 0);
}

interface Accuracy {
  readonly baseline: number;
  readonly latency: number;
  readonly energy: number;
  readonly count: number;
}

async function compareAccuracy(
  ask: Ask,
  questions: readonly QuestionEntry[],
  { context, evidence }: { readonly context: BenchContext; readonly evidence: BaselineEvidence },
): Promise<Accuracy> {
  context.say(`accuracy over ${questions.length} questions`);
  const right = { baseline: 0, latency: 0, energy: 0 };
  for (const entry of questions) {
    context.signal.throwIfAborted();
    const byHand = await runBaseline(SAMPLE_VIDEO, entry.question, evidence);
    if (scoreAnswer(entry, byHand.answer, byHand.evidenceAtSec ?? undefined)) right.baseline += 1;
    for (const objective of ["latency", "energy"] as const) {
      // Recognition is deterministic: shared between questions it gives the same answers.
      const receipt = await runOurs(ask, { entry, objective, isFresh: false, tenant: "accuracy" });
      const answer = receipt.answer ?? `(${receipt.state})`;
      const isRight = scoreAnswer(entry, answer, receipt.evidence[0]?.atSec ?? undefined);
      if (isRight) right[objective] += 1;
      else context.say(`${objective}, wrong: ${entry.question} -> ${answer}`);
    }
  }
  const share = (value: number): number => value / questions.length;
  return {
    baseline: share(right.baseline),
    latency: share(right.latency),
    energy: share(right.energy),
    count: questions.length,
  };
}

/** One after the other by one tenant: what was recognised for one question serves the next. */
async function timeTogether(
  ask: Ask,
  entries: readonly QuestionEntry[],
  context: BenchContext,
): Promise<Readonly<Record<"latency" | "energy", readonly Spent[]>>> {
  const sides = { latency: [] as Spent[], energy: [] as Spent[] };
  for (const objective of ["latency", "energy"] as const) {
    const tenant = `together-${objective}-${randomUUID().slice(0, 8)}`;
    for (const entry of entries) {
      context.signal.throwIfAborted();
      sides[objective].push(
        await spentBy(() => runOurs(ask, { entry, objective, isFresh: false, tenant })),
      );
    }
  }
  return sides;
}

function ratioFigures({ baseline, latency, energy }: Timed): Figure[] {
  const of = (rows: readonly Spent[], key: keyof Spent): number =>
    median(rows.map((it) => it[key]));
  const byHand = (key: keyof Spent): number => of(baseline, key);
  const note = (name: string, rows: readonly Spent[], key: keyof Spent, unit: string): string =>
    `baseline ${round(byHand(key), 4)} ${unit}, ${name} ${round(of(rows, key), 4)} ${unit}, medians of ${rows.length}`;
  const ratio = (rows: readonly Spent[], key: keyof Spent): number =>
    round(byHand(key) / of(rows, key), 2);
  const unit = "baseline / ours";
  return [
    bounded(
      {
        key: "latencyRatio",
        value: ratio(latency, "latencyMs"),
        unit,
        note: note("objective latency", latency, "latencyMs", "ms"),
      },
      { atLeast: 3.4 },
    ),
    bounded(
      {
        key: "cpuSecRatio",
        value: ratio(energy, "cpuSec"),
        unit,
        note: note("objective energy", energy, "cpuSec", "s"),
      },
      { atLeast: 4.5 },
    ),
    {
      key: "energyRatio",
      value: ratio(energy, "energyWh"),
      unit,
      note: `modelled; ${note("objective energy", energy, "energyWh", "Wh")}`,
    },
    {
      key: "cpuSecRatioCluster",
      value: ratio(energy, "clusterCpuSec"),
      unit,
      note: `with scheduler, agents, workers and bus; ${note("objective energy", energy, "clusterCpuSec", "s")}`,
    },
    {
      key: "cpuSecRatioOfLatency",
      value: ratio(latency, "cpuSec"),
      unit,
      note: note("objective latency", latency, "cpuSec", "s"),
    },
    {
      key: "latencyRatioOfEnergy",
      value: ratio(energy, "latencyMs"),
      unit,
      note: note("objective energy", energy, "latencyMs", "ms"),
    },
  ];
}

function accuracyFigures({ baseline, latency, energy, count }: Accuracy): Figure[] {
  const ours = Math.min(latency, energy);
  return [
    {
      key: "accuracyOurs",
      value: round(ours, 3),
      unit: "0-1",
      note: `the lower of both objectives: latency ${round(latency, 3)}, energy ${round(energy, 3)}; ${count} questions`,
    },
    { key: "accuracyBaseline", value: round(baseline, 3), unit: "0-1" },
    bounded(
      { key: "accuracyDelta", value: round(ours - baseline, 3), unit: "ours - baseline" },
      { atLeast: 0 },
    ),
  ];
}

function sharedFigures(
  together: Readonly<Record<"latency" | "energy", readonly Spent[]>>,
  { baseline }: Timed,
): Figure[] {
  const mean = (rows: readonly Spent[], key: keyof Spent): number =>
    rows.reduce((sum, it) => sum + it[key], 0) / rows.length;
  const ratio = (rows: readonly Spent[], key: keyof Spent): number =>
    round(mean(baseline, key) / mean(rows, key), 2);
  const note = `means over ${together.latency.length} questions about one video, equal steps shared`;
  const unit = "baseline / ours";
  return [
    { key: "sharedLatencyRatio", value: ratio(together.latency, "latencyMs"), unit, note },
    { key: "sharedEnergyRatio", value: ratio(together.energy, "energyWh"), unit, note },
    { key: "sharedCpuSecRatio", value: ratio(together.energy, "cpuSec"), unit, note },
  ];
}

function spread<T>(all: readonly T[], count: number): T[] {
  return Array.from({ length: Math.min(count, all.length) }, (_, index) => {
    return all[Math.floor(((index + 0.5) * all.length) / count)] as T;
  });
}

function seconds(spent: Spent | undefined): string {
  return spent === undefined
    ? "-"
    : `${(spent.latencyMs / 1_000).toFixed(1)} s, ${spent.cpuSec.toFixed(1)} CPU s`;
}
