/**
 * Plans of video Q/A by hand: which branches, in which order, with which knobs.
 *
 * Owns:      the shapes that are worth comparing. The optimizer finds its own.
 */
import type { JobPlan, KnobValues, PlannedStep, PlanStage, Source } from "@murakkab/model";

export const EVIDENCE_STEPS = ["scenes", "text", "people", "speech"] as const;
type EvidenceStep = (typeof EVIDENCE_STEPS)[number];

export interface VideoQaPath {
  /** By step; the library's defaults otherwise. */
  readonly knobs?: Readonly<Record<string, KnobValues>>;
  /** Items per attempt of `text` and `people`. Absent: one, alone. */
  readonly batchItems?: number;
  /** Without scenes, frames are taken of the whole video. */
  readonly without?: readonly EvidenceStep[];
  /** Answer without these first; run them only when the draft is less sure than `atLeast`. */
  readonly deferred?: readonly ("people" | "speech")[];
  readonly atLeast?: number;
  /** Speech is recognised only where the draft points to. */
  readonly isFocused?: boolean;
}

const from = (step: string, output: string): Source => ({ kind: "step", step, output });
const input = (name: string): Source => ({ kind: "input", input: name });

export function videoQaPlan(path: VideoQaPath): JobPlan {
  const { without = [], deferred = [] } = path;
  const has = (step: EvidenceStep): boolean => !without.includes(step);
  const evidence: [port: string, step: EvidenceStep, source: Source][] = [
    ["texts", "text", from("text", "text")],
    ["people", "people", from("people", "people")],
    ["transcript", "speech", from("speech", "transcript")],
  ];
  const answerOf = (steps: (step: EvidenceStep) => boolean): Record<string, Source> => ({
    question: input("question"),
    ...Object.fromEntries(
      evidence.flatMap(([port, step, source]) =>
        has(step) && steps(step) ? [[port, source] as const] : [],
      ),
    ),
  });
  const stages: PlanStage[] = [];
  const drafts: PlannedStep[] = [];
  let later = [...deferred];
  for (const step of deferred) {
    const draft = `draft-${stages.length + 1}`;
    const left = later;
    const inputs = answerOf((it) => !(left as readonly string[]).includes(it));
    drafts.push({ ...plain(path, draft, "extractive-answerer"), inputs });
    stages.push({
      ...{ draft, output: "answer", confidencePort: "answer", confidenceField: "confidence" },
      ...{ atLeast: path.atLeast ?? 0.8, deferred: deferredSteps(later, stages.length, deferred) },
    });
    later = later.filter((it) => it !== step);
  }
  return {
    workflow: "video-qa",
    planner: "named",
    inputs: { question: "question", video: "video" },
    steps: inOrder([...evidenceSteps(path, drafts), ...drafts, finalStep(path, answerOf)]),
    output: from("answer", "answer"),
    outputType: "answer",
    notes: [],
    ...(stages.length === 0 ? {} : { stages }),
  };
}

/** Each stage holds back what the stages after it bring, and the answers from that. */
function deferredSteps(
  later: readonly string[],
  index: number,
  deferred: readonly string[],
): string[] {
  const audio = later.includes("speech") ? ["audio"] : [];
  const laterDrafts = deferred.slice(index + 1).map((_, at) => `draft-${index + 2 + at}`);
  return [...audio, ...later, ...laterDrafts, "answer"];
}

function finalStep(
  path: VideoQaPath,
  answerOf: (steps: (step: EvidenceStep) => boolean) => Record<string, Source>,
): PlannedStep {
  return { ...plain(path, "answer", "extractive-answerer"), inputs: answerOf(() => true) };
}

function plain(path: VideoQaPath, step: string, executor: string): PlannedStep {
  const outputs = { answer: "answer", focus: "list<time-span>" };
  const knobs = path.knobs?.[step] ?? {};
  return { step, capability: "question-answering", executor, knobs, inputs: {}, outputs };
}

function evidenceSteps(path: VideoQaPath, drafts: readonly PlannedStep[]): PlannedStep[] {
  const { without = [], batchItems } = path;
  const knobs = (step: string): KnobValues => path.knobs?.[step] ?? {};
  const fanOut = { fanOut: "frame", ...(batchItems === undefined ? {} : { batchItems }) };
  const scenes = without.includes("scenes") ? {} : { scenes: from("scenes", "scenes") };
  const lastDraft = drafts.at(-1);
  const focus =
    path.isFocused === true && lastDraft !== undefined
      ? { focus: from(lastDraft.step, "focus") }
      : {};
  const all: PlannedStep[] = [
    {
      ...{ step: "scenes", capability: "scene-detection", executor: "ffmpeg-scenes" },
      ...{ knobs: knobs("scenes"), inputs: { video: input("video") } },
      outputs: { scenes: "list<scene>" },
    },
    {
      ...{ step: "frames", capability: "frame-extraction", executor: "ffmpeg-frames" },
      ...{ knobs: knobs("frames"), inputs: { video: input("video"), ...scenes } },
      outputs: { frames: "list<frame>" },
    },
    {
      ...{ step: "audio", capability: "audio-extraction", executor: "ffmpeg-audio" },
      ...{ knobs: {}, inputs: { video: input("video") }, outputs: { audio: "audio" } },
    },
    {
      ...{ step: "speech", capability: "speech-to-text", executor: "pocketsphinx-speech" },
      ...{ knobs: knobs("speech"), inputs: { audio: from("audio", "audio"), ...focus } },
      outputs: { transcript: "transcript" },
    },
    {
      ...{ step: "text", capability: "text-detection", executor: "tesseract-text" },
      ...{ knobs: knobs("text"), inputs: { frame: from("frames", "frames") } },
      ...{ outputs: { text: "list<screen-text>" }, ...fanOut },
    },
    {
      ...{ step: "people", capability: "person-detection", executor: "sharp-people" },
      ...{ knobs: knobs("people"), inputs: { frame: from("frames", "frames") } },
      ...{ outputs: { people: "list<scene-people>" }, ...fanOut },
    },
  ];
  const isBlind = without.includes("text") && without.includes("people");
  const left = new Set<string>([
    ...without,
    ...(without.includes("speech") ? ["audio"] : []),
    ...(isBlind ? ["scenes", "frames"] : []),
  ]);
  return all.filter(({ step }) => !left.has(step));
}

/** Every step after its sources. */
function inOrder(steps: readonly PlannedStep[]): PlannedStep[] {
  const sorted: PlannedStep[] = [];
  const waiting = [...steps];
  while (waiting.length > 0) {
    const at = waiting.findIndex(({ inputs }) =>
      Object.values(inputs).every(
        (source) => source.kind === "input" || sorted.some((it) => it.step === source.step),
      ),
    );
    if (at < 0) throw new RangeError("the steps form a cycle");
    sorted.push(...waiting.splice(at, 1));
  }
  return sorted;
}
