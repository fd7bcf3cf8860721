/**
 * Goal: workflow files are checked against the library's capabilities.
 * Method: three small executors, one sound workflow, one planted mistake each.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadLibrary } from "../../src/catalogue/load-library.ts";
import { libraryFolder } from "./library-folder.ts";

interface Shape {
  readonly capability: string;
  readonly inputs: string;
  readonly outputs: string;
}

function executor({ capability, inputs, outputs }: Shape): string {
  return `id: do-${capability}
version: "1"
kind: tool
capability: ${capability}
description: For tests.
inputs: { ${inputs} }
outputs: { ${outputs} }
knobs: { size: { description: Size., values: [1, 2], default: 1 } }
engine: { kind: function, function: f }
resources: { cores: 1, memoryMib: 1 }
timeLimitSec: 1
pure: true
deterministic: true
provenance: { kind: prior, note: for tests }
`;
}

const port = (type: string): string => `{ type: "${type}" }`;
const EXECUTORS = {
  "cut.yaml": executor({
    capability: "cut",
    inputs: `video: ${port("video")}`,
    outputs: `frames: ${port("list<frame>")}`,
  }),
  "read.yaml": executor({
    capability: "read",
    inputs: `frame: ${port("frame")}, hint: { type: text, optional: true }`,
    outputs: `text: ${port("text")}`,
  }),
  "join.yaml": executor({
    capability: "join",
    inputs: `texts: ${port("list<text>")}`,
    outputs: `all: ${port("text")}`,
  }),
};

const WORKFLOW = `name: reading
inputs:
  video: video
steps:
  - id: cut
    capability: cut
    inputs: { video: input.video }
  - id: read
    capability: read
    inputs: { frame: cut.frames }
    knobs: { size: 2 }
  - id: join
    capability: join
    inputs: { texts: read.text }
output: join.all
`;

function load(workflow: string) {
  const dir = libraryFolder({ ...EXECUTORS, "workflows/reading.yaml": workflow });
  return { ...loadLibrary([dir]), file: join(dir, "workflows/reading.yaml") };
}

test("a sound workflow is loaded with parsed sources", () => {
  const { workflows, problems } = load(WORKFLOW);
  expect(problems).toEqual([]);
  expect(workflows).toHaveLength(1);
  expect(workflows[0]?.steps[1]?.inputs).toEqual({
    frame: { kind: "step", step: "cut", output: "frames" },
  });
  expect(workflows[0]?.output).toEqual({ kind: "step", step: "join", output: "all" });
});

describe("a planted mistake", () => {
  test.each([
    [
      "unknown capability",
      "capability: join",
      "capability: glue",
      13,
      "steps.2.capability",
      "cut, join, read",
    ],
    ["unknown step", "cut.frames", "slice.frames", 10, "steps.1.inputs.frame", 'no step "slice"'],
    [
      "unknown output",
      "cut.frames",
      "cut.pieces",
      10,
      "steps.1.inputs.frame",
      'no output "pieces"',
    ],
    [
      "unknown workflow input",
      "input.video",
      "input.film",
      7,
      "steps.0.inputs.video",
      'no input "film"',
    ],
    [
      "unknown port",
      "{ texts: read.text }",
      "{ texts: read.text, x: read.text }",
      14,
      "steps.2.inputs.x",
      'no input "x"',
    ],
    ["missing port", "{ texts: read.text }", "{}", 14, "steps.2.inputs", '"texts" is missing'],
    [
      "types that do not connect",
      "cut.frames",
      "input.video",
      10,
      "steps.1.inputs.frame",
      "is video, expected frame or list<frame>",
    ],
    ["unknown knob value", "size: 2", "size: 3", 11, "steps.1.knobs.size", "expected one of 1, 2"],
    [
      "unknown executor",
      "    knobs:",
      "    executor: do-cut\n    knobs:",
      11,
      "steps.1.executor",
      "expected one of do-read",
    ],
    [
      "two lists to fan out over",
      "{ frame: cut.frames }",
      "{ frame: cut.frames, hint: read2.text }\n  - id: read2\n    capability: read\n    inputs: { frame: cut.frames }",
      10,
      "steps.1.inputs.hint",
      "one list to fan out over",
    ],
    [
      "source without a dot",
      "output: join.all",
      "output: join",
      15,
      "output",
      "such as input.video",
    ],
    ["unknown key", "output: join.all", "output: join.all\nnote: x", 16, "note", "unknown field"],
    ["step named input", "- id: join", "- id: input", 12, "steps.2.id", "another step id"],
    [
      "input type that does not parse",
      "  video: video",
      "  video: Video",
      3,
      "inputs.video",
      "expected a name",
    ],
  ])("%s", (_name, find, plant, line, field, says) => {
    expect(WORKFLOW).toContain(find);
    const { workflows, problems, file } = load(WORKFLOW.replace(find, plant));
    expect(workflows).toEqual([]);
    expect(problems[0]).toMatchObject({ file, line, field });
    expect(problems[0]?.message).toContain(says);
  });

  test("a cycle names its steps", () => {
    const { problems } = load(
      WORKFLOW.replace("{ frame: cut.frames }", "{ frame: cut.frames, hint: join.all }"),
    );
    expect(problems).toMatchObject([
      { line: 10, field: "steps.1.inputs" },
      { line: 14, field: "steps.2.inputs" },
    ]);
    expect(problems[0]?.message).toContain("steps read, join wait for one another");
  });
});

test("the shipped workflow video-qa connects executors with its ports", () => {
  const shapes: readonly Shape[] = [
    {
      capability: "scene-detection",
      inputs: `video: ${port("video")}`,
      outputs: `scenes: ${port("scenes")}`,
    },
    {
      capability: "frame-extraction",
      inputs: `video: ${port("video")}, scenes: ${port("scenes")}`,
      outputs: `frames: ${port("list<frame>")}`,
    },
    {
      capability: "audio-extraction",
      inputs: `video: ${port("video")}`,
      outputs: `audio: ${port("audio")}`,
    },
    {
      capability: "speech-to-text",
      inputs: `audio: ${port("audio")}`,
      outputs: `transcript: ${port("transcript")}`,
    },
    {
      capability: "text-detection",
      inputs: `frame: ${port("frame")}`,
      outputs: `text: ${port("screen-text")}`,
    },
    {
      capability: "person-detection",
      inputs: `frame: ${port("frame")}`,
      outputs: `people: ${port("scene-people")}`,
    },
    {
      capability: "question-answering",
      inputs: `question: ${port("question")}, transcript: ${port("transcript")}, texts: ${port("list<screen-text>")}, people: ${port("list<scene-people>")}`,
      outputs: `answer: ${port("answer")}`,
    },
  ];
  const shipped = join(import.meta.dirname, "../../catalogue/workflows/video-qa.yaml");
  const dir = libraryFolder({
    ...Object.fromEntries(shapes.map((shape) => [`${shape.capability}.yaml`, executor(shape)])),
    "workflows/video-qa.yaml": readFileSync(shipped, "utf8"),
  });
  const { workflows, problems } = loadLibrary([dir]);
  expect(problems).toEqual([]);
  expect(workflows[0]?.steps.map(({ id }) => id)).toEqual([
    "scenes",
    "frames",
    "audio",
    "speech",
    "text",
    "people",
    "answer",
  ]);
});
