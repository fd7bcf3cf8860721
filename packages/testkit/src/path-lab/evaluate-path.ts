/**
 * How good and how dear a plan is over labelled questions.
 *
 * Owns:      asking every question and judging the answers.
 */

import { type QuestionEntry, scoreAnswer } from "@murakkab/library";
import type { JobPlan } from "@murakkab/model";
import type { ExecutorLab } from "./executor-lab.ts";
import { type PlanRun, runPlan } from "./run-plan.ts";

export interface QuestionSet {
  readonly name: string;
  readonly videoFile: string;
  readonly questions: readonly QuestionEntry[];
}

export interface AskedQuestion {
  readonly entry: QuestionEntry;
  readonly answer: string;
  readonly confidence: number;
  readonly isRight: boolean;
  readonly run: PlanRun;
}

export interface PathFigures {
  readonly set: string;
  readonly asked: readonly AskedQuestion[];
  /** Share of right answers, 0 to 1. */
  readonly accuracy: number;
  /** Means over the questions. */
  readonly cpuSec: number;
  readonly latencyMs: number;
  /** Share of questions that a draft ended. */
  readonly earlyRatio: number;
}

export interface EvaluateOptions {
  readonly lab: ExecutorLab;
  readonly set: QuestionSet;
  /** The plan of each question. */
  readonly plan: (entry: QuestionEntry) => JobPlan;
  /** Cores that the latency is told for. */
  readonly cores: number;
}

/** Work that does not depend on the question is done once, and its figures count for each. */
export async function evaluatePath(options: EvaluateOptions): Promise<PathFigures> {
  const { lab, set, plan, cores } = options;
  const video = await lab.addFile(set.videoFile, "video/mp4");
  const asked: AskedQuestion[] = [];
  for (const entry of set.questions) {
    const inputs = { question: { text: entry.question }, video };
    const run = await runPlan(plan(entry), { lab, inputs, cores });
    asked.push({ entry, run, ...judge(entry, run.output) });
  }
  const mean = (valueOf: (one: AskedQuestion) => number): number =>
    asked.reduce((sum, one) => sum + valueOf(one), 0) / Math.max(1, asked.length);
  return {
    set: set.name,
    asked,
    accuracy: mean((it) => (it.isRight ? 1 : 0)),
    cpuSec: mean((it) => it.run.cpuSec),
    latencyMs: mean((it) => it.run.latencyMs),
    earlyRatio: mean((it) => (it.run.endedBy === null ? 0 : 1)),
  };
}

function judge(
  entry: QuestionEntry,
  output: unknown,
): Pick<AskedQuestion, "answer" | "confidence" | "isRight"> {
  const { text, confidence, evidence } = output as {
    readonly text: string;
    readonly confidence: number;
    readonly evidence: readonly { readonly atSec: number }[];
  };
  const isRight = scoreAnswer(entry, text, evidence[0]?.atSec);
  return { answer: text, confidence, isRight };
}
