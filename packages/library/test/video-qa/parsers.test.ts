// Goal: what the programs print becomes the values of the interface types. Method: recorded output.
import { EngineFailedError } from "@murakkab/kit";
import { describe, expect, it } from "vitest";
import { parseScenes, readDurationSec } from "../../src/executors/video-qa/parse-scenes.ts";
import { parseSpeech } from "../../src/executors/video-qa/parse-speech.ts";
import { parsePages } from "../../src/executors/video-qa/parse-tesseract.ts";
import { pickMoments } from "../../src/executors/video-qa/pick-moments.ts";

const STDERR =
  "  Duration: 00:00:10.00, start: 0\n  Stream #0:0: Video: h264\n time=00:00:09.90 bitrate";

describe("parseScenes", () => {
  it("lays scenes end to end and drops cuts too close to another or to an end", () => {
    const stdout =
      "frame:1 pts:1 pts_time:4\nframe:2 pts:1 pts_time:4.2\nframe:3 pts:1 pts_time:9.9\n";
    expect(parseScenes({ stdout, stderr: STDERR, knobs: {} })).toEqual({
      scenes: [
        { index: 0, startSec: 0, endSec: 4 },
        { index: 1, startSec: 4, endSec: 10 },
      ],
    });
  });

  it("refuses a file without pictures in one clear sentence", () => {
    const stderr = "  Duration: 00:00:10.00\n  Stream #0:0: Audio: aac";
    const parse = () => parseScenes({ stdout: "", stderr, knobs: {} });
    expect(parse).toThrow(EngineFailedError);
    expect(parse).toThrow(/no pictures, expected a file with a video stream/);
  });

  it("believes the decoded length of a truncated file", () => {
    expect(
      readDurationSec(`${STDERR}\nstream 0, offset 0x9: partial file\n time=00:00:05.50 x`),
    ).toBe(5.5);
  });
});

describe("parseSpeech", () => {
  it("keeps words with times, and drops fillers and other pronunciations", () => {
    const stdout =
      "anna reads\n<s> 0.10 0.20 1.0\nanna 0.20 0.50 0.9\nreads(2) 0.50 0.90 0.8\n++NOISE++ 0.90 1.00 1.0\n</s> 1.0 1.1 1.0\n";
    expect(parseSpeech(stdout)).toEqual({
      words: [
        { word: "anna", startSec: 0.2, endSec: 0.5 },
        { word: "reads", startSec: 0.5, endSec: 0.9 },
      ],
      segments: [{ startSec: 0.2, endSec: 0.9, text: "anna reads" }],
    });
  });

  it("gives an empty transcript for silence", () => {
    expect(parseSpeech("")).toEqual({ words: [], segments: [] });
  });
});

describe("parsePages", () => {
  const page = "1\t1\t0\t0\t0\t0\t0\t0\t640\t360\t-1\t";
  const row = (line: number, confidence: number, text: string): string =>
    `5\t1\t1\t1\t${line}\t1\t10\t20\t30\t12\t${confidence}\t${text}`;

  it("joins the words of a line and drops garbage", () => {
    const tsv = [
      page,
      row(1, 96, "HARBOR"),
      row(1, 95, "CAFE"),
      row(2, 31, "EEee"),
      row(3, 62, "|"),
    ].join("\n");
    expect(parsePages(tsv).map((lines) => lines.map((it) => it.text))).toEqual([["HARBOR CAFE"]]);
  });

  it("keeps pages apart, also one without text", () => {
    const tsv = [page, row(1, 96, "GATE"), page, page, row(1, 95, "EXIT")].join("\n");
    const texts = parsePages(tsv).map((lines) => lines.map((it) => it.text));
    expect(texts).toEqual([["GATE"], [], ["EXIT"]]);
  });
});

describe("pickMoments", () => {
  const scenes = [
    { index: 0, startSec: 0, endSec: 4 },
    { index: 1, startSec: 4, endSec: 24 },
    { index: 2, startSec: 24, endSec: 28 },
  ];
  const at = "scene-midpoints" as const;

  it("M2, M3: looks at each scene once, and at long ones again", () => {
    const moments = pickMoments(scenes, { frameCount: 24, at });
    expect(moments.map((it) => it.scene.index)).toEqual([0, 1, 1, 1, 2]);
    expect(moments[0]?.atSec).toBe(2);
  });

  it("M1: never takes more than asked for", () => {
    expect(pickMoments(scenes, { frameCount: 2, at })).toHaveLength(2);
    expect(pickMoments(scenes, { frameCount: 5, at: "uniform" })).toHaveLength(5);
  });
});
