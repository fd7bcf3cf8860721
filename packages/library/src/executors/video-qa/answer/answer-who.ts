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
import {
  AUXILIARIES,
  DETERMINERS,
  LIGHT_VERBS,
  PRONOUNS,
  ROLE_NOUNS,
  STOP_WORDS,
} from "./lexicon.ts";
import { type Match, matchUnit, rankUnits } from "./match.ts";
import type { Question } from "./question.ts";
import { looksLikeVerb } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { stemOf } from "./words.ts";

const SCORE_MIN = 0.66;
/** Of the terms, in the sentence itself: the scene may give the place, not the whole deed. */
const OWN_SCORE_MIN = 0.3;
/** Without its verb, a question must be all there. */
const OWN_ALL_MIN = 0.78;

/** `accepts`: which units may answer; default all. */
export function answerWho(
  question: Question,
  scenes: readonly SceneFacts[],
  accepts: (unit: Unit) => boolean = () => true,
): Candidate | undefined {
  const asked = question.names.map((it) => it.text.replace(/['’]s$/, ""));
  let best: Candidate | undefined;
  for (const match of rankUnits(question, scenes)) {
    if (match.score < SCORE_MIN || match.ownScore < OWN_SCORE_MIN) continue;
    if (!accepts(match.unit)) continue;
    const name = personOf(match, asked);
    if (name === undefined) continue;
    const share = match.unit.region === "speech" ? 1 : 0.95;
    const confidence = share * match.score * (0.8 + 0.2 * match.ownScore) * name.certainty;
    if (confidence > (best?.confidence ?? 0)) {
      best = candidate(name.text, confidence, evidenceWith(match.unit, name.text));
    }
  }
  return best ?? answerWithoutVerb(question, scenes, accepts);
}

/** The verb was misheard, all else is in one unit, and no other verb is: then it is what is told. */
function answerWithoutVerb(
  question: Question,
  scenes: readonly SceneFacts[],
  accepts: (unit: Unit) => boolean,
): Candidate | undefined {
  const verb = question.tokens[1];
  const terms = question.terms.filter((it) => it !== verb);
  const isVerb = verb !== undefined && question.terms.includes(verb);
  const things = terms.filter((it) => !question.names.includes(it) && !LIGHT_VERBS.has(it.stem));
  if (question.tokens[0]?.stem !== "who" || !isVerb || things.length === 0) return undefined;
  const found = answerWho({ ...question, tokens: things, terms }, scenes, (unit) => {
    const isElse = unit.tokens.some((it) => looksLikeVerb(it) && !AUXILIARIES.has(it.stem));
    return accepts(unit) && !isElse && matchUnit(question, unit, terms).ownScore >= OWN_ALL_MIN;
  });
  return found === undefined ? undefined : { ...found, confidence: 0.65 * found.confidence };
}

interface Named {
  readonly text: string;
  readonly certainty: number;
}

function personOf({ unit, places }: Match, asked: readonly string[]): Named | undefined {
  const isAsked = (name: string): boolean => asked.some((it) => isSameName(it, name));
  const first = places[0] ?? 0;
  const agent = agentOf(unit, first);
  if (agent !== undefined && !isAsked(agent)) return { text: agent, certainty: 1 };
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
  const role = roleSubject(unit, first);
  const around = namesOfScene(unit.scene).filter((it) => !isAsked(it));
  if (around.length > 0)
    return { text: around.join(" and "), certainty: around.length === 1 ? 0.85 : 0.6 };
  const unlisted = role ?? unlistedSubject(unit, first);
  return unlisted === undefined ? undefined : { text: toName(unlisted), certainty: 0.75 };
}

/** "is repaired by Thomas", "was given to him by his grandmother": who did it. */
function agentOf(unit: Unit, first: number): string | undefined {
  const isPassive = unit.tokens.some((it) => it.stem === "be");
  const by = unit.tokens.findIndex((it, at) => at > first && it.stem === "by");
  if (by < 0 || !isPassive) return undefined;
  for (const at of [by + 1, by + 2, by + 3]) {
    if (isNameAt(unit.tokens, at)) return toName(unit.tokens[at]?.text ?? "");
    if (ROLE_NOUNS.has(unit.tokens[at]?.stem ?? "")) return unit.tokens[at]?.text;
    if (!DETERMINERS.has(unit.tokens[at]?.stem ?? "")) return undefined;
  }
  return undefined;
}

/** "Grandmother tells a story": a person without a name, before the verb. */
function roleSubject(unit: Unit, verbAt: number): string | undefined {
  const before = unit.tokens.slice(0, verbAt).findLast((it) => ROLE_NOUNS.has(it.stem));
  return before?.text;
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
  const isWord = STOP_WORDS.has(first.stem) || PRONOUNS.has(first.stem);
  return /^\p{L}{3,}$/u.test(first.text) && !isWord ? first.text : undefined;
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
