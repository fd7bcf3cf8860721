/**
 * A second look, where the first found nothing: narrow patterns that need less of the question in
 * one sentence, because they need a certain form of the answer.
 *
 * Owns:      numbers of a noun said nearby, jobs in apposition, what follows a preposition that the
 *            question asks with, signs that name a thing to be had.
 * Does not:  lower any threshold: without its form there is no answer.
 */
import { type Candidate, candidate, evidenceOf } from "./candidate.ts";
import { isSameName, namesIn, namesOfScene } from "./cast.ts";
import { AUXILIARIES, CONJUNCTIONS, DETERMINERS, PREPOSITIONS } from "./lexicon.ts";
import { matchToken } from "./match.ts";
import type { Question } from "./question.ts";
import { looksLikeVerb, numberSpans, phraseAfter, textOf } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import type { Token } from "./words.ts";

/** Sure of the form, less sure of the sentence. */
const FORM_CONFIDENCE = 0.55;
/** A sentence with "of them" speaks of what was named this shortly before, s. */
const REFERENCE_SEC_MAX = 8;
const JOB_WORDS_MAX = 3;
const JOB_ASKED = /\b(?:job|profession|occupation)\b|\bdo(?:es)? .* for a living\b/i;

export function answerLoosely(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const text = textOf(question.tokens);
  if (JOB_ASKED.test(text)) return jobOf(question, scenes);
  return (
    nearbyNumber(question, scenes) ??
    numberOnSign(question, scenes) ??
    afterPreposition(question, scenes) ??
    thingOnSign(question, scenes)
  );
}

/** "From which city …", "for whom …": the words behind that preposition in a fitting sentence. */
export function afterPreposition(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const { preposition } = question;
  if (preposition === undefined) return undefined;
  const terms = question.terms.filter((it) => it !== question.head);
  const found = allUnits(scenes).flatMap((unit) => {
    const at = unit.tokens.findIndex((it) => it.stem === preposition);
    if (at < 0 || unit.source !== "speech" || !fitsPerson(question, unit)) return [];
    const own = terms.filter((term) => !isNamed(question, term));
    const share = shareOf(own, unit.tokens.slice(0, at));
    return share >= 0.5 ? [{ unit, share, phrase: phraseAfter(unit.tokens, at + 1) }] : [];
  });
  const best = found.toSorted((a, b) => b.share - a.share)[0];
  if (best === undefined) return undefined;
  return candidate(textOf(best.phrase), FORM_CONFIDENCE, [evidenceOf(best.unit)]);
}

/** "Six geese swim", or "there are six of them" right after the geese were named. */
function nearbyNumber(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  const { head, tokens, names } = question;
  if (head === undefined || tokens[1]?.stem !== "many" || names.length > 0) return undefined;
  const found = scenes.flatMap((scene) => {
    const spoken = scene.units.filter((it) => it.source === "speech");
    return spoken.flatMap((unit, index) => {
      const counted = numberSpans(unit.tokens, true).find(
        (it) => it.noun !== undefined && matchToken(head, it.noun) >= 0.9,
      );
      if (counted !== undefined) return [{ unit, span: counted }];
      const before = spoken[index - 1];
      const isFollowUp =
        before !== undefined &&
        unit.atSec - before.atSec <= REFERENCE_SEC_MAX &&
        before.tokens.some((it) => matchToken(head, it) >= 0.9) &&
        /\bof them\b|^there (?:are|were)\b/i.test(unit.text);
      const span = isFollowUp ? numberSpans(unit.tokens, true)[0] : undefined;
      return span === undefined ? [] : [{ unit, span }];
    });
  });
  const [only] = found;
  // Two numbers for one noun: nothing tells which is meant.
  if (only === undefined || found.length > 1) return undefined;
  const number = only.span.tokens.filter((it) => it !== only.span.noun);
  return candidate(textOf(number), FORM_CONFIDENCE, [evidenceOf(only.unit)]);
}

/** "ADULTS 12 DOLLARS" for what adults pay. */
function numberOnSign(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  if (question.kind !== "quantity" || question.names.length > 0) return undefined;
  for (const unit of allUnits(scenes)) {
    if (unit.source !== "screen-text") continue;
    const span = numberSpans(unit.tokens, false)[0];
    const isAbout = question.terms.some((term) =>
      unit.tokens.some((it) => matchToken(term, it) >= 0.9),
    );
    if (span === undefined || !isAbout) continue;
    return candidate(textOf(span.tokens), FORM_CONFIDENCE, [evidenceOf(unit)]);
  }
  return undefined;
}

/** "Susan animal doctor", "Alice the baker", "Omar is a tailor". */
function jobOf(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  const { person } = question;
  if (person === undefined) return undefined;
  for (const unit of allUnits(scenes)) {
    const at = unit.tokens.findIndex((it) => isSameName(it.text, person));
    if (at < 0) continue;
    let start = at + 1;
    const isLinked = isLink(unit.tokens[start]);
    while (isLink(unit.tokens[start])) start++;
    const words: Token[] = [];
    for (const token of unit.tokens.slice(start, start + JOB_WORDS_MAX)) {
      if (PREPOSITIONS.has(token.stem) || CONJUNCTIONS.has(token.stem) || looksLikeVerb(token))
        break;
      words.push(token);
    }
    // A caption is all apposition; in speech only an article or "is" makes one.
    const isTitle = unit.source === "screen-text" && at === 0 && words.length <= 2;
    if (words.length === 0 || (!isLinked && !isTitle)) continue;
    return candidate(textOf(words), FORM_CONFIDENCE, [evidenceOf(unit)]);
  }
  return undefined;
}

function isLink(token: Token | undefined): boolean {
  if (token === undefined) return false;
  return DETERMINERS.has(token.stem) || AUXILIARIES.has(token.stem) || token.stem === "as";
}

/** "What can you rent …": a sign that has the verb tells the thing. */
function thingOnSign(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  if (question.kind !== "what" || question.person !== undefined) return undefined;
  for (const unit of allUnits(scenes)) {
    if (unit.region !== "sign" || unit.tokens.length < 2) continue;
    const isAbout = (it: Token): boolean =>
      question.terms.some((term) => term.stem === it.stem && !isNamed(question, term));
    if (!unit.tokens.some(isAbout)) continue;
    const rest = unit.tokens.filter(
      (it) => !isAbout(it) && !PREPOSITIONS.has(it.stem) && !DETERMINERS.has(it.stem),
    );
    return candidate(textOf(rest), FORM_CONFIDENCE, [evidenceOf(unit)]);
  }
  return undefined;
}

function allUnits(scenes: readonly SceneFacts[]): readonly Unit[] {
  return scenes.flatMap((scene) => scene.units);
}

function isNamed({ names }: Question, term: Token): boolean {
  return names.includes(term);
}

/** The person asked about is named in the sentence, or the only one of the scene's last sentences. */
function fitsPerson({ person }: Question, unit: Unit): boolean {
  if (person === undefined) return true;
  const own = namesIn(unit);
  const names = own.length > 0 ? own : namesOfScene(unit.scene);
  return names.some((it) => isSameName(it, person));
}

function shareOf(terms: readonly Token[], tokens: readonly Token[]): number {
  if (terms.length === 0) return 0;
  const found = terms.filter((term) => tokens.some((it) => matchToken(term, it) >= 0.8));
  return found.length / terms.length;
}
