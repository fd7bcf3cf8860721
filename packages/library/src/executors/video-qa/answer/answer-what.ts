/**
 * Things and names: what someone does or carries, what it is called.
 */
import { type Candidate, candidate, evidenceOf } from "./candidate.ts";
import { isNameAt, isSameName, namesIn, speaksOf, subjectBefore } from "./cast.ts";
import { AUXILIARIES, CLOTHES, HAVE_VERBS, HELD_THINGS, PRONOUNS, STOP_WORDS } from "./lexicon.ts";
import { type Match, matchToken, rankUnits } from "./match.ts";
import type { Question } from "./question.ts";
import { headPhrase, phraseAfter, textOf } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { type Token } from "./words.ts";

const SCORE_MIN = 0.62;

export function answerWhat(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const isHave = asksForHeld(question);
  let best: Candidate | undefined;
  for (const match of rankUnits(question, scenes, withoutKind(question))) {
    if (match.score < SCORE_MIN) continue;
    const phrase = isHave ? heldBy(question, match.unit) : objectIn(question, match);
    if (phrase === undefined || phrase.length === 0) continue;
    const share = match.unit.region === "sign" ? 0.8 : match.unit.region === "caption" ? 0.93 : 1;
    const confidence = share * match.score * (0.7 + 0.3 * match.ownScore);
    if (confidence > (best?.confidence ?? 0)) {
      best = candidate(textOf(phrase), confidence, [evidenceOf(match.unit)]);
    }
  }
  return best;
}

/** "What musical instrument does Ann play": the kind of thing need not be named. */
function withoutKind({ tokens, terms, names }: Question): readonly Token[] {
  const end = tokens.findIndex((it, at) => at > 0 && AUXILIARIES.has(it.stem));
  const kinds = /^(?:what|which)$/i.test(tokens[0]?.text ?? "") ? tokens.slice(1, end) : [];
  const rest = terms.filter((it) => !kinds.includes(it));
  return end > 1 && rest.some((it) => !names.includes(it)) ? rest : terms;
}

/** "What does Ann carry", "what is in her hand": a thing held, not a deed. */
function asksForHeld({ tokens, person }: Question): boolean {
  const at = tokens.findIndex((it) => person !== undefined && isSameName(it.text, person));
  return (
    HAVE_VERBS.has(tokens[at + 1]?.stem ?? "") ||
    (at < 0 && HAVE_VERBS.has(tokens.at(-1)?.stem ?? ""))
  );
}

/** A verb of the question that is neither "do" nor "have": "sell" of "what does Karen sell". */
function actionOf(question: Question): Token | undefined {
  const person = question.person;
  const isOther = (it: Token): boolean =>
    !question.names.includes(it) && (person === undefined || !isSameName(it.text, person));
  return question.terms.find(isOther);
}

/** What follows "carries", "holds", "has", "with" in a sentence about the person. */
function heldBy(question: Question, unit: Unit): Token[] | undefined {
  if (question.person !== undefined && speaksOf(unit, question.person) === 0) return undefined;
  for (const [at, token] of unit.tokens.entries()) {
    if (!HAVE_VERBS.has(token.stem)) continue;
    const phrase = headPhrase(dropEdges(phraseAfter(unit.tokens, at + 1)));
    const isClothes = phrase.some((it) => CLOTHES.has(it.stem));
    const isPerson = phrase.some(
      (it, index) => isNameAt(phrase, index) || isAskedName(it, question),
    );
    if (phrase.length > 0 && !isClothes && !isPerson) return phrase;
  }
  // The verb was misheard: a thing that hands hold, in a sentence that is about the person.
  const held =
    unit.region === "speech" ? unit.tokens.find((it) => HELD_THINGS.has(it.stem)) : undefined;
  return held === undefined || question.person === undefined ? undefined : [held];
}

function isAskedName(token: Token, { names }: Question): boolean {
  return names.some((it) => it.stem === token.stem);
}

/** What follows the last of the question's words, without the words that it already says. */
function objectIn(question: Question, { unit, places }: Match): Token[] | undefined {
  const own = places.filter((at) => !isSubjectPlace(question, unit, at));
  const last = own.at(-1);
  const subjectAt = unit.tokens.findIndex(
    (it, at) => isNameAt(unit.tokens, at) && isSameName(it.text, question.person ?? ""),
  );
  const from =
    last ??
    (question.person === undefined ? undefined : subjectAt >= 0 ? subjectAt : pronounAt(unit));
  if (from === undefined) return undefined;
  // The deed itself must be in the sentence: its scene alone does not tell what was done.
  const isDeedHere = own.length > 0 || actionOf(question) === undefined;
  if (!isDeedHere) return undefined;
  // "What does Grace do at night?" is answered by what follows her name.
  const isDoing =
    question.tokens.filter((it) => it.stem === "do").length >= 2 ||
    question.tokens.some((it) => it.text === "doing");
  const start = isDoing && subjectAt >= 0 ? subjectAt : from;
  const after = phraseAfter(unit.tokens, start + 1);
  const news = after.filter((it, at) => !isToldBefore(question, after, it, at));
  const cleaned = dropEdges(news);
  if (cleaned.length > 0) return cleaned;
  return dropEdges(phraseBefore(question, unit, own[0] ?? 0));
}

function isSubjectPlace(question: Question, unit: Unit, at: number): boolean {
  const { person } = question;
  return person !== undefined && isSameName(unit.tokens[at]?.text ?? "", person);
}

function pronounAt(unit: Unit): number {
  return Math.max(
    0,
    unit.tokens.findIndex((it) => PRONOUNS.has(it.stem)),
  );
}

/** Names and words that the question itself says are no answer to it. */
function isToldBefore(
  question: Question,
  tokens: readonly Token[],
  token: Token,
  at: number,
): boolean {
  const isAsked = question.terms.some((it) => matchToken(it, token) > 0.8);
  return (
    isAsked ||
    (isNameAt(tokens, at) && question.names.some((it) => isSameName(it.text, token.text)))
  );
}

/** "The picture is taken by Kevin": what stands before the verb, when nothing follows. */
function phraseBefore(question: Question, unit: Unit, verbAt: number): Token[] {
  const before = unit.tokens.slice(0, verbAt);
  return before.filter(
    (it, at) => !AUXILIARIES.has(it.stem) && !isToldBefore(question, before, it, at),
  );
}

function dropEdges(tokens: readonly Token[]): Token[] {
  const isEmpty = (it: Token | undefined): boolean => it !== undefined && STOP_WORDS.has(it.stem);
  let [start, end] = [0, tokens.length];
  while (start < end && isEmpty(tokens[start])) start++;
  while (end > start && isEmpty(tokens[end - 1])) end--;
  return tokens.slice(start, end);
}

export function answerName(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  let best: Candidate | undefined;
  for (const match of rankUnits(question, scenes)) {
    if (match.score < SCORE_MIN) continue;
    const { unit } = match;
    const at = unit.tokens.findIndex(
      (it) => it.stem === "call" || it.stem === "nam" || it.stem === "name",
    );
    const last = match.places.at(-1) ?? 0;
    const called = at >= 0 ? phraseAfter(unit.tokens, at + 1).slice(0, 3) : undefined;
    const isBe = unit.tokens[last + 1]?.stem === "be";
    const equal =
      isBe && unit.tokens.length - last <= 5 ? phraseAfter(unit.tokens, last + 2) : undefined;
    // A caption or a sign that holds the thing's kind holds its name too: "MINT TEA HOUSE".
    const written = unit.region !== "speech" && match.ownScore >= 0.5 ? unit.tokens : undefined;
    const phrase = called ?? equal ?? written;
    if (phrase === undefined || phrase.length === 0) continue;
    const confidence =
      match.score * (called !== undefined ? 1 : 0.85) * (0.7 + 0.3 * match.ownScore);
    if (confidence > (best?.confidence ?? 0))
      best = candidate(textOf(phrase), confidence, [evidenceOf(unit)]);
  }
  return best ?? subjectOfDeed(question, scenes);
}

/** "What is the name of the girl who sings": a deed is asked for, not a kind. */
function subjectOfDeed(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  const [match] = rankUnits(question, scenes);
  if (match === undefined || match.score < 0.75) return undefined;
  const name = subjectBefore(match.unit, match.places[0] ?? 0) ?? namesIn(match.unit)[0];
  return name === undefined
    ? undefined
    : candidate(name, 0.7 * match.score, [evidenceOf(match.unit)]);
}
