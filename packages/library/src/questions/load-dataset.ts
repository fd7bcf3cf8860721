/** Reads labelled questions and finds the file that they are about. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InvalidArgumentError, NotFoundError } from "@murakkab/kit";
import { formatProblem } from "../catalogue/problem.ts";
import { checkShape, YamlSource } from "../catalogue/yaml-source.ts";
import { datasetFileSchema, type QuestionEntry } from "./question-schema.ts";

export interface Dataset {
  readonly file: string;
  /** Path of the media file; null where the dataset names none. */
  readonly video: string | null;
  readonly questions: readonly QuestionEntry[];
}

/** Problems that one message tells; with more, the file is probably of another kind. */
const SHOWN_PROBLEMS_MAX = 3;

/**
 * Errors: `NOT_FOUND` when the file or its video is not there; `INVALID_ARGUMENT` naming file, line,
 * field, value and what was expected.
 */
export function loadDataset(file: string): Dataset {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new NotFoundError(`dataset ${file} cannot be read`, { field: "dataset", cause });
  }
  const source = new YamlSource(file, text);
  const shape = checkShape(source, datasetFileSchema);
  const video = shape?.video === undefined ? null : resolve(dirname(file), shape.video);
  if (shape !== null && video !== null && !existsSync(video)) {
    source.error(["video"], `"${shape.video}" is not there, expected a file beside the dataset`);
  }
  if (shape === null || !source.isSound) {
    const shown = source.problems.slice(0, SHOWN_PROBLEMS_MAX).map(formatProblem);
    throw new InvalidArgumentError(`dataset: ${shown.join("; ")}`, {
      field: source.problems[0]?.field ?? "dataset",
    });
  }
  return { file, video, questions: shape.questions };
}
