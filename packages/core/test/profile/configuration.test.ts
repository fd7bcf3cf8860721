/** Goal: equal decisions have equal names, different ones different names, and names can be read. */
import {
  configurationKey,
  labelSteps,
  parseConfiguration,
  pathKey,
  signatureOfPlan,
  workflowSignature,
} from "@murakkab/core";
import type { JobPlan, KnobValues, Source, Workflow } from "@murakkab/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const from = (step: string, output: string): Source => ({ kind: "step", step, output });
const input = (name: string): Source => ({ kind: "input", input: name });

const workflow = (ids: Readonly<Record<string, string>> = {}): Workflow => {
  const id = (name: string) => ids[name] ?? name;
  return {
    name: "any",
    inputs: { question: "question", video: "video" },
    steps: [
      { id: id("audio"), capability: "audio-extraction", inputs: { video: input("video") } },
      {
        id: id("speech"),
        capability: "speech-to-text",
        inputs: { audio: from(id("audio"), "audio") },
      },
      {
        id: id("answer"),
        capability: "question-answering",
        inputs: { question: input("question"), transcript: from(id("speech"), "transcript") },
      },
    ],
    output: from(id("answer"), "answer"),
  };
};

const step = (name: string, capability: string, executor: string, knobs: KnobValues = {}) => ({
  step: name,
  capability,
  executor,
  knobs,
});

describe("workflow signature", () => {
  test("does not depend on names of the workflow, its steps or their order", () => {
    const renamed = workflow({ audio: "a", speech: "b", answer: "c" });
    const shuffled = { ...renamed, name: "other", steps: [...renamed.steps].reverse() };
    expect(workflowSignature(shuffled)).toBe(workflowSignature(workflow()));
    expect(workflowSignature(workflow())).toMatch(/^question-answering-[0-9a-f]{16}$/);
  });

  test("differs when a step is wired differently or missing", () => {
    const whole = workflow();
    const [audio, speech, answer] = whole.steps as [never, never, Workflow["steps"][number]];
    const { question } = answer.inputs as { question: Source };
    const without = { ...whole, steps: [audio, speech, { ...answer, inputs: { question } }] };
    expect(workflowSignature(without)).not.toBe(workflowSignature(whole));
  });

  test("of a plan is its workflow's where the plan says it", () => {
    const plan = { inputs: {}, steps: [], output: input("x") } as unknown as JobPlan;
    expect(signatureOfPlan({ ...plan, workflowSignature: "w-1" })).toBe("w-1");
    expect(signatureOfPlan(plan)).toBe(workflowSignature(plan));
  });
});

describe("configuration key", () => {
  const steps = [
    step("answer", "question-answering", "extractive", { top: 2, mode: "fast" }),
    step("audio", "audio-extraction", "ffmpeg-audio"),
  ];

  test("is one line, sorted, without batch sizes", () => {
    const key = configurationKey({ steps });
    expect(key).toBe(
      "audio-extraction=ffmpeg-audio{} question-answering=extractive{mode=fast,top=2}",
    );
    const batched = [...steps].reverse().map((it) => ({ ...it, batchItems: 8 }));
    expect(configurationKey({ steps: batched })).toBe(key);
  });

  test("tells drafts and deferred steps, and equal capabilities by their step", () => {
    const staged = {
      steps: [
        step("draft", "question-answering", "extractive"),
        step("answer", "question-answering", "extractive"),
        step("left", "text-detection", "ocr"),
        step("right", "text-detection", "ocr"),
      ],
      stages: [
        {
          draft: "draft",
          output: "answer",
          confidencePort: "answer",
          confidenceField: "confidence",
          atLeast: 0.8,
          deferred: ["right", "left"],
        },
      ],
    };
    expect([...labelSteps(staged).values()]).toEqual([
      "question-answering.draft1",
      "question-answering",
      "text-detection.left",
      "text-detection.right",
    ]);
    expect(pathKey(staged)).toMatch(
      / \[question-answering\.draft1\.answer>=0\.8: text-detection\.left\+text-detection\.right\]$/,
    );
    expect(parseConfiguration(configurationKey(staged))?.path).toBe(pathKey(staged));
  });

  test("property: what was written is read back, whatever the knobs' values", () => {
    const value = fc.oneof(
      fc.string(),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((it) => (it === 0 ? 0 : it)),
      fc.constantFrom("true", "5", "-1e3", "a b", "'", "%", "", "x=y,z", "{}", "["),
    );
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    fc.assert(
      fc.property(
        fc.dictionary(name, value, { noNullPrototype: true }),
        name,
        (knobs, executor) => {
          const plan = { steps: [step("s", "some-capability", executor, knobs)] };
          const parsed = parseConfiguration(configurationKey(plan));
          expect(parsed?.path).toBe(pathKey(plan));
          expect(parsed?.options.get("some-capability")).toEqual({ executor, knobs });
        },
      ),
    );
  });
});
