// Goal: kinds of questions get right answers with evidence, and absent facts "not found".
// Method: a small made-up video, in words and names that are not those of the examples.
import { describe, expect, it } from "vitest";
import { answerQuestion } from "../../src/executors/video-qa/answer/answer-question.ts";
import type { Sources } from "../../src/executors/video-qa/answer/timeline.ts";
import type { ScenePeople, ScreenText, Transcript } from "../../src/executors/video-qa/values.ts";

const box = { x: 0.4, y: 0.2, width: 0.1, height: 0.5 };

function transcriptOf(lines: readonly (readonly [number, string])[]): Transcript {
  const segments = lines.map(([startSec, text]) => ({ startSec, endSec: startSec + 2, text }));
  const words = segments.flatMap(({ startSec, text }) => {
    const parts = text.split(" ");
    const step = 2 / parts.length;
    return parts.map((word, at) => ({
      word,
      startSec: startSec + at * step,
      endSec: startSec + (at + 1) * step,
    }));
  });
  return { words, segments };
}

function textOf(scene: number, caption: string, sign: string): ScreenText {
  const line = { confidence: 0.95, box };
  return {
    ...{ atSec: scene * 10 + 5, scene, sceneStartSec: scene * 10, sceneEndSec: scene * 10 + 10 },
    lines: [
      { ...line, text: caption, region: "caption" },
      { ...line, text: sign, region: "sign" },
    ],
  };
}

function peopleOf(scene: number, tops: readonly string[]): ScenePeople {
  return {
    ...{ atSec: scene * 10 + 5, scene, sceneStartSec: scene * 10, sceneEndSec: scene * 10 + 10 },
    people: tops.map((color) => ({
      box,
      top: { color, ratio: 1 },
      bottom: { color: "black", ratio: 1 },
      others: [],
    })),
    background: "white",
  };
}

const SOURCES: Sources = {
  transcript: transcriptOf([
    [1, "hannah wears a blue coat"],
    [4, "she carries a white lamp"],
    [11, "the man in the grey sweater is called felix"],
    [14, "the ferry takes forty minutes"],
    [21, "nobody repairs the old clock"],
  ]),
  texts: [
    textOf(0, "Hannah in Bergen", "ROOM 12"),
    textOf(1, "The Ferry Museum", "TRACK 4"),
    textOf(2, "Walter at the Green Castle", "NO SMOKING"),
  ],
  people: [peopleOf(0, ["blue"]), peopleOf(1, ["gray", "red", "pink"]), peopleOf(2, ["orange"])],
};

describe("answerQuestion", () => {
  it.each([
    ["Who wears a blue coat?", /Hannah/],
    ["What does Hannah wear?", /blue coat/],
    ["What colour is Hannah's lamp?", /white/],
    ["What does Hannah carry?", /white lamp/],
    ["What is the name of the man in the gray sweater?", /Felix/],
    ["What color is Walter's jacket?", /orange/],
    ["Who has an orange jacket?", /Walter/],
    ["Who is at the Green Castle?", /Walter/],
    ["Where is Hannah?", /Bergen/],
    ["What does the sign at the castle say?", /NO SMOKING/],
    ["What is the room number?", /12/],
    ["How many people are in the museum?", /three/],
    ["How long does the ferry take?", /forty minutes/],
  ])("answers %s", (question, expected) => {
    const answer = answerQuestion(question, SOURCES);
    expect(answer.text).toMatch(expected);
    expect(answer.found).toBe(true);
    // A1.
    expect(answer.evidence.length).toBeGreaterThan(0);
  });

  it("tells when something is said, by the word's own time", () => {
    const answer = answerQuestion("When does the narrator mention the lamp?", SOURCES);
    expect(answer.evidence[0]?.atSec).toBeGreaterThan(5);
    expect(answer.text).toBe("at 0:05");
  });

  it("mends a misheard name by the screen of the same scene", () => {
    const transcript = transcriptOf([[21, "waiter plays the flute"]]);
    const answer = answerQuestion("Who plays the flute?", { ...SOURCES, transcript });
    expect(answer.text).toBe("Walter");
  });

  it.each([
    "Who plays the piano?",
    "What color is Gregory's jacket?",
    "How old is Felix?",
    "Who is wearing a purple hat?",
    "When does the helicopter land?",
    "Where is Gregory?",
  ])("A2, A3: says not found to %s", (question) => {
    expect(answerQuestion(question, SOURCES)).toEqual({
      text: "not found",
      found: false,
      confidence: 0,
      evidence: [],
    });
  });

  it("answers from speech alone, and not at all from nothing", () => {
    const { transcript } = SOURCES;
    expect(answerQuestion("What does Hannah carry?", { transcript }).text).toMatch(/lamp/);
    expect(answerQuestion("What does Hannah carry?", {}).found).toBe(false);
  });
});
