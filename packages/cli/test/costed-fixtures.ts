/** A plan with everything that a scheduler may say of it, and the receipt of its job. */
import type {
  CounterOffer,
  FrontierPoint,
  JobPlan,
  Objective,
  PlanExplanation,
  Prediction,
  Provenance,
  Receipt,
  RejectedOption,
  SloAxis,
  StepPrediction,
} from "@murakkab/model";
import { PLAN, RECEIPT, stepReceipt } from "./fixtures.ts";

const MEASURED: Provenance = {
  kind: "measured",
  note: "14 runs on cpu-x86-2, newest 2026-05-02",
  count: 14,
};
const PRIOR: Provenance = { kind: "prior", note: "rule: 0.4 s per s of audio" };

function said(p50Ms: number, fields: Partial<StepPrediction> = {}): StepPrediction {
  const cpuSec = p50Ms / 1_000;
  const around = (p50: number) => ({ p50, p95: p50 * 1.4 });
  return {
    runMs: around(p50Ms),
    cpuSec: around(cpuSec),
    costUsd: around(cpuSec * 0.0000111),
    energyWh: around(cpuSec * 0.0028),
    items: 1,
    probability: 1,
    provenance: MEASURED,
    ...fields,
  };
}

const SAID: Readonly<Record<string, StepPrediction>> = {
  scenes: said(412),
  audio: said(64),
  frames: said(730),
  speech: said(3_900, { provenance: PRIOR }),
  text: said(2_450, { items: 14, probability: 0.42 }),
  answer: said(8),
};

export const PREDICTED: Prediction = {
  latencyMs: { p50: 5_140, p95: 7_420 },
  costUsd: { p50: 0.0000734, p95: 0.000102 },
  energyWh: { p50: 0.0186, p95: 0.0259 },
  quality: {
    mean: 0.864,
    low: 0.78,
    high: 0.93,
    provenance: { kind: "measured", note: "24 labelled questions of class name" },
  },
  gpuSec: 0,
  coreSec: 6.6,
  queueMs: 120,
};

/** Slower configurations take less and know more, up to a point. */
export const FRONTIER: readonly FrontierPoint[] = Array.from({ length: 23 }, (_, index) => {
  const share = index / 22;
  return {
    latencyMs: 1_900 * 7 ** share,
    costUsd: 0.00019 / (1 + 3.2 * share) + (index % 3) * 0.000008,
    energyWh: 0.049 / (1 + 2.9 * share) + (index % 3) * 0.0018,
    quality: index === 20 ? null : 0.6 + 0.34 * Math.sqrt(share) - (index % 3) * 0.03,
    summary: `scenes ffmpeg-scenes threshold=0.${2 + (index % 3)}; speech pocketsphinx beam=${index % 2 === 0 ? "narrow" : "wide"}`,
    isChosen: index === 11,
  };
});

const REJECTED: readonly RejectedOption[] = [
  {
    step: "speech",
    executor: "pocketsphinx",
    knobs: { beam: "wide" },
    code: "breaks-latency",
    reason: "p95 of the job would be 12.4 s, the bound is 9.00 s",
    toWin: "latency<12.4s",
  },
  {
    step: "speech",
    executor: "whisper-tiny",
    knobs: { vad: true },
    code: "worse-objective",
    reason: "keeps every bound at 0.0311 Wh, the chosen one takes 0.0186 Wh",
    toWin: "objective quality, or 40% less energy",
  },
  {
    step: "speech",
    executor: "pocketsphinx",
    knobs: { beam: "default" },
    code: "dominated",
    reason: "beam=narrow is as good and takes 1.10 s less",
  },
  {
    step: "speech",
    executor: "pocketsphinx",
    knobs: { beam: "default", segments: 2 },
    code: "dominated",
    reason: "beam=narrow is as good and takes 0.90 s less",
  },
  {
    step: "speech",
    executor: "cloud-speech",
    knobs: {},
    code: "constraint",
    reason: "sends audio to another host, and no data may leave this one",
    toWin: "without --on-host",
  },
  ...[0.2, 0.4, 0.5].map(
    (threshold): RejectedOption => ({
      step: "scenes",
      executor: "ffmpeg-scenes",
      knobs: { threshold },
      code: threshold < 0.3 ? "dominated" : "breaks-quality",
      reason:
        threshold < 0.3
          ? "threshold=0.3 finds the same scenes in 0.2 s less"
          : `the lower end of quality would be ${0.9 - threshold}, the bound is 0.75`,
      ...(threshold < 0.3 ? {} : { toWin: `quality>=${0.9 - threshold}` }),
    }),
  ),
  {
    step: "people",
    executor: "face-finder",
    knobs: {},
    code: "unavailable",
    reason: "no node has the program face-finder",
    toWin: "a node with face-finder",
  },
];

export const EXPLANATION: PlanExplanation = {
  objective: "energy",
  slo: { latencyMsMax: 9_000, energyWhMax: 0.03, qualityMin: 0.75, qualityTier: "good" },
  configurationCount: 18_432,
  gapRatio: 0,
  questionClass: "name",
  configuration: "scenes=ffmpeg-scenes(threshold=0.3);speech=pocketsphinx(beam=narrow)",
  rejected: REJECTED,
  frontier: FRONTIER,
};

export const COSTED_PLAN: JobPlan = {
  ...PLAN,
  steps: PLAN.steps.map((step) => ({
    ...step,
    ...(step.step === "speech" ? { knobs: { beam: "narrow", segments: 2 } } : {}),
    ...(step.step === "text" ? { knobs: { crop: "lower", psm: 6 }, batchItems: 4 } : {}),
    predicted: SAID[step.step] ?? said(1),
  })),
  stages: [
    {
      ...{ draft: "answer", output: "answer", confidencePort: "answer", atLeast: 0.7 },
      ...{ confidenceField: "confidence", deferred: ["frames", "text"] },
    },
  ],
  predicted: PREDICTED,
  explanation: EXPLANATION,
};

export const COSTED_RECEIPT: Receipt = {
  ...RECEIPT,
  latencyMs: 5_870,
  costUsd: 0.0000801,
  energyWh: 0.0203,
  slo: EXPLANATION.slo,
  sloMet: { latency: true, energy: true, quality: null },
  objective: "energy",
  predicted: PREDICTED,
  configuration: EXPLANATION.configuration,
  replans: ["after speech 1.20 s of slack were left: text takes psm=11 instead of psm=6"],
  overrun: { costUsd: 0.0000012, energyWh: 0.0003 },
  steps: COSTED_PLAN.steps
    .filter(({ step }) => step !== "frames")
    .map((step, index) =>
      stepReceipt({
        ...{ step: step.step, executor: step.executor, knobs: step.knobs },
        ...{ runMs: (step.predicted?.runMs.p50 ?? 1) * (0.8 + index * 0.2) },
        ...(step.predicted === undefined ? {} : { predicted: step.predicted }),
        ...(step.step === "text" ? { items: 14, batchItems: 4, nodes: ["node-1", "node-2"] } : {}),
        ...(step.step === "audio"
          ? {
              attempts: 1,
              shared: { items: 1, fromJobs: ["11111111-6c43-4f0e-9a52-3a1c5f1f6a01"] },
            }
          : {}),
      }),
    ),
};

export function explanationOf(fields: {
  readonly frontier: readonly FrontierPoint[];
  readonly objective: string;
  readonly slo: PlanExplanation["slo"];
}): PlanExplanation {
  return { ...EXPLANATION, ...fields, objective: fields.objective as Objective };
}

export function offerOn(axis: SloAxis, sloText: string): CounterOffer {
  return { axis, slo: {}, sloText, prediction: PREDICTED };
}
