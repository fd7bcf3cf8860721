/** Accuracy of the shipped executors over the labelled questions about a video. */
import type { Cluster } from "@murakkab/cli/cluster";
import {
  type QuestionEntry,
  questionFileSchema,
  readYamlFile,
  scoreAnswer,
} from "@murakkab/testkit/make-video";
import { natsServerVersion, ROOT, runJob, SAMPLE_VIDEO, withCluster } from "./demo-cluster.ts";
import { type Bench, bounded, describeMachine, median, round } from "./report.ts";

const QUESTIONS = `${ROOT}examples/video-qa/questions.yaml`;
/** Asked one after the other, for the latency of a job alone on the fleet. */
const ALONE_COUNT = 4;
/** The others are asked this many at a time, which keeps both cores busy. */
const TOGETHER_COUNT = 3;
/** Without --long every third question is left out: all 61 take more than five minutes here. */
const LEFT_OUT_EVERY = 3;

interface Asked {
  readonly kind: string;
  readonly isRight: boolean;
  readonly latencyMs: number;
  readonly cpuSec: number;
}

export const videoQaBench: Bench = {
  method: `labelled questions (two of three, all with --long), each as a job of its own through scheduler, agents and workers; right = scoreAnswer of the question file; latency from ${ALONE_COUNT} jobs alone on a warm fleet, the others run ${TOGETHER_COUNT} at a time (all alone with --long)`,
  run: (context) =>
    withCluster(context, async (cluster) => {
      const file = await readYamlFile(QUESTIONS, questionFileSchema);
      const questions = file.questions.filter(
        (_entry, index) => context.isLong || index % LEFT_OUT_EVERY !== LEFT_OUT_EVERY - 1,
      );
      const video = (await cluster.client.upload(SAMPLE_VIDEO)).artifact;
      const ask = (entry: QuestionEntry): Promise<Asked> =>
        askOne(cluster, { entry, video, say: context.say });
      const aloneCount = context.isLong ? questions.length : ALONE_COUNT + 1;
      const alone: Asked[] = [];
      for (const entry of questions.slice(0, aloneCount)) alone.push(await ask(entry));
      const together = await askTogether(questions.slice(aloneCount), ask);
      const asked = [...alone, ...together];
      const rightCount = asked.filter((it) => it.isRight).length;
      // The first job starts the model workers: it tells nothing of a warm fleet's latency.
      const latencies = alone.slice(1).map((it) => it.latencyMs);
      return {
        name: "video-qa",
        machine: describeMachine(natsServerVersion(cluster)),
        settings: {
          video: "examples/video-qa/road_trip.mp4",
          knobs: "library defaults",
          agents: 2,
          alone: alone.length,
          together: TOGETHER_COUNT,
        },
        figures: [
          bounded(
            { key: "accuracy", value: round(rightCount / asked.length, 3), unit: "0-1" },
            { atLeast: 0.85 },
          ),
          {
            key: "questions",
            value: asked.length,
            unit: "count",
            note: `of ${file.questions.length} in the file; --long asks all of them`,
          },
          { key: "latencyMsP50", value: round(median(latencies), 1), unit: "ms" },
          {
            key: "cpuSecPerQuestion",
            value: round(median(asked.map((it) => it.cpuSec)), 2),
            unit: "s",
          },
          ...figuresByKind(asked),
        ],
      };
    }),
};

async function askOne(
  cluster: Cluster,
  { entry, video, say }: { entry: QuestionEntry; video: string; say: (line: string) => void },
): Promise<Asked> {
  const { receipt } = await runJob(cluster, { description: entry.question, inputs: [video] });
  const answer = receipt.answer ?? `(${receipt.state})`;
  const isRight = scoreAnswer(entry, answer, receipt.evidence[0]?.atSec ?? undefined);
  if (!isRight) {
    const expected =
      "answers" in entry ? entry.answers.join(" or ") : entry.answerable ? "a time" : "not found";
    say(`wrong: ${entry.question} -> ${answer} (expected ${expected})`);
  }
  const cpuSec = receipt.steps.reduce((sum, step) => sum + (step.cpuSec ?? 0), 0);
  return { kind: entry.kind, isRight, latencyMs: receipt.latencyMs, cpuSec };
}

async function askTogether(
  questions: readonly QuestionEntry[],
  ask: (entry: QuestionEntry) => Promise<Asked>,
): Promise<Asked[]> {
  const waiting = [...questions];
  const asked: Asked[] = [];
  const askInTurn = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
      asked.push(await ask(entry));
    }
  };
  await Promise.all(Array.from({ length: TOGETHER_COUNT }, askInTurn));
  return asked;
}

function figuresByKind(asked: readonly Asked[]) {
  return [...new Set(asked.map((it) => it.kind))].sort().map((kind) => {
    const of = asked.filter((it) => it.kind === kind);
    const right = of.filter((it) => it.isRight).length;
    const note = `${right} of ${of.length}`;
    return { key: `accuracy:${kind}`, value: round(right / of.length, 3), unit: "0-1", note };
  });
}
