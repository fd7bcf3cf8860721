/**
 * Goal: where a draft points is never a source of a derived step, for that step would depend on
 * itself; the optional input stays open and costs nothing.
 * Method: the video library with a focus from the answer to the speech.
 */
import { chooseExecutors, planWorkflow } from "@murakkab/core";
import type { ExecutorEntry } from "@murakkab/model";
import { allAvailable, videoExecutors } from "@murakkab/testkit";
import { expect, test } from "vitest";

const SPANS = { type: "list<time-span>" };
const executors = videoExecutors().map((entry): ExecutorEntry => {
  if (entry.capability === "speech-to-text") {
    // First, so that a derivation that wrongly looks for it meets it before the audio.
    return { ...entry, inputs: { focus: { ...SPANS, isOptional: true }, ...entry.inputs } };
  }
  if (entry.capability !== "question-answering") return entry;
  return {
    ...entry,
    outputs: { ...entry.outputs, focus: SPANS },
    staging: {
      confidence: { port: "answer", field: "confidence" },
      atLeast: [0.8],
      focus: "focus",
    },
  };
});

function derive(description: string, inputs: { name: string; type: string }[]) {
  const library = { executors };
  const excludedTypes = new Map<string, string>();
  const availability = allAvailable(executors);
  const found = planWorkflow({ description, inputs, library, availability, excludedTypes });
  const { workflow, notes } = found;
  const constraints = {};
  const plan = chooseExecutors({
    ...{ workflow, planner: "type-directed", library, availability },
    ...{ constraints, excludedTypes, notes },
  });
  return { workflow, plan };
}

const QUESTION = { name: "question", type: "question" };
const VIDEO = { name: "video", type: "video" };

test("a question about a video is answered from all three kinds of evidence, as without it", () => {
  const { plan } = derive("who is it?", [QUESTION, VIDEO]);
  const answer = plan.steps.find((step) => step.capability === "question-answering");
  expect(Object.keys(answer?.inputs ?? {})).toEqual(["question", "transcript", "texts", "people"]);
  const speech = plan.steps.find((step) => step.capability === "speech-to-text");
  expect(Object.keys(speech?.inputs ?? {})).toEqual(["audio"]);
  expect(plan.notes).toEqual([]);
});

test("a task is not answered with where to look", () => {
  const { plan } = derive("answer the question", [QUESTION, VIDEO]);
  expect(plan.outputType).toBe("answer");
});

test("time spans that the job itself has are used", () => {
  const { plan } = derive("transcribe this", [VIDEO, { name: "spans", type: SPANS.type }]);
  const speech = plan.steps.find((step) => step.capability === "speech-to-text");
  expect(speech?.inputs["focus"]).toEqual({ kind: "input", input: "spans" });
});
