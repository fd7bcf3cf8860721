/**
 * Is an answer right?
 *
 * Invariants:
 *   S1. A question that the video cannot answer has one right answer: "not found".
 *   S2. Any other answer is right when it contains an accepted one as whole words, in any case.
 *   S3. An answer that recites the video is wrong, or reciting it would always be right.
 *   S4. A time is right within its tolerance, written as "42", "42.5 s", "0:42" or "1:02:03".
 */
import { NOT_FOUND_ANSWER, type QuestionEntry } from "./question-schema.ts";

/** S3: a sentence or two, with room for its evidence; a whole transcript is far longer. */
export const ANSWER_CHARS_MAX = 300;

/**
 * Whether `answerText` answers `entry`.
 *
 * `atSec`: the moment that the answerer names as its evidence, in seconds of the video. It counts
 *          for questions about time, and only when the text itself names no time.
 */
export function scoreAnswer(entry: QuestionEntry, answerText: string, atSec?: number): boolean {
  const words = toWords(answerText);
  const saysNotFound = containsWords(words, toWords(NOT_FOUND_ANSWER));
  if (!entry.answerable) return saysNotFound && words.trim().startsWith(NOT_FOUND_ANSWER);
  if (saysNotFound || answerText.length > ANSWER_CHARS_MAX) return false;
  if (entry.kind === "when") {
    const timeSec = parseTimeSec(answerText) ?? atSec;
    return timeSec !== undefined && Math.abs(timeSec - entry.atSec) <= entry.toleranceSec;
  }
  return entry.answers.some((accepted) => containsWords(words, toWords(accepted)));
}

/** The first time in `text`, in seconds: clock times first, then numbers; none is `undefined`. */
export function parseTimeSec(text: string): number | undefined {
  const clock = /(?<![\d:.])(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d+)?)(?![\d:])/.exec(text);
  if (clock !== null) {
    const [, hours = "0", minutes = "0", seconds = "0"] = clock;
    return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  }
  const minutesAndSeconds = /(\d+)\s*(?:m|min|minutes?)\b\D{0,7}(\d+(?:\.\d+)?)?/i.exec(text);
  if (minutesAndSeconds !== null) {
    const [, minutes = "0", seconds = "0"] = minutesAndSeconds;
    return Number(minutes) * 60 + Number(seconds);
  }
  // A number with its unit is a time even when another number, such as a scene's, comes first.
  const withUnit = /(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)\b/i.exec(text);
  const number = withUnit ?? /(?<![\w.])(\d+(?:\.\d+)?)(?![\w:])/.exec(text);
  return number?.[1] === undefined ? undefined : Number(number[1]);
}

/** Lower case, letters and digits only, one space between words and at both ends. */
function toWords(text: string): string {
  const plain = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/['’]s\b/g, "")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
  return ` ${plain} `;
}

function containsWords(words: string, wanted: string): boolean {
  return wanted.trim() !== "" && words.includes(wanted);
}
