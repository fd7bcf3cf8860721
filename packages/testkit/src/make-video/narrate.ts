/**
 * The spoken track.
 *
 * Owns:      speech (flite), the pauses, and from them how long each scene lasts.
 *
 * Invariants:
 *   N1. A scene lasts a whole number of frames, and its sound is exactly as long as its picture.
 *   N2. A scene is never shorter than its `minSec`, nor than its narration and the pause after it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MakeVideoError } from "./make-video-error.ts";
import { runProgram } from "./run-program.ts";
import type { Scene, SceneFile } from "./scene-schema.ts";

/** The rate of the flite voices slt, rms and awb; no resampling is needed. */
export const SAMPLE_RATE_HZ = 16_000;
const BYTES_PER_SAMPLE = 2;
/** A breath before the first word, so that the cut does not clip it. */
const LEAD_SEC = 0.35;
/** Long enough for a listener, human or not, to hear where a sentence ends. */
const BETWEEN_SENTENCES_SEC = 0.45;

export interface SpokenSentence {
  readonly text: string;
  readonly startSec: number;
  readonly endSec: number;
}

export interface TimedScene {
  readonly scene: Scene;
  readonly frameCount: number;
  readonly startSec: number;
  readonly endSec: number;
  readonly sentences: readonly SpokenSentence[];
}

export interface Narration {
  readonly scenes: readonly TimedScene[];
  /** Raw samples: signed 16 bit, little-endian, one channel. */
  readonly samples: Buffer;
}

/** Speaks all scenes in order. `workDir` takes the sound files in between. */
export async function narrate(
  file: SceneFile,
  workDir: string,
  signal: AbortSignal,
): Promise<Narration> {
  const timed: TimedScene[] = [];
  const tracks: Buffer[] = [];
  let startFrame = 0;
  for (const scene of file.scenes) {
    const startSec = startFrame / file.fps;
    const pieces: Buffer[] = [silence(LEAD_SEC)];
    const sentences: SpokenSentence[] = [];
    for (const [index, sentence] of scene.say.entries()) {
      if (index > 0) pieces.push(silence(BETWEEN_SENTENCES_SEC));
      const spoken = await speak(sentence, { voice: file.voice, workDir, signal });
      const beginSec = startSec + lengthSec(pieces);
      pieces.push(spoken);
      sentences.push({ text: sentence, startSec: beginSec, endSec: startSec + lengthSec(pieces) });
    }
    const neededSec = Math.max(scene.minSec, lengthSec(pieces) + file.pauseSec);
    const frameCount = Math.ceil(neededSec * file.fps);
    const track = Buffer.concat(pieces);
    const trackBytes = Math.round((frameCount / file.fps) * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE;
    tracks.push(track, Buffer.alloc(trackBytes - track.length));
    startFrame += frameCount;
    timed.push({ scene, frameCount, startSec, endSec: startFrame / file.fps, sentences });
  }
  return { scenes: timed, samples: Buffer.concat(tracks) };
}

function lengthSec(pieces: readonly Buffer[]): number {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return bytes / BYTES_PER_SAMPLE / SAMPLE_RATE_HZ;
}

function silence(durationSec: number): Buffer {
  return Buffer.alloc(Math.round(durationSec * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE);
}

async function speak(
  sentence: string,
  options: { readonly voice: string; readonly workDir: string; readonly signal: AbortSignal },
): Promise<Buffer> {
  const wavFile = join(options.workDir, "sentence.wav");
  await runProgram({
    program: "flite",
    args: ["-voice", options.voice, "-t", sentence, "-o", wavFile],
    packageName: "flite",
    signal: options.signal,
  });
  return readSamples(await readFile(wavFile));
}

/** The samples in a WAV file as flite writes it: chunks after a 12 byte head. */
function readSamples(wav: Buffer): Buffer {
  let at = 12;
  while (at + 8 <= wav.length) {
    const chunkBytes = wav.readUInt32LE(at + 4);
    const name = wav.toString("latin1", at, at + 4);
    if (name === "fmt " && wav.readUInt32LE(at + 12) !== SAMPLE_RATE_HZ) break;
    if (name === "data") return wav.subarray(at + 8, at + 8 + chunkBytes);
    at += 8 + chunkBytes;
  }
  throw new MakeVideoError(`flite wrote sound of another kind than ${SAMPLE_RATE_HZ} Hz WAV`);
}
