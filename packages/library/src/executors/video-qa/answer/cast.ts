/**
 * Who is meant: names in texts, and who a "she" is.
 *
 * Invariants:
 *   C1. A name comes from the video, never from the question alone.
 */
import { AMBIGUOUS_NAMES, GIVEN_NAMES } from "./given-names.ts";
import {
  CLOTHES,
  COLORS,
  CONJUNCTIONS,
  DETERMINERS,
  PEOPLE_NOUNS,
  PLACE_NOUNS,
  PRONOUNS,
  STOP_WORDS,
} from "./lexicon.ts";
import { similarity } from "./sounds.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import { isNumber, stemOf, type Token } from "./words.ts";

const NAME_SIMILARITY_MIN = 0.66;
const PLACE_PREPOSITIONS = new Set(["in", "at", "on", "from", "to", "near", "of"].map(stemOf));
/** "Tea with Xelia", "A song by Xelia": names that no list has. */
const PERSON_PREPOSITIONS = new Set(["with", "by"].map(stemOf));
const NAMING_VERBS = new Set(["call", "name", "meet"].map(stemOf));

/** Whether the token at `index` can be a person's name. */
export function isNameAt(tokens: readonly Token[], index: number): boolean {
  const token = tokens[index];
  if (token === undefined || token.text.length < 2 || isNumber(token)) return false;
  const lower = token.text.toLowerCase();
  const previous = tokens[index - 1]?.stem ?? "";
  const next = tokens[index + 1]?.stem ?? "";
  // Only what is written has capitals: within a line they make a name of "Jack" and "Rose".
  const isCapital = index > 0 && /^\p{Lu}\p{Ll}/u.test(token.text);
  if (GIVEN_NAMES.has(lower)) {
    if (DETERMINERS.has(previous)) return false;
    if (isCapital && !PLACE_NOUNS.has(next)) return true;
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
  if (isCapital && PERSON_PREPOSITIONS.has(previous)) return true;
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
