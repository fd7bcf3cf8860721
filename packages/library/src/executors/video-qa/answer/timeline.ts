/**
 * All that was heard, read and seen, by scene.
 *
 * Owns:      joining the three sources by time, and mending misheard words by what is written.
 *
 * Invariants:
 *   T1. Every sentence, line and person belongs to exactly one scene.
 *   T2. A word is mended only by a word that stands on the screen or that the question asks
 *       about, and that sounds much like it (see mend-speech.ts).
 */
import type {
  Box,
  EvidenceSource,
  ScenePeople,
  ScreenLine,
  ScreenText,
  SeenPerson,
  Transcript,
} from "../values.ts";
import { FRAME_WORDS, STOP_WORDS } from "./lexicon.ts";
import { isKnownName, type KnownFrom, type KnownWord, mendSentence } from "./mend-speech.ts";
import { stemOf, type Token, tokenize } from "./words.ts";

/** One utterance or one line on the screen. */
export interface Unit {
  readonly source: EvidenceSource;
  readonly region: "speech" | "caption" | "sign";
  readonly atSec: number;
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly scene: SceneFacts;
  /** Where a line stands on the screen. */
  readonly box?: Box;
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
/** Of the picture's height: what lines may differ that are one. */
const SAME_LINE_RATIO_MAX = 0.03;
/** Shorter words sound like too many others to be looked for. */
const WORD_LENGTH_MIN = 4;

export function buildTimeline(sources: Sources, question: readonly Token[]): SceneFacts[] {
  const scenes = findScenes(sources);
  for (const text of sources.texts ?? []) {
    const scene = sceneAt(scenes, text.atSec);
    for (const line of joinLines(text.lines)) {
      // A scene looked at twice says the same twice.
      if (scene.units.some((it) => it.text.toLowerCase() === line.text.toLowerCase())) continue;
      scene.units.push({
        source: "screen-text",
        region: line.region,
        atSec: text.sceneStartSec,
        text: line.text,
        tokens: tokenize(line.text),
        scene,
        box: line.box,
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

/** A caption whose words stand far apart is read in pieces: those at one height are one line. */
function joinLines(lines: readonly ScreenLine[]): ScreenLine[] {
  const joined: ScreenLine[] = [];
  for (const line of [...lines].sort((a, b) => a.box.x - b.box.x)) {
    const at = joined.findIndex(
      (it) =>
        it.region === "caption" &&
        line.region === "caption" &&
        Math.abs(it.box.y - line.box.y) < SAME_LINE_RATIO_MAX &&
        it.box.x + it.box.width <= line.box.x + SAME_LINE_RATIO_MAX,
    );
    const left = joined[at];
    if (left === undefined) joined.push(line);
    else {
      const width = line.box.x + line.box.width - left.box.x;
      const text = `${left.text} ${line.text}`;
      joined[at] = { ...left, text, box: { ...left.box, width } };
    }
  }
  // From top to bottom, as before.
  return joined.sort((a, b) => a.box.y - b.box.y);
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
  const shown = scenes.flatMap((it) => wordsOfScreen(it, "video")).filter((it) => it.isName);
  const asked = knownWords(question, "question");
  // What the screen of its own scene says is not to be changed by what is heard in it.
  const known = scenes.map((it) => [...wordsOfScreen(it, "scene"), ...asked, ...shown]);
  for (const segment of transcript.segments) {
    const scene = sceneAt(scenes, (segment.startSec + segment.endSec) / 2);
    const words = transcript.words
      .filter((it) => it.startSec >= segment.startSec - 0.01 && it.endSec <= segment.endSec + 0.01)
      .map(({ word, startSec }) => ({ text: word, stem: stemOf(word), atSec: startSec }));
    const tokens = mendSentence(words, known[scenes.indexOf(scene)] ?? asked);
    const text = textOfTokens(tokens);
    const { startSec } = segment;
    scene.units.push({ source: "speech", region: "speech", atSec: startSec, text, tokens, scene });
  }
}

function textOfTokens(tokens: readonly Token[]): string {
  return tokens.map((it) => it.text).join(" ");
}

function wordsOfScreen(scene: SceneFacts, from: KnownFrom): KnownWord[] {
  return knownWords(
    scene.units.flatMap((it) => it.tokens),
    from,
  );
}

/** Words worth looking for in what was heard: names, and words that are not in every sentence. */
function knownWords(tokens: readonly Token[], from: KnownFrom): KnownWord[] {
  return tokens
    .filter((it) => !STOP_WORDS.has(it.stem) && !FRAME_WORDS.has(it.stem) && !/\d/.test(it.stem))
    .map((token) => ({ token, from, isName: isKnownName(token.text) }))
    .filter((it) => it.isName || it.token.text.length >= WORD_LENGTH_MIN);
}
