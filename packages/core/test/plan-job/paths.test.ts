/** Goal: the ways through a workflow are those that still give its output, each once. */
import { enumeratePaths, groupCapabilities, planWorkflow } from "@murakkab/core";
import type { ExecutorEntry, Workflow } from "@murakkab/model";
import { allAvailable, videoExecutors } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const STAGING = {
  confidence: { port: "answer", field: "confidence" },
  atLeast: [0.6, 0.8],
  focus: "focus",
};

function library(staging: boolean): ExecutorEntry[] {
  return videoExecutors().map((entry) => {
    if (entry.capability === "speech-to-text") {
      const focus = { type: "list<time-span>", isOptional: true };
      return { ...entry, inputs: { ...entry.inputs, focus } };
    }
    if (entry.capability !== "question-answering" || !staging) return entry;
    const outputs = { ...entry.outputs, focus: { type: "list<time-span>" } };
    return { ...entry, outputs, staging: STAGING };
  });
}

function pathsOf(executors: ExecutorEntry[], change: (it: Workflow) => Workflow = (it) => it) {
  const { workflow } = planWorkflow({
    description: "who wears the red dress?",
    inputs: [
      { name: "question", type: "question" },
      { name: "video", type: "video" },
    ],
    library: { executors },
    availability: allAvailable(executors),
    excludedTypes: new Map(),
  });
  return enumeratePaths(change(workflow), groupCapabilities({ executors }));
}

const idsOf = (workflow: Workflow): string[] => workflow.steps.map((it) => it.id).sort();

describe("enumeratePaths", () => {
  test("the first path is the workflow itself", () => {
    const [first] = pathsOf(library(true));
    expect(first?.leftOut).toEqual([]);
    expect(first?.stages).toEqual([]);
    expect(first?.workflow.steps).toHaveLength(7);
  });

  test("three kinds of evidence can be left out in six ways, with what only they need", () => {
    const paths = pathsOf(library(false));
    expect(paths).toHaveLength(7);
    const textOnly = paths.find((it) => it.leftOut.join() === "transcript,people");
    expect(textOnly === undefined ? [] : idsOf(textOnly.workflow)).toEqual([
      "frame-extraction",
      "question-answering",
      "scene-detection",
      "text-detection",
    ]);
  });

  test("a draft is made of part of the evidence, and only the rest waits for it", () => {
    const staged = pathsOf(library(true)).filter((it) => it.stages.length > 0);
    // Six first parts, two thresholds; with hints where speech is among what comes later.
    const withSpeechLater = staged.filter((it) =>
      it.stages[0]?.deferred.includes("speech-to-text"),
    );
    expect(staged.length).toBe(12 + 6);
    expect(withSpeechLater.length).toBe(12);
    const fromPictures = staged.find(
      (it) =>
        it.stages[0]?.atLeast === 0.8 &&
        it.stages[0]?.deferred.join() === "audio-extraction,speech-to-text,question-answering",
    );
    expect(fromPictures?.stages[0]).toMatchObject({
      draft: "question-answering-draft",
      output: "answer",
      confidencePort: "answer",
      confidenceField: "confidence",
    });
    for (const { workflow, stages } of staged) {
      const deferred = new Set(stages[0]?.deferred);
      const draft = workflow.steps.find((it) => it.id === stages[0]?.draft);
      for (const source of Object.values(draft?.inputs ?? {})) {
        if (source.kind === "step") expect(deferred).not.toContain(source.step);
      }
    }
  });

  test("a deferred step that takes hints gets the draft's", () => {
    const focused = pathsOf(library(true)).filter((it) =>
      it.workflow.steps.some((step) => step.inputs["focus"] !== undefined),
    );
    expect(focused).toHaveLength(6);
    for (const { workflow, stages } of focused) {
      const speech = workflow.steps.find((it) => it.capability === "speech-to-text");
      expect(speech?.inputs["focus"]).toEqual({
        kind: "step",
        step: stages[0]?.draft,
        output: "focus",
      });
    }
  });

  test("without a choice of evidence there is one path", () => {
    const only = (it: Workflow): Workflow => ({
      ...it,
      steps: it.steps.map((step) => {
        if (step.capability !== "question-answering") return step;
        const { question, transcript } = step.inputs;
        return {
          ...step,
          inputs: { ...(question && { question }), ...(transcript && { transcript }) },
        };
      }),
    });
    expect(pathsOf(library(true), only)).toHaveLength(1);
  });
});
