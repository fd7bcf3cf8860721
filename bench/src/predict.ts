/** How well plans say what will happen: latency, cost, quality, and whether bounds are kept. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cluster } from "@murakkab/cli/cluster";
import { type Random, seededRandom } from "@murakkab/kit";
import { type QuestionEntry, scoreAnswer } from "@murakkab/library";
import type { Receipt } from "@murakkab/model";
import type { JobRequest } from "@murakkab/sdk";
import { makeVideo, questionFileSchema, readYamlFile } from "@murakkab/testkit/make-video";
import { type Clip, cutClips, lengthSecOf } from "./clips.ts";
import { natsServerVersion, ROOT, SAMPLE_VIDEO, withCluster } from "./demo-cluster.ts";
import { drawJob, type LoadResult, type Measured, runLoad } from "./predict-load.ts";
import { measureIntervals, type QualityResult } from "./predict-quality.ts";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  median,
  quantile,
  round,
} from "./report.ts";

const QUESTIONS = `${ROOT}examples/video-qa/questions.yaml`;
const HELD_OUT = `${ROOT}examples/video-qa/held-out/office_party.yaml`;
/** Clips that the fleet sees before: instances start, and profiles learn this machine. */
const WARM_UP_COUNT = 10;
const ALONE_COUNT = 30;
const LOAD_JOBS = 200;
const LOAD_SHARE = 0.7;
/** Of the load's clips, each of which is also run alone by every plan of the oracle. */
const LOAD_CLIPS = 10;

type Asked = Pick<JobRequest, "slo" | "objective" | "workflow">;

/** What jobs ask for, in turn: with and without bounds, every objective, by name and by question. */
const ASKED: readonly Asked[] = [
  {},
  { objective: "cost" },
  { slo: "good", objective: "energy" },
  { workflow: "video-qa" },
  { objective: "latency" },
  { slo: "latency<60s,cost<$0.01" },
];
/** Plans of the oracle: the best and the fastest, and two between. */
const ORACLE: readonly Asked[] = [
  { objective: "cost" },
  { slo: "good", objective: "latency" },
  { slo: "fair", objective: "energy" },
  { slo: "quality>=0.1", objective: "latency" },
  { slo: "quality>=0.1", objective: "cost" },
];

type PickQuestion = (clip: Clip) => string;
type ClipInput = Clip & { readonly artifact: string };

interface Compared {
  readonly latencyRatio: number;
  readonly costRatio: number;
  /** A draft might have ended it: one of two courses was the expected one. */
  readonly isStaged: boolean;
}

export const predictBench: Bench = {
  method: `jobs on clips of 6 to 10 s that no profile has seen: ${ALONE_COUNT} one at a time against their plan's p50; ${LOAD_JOBS} with random bounds at ${LOAD_SHARE * 100} % load against an oracle that ran each clip alone by every plan; quality intervals from 20 drawn labels against the rate over all`,
  run: (context) => withCluster(context, (cluster) => measure(cluster, context)),
};

async function measure(cluster: Cluster, context: BenchContext) {
  const random = seededRandom(`predict-${context.seed}`);
  const dir = await mkdtemp(join(tmpdir(), "murakkab-clips-"));
  try {
    const clips = await prepareClips(cluster, { dir, random, context });
    const { questions } = await readYamlFile(QUESTIONS, questionFileSchema);
    const pick = questionPicker(await askedAt(cluster, questions), random);
    context.say(`${WARM_UP_COUNT} clips to start instances and learn this machine`);
    for (const clip of clips.warmUp) {
      for (const ask of ASKED.slice(0, 2)) {
        await runOn(cluster, clip, { ...ask, question: pick(clip) });
      }
    }
    const compared = await compareAlone(cluster, clips.alone, { pick, context });
    const load = await loadPart(cluster, clips.load, { pick, random, context });
    const video = (await cluster.client.upload(SAMPLE_VIDEO)).artifact;
    const quality = await measureIntervals(cluster, {
      ...{ video, questions, random, say: context.say },
      configurations: [
        {},
        { knobs: { "speech-to-text": { effort: "fast" } } },
        { knobs: { "frame-extraction": { frameCount: 6 } } },
      ],
    });
    return {
      name: "predict",
      machine: describeMachine(natsServerVersion(cluster)),
      settings: {
        ...{
          seed: context.seed,
          clipSec: "6 to 10",
          warmUp: WARM_UP_COUNT * 2,
          alone: compared.length,
        },
        ...{
          load: LOAD_SHARE,
          loadJobs: load.result.offered,
          ratePerSec: round(load.ratePerSec, 3),
        },
        agents: 2,
      },
      figures: [
        ...predictionFigures(compared),
        ...qualityFigures(quality),
        ...loadFigures(load.result),
      ],
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** When the facts are told or shown that the questions ask about, by right answers on the whole. */
async function askedAt(
  cluster: Cluster,
  questions: readonly QuestionEntry[],
): Promise<readonly { readonly question: string; readonly atSec: number }[]> {
  const video = (await cluster.client.upload(SAMPLE_VIDEO)).artifact;
  const found: { question: string; atSec: number }[] = [];
  for (const entry of questions) {
    const request = { description: entry.question, inputs: [video] };
    const receipt = await (await cluster.client.submit(request)).result();
    const atSec = receipt.evidence[0]?.atSec ?? undefined;
    const isRight = scoreAnswer(entry, receipt.answer ?? "", atSec);
    if (isRight && atSec !== undefined) found.push({ question: entry.question, atSec });
  }
  return found;
}

/** Of what happens in the clip; of anything where the clip is of another video or shows nothing. */
function questionPicker(
  asked: readonly { readonly question: string; readonly atSec: number }[],
  random: Random,
): PickQuestion {
  return ({ video, startSec, lengthSec }) => {
    const within = asked.filter(
      ({ atSec }) => video === SAMPLE_VIDEO && atSec > startSec && atSec < startSec + lengthSec - 1,
    );
    const some = within.length > 0 ? within : asked;
    return some[random.index(some.length)]?.question ?? "";
  };
}

async function prepareClips(
  cluster: Cluster,
  { dir, random, context }: { dir: string; random: Random; context: BenchContext },
): Promise<Record<"warmUp" | "alone" | "load", readonly ClipInput[]>> {
  context.say("cutting clips from two of the example videos");
  const other = join(dir, "other.mp4");
  await makeVideo(HELD_OUT, other, { signal: context.signal });
  const sources = await Promise.all(
    [SAMPLE_VIDEO, other].map(async (video) => ({ video, lengthSec: await lengthSecOf(video) })),
  );
  const cut = async (prefix: string, count: number): Promise<ClipInput[]> => {
    const clips = await cutClips(sources, { dir, prefix, count, random: random.stream(prefix) });
    const inputs: ClipInput[] = [];
    for (const clip of clips) {
      inputs.push({ ...clip, artifact: (await cluster.client.upload(clip.file)).artifact });
    }
    return inputs;
  };
  return {
    warmUp: await cut("warm-up", WARM_UP_COUNT),
    alone: await cut("alone", ALONE_COUNT),
    load: await cut("load", LOAD_CLIPS),
  };
}

async function runOn(
  cluster: Cluster,
  clip: ClipInput,
  { question, ...ask }: Asked & { readonly question: string },
): Promise<Receipt> {
  const request = { description: question, inputs: [clip.artifact], fresh: true, ...ask };
  return (await cluster.client.submit(request)).result();
}

async function compareAlone(
  cluster: Cluster,
  clips: readonly ClipInput[],
  { pick, context }: { pick: PickQuestion; context: BenchContext },
): Promise<Compared[]> {
  context.say(`${clips.length} jobs one at a time`);
  const compared: Compared[] = [];
  for (const [index, clip] of clips.entries()) {
    const ask = ASKED[index % ASKED.length] ?? {};
    const receipt = await runOn(cluster, clip, { ...ask, question: pick(clip) });
    const { predicted, latencyMs, costUsd } = receipt;
    if (predicted === undefined) {
      context.say(`not predicted: ${receipt.notes.join("; ")}`);
      const never = Number.POSITIVE_INFINITY;
      compared.push({ latencyRatio: never, costRatio: never, isStaged: false });
      continue;
    }
    const latencyRatio = latencyMs / predicted.latencyMs.p50;
    const costRatio = costUsd / predicted.costUsd.p50;
    const isStaged = receipt.configuration?.includes(" [") === true;
    compared.push({ latencyRatio, costRatio, isStaged });
    if (Math.abs(latencyRatio - 1) > 0.25 || Math.abs(costRatio - 1) > 0.1) {
      const steps = receipt.steps.map(
        (it) => `${it.step} ${Math.round(it.runMs)}/${Math.round(it.predicted?.runMs.p50 ?? 0)}`,
      );
      context.say(
        `${JSON.stringify(ask)}: latency ${latencyRatio.toFixed(2)}, cost ${costRatio.toFixed(2)} of what was said (${steps.join(", ")} ms)`,
      );
    }
  }
  return compared;
}

async function loadPart(
  cluster: Cluster,
  clips: readonly ClipInput[],
  { pick, random, context }: { pick: PickQuestion; random: Random; context: BenchContext },
): Promise<{ readonly result: LoadResult; readonly ratePerSec: number }> {
  context.say(`the oracle: ${clips.length} clips alone by ${ORACLE.length} plans`);
  const cases: { clip: ClipInput; question: string; plans: Measured[] }[] = [];
  for (const clip of clips) {
    const question = pick(clip);
    const plans: Measured[] = [];
    for (const ask of ORACLE) {
      const { latencyMs, costUsd, energyWh, predicted, steps } = await runOn(cluster, clip, {
        ...ask,
        question,
      });
      plans.push({
        ...{ latencyMs, costUsd, energyWh },
        qualityLow: predicted?.quality?.low ?? 0,
        coreSec: steps.reduce((sum, it) => sum + it.runMs / 1_000, 0),
      });
    }
    cases.push({ clip, question, plans });
  }
  const draws = random.stream("load");
  const jobs = Array.from({ length: LOAD_JOBS }, (_, index) => {
    const { clip, question, plans } = cases[index % cases.length] as (typeof cases)[number];
    return drawJob(clip, { question, plans, random: draws });
  });
  const cores = (await cluster.client.nodes()).reduce((sum, it) => sum + it.offer.cpus, 0);
  const coreSec = median(cases.flatMap((it) => it.plans.map((plan) => plan.coreSec)));
  const servableShare = jobs.filter((it) => it.isServable).length / jobs.length;
  const ratePerSec = (LOAD_SHARE * cores) / (coreSec * servableShare);
  context.say(
    `${jobs.length} jobs at ${ratePerSec.toFixed(2)} per second, ${coreSec.toFixed(2)} core s each`,
  );
  const result = await runLoad(cluster, jobs, { ratePerSec, random: draws, say: context.say });
  for (const miss of result.missed) context.say(`missed: ${miss}`);
  return { result, ratePerSec };
}

function predictionFigures(compared: readonly Compared[]): Figure[] {
  const share = (ratios: readonly number[], within: number): number =>
    round(ratios.filter((it) => Math.abs(it - 1) <= within).length / ratios.length, 3);
  const latency = compared.map((it) => it.latencyRatio);
  const cost = compared.map((it) => it.costRatio);
  const note = `${compared.length} jobs`;
  const staged = compared.filter((it) => it.isStaged).map((it) => it.latencyRatio);
  const plain = compared.filter((it) => !it.isStaged).map((it) => it.latencyRatio);
  return [
    {
      key: "latencyWithin25Plain",
      value: share(plain, 0.25),
      unit: "0-1",
      note: `${plain.length} jobs without a draft`,
    },
    {
      key: "latencyWithin25Staged",
      value: share(staged, 0.25),
      unit: "0-1",
      note: `${staged.length} jobs that a sure draft may end: the likelier course was said`,
    },
    bounded(
      { key: "latencyWithin25", value: share(latency, 0.25), unit: "0-1", note },
      { atLeast: 0.8 },
    ),
    bounded({ key: "costWithin10", value: share(cost, 0.1), unit: "0-1", note }, { atLeast: 0.8 }),
    { key: "latencyRatioP50", value: round(median(latency), 3), unit: "measured / p50" },
    { key: "latencyRatioP90", value: round(quantile(latency, 0.9), 3), unit: "measured / p50" },
    { key: "costRatioP50", value: round(median(cost), 3), unit: "measured / p50" },
  ];
}

function qualityFigures({ coverage, widthMedian, widthMax, rates }: QualityResult): Figure[] {
  const note = `accuracies ${rates.map((it) => it.toFixed(2)).join(", ")}`;
  return [
    bounded(
      { key: "qualityCoverage", value: round(coverage, 3), unit: "0-1", note },
      { atLeast: 0.9 },
    ),
    bounded(
      {
        key: "qualityIntervalWidth",
        value: round(widthMedian, 3),
        unit: "0-1",
        note: `median; the widest ${round(widthMax, 3)}`,
      },
      { atMost: 0.3 },
    ),
  ];
}

function loadFigures(result: LoadResult): Figure[] {
  const { accepted, kept, servable, acceptedServable, infeasible, infeasibleAccepted, offered } =
    result;
  return [
    bounded(
      {
        key: "sloKept",
        value: round(kept / Math.max(1, accepted), 4),
        unit: "0-1",
        note: `${kept} of ${accepted} accepted, ${offered} offered`,
      },
      { atLeast: 0.99 },
    ),
    bounded(
      {
        key: "acceptedShare",
        value: round(acceptedServable / Math.max(1, servable), 3),
        unit: "0-1",
        note: `${acceptedServable} of ${servable} that the oracle could serve`,
      },
      { atLeast: 0.8 },
    ),
    bounded(
      {
        key: "infeasibleAccepted",
        value: infeasibleAccepted,
        unit: "count",
        note: `of ${infeasible} that no plan came near to`,
      },
      { atMost: 0 },
    ),
  ];
}
