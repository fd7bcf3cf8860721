/**
 * Places and days: where someone or something is, and on which day it happens.
 */
import { type Candidate, candidate, evidenceOf } from "./candidate.ts";
import { namesIn } from "./cast.ts";
import { DAYS, LIGHT_VERBS, PLACE_NOUNS, STOP_WORDS } from "./lexicon.ts";
import { matchToken, rankUnits } from "./match.ts";
import type { Question } from "./question.ts";
import { placePhrase, textOf, timePhrase } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import type { Token } from "./words.ts";

/** Half of the question may be missing: a place is named once, and most often in the caption. */
const PLACE_SCORE_MIN = 0.55;

export function answerWhere(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const { head } = question;
  // "On which mountain is Julia?": the mountain is asked for, and may be named or not.
  const needed = question.terms.filter((it) => it !== head);
  let best: Candidate | undefined;
  for (const match of rankUnits(question, scenes, needed)) {
    if (match.score < PLACE_SCORE_MIN || !hasDeed(question, match.unit)) continue;
    const { unit } = match;
    const options = [unit, ...unit.scene.units.filter((it) => it !== unit)];
    for (const [rank, from] of options.entries()) {
      const place = placeIn(from, question);
      if (place === undefined) continue;
      const isHead = head !== undefined && place.some((it) => it.stem === head.stem);
      const confidence =
        match.score * (0.75 + 0.25 * match.ownScore) * (rank === 0 ? 1 : 0.75) * (isHead ? 1.1 : 1);
      const evidence = rank === 0 ? [evidenceOf(unit)] : [evidenceOf(unit), evidenceOf(from)];
      if (confidence > (best?.confidence ?? 0))
        best = candidate(textOf(place), confidence, evidence);
      break;
    }
  }
  return best;
}

/** "Where does Ann live": where she is otherwise is no answer, the scene must speak of living. */
function hasDeed({ tokens, terms, names }: Question, unit: Unit): boolean {
  if (tokens[0]?.stem !== "wher" && tokens[0]?.stem !== "where") return true;
  if (tokens[1]?.stem !== "do") return true;
  const deed = terms.findLast((it) => !names.includes(it) && !LIGHT_VERBS.has(it.stem));
  const known = unit.scene.units.flatMap((it) => it.tokens);
  return deed === undefined || known.some((it) => matchToken(deed, it) > 0.6);
}

/** A phrase with a preposition, or a caption that is the name of a place. */
function placeIn(unit: Unit, question: Question): Token[] | undefined {
  if (unit.region !== "sign") {
    const phrase = placePhrase(unit.tokens);
    const isNews = phrase?.some(
      (it) =>
        !STOP_WORDS.has(it.stem) &&
        !question.terms.some((term) => term.stem === it.stem && term !== question.head),
    );
    if (phrase !== undefined && isNews === true) return phrase;
  }
  const isPlace =
    unit.region !== "speech" &&
    unit.tokens.some((it) => PLACE_NOUNS.has(it.stem)) &&
    namesIn(unit).length === 0;
  return isPlace ? [...unit.tokens] : undefined;
}

export function answerDay(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  for (const { unit, score } of rankUnits(question, scenes)) {
    if (score < PLACE_SCORE_MIN) break;
    const phrase = unit.tokens.some((it) => DAYS.has(it.stem))
      ? timePhrase(unit.tokens)
      : undefined;
    if (phrase !== undefined) return candidate(textOf(phrase), score, [evidenceOf(unit)]);
  }
  return undefined;
}
