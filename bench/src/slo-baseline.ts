/**
 * Video Q/A as an application developer writes it by hand: programs one after the other, everything
 * for every question, on no runtime.
 *
 * Owns:      the baseline that `bench -- slo` compares with. Its settings are the usual good ones:
 *            every cut (threshold 0.2, full decode), 30 frames in one pass, two crops of each read
 *            at 480 pixels, the recogniser's own defaults, persons looked for on every frame.
 * Does not:  save on purpose, nor waste: crops are cut in the same ffmpeg pass as the frames, and
 *            tesseract runs on one thread, which takes half the time on a small machine.
 *
 * The parts that are no programs (persons, the answer) are the library's own, called as functions.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineFailedError, sha256Hex } from "@murakkab/kit";
import type { FunctionCall } from "@murakkab/library";
import { EXECUTOR_FUNCTIONS, OUTPUT_PARSERS } from "@murakkab/library/functions";
import { type ArtifactRef, artifactUri } from "@murakkab/model";
import { type Spent, startCpuClock } from "@murakkab/testkit/path-lab";

const SCENE_THRESHOLD = 0.2;
const FRAMES_COUNT = 30;
const CROP_WIDTH_PX = 480;
/** Signs hang in the upper quarter, captions stand in the lower fifth. */
const CROPS = [
  { name: "top", from: 0, height: 0.25, region: "sign" },
  { name: "bottom", from: 0.78, height: 0.22, region: "caption" },
] as const;
/** Words that are read right have 80 to 96 of 100. */
const WORD_CONFIDENCE_MIN = 50;

/** What all questions about one video need: with it only the answer is made anew. */
export interface BaselineEvidence {
  readonly transcript: unknown;
  readonly texts: readonly unknown[];
  readonly people: readonly unknown[];
}

export interface BaselineRun {
  readonly answer: string;
  readonly confidence: number;
  /** Time in the video of the first piece of evidence, s. */
  readonly evidenceAtSec: number | null;
  readonly evidence: BaselineEvidence;
  readonly spent: Spent;
  readonly steps: readonly (Spent & { readonly step: string })[];
}

/** Errors: `EngineFailedError` when a program fails. */
export async function runBaseline(
  videoFile: string,
  question: string,
  reuse?: BaselineEvidence,
): Promise<BaselineRun> {
  const steps: (Spent & { readonly step: string })[] = [];
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const stop = startCpuClock();
    const result = await work();
    steps.push({ step, ...stop() });
    return result;
  };
  const stop = startCpuClock();
  const dir = await mkdtemp(join(tmpdir(), "murakkab-baseline-"));
  const work = { dir, paths: new Map<string, string>() };
  try {
    const evidence = reuse ?? (await gatherEvidence(videoFile, work, timed));
    const { answer } = (await timed("answer", () =>
      callFunction("answer-from-evidence", { inputs: { question, ...evidence }, work }),
    )) as { answer: { text: string; confidence: number; evidence: { atSec: number }[] } };
    return {
      answer: answer.text,
      confidence: answer.confidence,
      evidenceAtSec: answer.evidence[0]?.atSec ?? null,
      evidence,
      spent: stop(),
      steps,
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

interface Workplace {
  readonly dir: string;
  /** Reference to path. */
  readonly paths: Map<string, string>;
}

type Timed = <T>(step: string, work: () => Promise<T>) => Promise<T>;

interface Scene {
  readonly index: number;
  readonly startSec: number;
  readonly endSec: number;
}

interface FrameTimes {
  readonly atSec: number;
  readonly scene: number;
  readonly sceneStartSec: number;
  readonly sceneEndSec: number;
}

/** One step after the other. */
async function gatherEvidence(
  videoFile: string,
  work: Workplace,
  timed: Timed,
): Promise<BaselineEvidence> {
  const { dir } = work;
  const scenes = await timed("scenes", () => findScenes(videoFile));
  const count = await timed("frames", () => cutFrames(videoFile, { dir, scenes }));
  const frames = Array.from({ length: count }, (_, index) => timesOf(index, scenes));
  const texts = await timed("text", () => readAll(frames, dir));
  const transcript = await timed("speech", () => hear(videoFile, work));
  const people = await timed("people", () => lookAtAll(frames, work));
  return { transcript, texts, people };
}

async function findScenes(videoFile: string): Promise<Scene[]> {
  const filter = `select='gte(scene,0)',metadata=mode=print:key=lavfi.scene_score:value=${SCENE_THRESHOLD}:function=greater:file=-`;
  const args = ["-hide_banner", "-nostdin", "-i", videoFile, "-an", "-vf", filter];
  const { stdout, stderr } = await runProgram("ffmpeg", [...args, "-f", "null", "/dev/null"]);
  const parse = OUTPUT_PARSERS["ffmpeg-scenes"];
  const { scenes } = parse?.({ stdout: stdout.toString("utf8"), stderr, knobs: {} }) ?? {};
  return scenes as Scene[];
}

function durationOf(scenes: readonly Scene[]): number {
  return scenes.at(-1)?.endSec ?? 0;
}

/** What ffmpeg's `fps` filter takes: the last picture before the middle of each equal stretch. */
function timesOf(index: number, scenes: readonly Scene[]): FrameTimes {
  const atSec = ((index + 0.5) * durationOf(scenes)) / FRAMES_COUNT;
  const scene = scenes.findLast((it) => it.startSec <= atSec) ?? scenes[0];
  if (scene === undefined) throw new EngineFailedError("the video has no scenes, expected one");
  const { index: sceneIndex, startSec, endSec } = scene;
  return { atSec, scene: sceneIndex, sceneStartSec: startSec, sceneEndSec: endSec };
}

/** Whole frames and their two crops, all in one pass. Returns how many frames there are. */
async function cutFrames(
  videoFile: string,
  { dir, scenes }: { readonly dir: string; readonly scenes: readonly Scene[] },
): Promise<number> {
  const rate = FRAMES_COUNT / durationOf(scenes);
  const crops = CROPS.map(
    ({ name, from, height }) =>
      `[${name}]crop=iw:ih*${height}:0:ih*${from},scale=${CROP_WIDTH_PX}:-2,format=gray[${name}-out]`,
  );
  const graph = `[0:v]fps=${rate},split=3[whole][top][bottom];${crops.join(";")}`;
  const outputs = ["whole", "top-out", "bottom-out"].flatMap((label) => [
    ...["-map", `[${label}]`, "-frames:v", `${FRAMES_COUNT}`],
    join(dir, `${label.replace("-out", "")}-%02d.png`),
  ]);
  const quiet = ["-hide_banner", "-nostdin", "-loglevel", "error", "-y"];
  await runProgram("ffmpeg", [...quiet, "-i", videoFile, "-filter_complex", graph, ...outputs]);
  return (await readdir(dir)).filter((name) => name.startsWith("whole-")).length;
}

function fileOf(dir: string, name: string, index: number): string {
  return join(dir, `${name}-${String(index + 1).padStart(2, "0")}.png`);
}

async function readAll(frames: readonly FrameTimes[], dir: string): Promise<unknown[]> {
  const texts: unknown[] = [];
  for (const [index, frame] of frames.entries()) {
    const lines: unknown[] = [];
    for (const { name, from, height, region } of CROPS) {
      for (const { text, confidence } of await readCrop(fileOf(dir, name, index))) {
        lines.push({ text, confidence, region, box: { x: 0, y: from, width: 1, height } });
      }
    }
    texts.push({ ...frame, lines });
  }
  return texts;
}

async function readCrop(file: string): Promise<{ text: string; confidence: number }[]> {
  const args = [file, "stdout", "--dpi", "150", "--psm", "6", "tsv"];
  const { stdout } = await runProgram("tesseract", args, { OMP_THREAD_LIMIT: "1" });
  const lines = new Map<string, { words: string[]; sum: number }>();
  for (const row of stdout.toString("utf8").split("\n")) {
    const cells = row.split("\t");
    const word = (cells[11] ?? "").trim();
    const confidence = Number(cells[10]);
    if (cells[0] !== "5" || confidence < WORD_CONFIDENCE_MIN || !/[\p{L}\p{N}]/u.test(word)) {
      continue;
    }
    const key = cells.slice(1, 5).join(".");
    const line = lines.get(key) ?? { words: [], sum: 0 };
    lines.set(key, { words: [...line.words, word], sum: line.sum + confidence });
  }
  return [...lines.values()].map(({ words, sum }) => ({
    text: words.join(" "),
    confidence: sum / words.length / 100,
  }));
}

/** The recogniser's own defaults are what the library calls `accurate`. */
async function hear(videoFile: string, work: Workplace): Promise<unknown> {
  const wav = join(work.dir, "speech.wav");
  const quiet = ["-hide_banner", "-nostdin", "-loglevel", "error", "-y"];
  const form = ["-map", "0:a:0", "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le"];
  const plain = ["-fflags", "+bitexact", "-map_metadata", "-1"];
  await runProgram("ffmpeg", [...quiet, "-i", videoFile, ...form, ...plain, wav]);
  const call = { inputs: { audio: refTo(work, wav) }, knobs: { effort: "accurate" }, work };
  return (await callFunction("recognize-speech", call))["transcript"];
}

async function lookAtAll(frames: readonly FrameTimes[], work: Workplace): Promise<unknown[]> {
  const people: unknown[] = [];
  for (const [index, frame] of frames.entries()) {
    const inputs = {
      frame: { index, ...frame, image: refTo(work, fileOf(work.dir, "whole", index)) },
    };
    const found = await callFunction("detect-people", { inputs, knobs: { width: 640 }, work });
    people.push(found["people"]);
  }
  return people;
}

/** The library's functions take files as references, and ask for their paths. */
function refTo(work: Workplace, path: string): ArtifactRef {
  const artifact = artifactUri(sha256Hex(path));
  work.paths.set(artifact, path);
  return { artifact, bytes: 0, mediaType: "application/octet-stream" };
}

async function callFunction(
  name: string,
  {
    inputs,
    work,
    knobs = {},
  }: Pick<FunctionCall, "inputs"> & {
    readonly work: Workplace;
    readonly knobs?: FunctionCall["knobs"];
  },
): Promise<Readonly<Record<string, unknown>>> {
  const fn = EXECUTOR_FUNCTIONS[name];
  if (fn === undefined) throw new EngineFailedError(`the library has no function "${name}"`);
  return await fn({
    inputs,
    knobs,
    threads: 1,
    scratchDir: work.dir,
    signal: new AbortController().signal,
    openArtifact: async ({ artifact }) => work.paths.get(artifact) ?? "",
    run: async (program, args) => {
      const { stdout, stderr } = await runProgram(program, args);
      return { stdout, stderr, exitCode: 0 };
    },
  });
}

async function runProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ stdout: Buffer; stderr: string }> {
  const child: ChildProcess = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => void stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => void stderr.push(chunk));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const messages = Buffer.concat(stderr).toString("utf8");
  if (exitCode === 0) return { stdout: Buffer.concat(stdout), stderr: messages };
  throw new EngineFailedError(`${program} ended with exit code ${exitCode}, expected 0`, {
    detail: messages.slice(-2_000),
  });
}
