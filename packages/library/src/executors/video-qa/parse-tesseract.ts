/**
 * Tesseract's `tsv` table, to lines of words with boxes and confidences.
 *
 * Owns:      what counts as garbage: marks that edges and textures leave, of low confidence.
 */
import type { PixelBox } from "./raster.ts";

export interface ReadLine {
  readonly text: string;
  /** In [0, 1]: mean over the words, weighted by their length. */
  readonly confidence: number;
  readonly box: PixelBox;
}

interface ReadWord {
  readonly text: string;
  readonly confidence: number;
  readonly box: PixelBox;
}

/** First cell of the row that opens a page, and of a word's row. */
const PAGE_LEVEL = "1";
const WORD_LEVEL = "5";
/** Words that are read right have 80 to 96; textures read as words have 0 to 50. */
const WORD_CONFIDENCE_MIN = 0.5;
/** A single mark is often the side of a window, and then read with some confidence. */
const LONE_MARK_CONFIDENCE_MIN = 0.85;
const LINE_CONFIDENCE_MIN = 0.6;

/** The lines of each page; a page without text has none. */
export function parsePages(tsv: string): ReadLine[][] {
  const pages: Map<string, ReadWord[]>[] = [];
  for (const row of tsv.split("\n")) {
    const cells = row.split("\t");
    if (cells[0] === PAGE_LEVEL) pages.push(new Map());
    const word = toWord(cells);
    const lines = pages.at(-1);
    if (word === undefined || lines === undefined) continue;
    const key = cells.slice(2, 5).join(".");
    lines.set(key, [...(lines.get(key) ?? []), word]);
  }
  return pages.map((lines) => [...lines.values()].map(toLine).filter((it) => it !== undefined));
}

function toWord(cells: readonly string[]): ReadWord | undefined {
  const [left = 0, top = 0, width = 0, height = 0, percent = -1] = cells.slice(6, 11).map(Number);
  const text = (cells[11] ?? "").replace(/^[^\p{L}\p{N}$€£]+|[^\p{L}\p{N}%!?.]+$/gu, "");
  const confidence = percent / 100;
  if (cells[0] !== WORD_LEVEL || !/[\p{L}\p{N}]/u.test(text)) return undefined;
  const isMark = text.length === 1 && !/[\p{N}aAI]/u.test(text);
  if (confidence < (isMark ? LONE_MARK_CONFIDENCE_MIN : WORD_CONFIDENCE_MIN)) return undefined;
  return { text, confidence, box: { left, top, right: left + width, bottom: top + height } };
}

function toLine(words: readonly ReadWord[]): ReadLine | undefined {
  const text = words.map((it) => it.text).join(" ");
  const letters = words.reduce((sum, it) => sum + it.text.length, 0);
  const weighted = words.reduce((sum, it) => sum + it.confidence * it.text.length, 0);
  const confidence = weighted / letters;
  if (confidence < LINE_CONFIDENCE_MIN || !isPlausible(text)) return undefined;
  const boxes = words.map((it) => it.box);
  return {
    text,
    confidence: Math.round(confidence * 100) / 100,
    box: {
      left: Math.min(...boxes.map((it) => it.left)),
      top: Math.min(...boxes.map((it) => it.top)),
      right: Math.max(...boxes.map((it) => it.right)),
      bottom: Math.max(...boxes.map((it) => it.bottom)),
    },
  };
}

/** At least a number or a word of three letters with a vowel, not all the same letter. */
function isPlausible(text: string): boolean {
  const words = text.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? [];
  return words.some((it) =>
    /^\p{N}+$/u.test(it)
      ? it.length >= 2
      : it.length >= 3 && /[aeiouyäöüéèáíóú]/u.test(it) && new Set(it).size >= 2,
  );
}
