/**
 * Questions about the video as such: what its signs and captions say, when something comes.
 */
import { type Candidate, candidate, evidenceOf, formatClock } from "./candidate.ts";
import { matchScene, matchToken, rankUnits } from "./match.ts";
import type { Question } from "./question.ts";
import { textOf, timePhrase } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";

const SCENE_SCORE_MIN = 0.6;
const SCORE_MIN = 0.62;

export function answerSign(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const isCaption = question.tokens.some((it) => it.stem === "caption");
  const ranked = scenes
    .map((scene) => ({ scene, score: matchScene(question, scene) }))
    .sort((a, b) => b.score - a.score);
  for (const { scene, score } of ranked) {
    if (score < SCENE_SCORE_MIN) return undefined;
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

export function answerWhen(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const ranked = rankUnits(question, scenes).filter((it) => it.score >= SCORE_MIN);
  const top = ranked[0];
  if (top === undefined) return undefined;
  const isSpeech = question.tokens.some((it) =>
    /^(?:mention|say|narrat|narrator|hear|talk|speak|tell)$/.test(it.stem),
  );
  const isFirst = question.tokens.some((it) => it.stem === "first");
  if (!question.isAboutVideo) {
    const told = ranked
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
