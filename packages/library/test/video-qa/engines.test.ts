// Goal: the executors work on real files and fail cleanly on bad ones. Method: small clips made by ffmpeg.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXECUTOR_FUNCTIONS } from "../../src/executor-functions.ts";
import type { ScenePeople, ScreenText } from "../../src/executors/video-qa/values.ts";
import { fakeCall, refTo, runProgram } from "./fake-call.ts";

const dir = mkdtempSync(join(tmpdir(), "video-qa-engines-"));
const clip = join(dir, "clip.mp4");
const silent = join(dir, "silent.mp4");

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360">
<rect width="640" height="360" fill="#bfe3f5"/><rect y="214" width="640" height="74" fill="#a3a09a"/>
<rect x="60" y="26" width="230" height="44" fill="#7a1426"/>
<text x="80" y="58" font-family="DejaVu Sans" font-weight="bold" font-size="26" fill="white">PLATFORM 9</text>
<g transform="translate(420 282)"><rect x="-19" y="-92" width="16" height="84" fill="#1b2a63"/>
<rect x="3" y="-92" width="16" height="84" fill="#1b2a63"/>
<path d="M-26 -143C-14 -149 14 -149 26 -143L20 -86H-20Z" fill="#2e8b3a"/>
<circle cy="-166" r="17" fill="#a86e42"/></g>
<rect y="288" width="640" height="72" fill="#f4f1e6"/>
<text x="150" y="334" font-family="DejaVu Sans" font-weight="bold" font-size="30" fill="black">Waiting for Hugo</text></svg>`;

beforeAll(async () => {
  const video = [
    "-f",
    "lavfi",
    "-i",
    "color=red:s=320x180:d=2",
    "-f",
    "lavfi",
    "-i",
    "sine=440:d=2",
  ];
  await runProgram("ffmpeg", ["-v", "error", "-y", ...video, "-shortest", clip]);
  await runProgram("ffmpeg", ["-v", "error", "-y", ...video.slice(0, 4), silent]);
  await sharp(Buffer.from(PICTURE)).png().toFile(join(dir, "frame.png"));
  const other = PICTURE.replace("PLATFORM 9", "ROOM 305").replace("#2e8b3a", "#d02020");
  await sharp(Buffer.from(other)).png().toFile(join(dir, "other.png"));
  const blank = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360"/>';
  await sharp(Buffer.from(blank)).png().toFile(join(dir, "blank.png"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function frameInput(file = "frame.png", index = 0) {
  const image = refTo(join(dir, file), "image/png");
  const times = { atSec: index + 1, sceneStartSec: index, sceneEndSec: index + 2 };
  return { frame: { index, scene: index, ...times, image } };
}

async function call(name: string, ...args: Parameters<typeof fakeCall>) {
  const run = EXECUTOR_FUNCTIONS[name];
  if (run === undefined) throw new Error(`no function ${name}`);
  return await run(fakeCall(...args));
}

describe("extract-frames", () => {
  const knobs = { frameCount: 3, width: 160, at: "uniform" };

  it("takes as many frames as asked, without scenes", async () => {
    const out = await call("extract-frames", { video: refTo(clip, "video/mp4") }, knobs);
    expect(out["frames"]).toHaveLength(3);
  });

  it("says what is wrong with a file that is no video", async () => {
    const path = join(dir, "text.mp4");
    writeFileSync(path, "no video at all");
    const video = refTo(path, "video/mp4");
    await expect(call("extract-frames", { video }, knobs)).rejects.toMatchObject({
      code: "ENGINE_FAILED",
    });
  });

  it("refuses an input that is no artifact", async () => {
    await expect(call("extract-frames", { video: "x" }, knobs)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("extract-audio", () => {
  it("writes 16 kHz mono", async () => {
    const asked = fakeCall({ video: refTo(clip, "video/mp4") }, {});
    await EXECUTOR_FUNCTIONS["extract-audio"]?.(asked);
    const head = readFileSync(join(asked.scratchDir, "speech.wav"));
    expect([head.readUInt16LE(22), head.readUInt32LE(24)]).toEqual([1, 16_000]);
  });

  it("says that a silent video has no sound", async () => {
    const video = refTo(silent, "video/mp4");
    await expect(call("extract-audio", { video }, {})).rejects.toThrow(
      /the video has no sound, expected/,
    );
  });
});

describe("the picture readers", () => {
  it("read a light sign and a dark caption", async () => {
    const out = await call("read-text", frameInput(), {
      width: 640,
      pageMode: 6,
      crops: "regions",
    });
    const { lines } = out["text"] as ScreenText;
    expect(lines.map((it) => [it.region, it.text])).toEqual([
      ["sign", "PLATFORM 9"],
      ["caption", "Waiting for Hugo"],
    ]);
  });

  it("find one person and name the colours", async () => {
    const out = await call("detect-people", frameInput(), { width: 640 });
    const { people } = out["people"] as ScenePeople;
    expect(people).toHaveLength(1);
    expect(people[0]?.top.color).toBe("green");
    expect(people[0]?.bottom).toMatchObject({ color: "blue", shade: "navy" });
  });
});

describe("a batch of frames", () => {
  const threeFrames = () =>
    ["frame.png", "blank.png", "other.png"].map((it, at) => frameInput(it, at).frame);

  it.each([
    ["read-text", "text", { width: 640, pageMode: 6, crops: "regions" }],
    ["read-text", "text", { width: 480, pageMode: 6, crops: "bands" }],
    ["read-text", "text", { width: 640, pageMode: 3, crops: "none" }],
    ["detect-people", "people", { width: 640 }],
    ["detect-people", "people", { width: 320 }],
  ])("%s gives what it gives of each alone (%s, %o)", async (name, port, knobs) => {
    const frames = threeFrames();
    const run = EXECUTOR_FUNCTIONS[name];
    if (run === undefined) throw new Error(`no function ${name}`);
    const together = await run({ ...fakeCall({ frame: frames }, knobs), isBatch: true });
    const alone: unknown[] = [];
    for (const frame of frames) alone.push((await run(fakeCall({ frame }, knobs)))[port]);
    expect(alone).toHaveLength(3);
    expect(together).toEqual({ [port]: alone });
  });

  it("starts tesseract once for all that holds text, and not for what holds none", async () => {
    const frames = threeFrames();
    const started: (readonly string[])[] = [];
    const knobs = { width: 640, pageMode: 6, crops: "regions" };
    const read = async (given: unknown[]) => {
      const asked = { ...fakeCall({ frame: given }, knobs), isBatch: true };
      const run: typeof runProgram = (program, args, options) => {
        started.push([program, ...args]);
        return runProgram(program, args, options);
      };
      return await EXECUTOR_FUNCTIONS["read-text"]?.({ ...asked, run });
    };
    const out = (await read(frames)) as { text: ScreenText[] };
    expect(started).toHaveLength(1);
    expect(out.text.map(({ lines }) => lines[0]?.text)).toEqual([
      "PLATFORM 9",
      undefined,
      "ROOM 305",
    ]);
    await read([frames[1]]);
    expect(started).toHaveLength(1);
  });

  it("of something that is no list is refused", async () => {
    const asked = { ...fakeCall({ frame: threeFrames()[0] }, { width: 320 }), isBatch: true };
    await expect(EXECUTOR_FUNCTIONS["detect-people"]?.(asked)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});
