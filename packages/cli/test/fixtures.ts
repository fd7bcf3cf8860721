/** A plan with branches, fan-outs and a long edge, and the receipt of its job. */
import type { JobPlan, Receipt, StepReceipt } from "@murakkab/model";
import type { JobEvent, JobEventName } from "@murakkab/protocol";

const input = (name: string) => ({ kind: "input", input: name }) as const;
const from = (step: string, output: string) => ({ kind: "step", step, output }) as const;

export const PLAN: JobPlan = {
  workflow: "video-qa",
  planner: "named",
  inputs: { question: "question", video: "video" },
  output: from("answer", "answer"),
  outputType: "answer",
  notes: ["people are not looked for: no node has the program"],
  steps: [
    {
      ...{ step: "scenes", capability: "scene-detection", executor: "ffmpeg-scenes" },
      ...{ knobs: { threshold: 0.3 }, inputs: { video: input("video") }, outputs: {} },
    },
    {
      ...{ step: "audio", capability: "audio-extraction", executor: "ffmpeg-audio" },
      ...{ knobs: {}, inputs: { video: input("video") }, outputs: {} },
    },
    {
      ...{ step: "frames", capability: "frame-extraction", executor: "ffmpeg-frames" },
      ...{ knobs: { perScene: 2 }, outputs: {} },
      inputs: { video: input("video"), scenes: from("scenes", "scenes") },
    },
    {
      ...{ step: "speech", capability: "speech-to-text", executor: "pocketsphinx" },
      ...{ knobs: {}, inputs: { audio: from("audio", "audio") }, outputs: {} },
    },
    {
      ...{ step: "text", capability: "text-detection", executor: "tesseract", fanOut: "frame" },
      ...{ knobs: {}, inputs: { frame: from("frames", "frames") }, outputs: {} },
    },
    {
      ...{ step: "answer", capability: "question-answering", executor: "evidence-answer" },
      ...{ knobs: {}, outputs: {} },
      inputs: {
        question: input("question"),
        texts: from("text", "text"),
        transcript: from("speech", "transcript"),
      },
    },
  ],
};

export function stepReceipt(fields: Partial<StepReceipt> & { step: string }): StepReceipt {
  return {
    ...{ capability: "c", executor: "tesseract", knobs: {}, node: "node-1", instance: "i-1" },
    ...{ attempts: 1, items: 1, queueMs: 12, runMs: 345.6, cpuSec: 0.31, memoryBytesMax: null },
    ...{ costUsd: 0.0000043, energyWh: 0.00052, nodes: ["node-1"] },
    ...fields,
  };
}

export const RECEIPT: Receipt = {
  jobId: "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a01",
  state: "succeeded",
  workflow: "video-qa",
  answer: "Anna",
  evidence: [
    { source: "speech", atSec: 7.4, text: "Anna wears a red dress." },
    { source: "screen-text", atSec: 3671, text: "Anna in Lisbon" },
    { source: "picture", atSec: null, text: "a woman in red" },
  ],
  latencyMs: 6_421,
  costUsd: 0.000123,
  costProvenance: { kind: "prior", note: "price table" },
  energyWh: 0.0214,
  energyProvenance: "modelled",
  energyMethod: "CPU-seconds x 10 W",
  slo: { latencyMsMax: 30_000, costUsdMax: 0.0001, qualityMin: 0.8 },
  sloMet: { latency: true, cost: false, quality: null },
  notes: ["people were not looked for"],
  steps: [
    stepReceipt({ step: "scenes", executor: "ffmpeg-scenes" }),
    stepReceipt({
      step: "text",
      items: 14,
      attempts: 2,
      nodes: ["node-1", "node-2"],
      cpuSec: null,
    }),
  ],
};

export function jobEvent(
  event: JobEventName,
  sinceMs: number,
  data: Record<string, unknown> = {},
): JobEvent {
  return { jobId: RECEIPT.jobId, number: 1, event, at: "2026-01-01T00:00:00Z", sinceMs, data };
}
