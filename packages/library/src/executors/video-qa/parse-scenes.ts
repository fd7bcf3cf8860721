/**
 * What ffmpeg prints about a video, to a list of scenes.
 *
 * Reads:     on stdout the frames that `metadata=print` reports, on stderr the duration and the
 *            streams.
 *
 * Invariants:
 *   S1. Scenes follow one another without gaps, from 0 to the end of the video.
 *   S2. No scene is shorter than `SCENE_SEC_MIN`, unless the whole video is.
 */
import { EngineFailedError } from "@murakkab/kit";
import type { OutputParser } from "../../function-executor.ts";
import type { Scene } from "./values.ts";

/** A flash or a fade reports several cuts in a row: nobody takes half a second for a scene. */
const SCENE_SEC_MIN = 0.5;
/** A strobing video must not become thousands of steps; later cuts are then ignored. */
export const SCENES_COUNT_MAX = 500;

/** Errors: EngineFailedError when the file has no pictures or none could be decoded. */
export const parseScenes: OutputParser = ({ stdout, stderr }) => {
  if (!/Stream #\S+.*: Video:/.test(stderr)) {
    throw new EngineFailedError("the video has no pictures, expected a file with a video stream");
  }
  const durationSec = readDurationSec(stderr);
  if (durationSec === undefined) {
    throw new EngineFailedError(
      "the video has no readable pictures, expected at least one frame that can be decoded",
    );
  }
  const cutsSec = [...stdout.matchAll(/pts_time:\s*(-?\d+(?:\.\d+)?)/g)].map((it) => Number(it[1]));
  return { scenes: toScenes(cutsSec, durationSec) };
};

export function toScenes(cutsSec: readonly number[], durationSec: number): Scene[] {
  const starts = [0];
  for (const cutSec of [...cutsSec].sort((a, b) => a - b)) {
    const isTooEarly = cutSec - (starts.at(-1) ?? 0) < SCENE_SEC_MIN;
    const isTooLate = durationSec - cutSec < SCENE_SEC_MIN;
    if (!isTooEarly && !isTooLate && starts.length < SCENES_COUNT_MAX) starts.push(cutSec);
  }
  return starts.map((startSec, index) => ({
    index,
    startSec: roundMs(startSec),
    endSec: roundMs(starts[index + 1] ?? durationSec),
  }));
}

/**
 * Length of the video in seconds: what the file claims, or what could be decoded of a damaged one.
 */
export function readDurationSec(stderr: string): number | undefined {
  const decoded = [...stderr.matchAll(/time=(\d+:\d+:\d+(?:\.\d+)?)/g)].at(-1)?.[1];
  const claimed = /Duration: (\d+:\d+:\d+(?:\.\d+)?)/.exec(stderr)?.[1];
  // A truncated file still claims its old length.
  const isDamaged = /partial file|error while decoding|invalid data|corrupt/i.test(stderr);
  const clock = isDamaged ? (decoded ?? claimed) : (claimed ?? decoded);
  const durationSec = clock?.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return durationSec !== undefined && durationSec > 0 ? durationSec : undefined;
}

function roundMs(sec: number): number {
  return Math.round(sec * 1000) / 1000;
}
