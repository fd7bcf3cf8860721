/**
 * What pocketsphinx prints with `-time yes`, to a transcript.
 *
 * Reads:     for each utterance one line of plain text, then one line for each word:
 *            `word start end confidence`, seconds from the start of the file.
 * Drops:     `<s>`, `</s>`, `<sil>`, `[NOISE]`, `++UM++`, and the `(2)` of other pronunciations.
 */
import type { Transcript } from "./values.ts";

const WORD_LINE = /^(\S+)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+(-?[\d.eE+-]+|-?nan|-?inf)$/;
const FILLER = /^(?:<.*>|\[.*\]|\+\+.*\+\+)$/;
/** A silence this long inside an utterance ends a sentence, as pauses between sentences do. */
const PAUSE_SEC = 0.35;

type Word = Transcript["words"][number];

export function parseSpeech(stdout: string): Transcript {
  const words: Word[] = [];
  const segments: Word[][] = [];
  let open: Word[] = [];
  const close = (): void => {
    if (open.length > 0) segments.push(open);
    open = [];
  };
  for (const line of stdout.split("\n")) {
    const match = WORD_LINE.exec(line.trim());
    // A line of plain text opens an utterance.
    if (match === null) {
      close();
      continue;
    }
    const [, spoken = "", start = "", end = ""] = match;
    if (FILLER.test(spoken)) {
      if (Number(end) - Number(start) >= PAUSE_SEC) close();
      continue;
    }
    const word = spoken.replace(/\(\d+\)$/, "");
    const timed = { word, startSec: Number(start), endSec: Number(end) };
    words.push(timed);
    open.push(timed);
  }
  close();
  return { words, segments: segments.map(toSegment) };
}

function toSegment(words: readonly Word[]): Transcript["segments"][number] {
  return {
    startSec: words[0]?.startSec ?? 0,
    endSec: words.at(-1)?.endSec ?? 0,
    text: words.map((it) => it.word).join(" "),
  };
}
