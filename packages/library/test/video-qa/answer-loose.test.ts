// Goal: the second look answers by form alone, and without the form it finds nothing.
import { expect, it } from "vitest";
import { answerQuestion } from "../../src/executors/video-qa/answer/answer-question.ts";
import type { Sources } from "../../src/executors/video-qa/answer/timeline.ts";

const LINES = [
  [1, "victor feeds the goats"],
  [4, "there are seventeen of them"],
  [8, "eight hundred stamps in a drawer"],
  [12, "martha the carpenter has a saw"],
  [15, "martha writes letters to the ministry"],
  [18, "a barn near geneva stands empty"],
] as const;

const SOURCES: Sources = {
  transcript: {
    words: LINES.flatMap(([startSec, text]) =>
      text.split(" ").map((word, at) => ({
        word,
        startSec: startSec + at * 0.2,
        endSec: startSec + at * 0.2 + 0.2,
      })),
    ),
    segments: LINES.map(([startSec, text]) => ({ startSec, endSec: startSec + 2, text })),
  },
  texts: [
    {
      ...{ atSec: 5, scene: 0, sceneStartSec: 0, sceneEndSec: 30 },
      lines: ["CHILDREN 4 FRANCS", "SKIS FOR HIRE"].map((text) => ({
        text,
        confidence: 0.95,
        region: "sign" as const,
        box: { x: 0.1, y: 0.1, width: 0.3, height: 0.1 },
      })),
    },
  ],
  people: [],
};

const ask = (question: string) => answerQuestion(question, SOURCES);

it.each([
  ["How many goats are there?", "17|seventeen"],
  ["How many stamps were bought?", "hundred"],
  ["What is Martha's job?", "carpenter"],
  ["To whom does Martha write letters?", "ministry"],
  ["Near which town is the barn?", "geneva"],
  ["How much do children pay?", "4"],
  ["What can you hire here?", "SKIS"],
])("%s", (question, expected) => {
  const answer = ask(question);
  expect(answer.text).toMatch(new RegExp(expected, "i"));
  expect(answer.evidence[0]?.text).toBeTruthy();
});

it.each([
  "How many horses are there?",
  "What is Victor's job?",
  "With whom does Martha dance?",
  "What can you borrow here?",
])("not found: %s", (question) => {
  expect(ask(question)).toMatchObject({ found: false, text: "not found" });
});
