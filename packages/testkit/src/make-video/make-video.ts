/**
 * A scene file in, a narrated video out.
 *
 * Owns:      the order of the work and its temporary directory.
 *
 * Invariants:
 *   V1. The temporary directory is gone when `makeVideo` ends, however it ends.
 *   V2. `outFile` appears whole or not at all: it is copied there only once it is complete.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encodeVideo } from "./encode-video.ts";
import { MakeVideoError } from "./make-video-error.ts";
import { narrate, type SpokenSentence } from "./narrate.ts";
import { readYamlFile } from "./read-yaml-file.ts";
import { requireFont } from "./render-picture.ts";
import { sceneFileSchema } from "./scene-schema.ts";

export interface MakeVideoOptions {
  /** Stops the work and the programs it started; default: nothing stops it. */
  readonly signal?: AbortSignal;
}

export interface VideoScene {
  readonly id: string;
  readonly startSec: number;
  readonly endSec: number;
  readonly sentences: readonly SpokenSentence[];
}

export interface VideoReport {
  readonly title: string;
  readonly durationSec: number;
  readonly frameCount: number;
  readonly scenes: readonly VideoScene[];
}

/**
 * Draws, speaks and encodes what `scenesFile` describes into `outFile` (MP4).
 *
 * Errors: `MakeVideoError` in one sentence; the signal's reason when aborted.
 * Cost:   about 20 ms of one core per frame.
 */
export async function makeVideo(
  scenesFile: string,
  outFile: string,
  options: MakeVideoOptions = {},
): Promise<VideoReport> {
  const signal = options.signal ?? new AbortController().signal;
  const file = await readYamlFile(scenesFile, sceneFileSchema);
  await requireFont();
  const [width = 0, height = 0] = file.size.split("x").map(Number);
  const workDir = await mkdtemp(join(tmpdir(), "make-video-"));
  try {
    const narration = await narrate(file, workDir, signal);
    const wholeFile = join(workDir, "video.mp4");
    await encodeVideo(narration, {
      title: file.title,
      fps: file.fps,
      width,
      height,
      workDir,
      outFile: wholeFile,
      signal,
    });
    await copyOut(wholeFile, outFile);
    const { scenes } = narration;
    return {
      title: file.title,
      durationSec: scenes.at(-1)?.endSec ?? 0,
      frameCount: scenes.reduce((sum, scene) => sum + scene.frameCount, 0),
      scenes: scenes.map(({ scene, startSec, endSec, sentences }) => ({
        id: scene.id,
        startSec,
        endSec,
        sentences,
      })),
    };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function copyOut(from: string, outFile: string): Promise<void> {
  try {
    await copyFile(from, outFile);
  } catch (err) {
    throw new MakeVideoError(
      `${outFile}: cannot be written; expected ${dirname(outFile)} to exist and be writable`,
      { cause: err },
    );
  }
}
