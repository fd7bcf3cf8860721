// Goal: misheard words are found by their sound, and questions put in many ways mean the same.
// Method: words and names that are not those of the examples; odd questions must not crash.
import { describe, expect, it } from "vitest";
import { answerQuestion } from "../../src/executors/video-qa/answer/answer-question.ts";
import {
  type KnownFrom,
  type KnownWord,
  mendSentence,
} from "../../src/executors/video-qa/answer/mend-speech.ts";
import { alikeness, phonesOf } from "../../src/executors/video-qa/answer/phones.ts";
import { rephrase } from "../../src/executors/video-qa/answer/rephrase.ts";
import { tokenize } from "../../src/executors/video-qa/answer/words.ts";
import type { Transcript } from "../../src/executors/video-qa/values.ts";

const soundAlike = (a: string, b: string): number =>
  alikeness(a.split(" ").map(phonesOf).join(""), b.split(" ").map(phonesOf).join(""));

describe("alikeness", () => {
  it("P1: is symmetric, 1 for equal sounds, and low for words that share none", () => {
    expect(soundAlike("sells", "cells")).toBe(1);
    expect(soundAlike("raincoat", "ring code")).toBeGreaterThan(0.7);
    expect(soundAlike("ring code", "raincoat")).toBe(soundAlike("raincoat", "ring code"));
    expect(soundAlike("piano", "guitar")).toBeLessThan(0.5);
  });
});

function knownOf(text: string, from: KnownFrom, isName = false): KnownWord[] {
  return tokenize(text).map((token) => ({ token, from, isName }));
}

describe("mendSentence", () => {
  const mend = (heard: string, known: KnownWord[]): string =>
    mendSentence(tokenize(heard), known)
      .map((it) => it.text)
      .join(" ");

  it("E1: joins words that were one, where the question has the words beside it", () => {
    expect(mend("she wears a ring code today", knownOf("wears raincoat", "question"))).toBe(
      "she wears a raincoat today",
    );
  });

  it("E1: puts a name right where a name stands, and not elsewhere", () => {
    const names = knownOf("Martin", "question", true);
    expect(mend("mark and opens the door", names)).toBe("martin opens the door");
    expect(mend("they leave a mark and run", names)).toBe("they leave a mark and run");
  });

  it("E2: leaves what is heard reliably", () => {
    expect(mend("a grey coat", knownOf("goat", "question"))).toBe("a grey coat");
  });
});

describe("rephrase", () => {
  it.each([
    ["Name the person who sings.", "Who sings."],
    ["Can you tell me who sings?", "who sings?"],
    ["Which woman wears a hat?", "Who wears a hat?"],
    ["What's the driver's name?", "Who is the driver?"],
    ["What is the man in the hat called?", "Who is in the hat?"],
    ["In which room is the party?", "which room is the party?"],
    ["What is the number of people in the hall?", "How many people in the hall?"],
    ["What is the name of the boat?", "What is the name of the boat?"],
  ])("%s", (asked, expected) => {
    expect(rephrase(asked)).toBe(expected);
  });
});

describe("odd questions", () => {
  const text = "hannah wears a blue coat";
  const words = text.split(" ").map((word, at) => ({ word, startSec: at, endSec: at + 1 }));
  const transcript: Transcript = { words, segments: [{ startSec: 0, endSec: 5, text }] };
  it.each([
    "?",
    "Who",
    "What what what?",
    "Wer trägt einen blauen Mantel?",
    "谁穿着蓝色外套?",
    "is the the of a?",
    `Who wears ${"a very ".repeat(2000)}long coat?`,
    "constructor __proto__ toString?",
  ])("get an answer and no error: %#", (question) => {
    expect(answerQuestion(question, { transcript }).text).not.toBe("");
    expect(answerQuestion(question, {}).found).toBe(false);
    const empty = { transcript: { words: [], segments: [] }, texts: [], people: [] };
    expect(answerQuestion(question, empty).found).toBe(false);
  });
});
