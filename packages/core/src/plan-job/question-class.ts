/** Which kind of question a job asks; quality is known per kind. */
import type { ExecutorEntry, JobPlan, QuestionClass } from "@murakkab/model";
import { keywordHits } from "../text-match.ts";

/** Questions that meet none of the classes. */
export const OTHER_CLASS = "other";

/** The first class one of whose phrases has all its words in the text. */
export function classifyQuestion(text: string, classes: readonly QuestionClass[]): string {
  return classes.find((it) => keywordHits(text, it.phrases) > 0)?.name ?? OTHER_CLASS;
}

/** Classes of the first executor of the capability that names any. */
export function questionClassesOf(executors: readonly ExecutorEntry[]): readonly QuestionClass[] {
  return executors.find((entry) => entry.questionClasses !== undefined)?.questionClasses ?? [];
}

/** Class of a job's question by the executors of its steps; null where none names classes. */
export function questionClassOf(
  question: string | null,
  { steps }: Pick<JobPlan, "steps">,
  executorsOf: (capability: string) => readonly ExecutorEntry[],
): string | null {
  const classes = steps.flatMap((step) => questionClassesOf(executorsOf(step.capability)));
  return question === null || classes.length === 0 ? null : classifyQuestion(question, classes);
}
