/** Workflows in TypeScript and YAML give the same object, and mistakes name their place. */
import { describe, expect, test } from "vitest";
import { input, stepOutput, workflow, workflowFromYaml } from "../src/index.ts";

const YAML = `
name: video-qa
inputs: { question: question, video: video }
steps:
  - id: scenes
    capability: scene-detection
    inputs: { video: input.video }
  - id: answer
    capability: question-answering
    inputs: { question: input.question, scenes: scenes.scenes }
    knobs: { mode: short }
output: answer.answer
`;

const base = workflow("video-qa").input("question", "question").input("video", "video");

describe("builder", () => {
  test("builder and YAML agree; text and function sources are the same", () => {
    const built = base
      .step("scenes", "scene-detection", { video: input("video") })
      .step(
        "answer",
        "question-answering",
        { question: "input.question", scenes: stepOutput("scenes", "scenes") },
        { knobs: { mode: "short" } },
      )
      .output("answer.answer");
    expect(built).toEqual(workflowFromYaml(YAML));
  });

  test("a builder can be shared: steps do not leak into it", () => {
    base.step("one", "scene-detection", { video: "input.video" });
    const other = base
      .step("two", "scene-detection", { video: "input.video" })
      .output("two.scenes");
    expect(other.steps.map(({ id }) => id)).toEqual(["two"]);
  });

  test("unknown sources do not compile, and throw where types are absent", () => {
    const scenes = base.step("scenes", "scene-detection", { video: "input.video" });
    expect(() =>
      // @ts-expect-error there is no step "frames"
      scenes.step("text", "ocr", { frame: "frames.frames" }),
    ).toThrow(
      'workflow "video-qa" step "text" uses the unknown step "frames", expected one of scenes',
    );
    expect(() =>
      // @ts-expect-error there is no input "audio"
      scenes.step("text", "ocr", { audio: input("audio") }),
    ).toThrow('uses the unknown input "audio", expected one of question, video');
    // @ts-expect-error there is no step "nowhere"
    expect(() => scenes.output("nowhere.x")).toThrow('output uses the unknown step "nowhere"');
  });

  test("duplicates and bad names are refused", () => {
    const scenes = base.step("scenes", "scene-detection", { video: "input.video" });
    expect(() => scenes.step("scenes", "ocr", {})).toThrow('two steps named "scenes"');
    expect(() => base.input("video", "video")).toThrow('two inputs named "video"');
    expect(() => scenes.step("a b", "ocr", {}).output("scenes.scenes")).toThrow("steps.1.id");
    expect(() => workflow("x").input("v", "Video!").step("s", "c", {}).output("s.o")).toThrow(
      'input "v" has no valid type',
    );
  });
});

describe("YAML", () => {
  test.each([
    ["name: [", /talk.yaml is not valid YAML: .* line 1/],
    ["- a", /talk.yaml is not valid, expected named fields/],
    ["name: x", /has no list "steps"/],
    [
      YAML.replace("input.video", "inputvideo"),
      /steps.scenes.inputs.video "inputvideo" is not valid/,
    ],
    [YAML.replace("scenes.scenes", "frames.x"), /step "answer" uses the unknown step "frames"/],
    [YAML.replace("id: answer", "id: scenes"), /two steps named "scenes"/],
    [YAML.replace("knobs:", "nobs:"), /unknown field "steps.1.nobs"/],
    [YAML.replace("input.video", "answer.answer"), /cycle through scenes, answer/],
  ])("a mistake is told with its place (%#)", (text, message) => {
    expect(() => workflowFromYaml(text, "talk.yaml")).toThrow(message);
  });

  test("steps may be written in any order", () => {
    const lines = workflowFromYaml(YAML);
    const turned = { ...lines, steps: lines.steps.toReversed() };
    const text = `name: video-qa\ninputs: { question: question, video: video }\nsteps:\n${turned.steps
      .map(
        (step) =>
          `  - { id: ${step.id}, capability: ${step.capability}, inputs: { ${Object.entries(
            step.inputs,
          )
            .map(
              ([port, source]) =>
                `${port}: ${source.kind === "input" ? `input.${source.input}` : `${source.step}.${source.output}`}`,
            )
            .join(", ")} } }`,
      )
      .join("\n")}\noutput: answer.answer\n`;
    expect(workflowFromYaml(text).steps.map(({ id }) => id)).toEqual(["answer", "scenes"]);
  });
});
