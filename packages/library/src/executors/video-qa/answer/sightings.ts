/**
 * Which of the persons seen has which name.
 *
 * Invariants:
 *   S1. A person seen is only called by a name of the same scene.
 *   S2. Where a scene has several of both, a name tag decides, then what the person wears in a
 *       scene alone, then the order from left to right.
 */
import type { SeenPerson } from "../values.ts";
import { isSameName, namesIn, namesOfScene } from "./cast.ts";
import type { SceneFacts } from "./timeline.ts";

/** Of the picture's width: a tag is worn or hangs above its person. */
const TAG_DISTANCE_MAX = 0.12;

export interface Sighting {
  readonly name: string;
  readonly person: SeenPerson;
  readonly scene: SceneFacts;
  /** In [0, 1]: 1 for the only person in the scene of one name. */
  readonly certainty: number;
}

/** Persons seen, by name (S1, S2). */
export function findSightings(scenes: readonly SceneFacts[]): Sighting[] {
  const sure: Sighting[] = scenes.flatMap(tagged);
  for (const scene of scenes) {
    const [name, ...others] = namesOfScene(scene);
    const [person] = scene.people;
    if (name === undefined || person === undefined || others.length > 0) continue;
    if (sure.some((it) => it.scene === scene)) continue;
    // With more people than names, the one nearest the middle is who the caption is about.
    const central = [...scene.people].sort((a, b) => offCenter(a) - offCenter(b))[0] ?? person;
    const certainty = scene.people.length === 1 ? 1 : 0.5;
    sure.push({ name, person: central, scene, certainty });
  }
  const joint = scenes.flatMap((scene) => alignByProfile(scene, sure));
  return [...sure, ...joint];
}

/** Persons who stand by a sign that is nothing but a name. */
function tagged(scene: SceneFacts): Sighting[] {
  return scene.units.flatMap((unit) => {
    const { box } = unit;
    const [name] = namesIn(unit);
    if (unit.region !== "sign" || box === undefined || name === undefined) return [];
    if (unit.tokens.length !== 1) return [];
    const tagX = box.x + box.width / 2;
    const distanceTo = (it: SeenPerson): number => Math.abs(it.box.x + it.box.width / 2 - tagX);
    const person = [...scene.people].sort((a, b) => distanceTo(a) - distanceTo(b))[0];
    if (person === undefined || distanceTo(person) > TAG_DISTANCE_MAX) return [];
    return [{ name, person, scene, certainty: 0.95 }];
  });
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
