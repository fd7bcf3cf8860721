/**
 * Does the quality interval hold that a configuration gets from twenty labelled questions?
 *
 * Method: every question is answered once by every configuration; then twenty answers are drawn
 *         many times, the interval is made from them, and the rate over all questions must lie in it.
 */
import type { Cluster } from "@murakkab/cli/cluster";
import { qualityEstimate } from "@murakkab/core";
import type { Random } from "@murakkab/kit";
import type { JobConstraints } from "@murakkab/model";
import { type QuestionEntry, scoreAnswer } from "@murakkab/testkit/make-video";

export const LABELLED_COUNT = 20;
const DRAWS = 200;
const IN_FLIGHT = 3;

export interface QualityResult {
  readonly coverage: number;
  readonly widthMedian: number;
  readonly widthMax: number;
  readonly rates: readonly number[];
}

export async function measureIntervals(
  cluster: Cluster,
  work: {
    readonly video: string;
    readonly questions: readonly QuestionEntry[];
    readonly configurations: readonly JobConstraints[];
    readonly random: Random;
    readonly say: (line: string) => void;
  },
): Promise<QualityResult> {
  const widths: number[] = [];
  const rates: number[] = [];
  let coveredCount = 0;
  for (const constraints of work.configurations) {
    const right = await answerAll(cluster, { ...work, constraints });
    const rate = right.filter((it) => it).length / right.length;
    rates.push(rate);
    work.say(
      `configuration ${rates.length}: ${rate.toFixed(3)} of ${right.length} answers are right`,
    );
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const sample = drawSome(right, LABELLED_COUNT, work.random);
      const scoreSum = sample.filter((it) => it).length;
      const { low, high } = qualityEstimate({ labelled: { scoreSum, count: sample.length } });
      widths.push(high - low);
      if (low <= rate && rate <= high) coveredCount += 1;
    }
  }
  const sorted = widths.sort((a, b) => a - b);
  return {
    coverage: coveredCount / widths.length,
    widthMedian: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    widthMax: sorted.at(-1) ?? Number.NaN,
    rates,
  };
}

async function answerAll(
  cluster: Cluster,
  work: {
    readonly video: string;
    readonly questions: readonly QuestionEntry[];
    readonly constraints: JobConstraints;
  },
): Promise<boolean[]> {
  const waiting = [...work.questions.entries()];
  const right: boolean[] = [];
  const askInTurn = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, entry] = next;
      const { constraints, video } = work;
      const request = { description: entry.question, inputs: [video], constraints };
      const receipt = await (await cluster.client.submit(request)).result();
      right[index] = scoreAnswer(
        entry,
        receipt.answer ?? "",
        receipt.evidence[0]?.atSec ?? undefined,
      );
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, askInTurn));
  return right;
}

/** Without putting back. */
function drawSome<T>(all: readonly T[], count: number, random: Random): T[] {
  const rest = [...all];
  return Array.from({ length: Math.min(count, rest.length) }, () => {
    const [one] = rest.splice(random.index(rest.length), 1);
    return one as T;
  });
}
