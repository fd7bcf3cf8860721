/** Which kind of question a job asks; quality is known per kind. */
import type { ExecutorEntry, QuestionClass } from "@murakkab/model";
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
