/**
 * In which stretches of a sound some words are heard: a fast pass that points to where an accurate
 * one pays. Listening for a few words takes a tenth of writing down everything.
 *
 * Owns:      how sure a hit must be, and which stretches are worth hearing.
 *
 * Invariants:
 *   S1. A stretch without words is always kept.
 *   S2. Where no word is heard anywhere, all stretches are kept: the words may have been others.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FunctionCall } from "../../function-executor.ts";
import type { FocusSpan } from "./values.ts";

/** Half of the frames and two codes of each: 0.3 CPU s less, and the same hits on four videos. */
const SPOTTING_ARGS = ["-ds", "2", "-topn", "2"] as const;
/** Likelihood against any other sounds; with less, hits that are sure enough are missed. */
const KEYWORD_THRESHOLD = "1e-20";
const HIT_LINE = /^(\S+)\s+(\d+\.\d+)\s+(\d+\.\d+)\s+(\d\.\d+)$/;
/** Words that were said have 0.88 and more, words that only sound alike 0.82 to 0.88. */
const CONFIDENCE_MIN = 0.86;
const CONFIDENCE_NONE = 0.8;
/** Of the best stretch's score. */
const NEAR_BEST_RATIO = 0.6;
const SPANS_COUNT_MAX = 3;

interface Hit {
  readonly word: string;
  readonly startSec: number;
  readonly confidence: number;
}

/** The spans worth hearing, in order of time. */
export async function spotWords(
  call: FunctionCall,
  path: string,
  spans: readonly FocusSpan[],
): Promise<readonly FocusSpan[]> {
  const words = [...new Set(spans.flatMap((it) => it.words ?? []))].filter((it) =>
    /^[a-z']+$/.test(it),
  );
  if (words.length === 0) return spans;
  const hits = await listen(call, path, words);
  const scored = spans.map((span) => ({ span, score: scoreOf(span, hits) }));
  const best = Math.max(...scored.map((it) => it.score));
  if (best <= 0) return spans; // S2
  const near = scored
    .filter(({ span, score }) => span.words !== undefined && score >= NEAR_BEST_RATIO * best)
    .sort((a, b) => b.score - a.score)
    .slice(0, SPANS_COUNT_MAX);
  const kept = new Set([...near.map((it) => it.span), ...spans.filter((it) => !it.words)]); // S1
  return spans.filter((it) => kept.has(it));
}

async function listen(call: FunctionCall, path: string, words: readonly string[]): Promise<Hit[]> {
  const list = join(call.scratchDir, "words.txt");
  await writeFile(list, words.map((it) => `${it} /${KEYWORD_THRESHOLD}/\n`).join(""));
  // Words that its dictionary lacks are passed over.
  const { stdout } = await call.run("pocketsphinx_continuous", [
    ...["-infile", path, "-kws", list, "-logfn", "/dev/null", "-time", "yes"],
    ...SPOTTING_ARGS,
  ]);
  return Buffer.from(stdout)
    .toString("utf8")
    .split("\n")
    .flatMap((line) => {
      const match = HIT_LINE.exec(line.trim());
      if (match === null) return [];
      const [, word = "", startSec, , confidence] = match;
      return [{ word, startSec: Number(startSec), confidence: Number(confidence) }];
    });
}

/** Different words count together; one that is heard twice counts once. */
function scoreOf({ startSec, endSec, words = [] }: FocusSpan, hits: readonly Hit[]): number {
  let score = 0;
  for (const word of words) {
    const sure = hits
      .filter((it) => it.word === word && it.startSec >= startSec && it.startSec < endSec)
      .map((it) => it.confidence);
    const best = Math.max(0, ...sure);
    if (best >= CONFIDENCE_MIN) score += best - CONFIDENCE_NONE;
  }
  return score;
}
