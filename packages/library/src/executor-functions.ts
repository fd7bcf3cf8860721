/**
 * The code behind the catalogue: functions and output parsers by the names that executor files use.
 *
 * Owns:      the tables. Functions are loaded on their first call: a worker runs one executor and
 *            must not wait for the image library of another.
 */

import { parseJson } from "./executors/parse-json.ts";
import { parseScenes } from "./executors/video-qa/parse-scenes.ts";
import type { ExecutorFunction, OutputParser } from "./function-executor.ts";

export const EXECUTOR_FUNCTIONS: Readonly<Record<string, ExecutorFunction>> = {
  "extract-frames": async (call) =>
    (await import("./executors/video-qa/extract-frames.ts")).extractFrames(call),
  "extract-audio": async (call) =>
    (await import("./executors/video-qa/extract-audio.ts")).extractAudio(call),
  "recognize-speech": async (call) =>
    (await import("./executors/video-qa/recognize-speech.ts")).recognizeSpeech(call),
  "read-text": async (call) => (await import("./executors/video-qa/read-text.ts")).readText(call),
  "detect-people": async (call) =>
    (await import("./executors/video-qa/detect-people.ts")).detectPeople(call),
  "answer-from-evidence": async (call) =>
    (await import("./executors/video-qa/answer-from-evidence.ts")).answerFromEvidence(call),
  pass: async (call) => (await import("./executors/pass.ts")).pass(call),
  "chaos-split": async (call) =>
    (await import("./executors/chaos/chaos-steps.ts")).chaosSplit(call),
  "chaos-make": async (call) => (await import("./executors/chaos/chaos-steps.ts")).chaosMake(call),
  "chaos-use": async (call) => (await import("./executors/chaos/chaos-steps.ts")).chaosUse(call),
  "chaos-task": async (call) => (await import("./executors/chaos/chaos-steps.ts")).chaosTask(call),
};

export const OUTPUT_PARSERS: Readonly<Record<string, OutputParser>> = {
  json: parseJson,
  "ffmpeg-scenes": parseScenes,
};
