/** Making example videos from scene files, and judging answers about them. */

export {
  type MakeVideoOptions,
  makeVideo,
  type VideoReport,
  type VideoScene,
} from "./make-video.ts";
export { MakeVideoError } from "./make-video-error.ts";
export {
  NOT_FOUND_ANSWER,
  QUESTION_KINDS,
  type QuestionEntry,
  type QuestionFile,
  questionEntrySchema,
  questionFileSchema,
} from "./question-schema.ts";
export { readYamlFile } from "./read-yaml-file.ts";
export { type SceneFile, sceneFileSchema } from "./scene-schema.ts";
export { ANSWER_CHARS_MAX, parseTimeSec, scoreAnswer } from "./score-answer.ts";
