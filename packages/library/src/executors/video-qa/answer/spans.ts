/**
 * Phrases within a unit: what follows a verb, numbers with their nouns, places.
 */
import {
  AUXILIARIES,
  COLORS,
  CONJUNCTIONS,
  DAYS,
  DETERMINERS,
  MONTHS,
  NUMBER_SOUNDS,
  PREPOSITIONS,
  PRONOUNS,
} from "./lexicon.ts";
import { isNumber, stemOf, type Token } from "./words.ts";

/** Answers are a few words; a phrase that runs on has lost its end. */
const PHRASE_WORDS_MAX = 8;

export function textOf(tokens: readonly Token[]): string {
  return tokens.map((it) => it.text).join(" ");
}

/** The words from `from` to the end of the clause, without what introduces them. */
export function phraseAfter(tokens: readonly Token[], from: number): Token[] {
  let start = from;
  while (start < tokens.length && isFiller(tokens[start])) start++;
  let end = start;
  while (end < tokens.length && end - start < PHRASE_WORDS_MAX) {
    const token = tokens[end];
    if (token === undefined || (end > start && endsClause(tokens, end))) break;
    end++;
  }
  return trimEnd(tokens.slice(start, end));
}

function isFiller(token: Token | undefined): boolean {
  return token !== undefined && (DETERMINERS.has(token.stem) || AUXILIARIES.has(token.stem));
}

/** "and" joins things as often as clauses: it ends one only before a verb-like word. */
function endsClause(tokens: readonly Token[], at: number): boolean {
  const stem = tokens[at]?.stem ?? "";
  if (stem === "and") return looksLikeVerb(tokens[at + 1]);
  return CONJUNCTIONS.has(stem);
}

const COMMON_VERBS = new Set(
  "run take read carry go sing play say cook buy sell eat drink wear hold have give make bring open close write dance swim wait walk sit stand"
    .split(" ")
    .map(stemOf),
);

export function looksLikeVerb(token: Token | undefined): boolean {
  return token !== undefined && (COMMON_VERBS.has(token.stem) || AUXILIARIES.has(token.stem));
}

function trimEnd(tokens: Token[]): Token[] {
  while (tokens.length > 0) {
    const stem = tokens.at(-1)?.stem ?? "";
    if (!PREPOSITIONS.has(stem) && !DETERMINERS.has(stem) && !CONJUNCTIONS.has(stem)) break;
    tokens.pop();
  }
  return tokens;
}

/** A phrase up to its first preposition: "a brown suitcase" of "a brown suitcase on the beach". */
export function headPhrase(tokens: readonly Token[]): Token[] {
  const at = tokens.findIndex(
    (it, index) => index > 0 && PREPOSITIONS.has(it.stem) && it.stem !== "of",
  );
  return trimEnd([...(at < 0 ? tokens : tokens.slice(0, at))]);
}

export interface NumberSpan {
  readonly start: number;
  readonly end: number;
  readonly tokens: readonly Token[];
  /** The word counted, if any. */
  readonly noun?: Token;
}

/** Numbers with the word after them; `isSpoken`: words that only sound like numbers count too. */
export function numberSpans(tokens: readonly Token[], isSpoken: boolean): NumberSpan[] {
  const spans: NumberSpan[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === undefined) continue;
    const meant = isSpoken ? soundsLikeNumber(tokens, at) : undefined;
    if (!isNumber(token) && meant === undefined) continue;
    let end = at + 1;
    while (end < tokens.length && isNumber(tokens[end] as Token)) end++;
    const next = tokens[end];
    const noun =
      next !== undefined && !PREPOSITIONS.has(next.stem) && !CONJUNCTIONS.has(next.stem)
        ? next
        : undefined;
    const words = tokens.slice(at, noun === undefined ? end : end + 1);
    const first =
      meant === undefined ? words : [{ text: meant, stem: stemOf(meant) }, ...words.slice(1)];
    spans.push({ start: at, end, tokens: first, ...(noun === undefined ? {} : { noun }) });
    at = end;
  }
  return spans;
}

/** "for people wait" at the head of a sentence is "four people wait". */
function soundsLikeNumber(tokens: readonly Token[], at: number): string | undefined {
  const lower = tokens[at]?.text.toLowerCase() ?? "";
  const next = tokens[at + 1];
  const previous = tokens[at - 1];
  if (next === undefined || !/s$|^(?:people|men|women|children)$/.test(next.text)) return undefined;
  const isLoose = previous === undefined || DETERMINERS.has(previous.stem);
  return isLoose && Object.hasOwn(NUMBER_SOUNDS, lower) ? NUMBER_SOUNDS[lower] : undefined;
}

/** "23:40", "4 PM", "eight o'clock"; "starts at seven" with the "at" misheard. */
function isClock(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at];
  if (token === undefined || !isNumber(token)) return false;
  if (/^\d{1,2}[:.]\d{2}$/.test(token.text)) return true;
  if (/^(?:am|pm|o'clock|oclock)$/i.test(tokens[at + 1]?.text ?? "")) return true;
  const isLast = at === tokens.length - 1;
  const opens = tokens.slice(0, at).some((it) => OPENING_VERBS.has(it.stem));
  return isLast && opens && Number(token.stem) >= 1 && Number(token.stem) <= 12;
}

const OPENING_VERBS = new Set(
  "begin start open close end finish leave arrive".split(" ").map(stemOf),
);

/** Days, months and clock times with the words that belong to them. */
export function timePhrase(tokens: readonly Token[]): Token[] | undefined {
  const isTime = (it: Token): boolean =>
    DAYS.has(it.stem) ||
    MONTHS.has(it.stem) ||
    /^(?:noon|midnight|morning|evening|afternoon|night|today|tomorrow|yesterday)$/.test(it.stem);
  const first = tokens.findIndex(
    (it, index) =>
      isTime(it) ||
      (isNumber(it) &&
        /^(?:at|from|until|till|by|before|after|past)$/.test(
          tokens[index - 1]?.text.toLowerCase() ?? "",
        )) ||
      isClock(tokens, index),
  );
  if (first < 0) return undefined;
  let start = first;
  while (
    start > 0 &&
    /^(?:at|on|in|from|until|till|by|before|after|past|half|every|the|early|late|quarter|to)$/.test(
      tokens[start - 1]?.text.toLowerCase() ?? "",
    )
  )
    start--;
  let end = first + 1;
  while (end < tokens.length) {
    const token = tokens[end] as Token;
    if (
      !isTime(token) &&
      !isNumber(token) &&
      !/^(?:in|the|until|till|to|past|half|am|pm|o'clock|and|at)$/.test(token.text.toLowerCase())
    )
      break;
    end++;
  }
  return trimEnd(tokens.slice(start, end));
}

/** "in Lisbon", "at the Royal Hotel": a place with its preposition, after `from`. */
export function placePhrase(tokens: readonly Token[], from = 0): Token[] | undefined {
  for (let at = from; at < tokens.length; at++) {
    const word = tokens[at]?.text.toLowerCase() ?? "";
    if (
      !/^(?:in|at|on|to|near|by|under|into|from|around|through|across|behind|beside|over|inside|outside)$/.test(
        word,
      )
    )
      continue;
    let end = at + 1;
    while (end < tokens.length && !stopsPlace(tokens, end)) end++;
    const phrase = trimEnd(tokens.slice(at, end));
    const noun = phrase.slice(1).find((it) => !DETERMINERS.has(it.stem));
    if (noun === undefined || DAYS.has(noun.stem) || COLORS.has(noun.stem) || isNumber(noun))
      continue;
    if (/^(?:night|morning|evening|midnight|tim|day|moment)$/.test(noun.stem)) continue;
    return phrase;
  }
  return undefined;
}

function stopsPlace(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at] as Token;
  if (PRONOUNS.has(token.stem) && !DETERMINERS.has(token.stem)) return true;
  if (CONJUNCTIONS.has(token.stem) || AUXILIARIES.has(token.stem)) return true;
  return PREPOSITIONS.has(token.stem) && token.stem !== "of";
}
