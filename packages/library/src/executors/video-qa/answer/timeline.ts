/**
 * All that was heard, read and seen, by scene.
 *
 * Owns:      joining the three sources by time, and mending misheard words by what is written.
 *
 * Invariants:
 *   T1. Every sentence, line and person belongs to exactly one scene.
 *   T2. A word is mended only by a word that stands on the screen of the same scene, or that
 *       the question asks about, and that sounds much like it.
 */
import type { EvidenceSource, ScenePeople, ScreenText, SeenPerson, Transcript } from "../values.ts";
import { GIVEN_NAMES } from "./given-names.ts";
import { CLOTHES, COLORS, DAYS, PEOPLE_NOUNS, PLACE_NOUNS, STOP_WORDS } from "./lexicon.ts";
import { similarity, soundOf } from "./sounds.ts";
import { stemOf, type Token, tokenize } from "./words.ts";

/** One utterance or one line on the screen. */
export interface Unit {
  readonly source: EvidenceSource;
  readonly region: "speech" | "caption" | "sign";
  readonly atSec: number;
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly scene: SceneFacts;
}

export interface SceneFacts {
  readonly startSec: number;
  readonly endSec: number;
  readonly units: Unit[];
  /** From the frame of the scene that shows the most persons. */
  readonly people: SeenPerson[];
  peopleAtSec: number;
  hasPicture: boolean;
}

export interface Sources {
  readonly transcript?: Transcript | undefined;
  readonly texts?: readonly ScreenText[] | undefined;
  readonly people?: readonly ScenePeople[] | undefined;
}

/** A pause this long parts scenes where no picture tells them apart. */
const SCENE_PAUSE_SEC = 2;
/** Names are mended more readily: recognisers know few, and the screen spells them out. */
const NAME_SIMILARITY_MIN = 0.6;
const WORD_SIMILARITY_MIN = 0.78;

export function buildTimeline(sources: Sources, question: readonly Token[]): SceneFacts[] {
  const scenes = findScenes(sources);
  for (const text of sources.texts ?? []) {
    const scene = sceneAt(scenes, text.atSec);
    for (const line of text.lines) {
      // A scene looked at twice says the same twice.
      if (scene.units.some((it) => it.text.toLowerCase() === line.text.toLowerCase())) continue;
      scene.units.push({
        source: "screen-text",
        region: line.region,
        atSec: text.sceneStartSec,
        text: line.text,
        tokens: tokenize(line.text),
        scene,
      });
    }
  }
  for (const seen of sources.people ?? []) {
    const scene = sceneAt(scenes, seen.atSec);
    if (!scene.hasPicture || seen.people.length > scene.people.length) {
      scene.people.splice(0, scene.people.length, ...seen.people);
      scene.peopleAtSec = seen.atSec;
    }
    scene.hasPicture = true;
  }
  if (sources.transcript !== undefined) addSpeech(scenes, sources.transcript, question);
  return scenes;
}

function findScenes(sources: Sources): SceneFacts[] {
  const seen = [...(sources.texts ?? []), ...(sources.people ?? [])];
  const starts = new Map(seen.map((it) => [it.sceneStartSec, it.sceneEndSec]));
  let spans = [...starts].map(([startSec, endSec]) => ({ startSec, endSec }));
  if (spans.length === 0) spans = scenesOfSpeech(sources.transcript);
  spans.sort((a, b) => a.startSec - b.startSec);
  // Scenes that no frame was taken of still have their speech.
  const gaps = spans.flatMap(({ startSec }, index) => {
    const endSec = spans[index - 1]?.endSec ?? 0;
    return startSec - endSec > 0.05 ? [{ startSec: endSec, endSec: startSec }] : [];
  });
  return [...spans, ...gaps]
    .sort((a, b) => a.startSec - b.startSec)
    .map((it) => ({ ...it, units: [], people: [], peopleAtSec: it.startSec, hasPicture: false }));
}

function scenesOfSpeech(
  transcript: Transcript | undefined,
): { startSec: number; endSec: number }[] {
  const spans: { startSec: number; endSec: number }[] = [];
  for (const { startSec, endSec } of transcript?.segments ?? []) {
    const open = spans.at(-1);
    if (open !== undefined && startSec - open.endSec < SCENE_PAUSE_SEC) open.endSec = endSec;
    else spans.push({ startSec, endSec });
  }
  return spans.length === 0 ? [{ startSec: 0, endSec: 0 }] : spans;
}

function sceneAt(scenes: readonly SceneFacts[], atSec: number): SceneFacts {
  const scene = scenes.findLast((it) => it.startSec <= atSec) ?? scenes[0];
  if (scene === undefined) throw new RangeError("a timeline has at least one scene");
  return scene;
}

function addSpeech(
  scenes: readonly SceneFacts[],
  transcript: Transcript,
  question: readonly Token[],
): void {
  for (const segment of transcript.segments) {
    const scene = sceneAt(scenes, (segment.startSec + segment.endSec) / 2);
    const words = transcript.words.filter(
      (it) => it.startSec >= segment.startSec - 0.01 && it.endSec <= segment.endSec + 0.01,
    );
    const vocabulary = [
      ...scene.units.flatMap((it) => it.tokens),
      ...question.filter((it) => /^\p{Lu}/u.test(it.text)),
    ].filter((it) => it.text.length >= 4 && !STOP_WORDS.has(it.stem));
    const tokens = words.map(({ word, startSec }) => {
      const mended = mendWord(word, vocabulary);
      return { text: mended, stem: stemOf(mended), atSec: startSec };
    });
    const text = tokens.map((it) => it.text).join(" ");
    const { startSec } = segment;
    scene.units.push({ source: "speech", region: "speech", atSec: startSec, text, tokens, scene });
  }
}

/** Words that recognisers know well are heard right: "grey" is not "Gregory". */
function isCommon(stem: string): boolean {
  return [STOP_WORDS, COLORS, CLOTHES, PEOPLE_NOUNS, PLACE_NOUNS, DAYS].some((it) => it.has(stem));
}

/** The word of `vocabulary` that was meant, else the word itself. */
function mendWord(word: string, vocabulary: readonly Token[]): string {
  const stem = stemOf(word);
  if (word.length < 3 || isCommon(stem)) return word;
  if (vocabulary.some((it) => it.stem === stem)) return word;
  let best: { text: string; score: number } | undefined;
  for (const known of vocabulary) {
    const isName = GIVEN_NAMES.has(known.text.toLowerCase().replace(/['’]s$/, ""));
    if (isName && soundOf(word)[0] !== soundOf(known.text)[0]) continue;
    const score = similarity(word, known.text.toLowerCase());
    if (score < (isName ? NAME_SIMILARITY_MIN : WORD_SIMILARITY_MIN)) continue;
    if (best === undefined || score > best.score) best = { text: known.text, score };
  }
  return best === undefined ? word : best.text.toLowerCase();
}
