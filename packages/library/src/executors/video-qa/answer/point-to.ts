/**
 * Where in the video a closer look pays: the scenes whose evidence has to do with the question.
 *
 * Owns:      what makes a scene worth being heard when only its pictures are known, and the bounds
 *            within which pointing is worth more than hearing everything.
 *
 * Invariants:
 *   P1. Spans are whole scenes, in order of time, joined where they touch.
 *   P2. Where nothing points anywhere, or almost everywhere, everything is named: a caller that
 *       looks only there then misses nothing. Without any evidence the list is empty, which says
 *       the same.
 *   P3. Then each scene comes with the words of the question that would make it worth it: whoever
 *       can listen for words cheaply need not hear the rest.
 */
import type { FocusSpan, TimeSpan } from "../values.ts";
import { colorsAt, isColor } from "./answer-wear.ts";
import { isSameName } from "./cast.ts";
import { LIGHT_VERBS } from "./lexicon.ts";
import { matchToken } from "./match.ts";
import { isAboutSpeech, type Question } from "./question.ts";
import type { SceneFacts } from "./timeline.ts";
import type { Token } from "./words.ts";

/** A word that is there, or a form or synonym of it; what only sounds alike does not point. */
const TERM_SCORE_MIN = 0.8;
/** Who is asked about is the best pointer, then what somebody is seen in. */
const PERSON_POINTS = 2;
const SEEN_POINTS = 1.5;
const TERM_POINTS = 1;
/** "Take", "go": in every other caption. */
const LIGHT_POINTS = 0.25;
const POINTS_MIN = 1;
/** Of the best scene's points: weaker ones are worth looking at too, because pointers are crude. */
const NEAR_BEST_RATIO = 0.6;
/** Of the video: more is hardly cheaper than all of it, and all of it misses nothing. */
const POINTED_RATIO_MAX = 0.6;
const TOUCHING_SEC = 0.05;
/** Shorter words are heard in too many others. */
const WORD_LENGTH_MIN = 3;

export function pointTo(question: Question, scenes: readonly SceneFacts[]): FocusSpan[] {
  const all = joinSpans(scenes);
  // "When does the narrator mention ...": what is said stands in no caption.
  if (question.kind === "when" && isAboutSpeech(question)) return everywhere(question, scenes);
  const ranked = scenes.map((scene) => ({ scene, points: pointsOf(question, scene) }));
  const best = Math.max(0, ...ranked.map((it) => it.points));
  if (best < POINTS_MIN) return everywhere(question, scenes);
  const chosen = ranked.filter((it) => it.points >= NEAR_BEST_RATIO * best);
  const spans = joinSpans(chosen.map((it) => it.scene));
  const isMost = lengthSec(spans) > POINTED_RATIO_MAX * lengthSec(all);
  return isMost ? everywhere(question, scenes) : spans;
}

/** P2, P3. */
function everywhere(question: Question, scenes: readonly SceneFacts[]): FocusSpan[] {
  const words = [...new Set(question.terms.flatMap(formsOf))];
  if (words.length === 0) return joinSpans(scenes);
  return scenes
    .filter((it) => it.endSec > it.startSec)
    .map(({ startSec, endSec }) => ({ startSec, endSec, words }));
}

/** "Cooks" may be said as "cook" or "cooks"; weak verbs are said everywhere. */
function formsOf(term: Token): string[] {
  const word = plain(term);
  if (word.length < WORD_LENGTH_MIN || LIGHT_VERBS.has(term.stem)) return [];
  const singular = word.replace(/(?<=[^s])s$/, "");
  return [word, singular, `${singular}s`];
}

function pointsOf(question: Question, scene: SceneFacts): number {
  const tokens = scene.units.flatMap((unit) => unit.tokens);
  let points = 0;
  for (const term of question.terms) {
    if (!tokens.some((token) => isThere(term, token))) continue;
    if (isPerson(term, question)) points += PERSON_POINTS;
    else points += LIGHT_VERBS.has(term.stem) ? LIGHT_POINTS : TERM_POINTS;
  }
  return points + (isSeen(question, scene) ? SEEN_POINTS : 0);
}

function isThere(term: Token, token: Token): boolean {
  return matchToken(term, token) >= TERM_SCORE_MIN || isSameText(term, token);
}

function isSameText(term: Token, token: Token): boolean {
  return plain(term) === plain(token);
}

function plain({ text }: Token): string {
  return text.replace(/['’]s$/, "").toLowerCase();
}

function isPerson(term: Token, { person }: Question): boolean {
  return person !== undefined && isSameName(term.text.replace(/['’]s$/, ""), person);
}

/** Somebody wears the colour that the question names, on the item if it names one. */
function isSeen({ isAboutWear, colors, item }: Question, { people }: SceneFacts): boolean {
  const [color] = colors;
  if (!isAboutWear || color === undefined) return false;
  return people.some((person) => {
    const worn = item === undefined ? [person.top] : colorsAt(person, item);
    return worn.some((seen) => isColor(seen, color));
  });
}

function joinSpans(scenes: readonly SceneFacts[]): TimeSpan[] {
  const spans: { startSec: number; endSec: number }[] = [];
  for (const { startSec, endSec } of [...scenes].sort((a, b) => a.startSec - b.startSec)) {
    if (endSec <= startSec) continue;
    const open = spans.at(-1);
    if (open !== undefined && startSec - open.endSec <= TOUCHING_SEC) open.endSec = endSec;
    else spans.push({ startSec, endSec });
  }
  return spans;
}

function lengthSec(spans: readonly TimeSpan[]): number {
  return spans.reduce((sum, it) => sum + it.endSec - it.startSec, 0);
}
