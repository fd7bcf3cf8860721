/**
 * How well a piece of evidence covers a question.
 *
 * Invariants:
 *   M1. Scores lie in [0, 1]; 1 means that every term of the question is there.
 *   M2. What the question names must be there, in the unit or in its scene.
 */
import { isSameName, speaksOf } from "./cast.ts";
import { AMBIGUOUS_NAMES, GIVEN_NAMES } from "./given-names.ts";
import { areSynonyms, LIGHT_VERBS } from "./lexicon.ts";
import type { Question } from "./question.ts";
import { similarity } from "./sounds.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { type Token } from "./words.ts";

/** A word that was heard for another must sound much like it. */
const SOUND_SIMILARITY_MIN = 0.74;
const SYNONYM_SCORE = 0.85;
/** A term that only the rest of the scene holds: its caption tells the place, a sentence the deed. */
const SCENE_SHARE = 0.8;
/** A person who is in the scene, but not whom the sentence is about. */
const NAME_ELSEWHERE_SHARE = 0.4;
const NAME_WEIGHT = 1.6;
const LIGHT_WEIGHT = 0.4;

export interface Match {
  readonly unit: Unit;
  /** In [0, 1]. */
  readonly score: number;
  /** Places in the unit of the terms found there. */
  readonly places: readonly number[];
  /** Score of the terms in the unit alone. */
  readonly ownScore: number;
}

export function matchToken(term: Token, token: Token): number {
  const certainty = token.certainty ?? 1;
  if (term.stem === token.stem) return certainty;
  if (areSynonyms(term.stem, token.stem)) return SYNONYM_SCORE * certainty;
  if (term.stem.length < 4 || token.stem.length < 3 || /\d/.test(term.stem + token.stem)) return 0;
  // "station" and "stations", "sell" and "seller".
  const [short, long] =
    term.stem.length < token.stem.length ? [term.stem, token.stem] : [token.stem, term.stem];
  if (short.length >= 4 && long.startsWith(short) && long.length - short.length <= 3) return 0.9;
  const alike = similarity(term.stem, token.stem);
  return alike >= SOUND_SIMILARITY_MIN ? 0.8 * alike : 0;
}

function bestIn(term: Token, tokens: readonly Token[]): { score: number; at: number } {
  let best = { score: 0, at: -1 };
  for (const [at, token] of tokens.entries()) {
    const score = matchToken(term, token);
    if (score > best.score) best = { score, at };
  }
  return best;
}

function weightOf(question: Question, term: Token): number {
  if (LIGHT_VERBS.has(term.stem)) return LIGHT_WEIGHT;
  return question.names.includes(term) ? NAME_WEIGHT : 1;
}

function isPersonTerm(term: Token): boolean {
  const name = term.text.replace(/['’]s$/, "").toLowerCase();
  return GIVEN_NAMES.has(name) && !AMBIGUOUS_NAMES.has(name);
}

/** `terms`: default those of the question. */
export function matchUnit(question: Question, unit: Unit, terms = question.terms): Match {
  let total = 0;
  let sum = 0;
  let own = 0;
  const places: number[] = [];
  for (const term of terms) {
    const weight = weightOf(question, term);
    total += weight;
    const here = bestIn(term, unit.tokens);
    if (here.at >= 0) places.push(here.at);
    const name = term.text.replace(/['’]s$/, "");
    const isName = isSameName(name, question.person ?? "") || isPersonTerm(term);
    const spoken = isName ? speaksOf(unit, name) : 0;
    const share = isName ? NAME_ELSEWHERE_SHARE : SCENE_SHARE;
    const elsewhere = share * sceneScore(term, unit.scene);
    sum += weight * Math.max(here.score, spoken, elsewhere);
    own += weight * Math.max(here.score, spoken);
  }
  return {
    unit,
    score: total === 0 ? 0 : sum / total,
    ownScore: total === 0 ? 0 : own / total,
    places: places.sort((a, b) => a - b),
  };
}

function sceneScore(term: Token, scene: SceneFacts): number {
  return Math.max(0, ...scene.units.map((it) => bestIn(term, it.tokens).score));
}

/** How well a whole scene covers the terms, in [0, 1]. */
export function matchScene(question: Question, scene: SceneFacts, terms = question.terms): number {
  if (terms.length === 0) return 0;
  const total = terms.reduce((sum, it) => sum + weightOf(question, it), 0);
  const sum = terms.reduce((acc, it) => acc + weightOf(question, it) * sceneScore(it, scene), 0);
  return sum / total;
}

/** Units that cover the question, best first; of equals the one that holds more itself. */
export function rankUnits(
  question: Question,
  scenes: readonly SceneFacts[],
  terms = question.terms,
): Match[] {
  return scenes
    .flatMap((scene) => scene.units)
    .map((it) => matchUnit(question, it, terms))
    .filter((it) => it.ownScore > 0)
    .sort((a, b) => b.score + 0.5 * b.ownScore - (a.score + 0.5 * a.ownScore));
}
