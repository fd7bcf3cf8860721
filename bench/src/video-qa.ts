/** Accuracy of the shipped executors over the labelled questions about a video. */
import { questionFileSchema, readYamlFile, scoreAnswer } from "@murakkab/testkit/make-video";
import { ROOT, SAMPLE_VIDEO, natsServerVersion, runJob, withCluster } from "./demo-cluster.ts";
import { type Bench, bounded, describeMachine, median, round } from "./report.ts";

const QUESTIONS = `${ROOT}examples/video-qa/questions.yaml`;

interface Asked {
  readonly kind: string;
  readonly isRight: boolean;
  readonly latencyMs: number;
  readonly cpuSec: number;
}

export const videoQaBench: Bench = {
  method:
    "every labelled question as a job of its own through scheduler, agents and workers; right = scoreAnswer of the question file",
  run: (context) =>
    withCluster(context, async (cluster) => {
      const { questions } = await readYamlFile(QUESTIONS, questionFileSchema);
      const video = await cluster.client.upload(SAMPLE_VIDEO);
      const asked: Asked[] = [];
      for (const entry of questions) {
        const { receipt } = await runJob(cluster, { description: entry.question, inputs: [video.artifact] });
        const answer = receipt.answer ?? "";
        const isRight = scoreAnswer(entry, answer, receipt.evidence[0]?.atSec ?? undefined);
        const cpuSec = receipt.steps.reduce((sum, step) => sum + (step.cpuSec ?? 0), 0);
        asked.push({ kind: entry.kind, isRight, latencyMs: receipt.latencyMs, cpuSec });
        if (!isRight) {
          const expected = "answers" in entry ? entry.answers.join(" or ") : entry.answerable ? "a time" : "not found";
          context.say(`wrong: ${entry.question} -> ${answer} (expected ${expected})`);
        }
      }
      const rightCount = asked.filter((it) => it.isRight).length;
      const kinds = [...new Set(asked.map((it) => it.kind))].sort();
      return {
        name: "video-qa",
        machine: describeMachine(natsServerVersion(cluster)),
        settings: { video: "examples/video-qa/road_trip.mp4", knobs: "library defaults", agents: 2 },
        figures: [
          bounded({ key: "accuracy", value: round(rightCount / asked.length, 3), unit: "0-1" }, { atLeast: 0.85 }),
          { key: "questions", value: asked.length, unit: "count" },
          { key: "latencyMsP50", value: round(median(asked.map((it) => it.latencyMs)), 1), unit: "ms" },
          { key: "cpuSecPerQuestion", value: round(median(asked.map((it) => it.cpuSec)), 2), unit: "s" },
          ...kinds.map((kind) => {
            const of = asked.filter((it) => it.kind === kind);
            const right = of.filter((it) => it.isRight).length;
            return { key: `accuracy:${kind}`, value: round(right / of.length, 3), unit: "0-1", note: `${right} of ${of.length}` };
          }),
        ],
      };
    }),
};
