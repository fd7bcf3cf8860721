/** Making example videos from scene files, and judging answers about them. */

export {
  ANSWER_CHARS_MAX,
  NOT_FOUND_ANSWER,
  parseTimeSec,
  QUESTION_KINDS,
  type QuestionEntry,
  type QuestionFile,
  questionEntrySchema,
  questionFileSchema,
  scoreAnswer,
} from "@murakkab/library";
export {
  type MakeVideoOptions,
  makeVideo,
  type VideoReport,
  type VideoScene,
} from "./make-video.ts";
export { MakeVideoError } from "./make-video-error.ts";
export { readYamlFile } from "./read-yaml-file.ts";
export { type SceneFile, sceneFileSchema } from "./scene-schema.ts";
