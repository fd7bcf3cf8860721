/**
 * Goal: what an executor tells the planner about sizes, batches, drafts and questions is checked.
 * Method: one sound file, and the same file with one planted mistake each.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadLibrary } from "../../src/catalogue/load-library.ts";
import { libraryFolder, SOUND_EXECUTOR } from "./library-folder.ts";

const ANSWERER = `id: answerer
version: "1.0.0"
kind: tool
capability: answering
description: Answers.
inputs:
  question: { type: question }
  transcript: { type: transcript, optional: true }
outputs:
  answer: { type: answer, sizeUnit: one }
  focus: { type: list<time-span>, sizeUnit: sec }
engine: { kind: function, function: answer }
sizedBy: [transcript, question]
batchMax: 16
staging:
  confidence: { port: answer, field: confidence }
  atLeast: [0.5, 0.8]
  focus: focus
questionClasses:
  - { name: count, phrases: [how many people] }
  - { name: said, phrases: [say, speak] }
resources: { cores: 1, memoryMib: 64 }
timeLimitSec: 60
pure: true
deterministic: true
provenance: { kind: prior, note: for tests }
`;

const LISTENER = ANSWERER.replace("id: answerer", "id: listener")
  .replace("capability: answering", "capability: listening")
  .replace("question: { type: question }", "spans: { type: list<time-span> }")
  .replace(/^sizedBy[^]*?(?=^resources)/m, "");

function load(text: string) {
  return loadLibrary([libraryFolder({ "answerer.yaml": text, "listener.yaml": LISTENER })]);
}

test("all of it becomes part of the entry", () => {
  const { executors, problems } = load(ANSWERER);
  expect(problems).toEqual([]);
  expect(executors[0]).toMatchObject({
    sizedBy: ["transcript", "question"],
    batchMax: 16,
    outputs: { answer: { sizeUnit: "one" }, focus: { sizeUnit: "sec" } },
    staging: {
      confidence: { port: "answer", field: "confidence" },
      atLeast: [0.5, 0.8],
      focus: "focus",
    },
    questionClasses: [
      { name: "count", phrases: ["how many people"] },
      { name: "said", phrases: ["say", "speak"] },
    ],
  });
});

const PHRASES = "phrases: [say, speak]";
const MISTAKES: readonly (readonly [find: string, plant: string, field: string, says: string])[] = [
  ["sizeUnit: sec", "sizeUnit: hours", "outputs.focus.sizeUnit", "expected one of items, bytes"],
  [
    "{ type: question }",
    "{ type: question, sizeUnit: one }",
    "inputs.question.sizeUnit",
    "outputs",
  ],
  ["[transcript, question]", "[video]", "sizedBy.0", "expected one of question, transcript"],
  ["[transcript, question]", "[question, question]", "sizedBy.1", "expected each once"],
  ["[transcript, question]", "[]", "sizedBy", "expected at least one input"],
  ["batchMax: 16", "batchMax: 0", "batchMax", "expected a whole number of items, 1 to 1024"],
  ["batchMax: 16", "batchMax: 2000", "batchMax", "expected at most 1024 items"],
  ["port: answer,", "port: reply,", "staging.confidence.port", "expected one of answer, focus"],
  ["field: confidence", "field: ''", "staging.confidence.field", "expected the name of a field"],
  ["[0.5, 0.8]", "[0.5, 1.2]", "staging.atLeast.1", "expected a number above 0, at most 1"],
  ["[0.5, 0.8]", "[0, 0.8]", "staging.atLeast.0", "expected a number above 0, at most 1"],
  ["[0.5, 0.8]", "[0.8, 0.5]", "staging.atLeast.1", "expected rising numbers"],
  ["[0.5, 0.8]", "[]", "staging.atLeast", "expected at least one threshold"],
  ["focus: focus", "focus: spans", "staging.focus", "expected one of answer, focus"],
  ["focus: focus", "focus: answer", "staging.focus", "expected another one"],
  ["optional: true", "optional: false", "staging", "no input is optional"],
  [PHRASES, "phrases: []", "questionClasses.1.phrases", "expected at least one phrase"],
  [PHRASES, "phrases: ['']", "questionClasses.1.phrases.0", "one or more words"],
  [PHRASES, "phrases: [people many how]", "questionClasses.1.phrases.0", 'to class "count"'],
  ["name: said", "name: count", "questionClasses.1.name", "expected each once"],
  ["{ type: question }", "{ type: text }", "questionClasses", 'no input has the type "question"'],
];

describe("a planted mistake", () => {
  test.each(MISTAKES)("%s -> %s", (find, plant, field, says) => {
    expect(ANSWERER).toContain(find);
    const { executors, problems } = load(ANSWERER.replace(find, () => plant));
    expect(executors.map(({ id }) => id)).toEqual(["listener"]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ field, severity: "error" });
    expect(problems[0]?.message).toContain(says);
  });

  test("a command and an executor of lists only take no batches", () => {
    const command = `${SOUND_EXECUTOR}batchMax: 4\n`;
    const lists = `${LISTENER.replace("{ type: transcript, optional", "{ type: list<text>, optional")}batchMax: 4\n`;
    for (const [text, says] of [
      [command, "only with an engine of kind function"],
      [lists, "every input is a list"],
    ] as const) {
      const { problems } = loadLibrary([libraryFolder({ "one.yaml": text })]);
      expect(problems.map(({ field }) => field)).toEqual(["batchMax"]);
      expect(problems[0]?.message).toContain(says);
    }
  });

  test("a focus that nobody takes is a warning, and the executor stays", () => {
    const dir = libraryFolder({ "answerer.yaml": ANSWERER });
    const { executors, problems } = loadLibrary([dir]);
    expect(executors).toHaveLength(1);
    expect(problems).toMatchObject([
      { file: join(dir, "answerer.yaml"), field: "staging.focus", severity: "warning" },
    ]);
  });
});
