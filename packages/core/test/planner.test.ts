/** Goal: types and text lead to the right DAG; what can't run is left out and told. */
import { chooseExecutors, planWorkflow } from "@murakkab/core";
import {
  type JobConstraints,
  type JobPlan,
  parseInterfaceType,
  type Workflow,
} from "@murakkab/model";
import { allAvailable, videoExecutors } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const QUESTION = { name: "question", type: "question" };
const VIDEO = { name: "video", type: "video" };
const executors = videoExecutors();

function plan(
  description: string,
  options: {
    inputs?: { name: string; type: string }[];
    missing?: Record<string, string>;
    excluded?: Record<string, string>;
    constraints?: JobConstraints;
  } = {},
): JobPlan {
  const availability = allAvailable(executors, options.missing);
  const excludedTypes = new Map(Object.entries(options.excluded ?? {}));
  const library = { executors };
  const inputs = options.inputs ?? [QUESTION, VIDEO];
  const logical = planWorkflow({ description, inputs, library, availability, excludedTypes });
  return chooseExecutors({
    workflow: logical.workflow,
    planner: "type-directed",
    library,
    availability,
    constraints: options.constraints ?? {},
    excludedTypes,
    notes: logical.notes,
  });
}

const stepNames = (job: JobPlan): string[] => job.steps.map((step) => step.capability).sort();

describe("type-directed planner", () => {
  test("a question about a video uses speech, text and people", () => {
    const job = plan("What is the name of the person wearing the red dress?");
    expect(stepNames(job)).toEqual([
      "audio-extraction",
      "frame-extraction",
      "person-detection",
      "question-answering",
      "scene-detection",
      "speech-to-text",
      "text-detection",
    ]);
    expect(job.outputType).toBe("answer");
    const text = job.steps.find((step) => step.capability === "text-detection");
    expect(text?.fanOut).toBe("frame");
    expect(text?.outputs).toEqual({ text: "list<screen-text>" });
  });

  test("every step comes after its sources", () => {
    const seen = new Set<string>();
    for (const step of plan("who is it?").steps) {
      for (const source of Object.values(step.inputs)) {
        if (source.kind === "step") expect(seen).toContain(source.step);
      }
      seen.add(step.step);
    }
  });

  test("a task names its output: transcribe", () => {
    const job = plan("Transcribe this video");
    expect(job.outputType).toBe("transcript");
    expect(stepNames(job)).toEqual(["audio-extraction", "speech-to-text"]);
  });

  test("an audio file needs no extraction", () => {
    const job = plan("What does the man say?", {
      inputs: [QUESTION, { name: "audio", type: "audio" }],
    });
    expect(stepNames(job)).toEqual(["question-answering", "speech-to-text"]);
  });

  test("a missing program leaves its branch out and says what that costs", () => {
    const job = plan("who is it?", { missing: { speech: "no node has the program pocketsphinx" } });
    expect(stepNames(job)).not.toContain("speech-to-text");
    expect(stepNames(job)).not.toContain("audio-extraction");
    expect(job.notes.join(" ")).toContain("pocketsphinx");
    expect(job.notes.join(" ")).toContain("what is said is not heard");
  });

  test("a video without sound is planned without speech", () => {
    const job = plan("who is it?", { excluded: { audio: 'video "a.mp4" has no sound' } });
    expect(stepNames(job)).not.toContain("speech-to-text");
    expect(job.notes.join(" ")).toContain("has no sound");
  });

  test("nothing that can look at the input: the error names what is missing", () => {
    const missing = Object.fromEntries(
      ["scenes", "frames", "audio"].map((id) => [id, `no node runs ${id}`]),
    );
    expect(() => plan("who is it?", { missing })).toThrow(
      /no plan leads from question, video.*no node runs/,
    );
  });

  test("an input type that nothing takes is an error, not an answer without it", () => {
    const inputs = [QUESTION, { name: "file", type: "file" }];
    expect(() => plan("who is it?", { inputs })).toThrow(/no plan leads from question, file/);
  });
});

describe("constraints", () => {
  test("a knob outside its values names knob, value and what is allowed", () => {
    const constraints = { knobs: { answer: { effort: "extreme" } } };
    expect(() => plan("who is it?", { constraints })).toThrow(
      /knob "effort" of executor answer is "extreme", expected one of "low", "high"/,
    );
  });

  test("an unknown executor and an unknown name are refused", () => {
    const executor = { executors: { "speech-to-text": "whisper" } };
    expect(() => plan("who is it?", { constraints: executor })).toThrow(
      /"whisper".*expected one of speech/,
    );
    const nothing = { knobs: { nothing: { a: 1 } } };
    expect(() => plan("who is it?", { constraints: nothing })).toThrow(
      /"nothing" names no executor/,
    );
  });

  test("an allowed knob is taken", () => {
    const job = plan("who is it?", {
      constraints: { knobs: { "question-answering": { effort: "high" } } },
    });
    expect(job.steps.find((step) => step.executor === "answer")?.knobs).toEqual({ effort: "high" });
  });
});

describe("named workflows", () => {
  const base = {
    planner: "named" as const,
    library: { executors },
    availability: allAvailable(executors),
    constraints: {},
    excludedTypes: new Map<string, string>(),
    notes: [],
  };
  const workflow = (changes: Partial<Workflow> = {}): Workflow => ({
    name: "texts",
    inputs: { video: "video" },
    steps: [
      {
        id: "frames",
        capability: "frame-extraction",
        inputs: { video: { kind: "input", input: "video" } },
      },
      {
        id: "text",
        capability: "text-detection",
        inputs: { frame: { kind: "step", step: "frames", output: "frames" } },
      },
    ],
    output: { kind: "step", step: "text", output: "text" },
    ...changes,
  });

  test("a list into a single input fans out", () => {
    const job = chooseExecutors({ ...base, workflow: workflow() });
    expect(job.outputType).toBe("list<screen-text>");
    expect(parseInterfaceType(job.outputType).isList).toBe(true);
  });

  test("a cycle, an unknown step and a wrong type are told apart", () => {
    const source = { kind: "step", step: "b", output: "text" } as const;
    const cycle = workflow({
      steps: [
        { id: "a", capability: "text-detection", inputs: { frame: source } },
        { id: "b", capability: "text-detection", inputs: { frame: { ...source, step: "a" } } },
      ],
    });
    expect(() => chooseExecutors({ ...base, workflow: cycle })).toThrow(/cycle through step/);
    const unknown = workflow({ output: { kind: "step", step: "nope", output: "x" } });
    expect(() => chooseExecutors({ ...base, workflow: unknown })).toThrow(
      /"nope.x", which is no output/,
    );
    const wrong = workflow({
      steps: [
        {
          id: "text",
          capability: "text-detection",
          inputs: { frame: { kind: "input", input: "video" } },
        },
      ],
    });
    expect(() => chooseExecutors({ ...base, workflow: wrong })).toThrow(
      /gets video for its input "frame", expected frame/,
    );
  });

  test("a needed step that can't run ends in an error with the reason", () => {
    const availability = allAvailable(executors, { text: "no node has the program tesseract" });
    expect(() => chooseExecutors({ ...base, availability, workflow: workflow() })).toThrow(
      /workflow "texts" can't run: .*tesseract/,
    );
  });
});
