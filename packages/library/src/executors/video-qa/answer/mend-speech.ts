/**
 * Misheard words, put right by words that the screen or the question spells out.
 *
 * Owns:      which words of a sentence stand for which known word, one to three for one.
 * Does not:  know scenes or sentences; see timeline.ts.
 *
 * Invariants:
 *   E1. A word is only replaced by a known word that sounds like it; the surer the source of that
 *       word and the more of the question the sentence holds, the less alike they must be.
 *   E2. A word that is known already stays, and so does one that recognisers hear reliably.
 */
import { AMBIGUOUS_NAMES, GIVEN_NAMES } from "./given-names.ts";
import {
  areSynonyms,
  CLOTHES,
  COLORS,
  DAYS,
  PEOPLE_NOUNS,
  PLACE_NOUNS,
  PRONOUNS,
  ROLE_NOUNS,
  STOP_WORDS,
} from "./lexicon.ts";
import { alikeness, phonesOf } from "./phones.ts";
import { isNumber, stemOf, type Token } from "./words.ts";

export type KnownFrom = "scene" | "video" | "question";

export interface KnownWord {
  readonly token: Token;
  readonly from: KnownFrom;
  readonly isName: boolean;
}

interface Patch {
  readonly start: number;
  readonly end: number;
  readonly known: KnownWord;
  readonly score: number;
}

/** How alike a name must be: recognisers know few names, and a scene names few persons. */
const NAME_ALIKE_MIN: Readonly<Record<KnownFrom, number>> = {
  scene: 0.58,
  question: 0.62,
  video: 0.74,
};
/** Where sentences rarely have a name, what is found must sound almost the same. */
const OUTSIDE_PENALTY: Readonly<Record<KnownFrom, number>> = {
  scene: 0.06,
  question: 0.16,
  video: 0.16,
};
const WORD_ALIKE_MIN = 0.8;
/** Each further word of the question in the sentence makes the missing one likelier. */
const SUPPORT_BONUS = 0.06;
const SUPPORT_MAX = 3;
const NAME_SUPPORT_MAX = 2;
/** "loves brennan's", asked about "loves dragons": the word before is the one of the question. */
const NEIGHBOR_ALIKE_MIN = 0.58;
const NEIGHBOR_PHONES_MIN = 4;
/** Short words sound like many others. */
const SHORT_PHONES = 3;
const SHORT_PENALTY = 0.05;
const WINDOW_WORDS_MAX = 3;
/** A name that runs into the next word: "laurent" for "Laura, who". */
const RUN_ON_SHARE = 0.88;
const RUN_ON_PHONES_MIN = 4;
const RUN_ON_LETTERS_MIN = 5;

export function isKnownName(text: string): boolean {
  return GIVEN_NAMES.has(text.toLowerCase().replace(/['’]s$/, ""));
}

/** `words` of one sentence with what was misheard put right. */
export function mendSentence(words: readonly Token[], known: readonly KnownWord[]): Token[] {
  const asked = known.filter((it) => it.from === "question").map((it) => it.token);
  const missing = known.filter(({ token }) => !words.some((it) => it.stem === token.stem));
  const patches = missing
    .flatMap((it) => patchesFor(words, it, asked))
    .sort((a, b) => b.score - a.score);
  const chosen: Patch[] = [];
  for (const patch of patches) {
    const isTaken = chosen.some(
      (it) =>
        it.known.token.stem === patch.known.token.stem ||
        (it.start < patch.end && patch.start < it.end),
    );
    if (!isTaken) chosen.push(patch);
  }
  return words.flatMap((word, at) => {
    const patch = chosen.find((it) => it.start <= at && at < it.end);
    if (patch === undefined) return [isNameSlot(words, at) ? withoutTail(word) : word];
    return patch.start === at ? [mended(word, patch)] : [];
  });
}

/** "robertson so letter": a name that ran into the next word, where a name stands. */
function withoutTail(word: Token): Token {
  const lower = word.text.toLowerCase();
  if (isKnownName(lower)) return word;
  for (let length = lower.length - 1; length >= RUN_ON_LETTERS_MIN; length--) {
    const head = lower.slice(0, length);
    if (GIVEN_NAMES.has(head) && !AMBIGUOUS_NAMES.has(head) && lower.length - length <= 3)
      return { ...word, text: head, stem: stemOf(head), certainty: RUN_ON_SHARE };
  }
  return word;
}

function mended(word: Token, { known, score }: Patch): Token {
  const text = known.token.text.replace(/['’]s$/, "").toLowerCase();
  const { atSec } = word;
  // Half of the doubt: that the word is spelt out somewhere speaks for it.
  const certainty = (1 + Math.min(1, score)) / 2;
  return { text, stem: stemOf(text), certainty, ...(atSec === undefined ? {} : { atSec }) };
}

function patchesFor(words: readonly Token[], known: KnownWord, asked: readonly Token[]): Patch[] {
  const phones = phonesOf(known.token.text.replace(/['’]s$/, ""));
  if (phones.length < 2) return [];
  const patches: Patch[] = [];
  for (let start = 0; start < words.length; start++) {
    for (let end = start + 1; end <= Math.min(words.length, start + WINDOW_WORDS_MAX); end++) {
      const window = words.slice(start, end);
      if (!mayReplace(window, known, asked)) continue;
      const score = alikeOf(window, phones, known);
      const support = supportOf(words, window, { known, asked });
      const isNext = isNeighbor(words, { start, end, known, asked });
      const penalty = known.isName && !isNameSlot(words, start) ? OUTSIDE_PENALTY[known.from] : 0;
      const least = leastFor(known, phones, support) + penalty;
      const enough = isNext && phones.length >= NEIGHBOR_PHONES_MIN ? NEIGHBOR_ALIKE_MIN : least;
      if (score >= Math.min(least, enough))
        patches.push({ start, end, known, score: score - 0.01 * (end - start) });
    }
  }
  return patches;
}

function alikeOf(window: readonly Token[], phones: string, known: KnownWord): number {
  const heard = window.map((it) => phonesOf(it.text)).join("");
  const whole = alikeness(phones, heard);
  if (!known.isName || known.from === "video" || phones.length < RUN_ON_PHONES_MIN) return whole;
  // What is swallowed must belong to the last word, or a shorter window would do.
  return Math.max(whole, RUN_ON_SHARE * alikeness(phones, heard.slice(0, phones.length)));
}

function leastFor(known: KnownWord, phones: string, support: number): number {
  const short = phones.length <= SHORT_PHONES ? SHORT_PENALTY : 0;
  if (known.isName)
    return NAME_ALIKE_MIN[known.from] + short - SUPPORT_BONUS * Math.min(NAME_SUPPORT_MAX, support);
  return WORD_ALIKE_MIN + short - SUPPORT_BONUS * Math.min(SUPPORT_MAX, support);
}

/** Whether the question has the same word beside it, apart from articles and the like. */
function isNeighbor(
  words: readonly Token[],
  place: {
    readonly start: number;
    readonly end: number;
    readonly known: KnownWord;
    readonly asked: readonly Token[];
  },
): boolean {
  const { start, end, known, asked } = place;
  if (known.from !== "question" || known.isName) return false;
  const at = asked.indexOf(known.token);
  const before = words.slice(0, start).findLast((it) => !STOP_WORDS.has(it.stem));
  const after = words.slice(end).find((it) => !STOP_WORDS.has(it.stem));
  const isBefore = before !== undefined && before.stem === asked[at - 1]?.stem;
  return isBefore || (after !== undefined && after.stem === asked[at + 1]?.stem);
}

const BEFORE_NAMES = new Set(
  "call name meet and while with by be to as our doctor mr mrs here".split(" ").map(stemOf),
);

/** The head of a sentence, after a role ("our driver ..."), after "called", "by" and their kin. */
function isNameSlot(words: readonly Token[], at: number): boolean {
  const before = words[at - 1]?.stem ?? "";
  return at === 0 || BEFORE_NAMES.has(before) || ROLE_NOUNS.has(before) || PLACE_NOUNS.has(before);
}

/** How many other words of the question the sentence holds outside the window. */
function supportOf(
  words: readonly Token[],
  window: readonly Token[],
  { known, asked }: { readonly known: KnownWord; readonly asked: readonly Token[] },
): number {
  if (known.from !== "question") return 0;
  const others = asked.filter((it) => it.stem !== known.token.stem);
  return others.filter((term) =>
    words.some(
      (it) => !window.includes(it) && (it.stem === term.stem || areSynonyms(it.stem, term.stem)),
    ),
  ).length;
}

/** E2. */
function mayReplace(window: readonly Token[], known: KnownWord, asked: readonly Token[]): boolean {
  const isOther = (it: Token): boolean =>
    isNumber(it) ||
    asked.some((term) => term.stem === it.stem) ||
    [COLORS, CLOTHES, PEOPLE_NOUNS, PLACE_NOUNS, DAYS].some((words) => words.has(it.stem));
  if (window.some(isOther)) return false;
  if (PRONOUNS.has(window[0]?.stem ?? "")) return false;
  const isNamed = window.some(
    (it) => isKnownName(it.text) && !AMBIGUOUS_NAMES.has(it.text.toLowerCase()),
  );
  // A name heard well is a name; a name may be heard for another that is like it.
  if (isNamed) return known.isName && known.from !== "video";
  const contentCount = window.filter((it) => !STOP_WORDS.has(it.stem)).length;
  if (window.length === 1) return contentCount === 1 && (window[0]?.text.length ?? 0) >= 2;
  return contentCount > 0 || known.from !== "video";
}
