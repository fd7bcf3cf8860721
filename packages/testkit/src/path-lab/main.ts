/**
 * The command: `node packages/testkit/dist/path-lab/main.js QUESTIONS.yaml VIDEO.mp4 ...`.
 *
 * Prints, for paths of video Q/A that are worth comparing, the share of right answers, mean CPU
 * seconds and mean latency on two cores of a question alone.
 */
import { basename } from "node:path";
import { CATALOGUE_DIR, loadLibrary, questionFileSchema } from "@murakkab/library";
import { readYamlFile } from "../make-video/read-yaml-file.ts";
import { evaluatePath, type PathFigures, type QuestionSet } from "./evaluate-path.ts";
import { ExecutorLab } from "./executor-lab.ts";
import { type VideoQaPath, videoQaPlan } from "./video-qa-plan.ts";

const USAGE = "usage: path-lab QUESTIONS.yaml VIDEO.mp4 [QUESTIONS.yaml VIDEO.mp4 ...]";
const CORES = 2;

const FOCUSED: VideoQaPath = {
  batchItems: 64,
  deferred: ["speech"],
  atLeast: 0.55,
  isFocused: true,
};
const TWO_DRAFTS: VideoQaPath = { ...FOCUSED, deferred: ["people", "speech"] };

const PATHS: Readonly<Record<string, VideoQaPath>> = {
  "defaults, frames one by one": {},
  "defaults, frames in batches": { batchItems: 64 },
  "no speech": { batchItems: 64, without: ["speech"] },
  "draft without speech": { batchItems: 64, deferred: ["speech"], atLeast: 0.55 },
  "draft, focus": FOCUSED,
  "draft sure at 0.7, focus": { ...FOCUSED, atLeast: 0.7 },
  "draft sure at 0.9, focus": { ...FOCUSED, atLeast: 0.9 },
  "two drafts, focus": TWO_DRAFTS,
  "two drafts, focus, persons at 320": { ...TWO_DRAFTS, knobs: { people: { width: 320 } } },
  "two drafts, focus, text at 480": { ...TWO_DRAFTS, knobs: { text: { width: 480 } } },
  "two drafts, focus, 6 frames": { ...TWO_DRAFTS, knobs: { frames: { frameCount: 6 } } },
  "two drafts, focus, fast speech": { ...TWO_DRAFTS, knobs: { speech: { effort: "fast" } } },
};

function format({ accuracy, cpuSec, latencyMs, earlyRatio }: PathFigures): string {
  const right = `${(100 * accuracy).toFixed(1)} %`;
  const early = `${(100 * earlyRatio).toFixed(0)} % early`;
  return `${right}, ${cpuSec.toFixed(2)} CPU s, ${(latencyMs / 1000).toFixed(2)} s, ${early}`;
}

async function readSets(args: readonly string[]): Promise<QuestionSet[]> {
  const sets: QuestionSet[] = [];
  for (let at = 0; at < args.length; at += 2) {
    const [questionsFile = "", videoFile = ""] = args.slice(at, at + 2);
    const { questions } = await readYamlFile(questionsFile, questionFileSchema);
    sets.push({ name: basename(videoFile, ".mp4"), videoFile, questions });
  }
  return sets;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args.length % 2 !== 0) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const sets = await readSets(args);
  const lab = await ExecutorLab.open(loadLibrary([CATALOGUE_DIR]));
  try {
    for (const [name, path] of Object.entries(PATHS)) {
      process.stdout.write(`${name}\n`);
      for (const set of sets) {
        const plan = videoQaPlan(path);
        const figures = await evaluatePath({ lab, set, plan: () => plan, cores: CORES });
        process.stdout.write(`  ${set.name}: ${format(figures)}\n`);
      }
    }
  } finally {
    await lab.close();
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
