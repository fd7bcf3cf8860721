/**
 * Questions about the video as such: what its signs and captions say, when something comes.
 */
import { type Candidate, candidate, evidenceOf, formatClock } from "./candidate.ts";
import { type Match, matchScene, matchToken, rankUnits } from "./match.ts";
import { isAboutSpeech, type Question } from "./question.ts";
import { textOf, timePhrase } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";

const SCENE_SCORE_MIN = 0.6;
const SCENE_ALONE_MIN = 0.48;
const SCORE_MIN = 0.62;
const TOLD_SCORE_MIN = 0.52;
const TOLD_OWN_MIN = 0.3;

export function answerSign(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const isCaption = question.tokens.some((it) => it.stem === "caption");
  const ranked = scenes
    .map((scene) => ({ scene, score: matchScene(question, scene) }))
    .sort((a, b) => b.score - a.score);
  // One scene alone holds half of what is asked: it is meant.
  const [first, second] = ranked;
  const isAlone = (second?.score ?? 0) <= (first?.score ?? 0) / 2;
  const least = isAlone ? SCENE_ALONE_MIN : SCENE_SCORE_MIN;
  for (const { scene, score } of ranked) {
    if (score < least) return undefined;
    const lines = scene.units
      .filter((it) => it.source === "screen-text" && (it.region === "caption") === isCaption)
      // A name tag is a sign too: the one with the most words is what the question is about.
      .sort((a, b) => b.tokens.length - a.tokens.length);
    const [line] = lines;
    if (line !== undefined)
      return candidate(line.text, 0.95 * score, [
        evidenceOf(line),
        ...placeEvidence(question, scene, line),
      ]);
  }
  return undefined;
}

function placeEvidence(question: Question, scene: SceneFacts, line: Unit): Candidate["evidence"] {
  const naming = scene.units.find(
    (it) =>
      it !== line &&
      question.terms.some((term) => it.tokens.some((token) => matchToken(term, token) > 0.8)),
  );
  return naming === undefined ? [] : [evidenceOf(naming)];
}

/** Tells a time of the story itself: what else is missing of the question was misheard. */
function isTold({ unit, ownScore }: Match): boolean {
  return ownScore >= TOLD_OWN_MIN && timePhrase(unit.tokens) !== undefined;
}

export function answerWhen(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const all = rankUnits(question, scenes);
  const ranked = all.filter((it) => it.score >= SCORE_MIN);
  const top = ranked[0] ?? all.find((it) => it.score >= TOLD_SCORE_MIN && isTold(it));
  if (top === undefined) return undefined;
  const isSpeech = isAboutSpeech(question);
  const isFirst = question.tokens.some((it) => it.stem === "first");
  if (!question.isAboutVideo) {
    const told = (ranked.length > 0 ? ranked : [top])
      .slice(0, 4)
      .find((it) => it.score >= 0.9 * top.score && timePhrase(it.unit.tokens) !== undefined);
    const phrase = told === undefined ? undefined : timePhrase(told.unit.tokens);
    if (told !== undefined && phrase !== undefined) {
      const text = `${textOf(phrase)} (${told.unit.source === "speech" ? "said" : "shown"} at ${formatClock(told.unit.atSec)})`;
      return candidate(text, told.score, [evidenceOf(told.unit)]);
    }
  }
  const good = ranked.filter((it) => it.score >= 0.85 * top.score);
  const spoken = isSpeech
    ? good.filter((it) => it.unit.source === "speech" && it.ownScore > 0.4)
    : good;
  const chosen =
    (spoken.length > 0 ? spoken : good).toSorted((a, b) => a.unit.atSec - b.unit.atSec)[0] ?? top;
  const { unit } = chosen;
  const wordSec = unit.tokens[chosen.places[0] ?? 0]?.atSec ?? unit.atSec;
  if (isSpeech)
    return candidate(`at ${formatClock(wordSec)}`, chosen.score, [
      { ...evidenceOf(unit), atSec: wordSec },
    ]);
  const { startSec, endSec } = unit.scene;
  if (isFirst || unit.source === "speech") {
    const atSec = isFirst ? startSec : wordSec;
    return candidate(`at ${formatClock(atSec)}`, chosen.score, [{ ...evidenceOf(unit), atSec }]);
  }
  // The middle comes first: "at 0:07" lies in the scene, its borders do not.
  const middle = formatClock((startSec + endSec) / 2);
  const text = `around ${middle} (from ${formatClock(startSec)} to ${formatClock(endSec)})`;
  return candidate(text, chosen.score, [evidenceOf(unit)]);
}
