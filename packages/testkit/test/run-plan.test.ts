/**
 * Goal: a plan is walked as a job would: batches, drafts that end it early, cores that are shared.
 * Method: a lab whose executors are made up.
 */
import { describe, expect, test } from "vitest";
import type { LabAttempt, LabResult } from "../src/path-lab/executor-lab.ts";
import { runPlan } from "../src/path-lab/run-plan.ts";
import { type VideoQaPath, videoQaPlan } from "../src/path-lab/video-qa-plan.ts";

const FRAMES = [0, 1, 2, 3, 4].map((index) => ({ index }));

/** Answers are as sure as they have evidence; every attempt takes 100 ms, those of speech 1 s. */
function fakeLab(confidences: Readonly<Record<string, number>>) {
  const attempts: LabAttempt[] = [];
  const run = async (attempt: LabAttempt): Promise<LabResult> => {
    attempts.push(attempt);
    const runMs = attempt.executor === "pocketsphinx-speech" ? 1_000 : 100;
    return { outputs: outputsOf(attempt, confidences), cpuSec: runMs / 1_000, runMs };
  };
  return { lab: { run }, attempts };
}

function outputsOf(
  { executor, inputs, isBatch }: LabAttempt,
  confidences: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const { frame } = inputs;
  const found = isBatch === true ? (frame as unknown[]).map(() => "seen") : "seen";
  switch (executor) {
    case "ffmpeg-frames":
      return { frames: FRAMES };
    case "extractive-answerer": {
      const evidence = Object.keys(inputs).filter((it) => it !== "question");
      const confidence = confidences[evidence.join("+")] ?? 0;
      return { answer: { text: evidence.join("+"), confidence }, focus: ["here"] };
    }
    case "tesseract-text":
      return { text: found };
    case "sharp-people":
      return { people: found };
    default:
      return { scenes: [], audio: "audio", transcript: "said" };
  }
}

async function walk(path: VideoQaPath, confidences: Readonly<Record<string, number>> = {}) {
  const { lab, attempts } = fakeLab(confidences);
  const plan = videoQaPlan(path);
  const run = await runPlan(plan, { lab, inputs: { question: "?", video: "v" }, cores: 2 });
  return { run, attempts, text: (run.output as { text: string }).text };
}

const DRAFTS: VideoQaPath = { deferred: ["people", "speech"], atLeast: 0.8, isFocused: true };

describe("a walk", () => {
  test("fans frames out one by one, or in batches of equal size", async () => {
    const alone = await walk({});
    expect(alone.run.steps.find(({ step }) => step === "text")?.attemptCount).toBe(5);
    const batches = await walk({ batchItems: 3 });
    expect(batches.run.steps.find(({ step }) => step === "text")?.attemptCount).toBe(2);
    expect(batches.attempts.find(({ isBatch }) => isBatch)?.inputs["frame"]).toHaveLength(3);
    expect(batches.text).toBe("texts+people+transcript");
  });

  test("W1: ends with the first draft that is sure", async () => {
    const { run, text } = await walk(DRAFTS, { texts: 0.8 });
    expect([run.endedBy, text]).toEqual(["draft-1", "texts"]);
    expect(run.steps.map(({ step }) => step)).toEqual(["scenes", "frames", "text", "draft-1"]);
  });

  test("W1: goes on to the second draft, and to the end with where it points", async () => {
    const second = await walk(DRAFTS, { texts: 0.7, "texts+people": 0.9 });
    expect([second.run.endedBy, second.text]).toEqual(["draft-2", "texts+people"]);
    const whole = await walk(DRAFTS);
    expect([whole.run.endedBy, whole.text]).toEqual([null, "texts+people+transcript"]);
    const speech = whole.attempts.find(({ executor }) => executor === "pocketsphinx-speech");
    expect(speech?.inputs).toEqual({ audio: "audio", focus: ["here"] });
  });

  test("W2: steps that need not wait share the cores; what is deferred comes after its draft", async () => {
    // Scenes, frames, then text and people of five frames on two cores beside speech, answer.
    const together = await walk({});
    expect(together.run.latencyMs).toBeCloseTo(1_300, 5);
    const deferred = await walk({ deferred: ["speech"], atLeast: 0.8 });
    // 200 for the frames, 1000 attempt-ms on two cores, the draft, audio, speech, answer.
    expect(deferred.run.latencyMs).toBeCloseTo(200 + 500 + 100 + 100 + 1_000 + 100, 5);
    expect(deferred.run.cpuSec).toBeCloseTo(together.run.cpuSec + 0.1, 5);
  });
});
