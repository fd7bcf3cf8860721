/**
 * Clothes: who wears what, and what someone wears.
 *
 * What is said comes first, because it names the thing. The picture comes second: it knows the
 * colours, and which persons the names of a scene are (see cast.ts).
 */
import type { SeenColor, SeenPerson } from "../values.ts";
import { answerWho } from "./answer-who.ts";
import { type Candidate, candidate, evidenceOf, pictureEvidence } from "./candidate.ts";
import { isNameAt, isSameName, namesOfScene, speaksOf } from "./cast.ts";
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
import { findSightings, type Sighting } from "./sightings.ts";
import { headPhrase, phraseAfter, textOf } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { stemOf } from "./words.ts";

/** "a long red winter coat": words between the colour and the thing. */
const ADJECTIVES_MAX = 3;
/** Leaves an answer, of which no plan is sure. */
const RIVAL_SHARE = 0.6;

/** The colours of a person where an item of clothing would be. */
export function colorsAt(person: SeenPerson, item: string): SeenColor[] {
  const { top, bottom, hat, others } = person;
  if (HATS.has(item)) return hat === undefined ? [] : [hat];
  if (BOTTOMS.has(item)) return bottom === undefined ? [] : [bottom];
  if (EXTRAS.has(item)) return others;
  return CLOTHES.has(item) ? [top] : [];
}

export function isColor(seen: SeenColor, color: string): boolean {
  const shades = (seen.shade ?? "").split(" ").map(stemOf);
  return stemOf(seen.color) === basicColor(color) || shades.includes(color);
}

export function describeColor({ color, shade }: SeenColor): string {
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
  const spoken =
    answerWho(question, scenes, (unit) => saysWorn(question, unit)) ??
    answerUnknownItem(question, scenes);
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
  const share = hasNamelessRival(best, scenes, { color, item }) ? RIVAL_SHARE : 1;
  const confidence = 0.75 * share * best.score;
  return candidate(best.name, confidence, sightingEvidence(best, `someone in ${color}`));
}

/** Somebody of no known name wears the same: the picture alone cannot tell who is meant. */
function hasNamelessRival(
  best: Sighting & { readonly score: number },
  scenes: readonly SceneFacts[],
  { color, item }: { readonly color: string; readonly item: string },
): boolean {
  return scenes.some(
    (scene) =>
      namesOfScene(scene).length === 0 &&
      scene.people.some(
        (person) =>
          colorsAt(person, item).some((seen) => isColor(seen, color)) &&
          shapeScore(person, item) >= best.score,
      ),
  );
}

/** Whether a unit tells of the very item: the colour asked for stands before it, if any. */
function saysWorn({ item, colors }: Question, unit: Unit): boolean {
  const [color] = colors;
  if (item === undefined) return color === undefined || unit.tokens.some((it) => it.stem === color);
  const places = unit.tokens.flatMap((it, at) => (sameItem(item, it.stem) ? [at] : []));
  if (color === undefined) return places.length > 0;
  return places.some((at) =>
    unit.tokens
      .slice(Math.max(0, at - ADJECTIVES_MAX), at)
      .some((it) => it.stem === color || basicColor(it.stem) === color),
  );
}

/** "has on an orange couldn't": the colour is right, and what follows it is no other clothes. */
function answerUnknownItem(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const [color] = question.colors;
  if (color === undefined || question.item === undefined) return undefined;
  const terms = question.terms.filter((it) => it.stem !== question.item);
  const found = answerWho({ ...question, terms }, scenes, ({ tokens, region }) => {
    const at = tokens.findIndex((it) => it.stem === color);
    const next = tokens[at + 1];
    const before = tokens.slice(0, Math.max(0, at));
    const isWorn = before.some((it) => WEAR_VERBS.has(it.stem) || it.stem === "on");
    return region === "speech" && isWorn && next !== undefined && !CLOTHES.has(next.stem);
  });
  return found === undefined ? undefined : { ...found, confidence: 0.6 * found.confidence };
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

export function sightingEvidence(sighting: Sighting, what: string): Candidate["evidence"] {
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
  const hat = seen.person.hat === undefined ? "" : `, ${describeColor(seen.person.hat)} hat`;
  const text = isDress
    ? `${describeColor(top)} dress or suit${hat}`
    : `${describeColor(top)} clothes on top${below}${hat}`;
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

/** A name that no list has, written in a scene of one person: it is that person's. */
function unlistedSightings(name: string, scenes: readonly SceneFacts[]): Sighting[] {
  return scenes.flatMap((scene) => {
    const [person, ...others] = scene.people;
    const isNamed = scene.units.some((unit) => unit.tokens.some((it) => it.stem === stemOf(name)));
    if (person === undefined || others.length > 0 || !isNamed) return [];
    return namesOfScene(scene).length > 0 ? [] : [{ name, person, scene, certainty: 0.9 }];
  });
}

export function sightingOf(
  person: string,
  scenes: readonly SceneFacts[],
  question: Question,
): Sighting | undefined {
  const places = question.terms.filter(
    (it) =>
      !isSameName(it.text.replace(/['’]s$/, ""), person) && !isClothes(it) && !COLORS.has(it.stem),
  );
  const item = question.item;
  const named = findSightings(scenes).filter((it) => isSameName(it.name, person));
  return (named.length > 0 ? named : unlistedSightings(person, scenes))
    .map((it) => {
      const place = places.length === 0 ? 1 : 0.7 + 0.3 * matchScene(question, it.scene, places);
      return { ...it, certainty: it.certainty * place * shapeScore(it.person, item) };
    })
    .sort((a, b) => b.certainty - a.certainty)[0];
}
