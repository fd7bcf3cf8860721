/**
 * Goal: only right answers count as right. Method: tables of answers, good and bad, per invariant
 * of score-answer.ts; and the shipped question files must fit their scene files.
 */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  ANSWER_CHARS_MAX,
  parseTimeSec,
  type QuestionEntry,
  questionEntrySchema,
  questionFileSchema,
  scoreAnswer,
} from "@murakkab/library";
import { describe, expect, test } from "vitest";
import { readYamlFile } from "../src/make-video/read-yaml-file.ts";
import { sceneFileSchema } from "../src/make-video/scene-schema.ts";

const EXAMPLES = fileURLToPath(new URL("../../../examples/video-qa", import.meta.url));

function answerable(answers: readonly string[]): QuestionEntry {
  return {
    question: "What is it?",
    answers: [...answers],
    kind: "fact",
    scene: "any",
    source: ["speech"],
    answerable: true,
  };
}

const UNANSWERABLE: QuestionEntry = {
  question: "Who plays the piano?",
  answers: ["not found"],
  kind: "who-does",
  answerable: false,
};

const WHEN: QuestionEntry = {
  question: "When is it said?",
  atSec: 42,
  toleranceSec: 3,
  kind: "when",
  scene: "any",
  source: ["speech"],
  answerable: true,
};

describe("an answerable question", () => {
  test.each([
    ["exact", ["Anna"], "Anna"],
    ["any case", ["Anna"], "ANNA"],
    ["inside a sentence", ["Anna"], "It is Anna, who wears a red dress."],
    ["possessive", ["Anna"], "Anna's"],
    ["any accepted string", ["gray", "grey"], "a grey coat"],
    ["several words", ["red dress"], "a red   dress"],
    ["hyphen and punctuation", ["8 euro"], "8-Euro!"],
    ["a sign of money", ["$9"], "It costs $9."],
    ["accents", ["Jose"], "José"],
  ])("S2: %s is right", (_name, answers, given) => {
    expect(scoreAnswer(answerable(answers), given)).toBe(true);
  });

  test.each([
    ["part of a word", ["Ann"], "Anna"],
    ["part of a number", ["7"], "gate 17"],
    ["words in another order", ["red dress"], "dress red"],
    ["another answer", ["Anna"], "Laura"],
    ["nothing", ["Anna"], ""],
    ["not found", ["Anna"], "not found"],
    ["not found, and yet a name", ["Anna"], "Not found: Anna is not named"],
  ])("S2: %s is wrong", (_name, answers, given) => {
    expect(scoreAnswer(answerable(answers), given)).toBe(false);
  });

  test("S3: reciting the video is wrong", () => {
    const recital = `${"they drive on and on ".repeat(ANSWER_CHARS_MAX / 20)} Anna`;
    expect(scoreAnswer(answerable(["Anna"]), recital)).toBe(false);
  });
});

describe("an unanswerable question", () => {
  test.each(["not found", "Not found.", "not found: no piano is seen or heard"])(
    "S1: %j is right",
    (given) => {
      expect(scoreAnswer(UNANSWERABLE, given)).toBe(true);
    },
  );

  test.each(["Anna", "", "none", "the piano was found", "Anna was not found"])(
    "S1: %j is wrong",
    (given) => {
      expect(scoreAnswer(UNANSWERABLE, given)).toBe(false);
    },
  );
});

describe("a question about time", () => {
  test.each(["42", "39 s", "at 0:45", "44.9 seconds", "in scene 7, at 41.5 s", "0 min 42 s"])(
    "S4: %j is right",
    (given) => {
      expect(scoreAnswer(WHEN, given)).toBe(true);
    },
  );

  test.each(["38.9", "0:46", "1:42", "never", "not found"])("S4: %j is wrong", (given) => {
    expect(scoreAnswer(WHEN, given)).toBe(false);
  });

  test("S4: the moment of the evidence counts only when the text names no time", () => {
    expect(scoreAnswer(WHEN, "when the boat leaves", 43)).toBe(true);
    expect(scoreAnswer(WHEN, "when the boat leaves", 60)).toBe(false);
    expect(scoreAnswer(WHEN, "at 0:10", 42)).toBe(false);
    expect(scoreAnswer(WHEN, "not found", 42)).toBe(false);
  });

  test.each([
    ["1:02:03", 3723],
    ["1 minute 5 seconds", 65],
    ["2 minutes", 120],
    ["no time", undefined],
  ])("S4: %j is %j seconds", (text, seconds) => {
    expect(parseTimeSec(text)).toBe(seconds);
  });
});

describe("the question format", () => {
  test.each([
    ["an unknown field", { ...answerable(["Anna"]), hint: "red" }],
    ["no accepted answer", { ...answerable([]) }],
    ["an unanswerable question with an answer", { ...UNANSWERABLE, answers: ["Anna"] }],
    ["a time without its tolerance", { ...WHEN, toleranceSec: undefined }],
  ])("refuses %s", (_name, entry) => {
    expect(questionEntrySchema.safeParse(entry).success).toBe(false);
  });

  test.each([answerable(["Anna"]), UNANSWERABLE, WHEN])("accepts %j", (entry) => {
    expect(questionEntrySchema.parse(entry)).toEqual(entry);
  });
});

async function listQuestionFiles(): Promise<readonly string[]> {
  const heldOut = join(EXAMPLES, "held-out");
  const names = (await readdir(heldOut)).filter((name) => name.endsWith(".questions.yaml"));
  return [join(EXAMPLES, "questions.yaml"), ...names.map((name) => join(heldOut, name))];
}

describe("the shipped question files", () => {
  test("name scenes that exist, and enough questions of both sorts", async () => {
    const files = await listQuestionFiles();
    expect(files).toHaveLength(4);
    for (const file of files) {
      const { scenes, questions } = await readYamlFile(file, questionFileSchema);
      const sceneFile = await readYamlFile(join(dirname(file), scenes), sceneFileSchema);
      const ids = new Set(sceneFile.scenes.map((scene) => scene.id));
      const unknown = questions.filter((it) => it.answerable && !ids.has(it.scene));
      expect(unknown, file).toEqual([]);
      expect(questions.length, file).toBeGreaterThanOrEqual(15);
      expect(questions.filter((it) => !it.answerable).length, file).toBeGreaterThanOrEqual(3);
    }
  });
});
