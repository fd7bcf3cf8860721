/**
 * One question and what a video holds, to one answer.
 *
 * Owns:      which way a kind of question is answered, and when "not found" is better.
 *
 * Invariants:
 *   A1. An answer that was found cites at least one piece of evidence with its time.
 *   A2. Below `CONFIDENCE_MIN` the answer is "not found", with no evidence.
 *   A3. A person whom the question names and the video does not know makes it "not found".
 *   A4. "Not found" is never sure, and without the speech neither is an answer about what is said, or
 *       a person who is only a word in a caption ("Sunset Beach"): a plan may then look further.
 */
import type { Answer, FocusSpan } from "../values.ts";
import { answerColor } from "./answer-color.ts";
import { answerQuantity, countPeople } from "./answer-count.ts";
import { afterPreposition, answerLoosely } from "./answer-loose.ts";
import { answerSign, answerWhen } from "./answer-video.ts";
import { answerWears, answerWhoWears } from "./answer-wear.ts";
import { answerName, answerWhat } from "./answer-what.ts";
import { answerDay, answerWhere } from "./answer-where.ts";
import { answerWho } from "./answer-who.ts";
import { type Candidate, NOT_FOUND } from "./candidate.ts";
import { isSameName } from "./cast.ts";
import { AMBIGUOUS_NAMES, GIVEN_NAMES } from "./given-names.ts";
import { pointTo } from "./point-to.ts";
import { analyzeQuestion, isAboutSpeech, type Question } from "./question.ts";
import { buildTimeline, type SceneFacts, type Sources } from "./timeline.ts";

/** Chosen on the example video: right answers have more, guesses for absent facts have less. */
const CONFIDENCE_MIN = 0.4;

/** A4. Below every threshold that a plan may choose, and still enough to be an answer. */
const UNHEARD_CONFIDENCE_MAX = 0.5;

export interface AnswerAndFocus {
  readonly answer: Answer;
  /** Where a closer look pays, see point-to.ts. */
  readonly focus: readonly FocusSpan[];
}

export function answerQuestion(text: string, sources: Sources): Answer {
  return answerAndPoint(text, sources).answer;
}

export function answerAndPoint(text: string, sources: Sources): AnswerAndFocus {
  const question = analyzeQuestion(text);
  const scenes = buildTimeline(sources, question.tokens);
  const focus = hasEvidence(sources) ? pointTo(question, scenes) : [];
  const best = knowsPerson(question, scenes) ? findBest(question, scenes) : undefined;
  if (best === undefined) return { answer: NOT_FOUND, focus };
  const isUnheard =
    sources.transcript === undefined &&
    (isAboutSpeech(question) || (question.kind === "who" && !isPlainName(best.text)));
  const confidence = Math.min(best.confidence, isUnheard ? UNHEARD_CONFIDENCE_MAX : 1);
  const answer = {
    text: best.text,
    found: true,
    confidence: Math.round(confidence * 100) / 100,
    evidence: best.evidence,
  };
  return { answer, focus };
}

/** A given name that is no other word as well. */
function isPlainName(text: string): boolean {
  const name = text.toLowerCase();
  return GIVEN_NAMES.has(name) && !AMBIGUOUS_NAMES.has(name);
}

function hasEvidence({ transcript, texts, people }: Sources): boolean {
  return transcript !== undefined || (texts ?? people ?? []).length > 0;
}

/** A2. What a question asks with ("for whom") comes first; narrow patterns have the last word. */
function findBest(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  const first = afterPreposition(question, scenes) ?? answerByKind(question, scenes);
  if (first !== undefined && first.confidence >= CONFIDENCE_MIN) return first;
  return answerLoosely(question, scenes);
}

/** A3. */
function knowsPerson(question: Question, scenes: readonly SceneFacts[]): boolean {
  const { person } = question;
  if (person === undefined) return true;
  return scenes.some((scene) =>
    scene.units.some((unit) => unit.tokens.some((it) => isSameName(it.text, person))),
  );
}

function answerByKind(question: Question, scenes: readonly SceneFacts[]): Candidate | undefined {
  switch (question.kind) {
    case "who":
      return question.isAboutWear ? answerWhoWears(question, scenes) : answerWho(question, scenes);
    case "wears-what":
      return answerWears(question, scenes);
    case "color":
      return answerColor(question, scenes);
    case "where":
      return answerWhere(question, scenes);
    case "count-people":
      return isPlainCount(question)
        ? (countPeople(question, scenes) ?? answerQuantity(question, scenes))
        : (answerQuantity(question, scenes) ?? countPeople(question, scenes));
    case "quantity":
      return answerQuantity(question, scenes);
    case "sign":
      return answerSign(question, scenes);
    case "name-of":
      return answerName(question, scenes);
    case "day":
      return answerDay(question, scenes);
    case "when":
      return answerWhen(question, scenes);
    case "what":
      return answerWhat(question, scenes);
  }
}

/** "People" are counted in the picture; how many visitors came is said before it is seen. */
function isPlainCount({ head }: Question): boolean {
  return head === undefined || /^(?:person|people|man|woman|individual|character)$/.test(head.stem);
}
