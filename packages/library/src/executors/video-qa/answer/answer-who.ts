/**
 * Persons: who does something, who is somewhere, who is called what.
 */
import { type Candidate, candidate, evidenceOf } from "./candidate.ts";
import {
  antecedentOf,
  isNameAt,
  isSameName,
  namesIn,
  namesOfScene,
  subjectBefore,
  toName,
} from "./cast.ts";
import { PRONOUNS } from "./lexicon.ts";
import { type Match, rankUnits } from "./match.ts";
import type { Question } from "./question.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { stemOf } from "./words.ts";

const SCORE_MIN = 0.66;
/** Of the terms, in the sentence itself: the scene may give the place, not the whole deed. */
const OWN_SCORE_MIN = 0.3;

export function answerWho(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const asked = question.names.map((it) => it.text.replace(/['’]s$/, ""));
  let best: Candidate | undefined;
  for (const match of rankUnits(question, scenes)) {
    if (match.score < SCORE_MIN || match.ownScore < OWN_SCORE_MIN) continue;
    const name = personOf(match, asked);
    if (name === undefined) continue;
    const share = match.unit.region === "speech" ? 1 : 0.95;
    const confidence = share * match.score * (0.8 + 0.2 * match.ownScore) * name.certainty;
    if (confidence > (best?.confidence ?? 0)) {
      best = candidate(name.text, confidence, evidenceWith(match.unit, name.text));
    }
  }
  return best;
}

interface Named {
  readonly text: string;
  readonly certainty: number;
}

function personOf({ unit, places }: Match, asked: readonly string[]): Named | undefined {
  const isAsked = (name: string): boolean => asked.some((it) => isSameName(it, name));
  const first = places[0] ?? 0;
  const called = calledName(unit);
  if (called !== undefined && !isAsked(called)) return { text: called, certainty: 1 };
  // "Laura, who plays the guitar"; "George sells fish".
  const subject = subjectBefore(unit, first);
  if (subject !== undefined && !isAsked(subject)) return { text: subject, certainty: 1 };
  const inside = namesIn(unit).filter((it) => !isAsked(it));
  if (inside[0] !== undefined)
    return { text: inside.join(" and "), certainty: inside.length === 1 ? 0.95 : 0.8 };
  const pronoun = unit.tokens.find((it) => PRONOUNS.has(it.stem));
  const meant = pronoun === undefined ? undefined : antecedentOf(unit, pronoun.stem);
  if (meant !== undefined && !isAsked(meant)) return { text: meant, certainty: 0.9 };
  const unlisted = unlistedSubject(unit, first);
  const around = namesOfScene(unit.scene).filter((it) => !isAsked(it));
  if (around.length > 0)
    return { text: around.join(" and "), certainty: around.length === 1 ? 0.85 : 0.6 };
  return unlisted === undefined ? undefined : { text: toName(unlisted), certainty: 0.6 };
}

/** "is called Daniel", "named Simon", "is Sarah". */
function calledName(unit: Unit): string | undefined {
  const at = unit.tokens.findIndex((it) => it.stem === stemOf("called") || it.stem === "nam");
  const next = unit.tokens[at + 1];
  return at >= 0 && next !== undefined && isNameAt(unit.tokens, at + 1)
    ? toName(next.text)
    : undefined;
}

/** A word that is no name we know, at the head of a sentence, where names stand. */
function unlistedSubject(unit: Unit, verbAt: number): string | undefined {
  const [first] = unit.tokens;
  if (first === undefined || verbAt !== 1 || unit.region === "sign") return undefined;
  return /^\p{L}{3,}$/u.test(first.text) && !PRONOUNS.has(first.stem) ? first.text : undefined;
}

function evidenceWith(unit: Unit, name: string): Candidate["evidence"] {
  const hasName = namesIn(unit).some((it) => name.includes(it));
  const naming = hasName
    ? undefined
    : unit.scene.units.find(
        (it) => it !== unit && namesIn(it).some((found) => name.includes(found)),
      );
  return naming === undefined ? [evidenceOf(unit)] : [evidenceOf(unit), evidenceOf(naming)];
}
