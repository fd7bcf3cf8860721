/**
 * The sound of a video as the speech recogniser wants it: 16 kHz, one channel, WAV.
 */

import { join } from "node:path";
import { InvalidArgumentError } from "@murakkab/kit";
import { isArtifactRef } from "@murakkab/model";
import type { ExecutorFunction, FunctionCall } from "../../function-executor.ts";
import { runFfmpeg } from "./run-ffmpeg.ts";

/** What the recogniser's model was trained on; more holds nothing that it can use. */
const SAMPLE_RATE_HZ = 16_000;

export const extractAudio: ExecutorFunction = async (call) => {
  const { video } = call.inputs;
  if (!isArtifactRef(video)) {
    throw new InvalidArgumentError("input video is not valid: expected an artifact reference");
  }
  const fileName = await convertToSpeechWav(call, await call.openArtifact(video), "video");
  return { audio: { outputFile: fileName, mediaType: "audio/wav" } };
};

/** Writes the file's first sound stream below the scratch directory; returns its name there. */
export async function convertToSpeechWav(
  call: FunctionCall,
  path: string,
  what: "video" | "audio file",
): Promise<string> {
  const fileName = "speech.wav";
  await runFfmpeg(
    call,
    [
      ...["-i", path, "-map", "0:a:0", "-ac", "1", "-ar", `${SAMPLE_RATE_HZ}`],
      ...["-c:a", "pcm_s16le", "-fflags", "+bitexact", "-map_metadata", "-1"],
      join(call.scratchDir, fileName),
    ],
    `the ${what} has no sound, expected a file with an audio stream`,
  );
  return fileName;
}
