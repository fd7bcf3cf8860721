/**
 * Clothes and colours: who wears what, what someone wears, what colour a thing has.
 *
 * What is said comes first, because it names the thing. The picture comes second: it knows the
 * colours, and which persons the names of a scene are (see cast.ts).
 */
import type { SeenColor, SeenPerson } from "../values.ts";
import { answerWho } from "./answer-who.ts";
import { type Candidate, candidate, evidenceOf, pictureEvidence } from "./candidate.ts";
import {
  findSightings,
  isNameAt,
  isSameName,
  namesOfScene,
  type Sighting,
  speaksOf,
  toName,
} from "./cast.ts";
import {
  BOTTOMS,
  basicColor,
  CLOTHES,
  COLORS,
  EXTRAS,
  HATS,
  isClothes,
  ONE_PIECES,
  WEAR_VERBS,
} from "./lexicon.ts";
import { matchScene, matchToken } from "./match.ts";
import type { Question } from "./question.ts";
import { headPhrase, phraseAfter, textOf } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { stemOf } from "./words.ts";

const PLACE_SCORE_MIN = 0.5;

/** The colours of a person where an item of clothing would be. */
function colorsAt(person: SeenPerson, item: string): SeenColor[] {
  const { top, bottom, hat, others } = person;
  if (HATS.has(item)) return hat === undefined ? [] : [hat];
  if (BOTTOMS.has(item)) return bottom === undefined ? [] : [bottom];
  if (EXTRAS.has(item)) return others;
  return CLOTHES.has(item) ? [top] : [];
}

function isColor(seen: SeenColor, color: string): boolean {
  const shades = (seen.shade ?? "").split(" ").map(stemOf);
  return stemOf(seen.color) === basicColor(color) || shades.includes(color);
}

function describeColor({ color, shade }: SeenColor): string {
  if (shade === undefined || shade.includes(color)) return shade ?? color;
  return shade === "beige" ? shade : `${shade} (${color})`;
}

/** Whether the shape fits: a dress has one colour from top to bottom. */
function shapeScore(person: SeenPerson, item: string | undefined): number {
  if (item === undefined || person.bottom === undefined) return 0.9;
  const isOnePiece = person.bottom.color === person.top.color;
  if (item === "dress" || item === "gown") return isOnePiece ? 1 : 0.5;
  return isOnePiece && !ONE_PIECES.has(item) ? 0.6 : 1;
}

export function answerWhoWears(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const spoken = answerWho(question, scenes);
  const [color] = question.colors;
  if (spoken !== undefined || color === undefined || question.item === undefined) return spoken;
  const { item } = question;
  const fits = findSightings(scenes)
    .filter((it) => colorsAt(it.person, item).some((seen) => isColor(seen, color)))
    .filter((it) => !saysOtherwise(it, question))
    .map((it) => ({ ...it, score: it.certainty * shapeScore(it.person, item) }))
    .sort((a, b) => b.score - a.score);
  const best = fits[0];
  if (best === undefined || best.score < 0.45) return undefined;
  return candidate(best.name, 0.75 * best.score, sightingEvidence(best, `someone in ${color}`));
}

/** The texts of the scene give the person that colour, but on another thing. */
function saysOtherwise(sighting: Sighting, question: Question): boolean {
  return sighting.scene.units.some((unit) =>
    unit.tokens.some((token, at) => {
      const worn = unit.tokens[at + 1]?.stem ?? "";
      const isAsked = question.colors.includes(token.stem);
      return isAsked && CLOTHES.has(worn) && !sameItem(worn, question.item ?? "");
    }),
  );
}

function sameItem(a: string, b: string): boolean {
  return matchToken({ text: a, stem: a }, { text: b, stem: b }) > 0.8;
}

function sightingEvidence(sighting: Sighting, what: string): Candidate["evidence"] {
  const { scene, name } = sighting;
  const naming = scene.units.find((unit) => speaksOf(unit, name) === 1);
  const seen = pictureEvidence(scene, `${what} is seen`);
  return naming === undefined ? [seen] : [evidenceOf(naming), seen];
}

export function answerWears(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const { person } = question;
  if (person === undefined) return undefined;
  const spoken = clothesSaid(person, scenes, question);
  if (spoken !== undefined) return spoken;
  const seen = sightingOf(person, scenes, question);
  if (seen === undefined) return undefined;
  const { top, bottom } = seen.person;
  const isDress = bottom?.color === top.color;
  const below = bottom === undefined || isDress ? "" : `, ${describeColor(bottom)} below`;
  const text = `${describeColor(top)} clothes${isDress ? "" : " on top"}${below}`;
  return candidate(text, 0.6 * seen.certainty, sightingEvidence(seen, text));
}

function clothesSaid(
  person: string,
  scenes: readonly SceneFacts[],
  question: Question,
): Candidate | undefined {
  let best: Candidate | undefined;
  for (const unit of scenes.flatMap((it) => it.units)) {
    const about = speaksOf(unit, person);
    if (about === 0) continue;
    const verb = unit.tokens.findIndex((it) => WEAR_VERBS.has(it.stem));
    const worn = unit.tokens.findIndex(isClothes);
    if (worn < 0 && verb < 0) continue;
    if (verb < 0 && !unit.tokens.slice(0, worn).some((it) => /^(?:in|with|hav)$/.test(it.stem)))
      continue;
    const phrase =
      worn >= 0
        ? clothesPhrase(unit, worn)
        : textOf(headPhrase(phraseAfter(unit.tokens, verb + 1)));
    const place = matchScene(question, unit.scene);
    const found = candidate(phrase, about * (worn >= 0 ? 0.95 : 0.6) * (0.7 + 0.3 * place), [
      evidenceOf(unit),
    ]);
    if (found !== undefined && found.confidence > (best?.confidence ?? 0)) best = found;
  }
  return best;
}

/** "gray coat" of "the man in the gray coat is called ...". */
function clothesPhrase(unit: Unit, at: number): string {
  let start = at;
  while (start > 0 && !isPhraseStart(unit, start - 1)) start--;
  return textOf(unit.tokens.slice(start, at + 1));
}

function isPhraseStart(unit: Unit, at: number): boolean {
  const stem = unit.tokens[at]?.stem ?? "";
  return (
    /^(?:a|an|the|in|with|wear|dress|hav|his|her|its|and|be|jump)$/.test(stem) ||
    isNameAt(unit.tokens, at)
  );
}

function sightingOf(
  person: string,
  scenes: readonly SceneFacts[],
  question: Question,
): Sighting | undefined {
  const places = question.terms.filter(
    (it) =>
      !isSameName(it.text.replace(/['’]s$/, ""), person) && !isClothes(it) && !COLORS.has(it.stem),
  );
  const item = question.item;
  return findSightings(scenes)
    .filter((it) => isSameName(it.name, person))
    .map((it) => {
      const place = places.length === 0 ? 1 : 0.7 + 0.3 * matchScene(question, it.scene, places);
      return { ...it, certainty: it.certainty * place * shapeScore(it.person, item) };
    })
    .sort((a, b) => b.certainty - a.certainty)[0];
}

export function answerColor(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const { person } = question;
  const things = question.terms.filter(
    (it) => person === undefined || !isSameName(it.text.replace(/['’]s$/, ""), person),
  );
  const thing = things.find((it) => CLOTHES.has(it.stem)) ?? things[0];
  if (thing === undefined) return undefined;
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
  return color === undefined
    ? undefined
    : candidate(color.text.toLowerCase(), 0.95 * about, [evidenceOf(unit)]);
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
