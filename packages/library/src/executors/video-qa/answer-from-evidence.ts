/**
 * The answering step: reads its inputs and hands them to the answerer.
 */
import { z } from "zod";
import type { ExecutorFunction } from "../../function-executor.ts";
import { answerAndPoint } from "./answer/answer-question.ts";
import {
  questionSchema,
  readInput,
  readOptionalInput,
  scenePeopleSchema,
  screenTextSchema,
  transcriptSchema,
} from "./values.ts";

export const answerFromEvidence: ExecutorFunction = async ({ inputs }) => {
  const question = readInput(questionSchema, "question", inputs["question"]);
  const transcript = readOptionalInput(transcriptSchema, "transcript", inputs["transcript"]);
  const texts = readOptionalInput(z.array(screenTextSchema), "texts", inputs["texts"]);
  const people = readOptionalInput(z.array(scenePeopleSchema), "people", inputs["people"]);
  return { ...answerAndPoint(question, { transcript, texts, people }) };
};
