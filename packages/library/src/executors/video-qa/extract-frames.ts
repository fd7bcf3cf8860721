/**
 * Still pictures of a video, at chosen moments.
 *
 * Owns:      the choice between seeking to each moment and one pass over the whole video.
 *
 * Invariants:
 *   F1. Every frame returned has a picture; moments past the end of a damaged video are left out.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineFailedError, InvalidArgumentError } from "@murakkab/kit";
import { isArtifactRef } from "@murakkab/model";
import { z } from "zod";
import type { ExecutorFunction, FunctionCall, OutputFile } from "../../function-executor.ts";
import { type Moment, pickMoments } from "./pick-moments.ts";
import { probeDurationSec, runFfmpeg } from "./run-ffmpeg.ts";
import { type Frame, readOptionalInput, type Scene, sceneSchema } from "./values.ts";

/**
 * Seconds of video that decode in the time of one seek, measured at 640x360: 18 seeks take as
 * long as one pass over 44 s.
 */
const DECODED_SEC_PER_SEEK = 2.4;
/** Inputs in one process: each holds a decoder of some 10 MiB. */
const SEEKS_PER_PROCESS = 16;
/** Packing harder takes a tenth of the time of the whole step and saves a sixth of the bytes. */
const PNG_ARGS = ["-compression_level", "1"] as const;
const NO_PICTURES = "the video has no pictures, expected a file with a video stream";

type FrameOutput = Omit<Frame, "image"> & { readonly image: OutputFile };

export const extractFrames: ExecutorFunction = async (call) => {
  const { video } = call.inputs;
  if (!isArtifactRef(video)) {
    throw new InvalidArgumentError("input video is not valid: expected an artifact reference");
  }
  const path = await call.openArtifact(video);
  const given = readOptionalInput(z.array(sceneSchema), "scenes", call.inputs["scenes"]);
  const scenes = given?.length ? given : await wholeVideo(call, path);
  const moments = pickMoments(scenes, {
    frameCount: Number(call.knobs["frameCount"]),
    at: call.knobs["at"] === "uniform" ? "uniform" : "scene-midpoints",
  });
  const lengthSec = scenes.at(-1)?.endSec ?? 0;
  const job = { path, moments, width: Number(call.knobs["width"]) };
  const isSeeking = moments.length * DECODED_SEC_PER_SEEK < lengthSec;
  const files = isSeeking ? await seekFrames(call, job) : await passFrames(call, job);
  const frames = moments.flatMap((moment, index) => toFrame(moment, index, files));
  if (frames.length > 0) return { frames };
  throw new EngineFailedError(
    "the video has no readable pictures, expected at least one frame that can be decoded",
  );
};

async function wholeVideo(call: FunctionCall, path: string): Promise<Scene[]> {
  return [{ index: 0, startSec: 0, endSec: await probeDurationSec(call, path) }];
}

interface FramesJob {
  readonly path: string;
  readonly moments: readonly Moment[];
  readonly width: number;
}

/** Never enlarges: letters gain nothing. Even sides, because some encoders need them. */
function scaleTo(width: number): string {
  return `scale='min(${width},iw)':-2`;
}

async function seekFrames(call: FunctionCall, job: FramesJob): Promise<Set<string>> {
  for (let first = 0; first < job.moments.length; first += SEEKS_PER_PROCESS) {
    const batch = job.moments.slice(first, first + SEEKS_PER_PROCESS);
    const inputs = batch.flatMap((it) => [
      ...["-threads", `${call.threads}`, "-ss", it.atSec.toFixed(3), "-i", job.path],
    ]);
    const outputs = batch.flatMap((_, index) => [
      ...["-map", `${index}:v:0`, "-frames:v", "1", "-vf", scaleTo(job.width)],
      ...[...PNG_ARGS, "-threads", "1", join(call.scratchDir, fileName(first + index))],
    ]);
    await runFfmpeg(call, [...inputs, ...outputs], NO_PICTURES);
  }
  return new Set(await readdir(call.scratchDir));
}

async function passFrames(call: FunctionCall, job: FramesJob): Promise<Set<string>> {
  const wanted = job.moments.map(({ atSec }) => `gte(t,${atSec})*not(gte(prev_t,${atSec}))`);
  const select = `select='${wanted.join("+")}'`;
  await runFfmpeg(
    call,
    [
      ...["-threads", `${call.threads}`, "-i", job.path, "-map", "0:v:0"],
      ...["-vf", `${select},${scaleTo(job.width)}`, "-vsync", "vfr", "-start_number", "0"],
      ...[...PNG_ARGS, "-threads", "1", join(call.scratchDir, "frame-%04d.png")],
    ],
    NO_PICTURES,
  );
  return new Set(await readdir(call.scratchDir));
}

function fileName(index: number): string {
  return `frame-${String(index).padStart(4, "0")}.png`;
}

function toFrame(moment: Moment, index: number, files: ReadonlySet<string>): FrameOutput[] {
  if (!files.has(fileName(index))) return [];
  const { scene, atSec } = moment;
  return [
    {
      index,
      atSec,
      scene: scene.index,
      sceneStartSec: scene.startSec,
      sceneEndSec: scene.endSec,
      image: { outputFile: fileName(index), mediaType: "image/png" },
    },
  ];
}
