/**
 * Speech to words with pocketsphinx.
 *
 * Owns:      the effort ladder and the conversion of sound that the recogniser cannot read.
 *            With a focus only those stretches are heard; an empty one means all.
 */
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InvalidArgumentError } from "@murakkab/kit";
import { isArtifactRef } from "@murakkab/model";
import { z } from "zod";
import type { ExecutorFunction, FunctionCall } from "../../function-executor.ts";
import { cutSpeech, mapBack, WAV_HEAD_BYTES } from "./cut-speech.ts";
import { convertToSpeechWav } from "./extract-audio.ts";
import { parseSpeech } from "./parse-speech.ts";
import { spotWords } from "./spot-words.ts";
import { focusSpanSchema, readOptionalInput, type Transcript } from "./values.ts";

/**
 * Measured on four videos, 210 s of narration by four voices (CPU seconds, mean word error rate):
 * fast 11.2, 0.32; balanced 13.3, 0.17; accurate 27.4, 0.15. One code instead of two (topn 1) takes
 * 11.2 and 0.19; without bestpath it is 12.7 and 0.23; every second frame (ds 2) 11.0 and 0.22; fewer
 * states (maxhmmpf 1000) 10.7 and 0.21. Beams wider than the default burn time and find nothing more.
 */
const EFFORT_ARGS = {
  fast: [
    ...["-ds", "3", "-topn", "2", "-maxwpf", "5", "-maxhmmpf", "3000"],
    ...["-fwdflat", "no", "-bestpath", "no"],
  ],
  balanced: ["-topn", "2", "-maxwpf", "5", "-maxhmmpf", "2000", "-fwdflat", "no"],
  accurate: [],
} as const;

export const recognizeSpeech: ExecutorFunction = async (call) => {
  const { audio } = call.inputs;
  if (!isArtifactRef(audio)) {
    throw new InvalidArgumentError("input audio is not valid: expected an artifact reference");
  }
  const focus = readOptionalInput(z.array(focusSpanSchema), "focus", call.inputs["focus"]) ?? [];
  const given = await call.openArtifact(audio);
  const path = (await isSpeechWav(given))
    ? given
    : join(call.scratchDir, await convertToSpeechWav(call, given, "audio file"));
  const spans = await spotWords(call, path, focus);
  const cut = spans.length === 0 ? null : cutSpeech(await readFile(path), spans);
  if (cut === null) return { transcript: await recognize(call, path) };
  const cutPath = join(call.scratchDir, "focus.wav");
  await writeFile(cutPath, cut.wav);
  return { transcript: mapBack(await recognize(call, cutPath), cut.pieces) };
};

async function recognize(call: FunctionCall, path: string): Promise<Transcript> {
  const effort = String(call.knobs["effort"]);
  if (!Object.hasOwn(EFFORT_ARGS, effort)) {
    const known = Object.keys(EFFORT_ARGS).join(", ");
    throw new InvalidArgumentError(`knob effort has value "${effort}", expected one of ${known}`);
  }
  const { stdout } = await call.run("pocketsphinx_continuous", [
    ...["-infile", path, "-logfn", "/dev/null", "-time", "yes"],
    ...EFFORT_ARGS[effort as keyof typeof EFFORT_ARGS],
  ]);
  return parseSpeech(Buffer.from(stdout).toString("utf8"));
}

/**
 * Whether the file is a WAV of 16 kHz, 16 bit, one channel with the plain 44 byte head.
 *
 * The recogniser skips 44 bytes and takes the rest for samples, whatever they are: a file with
 * more chunks is converted too, or its head would be heard as noise.
 */
async function isSpeechWav(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(WAV_HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (bytesRead < head.length) return false;
    return (
      head.toString("latin1", 0, 4) === "RIFF" &&
      head.toString("latin1", 8, 16) === "WAVEfmt " &&
      head.readUInt16LE(20) === 1 &&
      head.readUInt16LE(22) === 1 &&
      head.readUInt32LE(24) === 16_000 &&
      head.readUInt16LE(34) === 16 &&
      head.toString("latin1", 36, 40) === "data"
    );
  } finally {
    await file.close();
  }
}
