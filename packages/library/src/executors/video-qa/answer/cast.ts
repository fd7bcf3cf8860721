/**
 * Who is meant: names in texts, who a "she" is, and which of the persons seen has which name.
 *
 * Invariants:
 *   C1. A name comes from the video, never from the question alone.
 *   C2. A person seen is only called by a name of the same scene; where a scene has several of
 *       both, by what the person wears in a scene alone.
 */
import type { SeenPerson } from "../values.ts";
import { AMBIGUOUS_NAMES, GIVEN_NAMES } from "./given-names.ts";
import {
  AUXILIARIES,
  CLOTHES,
  COLORS,
  CONJUNCTIONS,
  DETERMINERS,
  PEOPLE_NOUNS,
  PLACE_NOUNS,
  PREPOSITIONS,
  PRONOUNS,
  STOP_WORDS,
} from "./lexicon.ts";
import { similarity } from "./sounds.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { isNumber, stemOf, type Token } from "./words.ts";

const NAME_SIMILARITY_MIN = 0.66;
const PLACE_PREPOSITIONS = new Set(["in", "at", "on", "from", "to", "near", "of"].map(stemOf));
const NAMING_VERBS = new Set(["call", "name", "meet"].map(stemOf));

/** Whether the token at `index` can be a person's name. */
export function isNameAt(tokens: readonly Token[], index: number): boolean {
  const token = tokens[index];
  if (token === undefined || token.text.length < 2 || isNumber(token)) return false;
  const lower = token.text.toLowerCase();
  const previous = tokens[index - 1]?.stem ?? "";
  const next = tokens[index + 1]?.stem ?? "";
  if (GIVEN_NAMES.has(lower)) {
    if (DETERMINERS.has(previous)) return false;
    return !AMBIGUOUS_NAMES.has(lower) || !PLACE_PREPOSITIONS.has(previous) || previous === "of";
  }
  const isWord = [
    STOP_WORDS,
    COLORS,
    CLOTHES,
    PLACE_NOUNS,
    PEOPLE_NOUNS,
    PRONOUNS,
    CONJUNCTIONS,
  ].some((it) => it.has(token.stem));
  // Not in the list: only right after "is called", "named", "meet".
  if (isWord || DETERMINERS.has(previous) || PLACE_NOUNS.has(next)) return false;
  const isOfPerson = tokens.slice(0, index).some((it) => PEOPLE_NOUNS.has(it.stem));
  return previous === stemOf("meet") || (NAMING_VERBS.has(previous) && isOfPerson);
}

export function namesIn(unit: Unit): string[] {
  const names = unit.tokens.filter((_, index) => isNameAt(unit.tokens, index));
  return [...new Set(names.map((it) => toName(it.text)))];
}

export function toName(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase();
}

/** Names of a scene, those on the screen first. */
export function namesOfScene(scene: SceneFacts): string[] {
  const order = { caption: 0, sign: 1, speech: 2 };
  const units = [...scene.units].sort((a, b) => order[a.region] - order[b.region]);
  return [...new Set(units.flatMap(namesIn))];
}

export function isSameName(a: string, b: string): boolean {
  return stemOf(a) === stemOf(b) || similarity(a, b) >= NAME_SIMILARITY_MIN;
}

/**
 * The name at the head of a sentence or a caption: who does what the verb says.
 *
 * `at`: the place of the verb; the nearest name before it, unless another clause lies between.
 */
export function subjectBefore(unit: Unit, at: number): string | undefined {
  for (let index = at - 1; index >= 0; index--) {
    const token = unit.tokens[index];
    if (token === undefined) break;
    if (isNameAt(unit.tokens, index)) return toName(token.text);
    if (PRONOUNS.has(token.stem)) return antecedentOf(unit, token.stem);
  }
  return undefined;
}

/** Who a pronoun stands for: the last name spoken before in the scene, else the only one. */
export function antecedentOf(unit: Unit, pronoun: string): string | undefined {
  const earlier = unit.scene.units.filter(
    (it) => it.region === "speech" && it.atSec < unit.atSec && namesIn(it).length > 0,
  );
  const spoken = earlier.at(-1);
  if (spoken !== undefined) return namesIn(spoken)[0];
  const names = namesOfScene(unit.scene);
  return names.length === 1 || pronoun !== "they" ? names[0] : undefined;
}

/** Whether a unit speaks of `name`, by name, by pronoun, or because the scene is only about it. */
export function speaksOf(unit: Unit, name: string): number {
  const named = unit.tokens.some(
    (it, at) => isNameAt(unit.tokens, at) && isSameName(it.text, name),
  );
  if (named || unit.tokens.some((it) => stemOf(it.text) === stemOf(name))) return 1;
  const pronoun = unit.tokens.find((it) => PRONOUNS.has(it.stem));
  const names = namesOfScene(unit.scene);
  if (!names.some((it) => isSameName(it, name))) return 0;
  if (pronoun !== undefined && isSameName(antecedentOf(unit, pronoun.stem) ?? "", name)) return 0.9;
  // "The keeper of the hut has a scarf", in the scene of one person.
  return namesIn(unit).length === 0 && names.length === 1 ? 0.75 : 0;
}

export interface Sighting {
  readonly name: string;
  readonly person: SeenPerson;
  readonly scene: SceneFacts;
  /** In [0, 1]: 1 for the only person in the scene of one name. */
  readonly certainty: number;
}

/** Persons seen, by name (C2). */
export function findSightings(scenes: readonly SceneFacts[]): Sighting[] {
  const sure: Sighting[] = [];
  for (const scene of scenes) {
    const [name, ...others] = namesOfScene(scene);
    const [person] = scene.people;
    if (name === undefined || person === undefined || others.length > 0) continue;
    // With more people than names, the one nearest the middle is who the caption is about.
    const central = [...scene.people].sort((a, b) => offCenter(a) - offCenter(b))[0] ?? person;
    const certainty = scene.people.length === 1 ? 1 : 0.5;
    sure.push({ name, person: central, scene, certainty });
  }
  const joint = scenes.flatMap((scene) => alignByProfile(scene, sure));
  return [...sure, ...joint];
}

function offCenter(person: SeenPerson): number {
  return Math.abs(person.box.x + person.box.width / 2 - 0.5);
}

function alignByProfile(scene: SceneFacts, sure: readonly Sighting[]): Sighting[] {
  const names = namesOfScene(scene);
  if (names.length < 2 || scene.people.length === 0) return [];
  const known = names.map((name) => sure.find((it) => isSameName(it.name, name)));
  const free = scene.people.filter(
    (person) => !known.some((it) => it !== undefined && it.person.top.color === person.top.color),
  );
  const unknown = names.filter((_, index) => known[index] === undefined);
  const seen = names.flatMap((name, index) => {
    const own = known[index];
    const person = scene.people.find(
      (it) => own !== undefined && it.top.color === own.person.top.color,
    );
    return person === undefined ? [] : [{ name, person, scene, certainty: 0.7 }];
  });
  // As many strangers as names left: read from left to right, as they are told.
  const told = unknown.length === free.length ? unknown : [];
  const guessed = told.flatMap((name, index) => {
    const person = free[index];
    const certainty = told.length === 1 ? 0.8 : 0.55;
    return person === undefined ? [] : [{ name, person, scene, certainty }];
  });
  return [...seen, ...guessed];
}

/** Whether a token may stand in a subject. */
export function isNounLike(token: Token): boolean {
  return ![DETERMINERS, PREPOSITIONS, CONJUNCTIONS, AUXILIARIES, PRONOUNS].some((it) =>
    it.has(token.stem),
  );
}
