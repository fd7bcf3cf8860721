// Goal: a draft points to what is worth hearing, and only that is heard, with its own times.
// Method: small evidence for the answerer, made-up sound and a fake recogniser.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { answerAndPoint } from "../../src/executors/video-qa/answer/answer-question.ts";
import { cutSpeech, mapBack, WAV_HEAD_BYTES } from "../../src/executors/video-qa/cut-speech.ts";
import { recognizeSpeech } from "../../src/executors/video-qa/recognize-speech.ts";
import { scenePeopleSchema, screenTextSchema } from "../../src/executors/video-qa/values.ts";
import { fakeCall, refTo } from "./fake-call.ts";

const dir = mkdtempSync(join(tmpdir(), "video-qa-focus-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const BOX = { x: 0.4, y: 0.3, width: 0.2, height: 0.6 };

function textsOf(...captions: string[]) {
  return captions.map((text, scene) =>
    screenTextSchema.parse({
      ...{ scene, atSec: 10 * scene + 5, sceneStartSec: 10 * scene, sceneEndSec: 10 * scene + 10 },
      lines: [{ text, confidence: 0.9, region: "caption", box: { ...BOX, y: 0.9, height: 0.06 } }],
    }),
  );
}

function peopleOf(...tops: string[]) {
  return tops.map((color, scene) =>
    scenePeopleSchema.parse({
      ...{ scene, atSec: 10 * scene + 5, sceneStartSec: 10 * scene, sceneEndSec: 10 * scene + 10 },
      people: [{ box: BOX, top: { color, ratio: 0.9 }, bottom: { color: "black", ratio: 0.9 } }],
      background: "white",
    }),
  );
}

const TEXTS = textsOf("Hannah at the mill", "The old bridge", "A boat for rent", "Home again");
const PEOPLE = peopleOf("red", "green", "blue", "white");
const SOURCES = { texts: TEXTS, people: PEOPLE };

describe("pointing", () => {
  it.each([
    ["the person whom a caption names", "What does Hannah carry?", [[0, 10]]],
    ["the thing that a caption names", "Who crosses the bridge?", [[10, 20]]],
    ["the colour that somebody wears", "Who wears a blue shirt?", [[20, 30]]],
  ])("finds %s", (_what, question, spans) => {
    const { focus } = answerAndPoint(question, SOURCES);
    expect(focus).toEqual(spans.map(([startSec, endSec]) => ({ startSec, endSec })));
  });

  it("names every scene, and the words to listen for, where nothing points anywhere", () => {
    const { focus } = answerAndPoint("Who cooks soup?", SOURCES);
    expect(focus.map(({ startSec, endSec }) => [startSec, endSec])).toEqual([
      [0, 10],
      [10, 20],
      [20, 30],
      [30, 40],
    ]);
    for (const { words } of focus) expect(words).toEqual(["cooks", "cook", "soup", "soups"]);
  });

  it("does not take a caption for what a narrator says", () => {
    const asked = "When does the narrator mention the bridge?";
    expect(answerAndPoint(asked, SOURCES).focus).toHaveLength(4);
  });

  it("names nothing without evidence", () => {
    expect(answerAndPoint("Who cooks soup?", {}).focus).toEqual([]);
  });
});

describe("a draft", () => {
  it("is sure of what is written", () => {
    const { answer } = answerAndPoint("Where is Hannah?", SOURCES);
    expect(answer).toMatchObject({ found: true });
    expect(answer.confidence).toBeGreaterThanOrEqual(0.9);
  });

  it("A4: is not sure without the speech that is asked about", () => {
    const asked = "When does the narrator mention the bridge?";
    const draft = answerAndPoint(asked, SOURCES).answer;
    expect(draft.confidence).toBeLessThanOrEqual(0.5);
    const words = ["they", "cross", "the", "bridge"];
    const transcript = {
      words: words.map((word, at) => ({ word, startSec: 21 + at, endSec: 21.5 + at })),
      segments: [{ startSec: 21, endSec: 24.5, text: words.join(" ") }],
    };
    const heard = answerAndPoint(asked, { ...SOURCES, transcript }).answer;
    expect(heard).toMatchObject({ found: true, text: "at 0:24" });
    expect(heard.confidence).toBeGreaterThan(0.55);
  });

  it("A4: is not sure of a person who may be another word", () => {
    const texts = textsOf("Sunset beach", "Max 2 persons on the bridge", "Hannah at the mill");
    for (const question of ["Who is at the beach?", "Who is on the bridge?"]) {
      expect(answerAndPoint(question, { texts }).answer.confidence).toBeLessThanOrEqual(0.5);
    }
    expect(answerAndPoint("Who is at the mill?", { texts }).answer).toMatchObject({
      text: "Hannah",
      confidence: 0.95,
    });
  });

  it("is not sure who wears a thing that a nameless person wears too", () => {
    const asked = "Who wears a red shirt?";
    const sure = answerAndPoint(asked, SOURCES).answer;
    expect(sure).toMatchObject({ text: "Hannah", confidence: 0.75 });
    const people = peopleOf("red", "red", "blue", "white");
    const { answer } = answerAndPoint(asked, { ...SOURCES, people });
    expect(answer.text).toBe("Hannah");
    expect(answer.confidence).toBeLessThan(0.55);
  });

  it("A4: is not sure that something is not there", () => {
    const { answer } = answerAndPoint("What does Gregory carry?", SOURCES);
    expect(answer).toMatchObject({ found: false, confidence: 0 });
  });
});

/** 16 kHz: a tone of some loudness for each second. */
function wavOf(loudness: readonly number[]): Buffer {
  const samples = Buffer.alloc(2 * 16_000 * loudness.length);
  for (let at = 0; at < samples.length / 2; at++) {
    const amplitude = loudness[Math.floor(at / 16_000)] ?? 0;
    samples.writeInt16LE(Math.round(amplitude * Math.sin(at / 8)), 2 * at);
  }
  const head = Buffer.alloc(WAV_HEAD_BYTES);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

const SECONDS = Array.from({ length: 60 }, (_, sec) => (sec % 10 === 9 ? 0 : 8_000));
const WAV = wavOf(SECONDS);

describe("cutting", () => {
  it("C1: keeps each span whole and cuts in the pauses beside it", () => {
    const cut = cutSpeech(WAV, [{ startSec: 20.2, endSec: 28.8 }]);
    const [piece, ...others] = cut?.pieces ?? [];
    expect(others).toEqual([]);
    expect(piece?.startSec).toBeGreaterThanOrEqual(19);
    expect(piece?.startSec).toBeLessThan(20);
    expect(piece?.endSec).toBeGreaterThan(29);
    expect(piece?.endSec).toBeLessThanOrEqual(30);
    const bytes = cut?.wav.readUInt32LE(40) ?? 0;
    expect(cut?.wav.length).toBe(WAV_HEAD_BYTES + bytes);
    expect(bytes / 32_000).toBeLessThan(16);
  });

  it("joins spans that touch, and gives up where little is left out", () => {
    const near = [
      { startSec: 12, endSec: 18 },
      { startSec: 18.2, endSec: 25 },
    ];
    expect(cutSpeech(WAV, near)?.pieces).toHaveLength(1);
    expect(cutSpeech(WAV, [{ startSec: 1, endSec: 58 }])).toBeNull();
  });

  it("C2, C3: times come back, and the lead is not kept", () => {
    const pieces = [
      { startSec: 20, endSec: 25, atSec: 4 },
      { startSec: 40, endSec: 43, atSec: 10 },
    ];
    const word = (text: string, startSec: number) => ({
      ...{ word: text, startSec },
      endSec: startSec + 0.25,
    });
    const heard = {
      words: [word("lead", 1), word("one", 4.5), word("two", 11)],
      segments: [{ startSec: 11, endSec: 14, text: "two" }],
    };
    expect(mapBack(heard, pieces)).toEqual({
      words: [word("one", 20.5), word("two", 41)],
      segments: [{ startSec: 41, endSec: 43, text: "two" }],
    });
  });
});

describe("hearing with a focus", () => {
  const file = join(dir, "speech.wav");

  /** Runs with a fake recogniser; tells how long the sound was that was written down, s. */
  async function hear(focus: unknown, spotted = "") {
    writeFileSync(file, WAV);
    const asked = fakeCall({ audio: refTo(file, "audio/wav"), focus }, { effort: "balanced" });
    const heardSec: number[] = [];
    let listenCount = 0;
    const run: typeof asked.run = async (_program, args) => {
      const path = args[args.indexOf("-infile") + 1] ?? "";
      const isListening = args.includes("-kws");
      if (isListening) listenCount += 1;
      else heardSec.push(Math.round((readFileSync(path).length - WAV_HEAD_BYTES) / 32_000));
      return { stdout: Buffer.from(isListening ? spotted : ""), stderr: "", exitCode: 0 };
    };
    await recognizeSpeech({ ...asked, run });
    return { heardSec, listenCount };
  }

  const scenes = [0, 1, 2, 3, 4, 5].map((it) => ({ startSec: 10 * it, endSec: 10 * it + 10 }));
  const withWords = scenes.map((it) => ({ ...it, words: ["soup"] }));

  it.each([
    ["no focus", undefined, ""],
    ["an empty one", [], ""],
    ["words that are heard nowhere", withWords, ""],
    ["words that only sound alike", withWords, "soup 12.000 12.300 0.830000"],
  ])("hears everything with %s", async (_what, focus, spotted) => {
    expect((await hear(focus, spotted)).heardSec).toEqual([60]);
  });

  it("hears a span without listening for words", async () => {
    const { heardSec, listenCount } = await hear([scenes[2]]);
    expect(listenCount).toBe(0);
    expect(heardSec[0]).toBeLessThan(18);
  });

  it("hears the scenes in which a word is said, after listening once", async () => {
    const spotted = "soup soup\nsoup 12.000 12.300 0.950000\nsoup 43.000 43.400 0.870000\n";
    const { heardSec, listenCount } = await hear(withWords, spotted);
    expect(listenCount).toBe(1);
    expect(heardSec[0]).toBeGreaterThan(12);
    expect(heardSec[0]).toBeLessThan(18);
  });

  it("refuses a focus that is no list of spans", async () => {
    await expect(hear([{ startSec: "now" }])).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("focus.0.startSec"),
    });
  });
});
