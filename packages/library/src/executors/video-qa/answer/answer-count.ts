/**
 * Numbers: how many people, how much, how old, which platform.
 */
import { type Candidate, candidate, evidenceOf, pictureEvidence } from "./candidate.ts";
import { areSynonyms, PEOPLE_NOUNS } from "./lexicon.ts";
import { matchScene, matchToken, matchUnit, rankUnits } from "./match.ts";
import { alikeness, phonesOf } from "./phones.ts";
import type { Question } from "./question.ts";
import { type NumberSpan, numberSpans, textOf } from "./spans.ts";
import type { SceneFacts, Unit } from "./timeline.ts";
import type { Token } from "./words.ts";

const SCENE_SCORE_MIN = 0.6;
const SCENE_ALONE_MIN = 0.48;
const SCORE_MIN = 0.6;
/** Right after a number stands the thing counted, so that it may sound a little different. */
const COUNTED_ALIKE_MIN = 0.62;
const WORDS = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
];

export function countPeople(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const isAllowance =
    /\b(?:may|allowed|can|must)\b/i.test(question.tokens.map((it) => it.text).join(" ")) &&
    !question.isAboutVideo;
  const stated = scenes
    .flatMap((it) => it.units)
    .flatMap((unit) => {
      const span = numberSpans(unit.tokens, unit.region === "speech").find(
        ({ noun }) => noun !== undefined && PEOPLE_NOUNS.has(noun.stem),
      );
      const score = matchUnit(question, unit).score;
      return span === undefined || score < SCENE_SCORE_MIN ? [] : [{ unit, span, score }];
    });
  const said = stated.sort((a, b) => b.score - a.score)[0];
  if (said !== undefined && (isAllowance || said.unit.region === "speech")) {
    return candidate(textOf(said.span.tokens), 0.9 * said.score, [evidenceOf(said.unit)]);
  }
  const ranked = scenes
    .map((scene) => ({ scene, score: matchScene(question, scene) }))
    .sort((a, b) => b.score - a.score || b.scene.people.length - a.scene.people.length);
  const [best, second] = ranked;
  if (best === undefined || !best.scene.hasPicture) return undefined;
  // One scene alone holds half of what is asked: it is meant, and the rest was misheard.
  const isAlone = best.score >= SCENE_ALONE_MIN && (second?.score ?? 0) <= best.score / 2;
  if (best.score < SCENE_SCORE_MIN && !isAlone) return undefined;
  const count = best.scene.people.length;
  if (count === 0) return undefined;
  const naming = best.scene.units.toSorted(
    (a, b) => matchUnit(question, b).ownScore - matchUnit(question, a).ownScore,
  )[0];
  const seen = pictureEvidence(best.scene, `${count} seen in the picture`);
  return candidate(
    WORDS[count] ?? `${count}`,
    0.85 * Math.max(best.score, SCENE_SCORE_MIN),
    naming === undefined ? [seen] : [seen, evidenceOf(naming)],
  );
}

/** What a number must stand by to answer "how old", "how late" and so on. */
const UNIT_NOUNS: Readonly<Record<string, RegExp>> = {
  much: /^(?:dollar|euro|coin|franc|pound|cent|penny|peso|yen|crown|buck|kilo|liter|gram)/,
  old: /^(?:year|month|week|day)/,
  long: /^(?:hour|minut|day|week|month|year|kilometer|km|mil|meter|second)/,
  high: /^(?:meter|m|feet|foot|kilometer|km)$/,
  tall: /^(?:meter|m|feet|foot|centimeter|cm)$/,
  far: /^(?:kilometer|km|mil|meter|m|minut|hour)/,
  late: /^(?:hour|minut|day)/,
  lat: /^(?:hour|minut|day)/,
  cost: /^(?:dollar|euro|coin|franc|pound|cent|penny|peso|yen|crown|buck|kilo)/,
};

export function answerQuantity(
  question: Question,
  scenes: readonly SceneFacts[],
): Candidate | undefined {
  const asked = question.tokens.find((it) => Object.hasOwn(UNIT_NOUNS, it.stem));
  const isMany = question.tokens.some((it) => it.stem === "many");
  const counted = isMany ? question.head : undefined;
  const wanted = asked === undefined || isMany ? undefined : UNIT_NOUNS[asked.stem];
  let best: Candidate | undefined;
  for (const { unit, score, ownScore } of rankUnits(question, scenes).concat(
    neighbours(question, scenes, wanted),
  )) {
    if (score < SCORE_MIN && !isLabel(question, unit)) continue;
    const spans = numberSpans(unit.tokens, unit.region === "speech");
    const rest = question.terms.filter((it) => it !== counted);
    // The noun was misheard: all else that the question says is in this very sentence.
    const isSure =
      counted !== undefined && rest.length >= 2 && matchUnit(question, unit, rest).ownScore >= 0.95;
    const news = spans.filter((it) => !isAsked(question, it));
    const near = news.find((it) => fits(it, unit, { question, counted, wanted }));
    const span = near ?? (isSure ? news[0] : undefined);
    if (span === undefined) continue;
    const label = isLabel(question, unit) ? 0.7 : 0;
    const confidence =
      Math.max(score, label) * (0.75 + 0.25 * ownScore) * (near === undefined ? 0.8 : 1);
    if (confidence > (best?.confidence ?? 0))
      best = candidate(textOf(span.tokens), confidence, [evidenceOf(unit)]);
  }
  return best;
}

/** Units of the best scene that hold a number of the wanted kind but no term: "2915 METERS". */
function neighbours(question: Question, scenes: readonly SceneFacts[], wanted: RegExp | undefined) {
  if (wanted === undefined) return [];
  return scenes.flatMap((scene) => {
    const score = matchScene(question, scene);
    return score < 0.8
      ? []
      : scene.units.map((unit) => ({ unit, score: 0.8 * score, ownScore: 0, places: [] }));
  });
}

/** "One fish", asked for the price of one fish. */
function isAsked(question: Question, { tokens }: NumberSpan): boolean {
  return tokens.every((it) => question.tokens.some((asked) => asked.stem === it.stem));
}

/** The sign that says the very word asked for: "GATE 7" to "which gate", "BUS STOP 42". */
function isLabel(question: Question, unit: Unit): boolean {
  if (unit.region === "speech") return false;
  const labels = question.terms.filter(
    (it) =>
      !question.names.includes(it) && unit.tokens.some((token) => matchToken(it, token) >= 0.85),
  );
  const words = unit.tokens.filter((it) => !/^\d/.test(it.stem));
  return (
    labels.length > 0 && labels.length >= words.length && isNamedMissing(question, unit) === false
  );
}

/** A name in the question that neither the unit nor its scene knows. */
function isNamedMissing(question: Question, unit: Unit): boolean {
  const known = unit.scene.units.flatMap((it) => it.tokens);
  return question.names.some((name) => !known.some((it) => matchToken(name, it) > 0.6));
}

function fits(
  span: NumberSpan,
  unit: Unit,
  options: {
    readonly question: Question;
    readonly counted: Token | undefined;
    readonly wanted: RegExp | undefined;
  },
): boolean {
  const { counted, wanted, question } = options;
  if (counted !== undefined) {
    const near = unit.tokens.slice(span.end, span.end + 3);
    return near.some(
      (it) =>
        it.stem === counted.stem ||
        areSynonyms(it.stem, counted.stem) ||
        matchToken(counted, it) > 0.55 ||
        alikeness(phonesOf(counted.text), phonesOf(it.text)) > COUNTED_ALIKE_MIN,
    );
  }
  if (wanted !== undefined) {
    return (
      unit.tokens.slice(span.end, span.end + 2).some((it) => wanted.test(it.stem)) ||
      (wanted === UNIT_NOUNS["cost"] || wanted === UNIT_NOUNS["much"]
        ? unit.tokens[span.start - 1]?.stem === "cost"
        : false) ||
      /[$€£]/.test(unit.text)
    );
  }
  return question.terms.length > 0;
}
