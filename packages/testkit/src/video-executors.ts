import type { ExecutorEntry } from "@murakkab/model";
import { buildExecutor } from "./executor-builder.ts";

/** The shape of the shipped video library, without its programs. */
export function videoExecutors(): ExecutorEntry[] {
  return [
    buildExecutor(
      "scenes",
      "scene-detection",
      { inputs: { video: "video" }, outputs: { scenes: "list<scene>" } },
      { keywords: ["scenes", "cuts"] },
    ),
    buildExecutor(
      "frames",
      "frame-extraction",
      { inputs: { video: "video", scenes: "list<scene>?" }, outputs: { frames: "list<frame>" } },
      { keywords: ["frames"] },
    ),
    buildExecutor("audio", "audio-extraction", {
      inputs: { video: "video" },
      outputs: { audio: "audio" },
    }),
    buildExecutor(
      "speech",
      "speech-to-text",
      { inputs: { audio: "audio" }, outputs: { transcript: "transcript" } },
      {
        keywords: ["transcribe", "transcript"],
        programs: ["pocketsphinx"],
        missingMeans: "what is said is not heard",
      },
    ),
    buildExecutor(
      "text",
      "text-detection",
      { inputs: { frame: "frame" }, outputs: { text: "screen-text" } },
      { programs: ["tesseract"], keywords: ["read the text"] },
    ),
    buildExecutor("people", "person-detection", {
      inputs: { frame: "frame" },
      outputs: { people: "scene-people" },
    }),
    buildExecutor(
      "answer",
      "question-answering",
      {
        inputs: {
          question: "question",
          transcript: "transcript?",
          texts: "list<screen-text>?",
          people: "list<scene-people>?",
        },
        outputs: { answer: "answer" },
      },
      { knobs: { effort: { description: "how hard", values: ["low", "high"], default: "low" } } },
    ),
  ];
}

export function allAvailable(
  executors: readonly ExecutorEntry[],
  missing: Record<string, string> = {},
) {
  return new Map(executors.map((entry) => [entry.id, missing[entry.id] ?? null]));
}
