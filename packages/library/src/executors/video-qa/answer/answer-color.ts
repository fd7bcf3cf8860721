/**
 * What colour a thing has: as said, else as seen, else as a word that sounds like a colour.
 */
import {
  answerWears,
  colorsAt,
  describeColor,
  sightingEvidence,
  sightingOf,
} from "./answer-wear.ts";
import { type Candidate, candidate, evidenceOf, pictureEvidence } from "./candidate.ts";
import { isSameName, namesOfScene, speaksOf, toName } from "./cast.ts";
import { CLOTHES, COLORS, isClothes, STOP_WORDS } from "./lexicon.ts";
import { matchScene, matchToken } from "./match.ts";
import { alikeness, phonesOf } from "./phones.ts";
import type { Question } from "./question.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import type { Token } from "./words.ts";

const PLACE_SCORE_MIN = 0.5;
/** Where a colour must stand, half of its sounds are enough. */
const COLOR_ALIKE_MIN = 0.5;
const BASIC_COLORS = "red orange yellow green blue purple pink brown black white gray".split(" ");

export function answerColor(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const { person } = question;
  const things = question.terms.filter(
    (it) => person === undefined || !isSameName(it.text.replace(/['’]s$/, ""), person),
  );
  // "the dog's collar": not the dog.
  const owner = question.tokens.findIndex((it) => /['’]s$/.test(it.text));
  const owned = things.find((it) => owner >= 0 && question.tokens.indexOf(it) > owner);
  const thing = things.find(isClothes) ?? owned ?? things[0];
  // "What colour is Ann wearing?"
  if (thing === undefined) return question.isAboutWear ? answerWears(question, scenes) : undefined;
  let best: Candidate | undefined;
  for (const unit of scenes.flatMap((it) => it.units)) {
    const found = colorSaid(unit, question, thing.stem);
    if (found !== undefined && found.confidence > (best?.confidence ?? 0)) best = found;
  }
  if (best !== undefined) return best;
  return CLOTHES.has(thing.stem) ? colorSeen(question, scenes, thing.stem) : undefined;
}

/** A colour just before the thing, or after "is": "a brown leather suitcase", "the door is red". */
function colorSaid(unit: Unit, question: Question, thing: string): Candidate | undefined {
  const about = question.person === undefined ? 1 : speaksOf(unit, question.person);
  const at = unit.tokens.findIndex((it) => matchToken({ text: thing, stem: thing }, it) >= 0.8);
  if (at < 0 || about === 0) return undefined;
  const others = question.terms.filter(
    (it) => it.stem !== thing && !isSameName(it.text.replace(/['’]s$/, ""), question.person ?? ""),
  );
  if (others.length > 0 && matchScene(question, unit.scene, others) < PLACE_SCORE_MIN)
    return undefined;
  const before = unit.tokens.slice(Math.max(0, at - 3), at).findLast((it) => COLORS.has(it.stem));
  const isAfter = unit.tokens[at + 1]?.stem === "be" && COLORS.has(unit.tokens[at + 2]?.stem ?? "");
  const color = before ?? (isAfter ? unit.tokens[at + 2] : undefined);
  const guess = unit.region === "speech" ? soundsLikeColor(unit.tokens[at - 1]) : undefined;
  if (color === undefined && guess !== undefined)
    return candidate(guess, 0.5 * about, [evidenceOf(unit)]);
  return color === undefined
    ? undefined
    : candidate(color.text.toLowerCase(), 0.95 * about, [evidenceOf(unit)]);
}

/** "big umbrella" for "pink umbrella": a colour is asked for, and here one would stand. */
function soundsLikeColor(token: Token | undefined): string | undefined {
  // "around suitcase": no preposition stands before a bare thing, unlike "of" and "the".
  if (token === undefined || (STOP_WORDS.has(token.stem) && token.text.length < 5))
    return undefined;
  const ranked = BASIC_COLORS.map((color) => ({
    color,
    score: alikeness(phonesOf(color), phonesOf(token.text)),
  })).sort((a, b) => b.score - a.score);
  return ranked[0] !== undefined && ranked[0].score >= COLOR_ALIKE_MIN
    ? ranked[0].color
    : undefined;
}

function colorSeen(
  question: Question,
  scenes: readonly SceneFacts[],
  item: string,
): Candidate | undefined {
  const { person } = question;
  if (person !== undefined) {
    const seen = sightingOf(person, scenes, question);
    const [color] = seen === undefined ? [] : colorsAt(seen.person, item);
    if (seen === undefined || color === undefined) return undefined;
    return candidate(
      describeColor(color),
      0.8 * seen.certainty,
      sightingEvidence(seen, `someone in ${describeColor(color)}`),
    );
  }
  // "What colour is the coat of the man at the station?": the only person of the best scene.
  const places = question.terms.filter((it) => it.stem !== item);
  const ranked = scenes
    .map((scene) => ({ scene, score: matchScene(question, scene, places) }))
    .sort((a, b) => b.score - a.score);
  const best = ranked[0];
  const only = best?.scene.people.length === 1 ? best.scene.people[0] : undefined;
  const color = only === undefined ? undefined : colorsAt(only, item)[0];
  if (best === undefined || best.score < 0.7 || color === undefined) return undefined;
  const names = namesOfScene(best.scene).map(toName).join(", ");
  return candidate(describeColor(color), 0.6 * best.score, [
    pictureEvidence(
      best.scene,
      `${names === "" ? "someone" : names} in ${describeColor(color)} is seen`,
    ),
  ]);
}
