export { type Dataset, loadDataset } from "./load-dataset.ts";
export {
  datasetFileSchema,
  NOT_FOUND_ANSWER,
  QUESTION_KINDS,
  type QuestionEntry,
  type QuestionFile,
  questionEntrySchema,
  questionFileSchema,
} from "./question-schema.ts";
export { ANSWER_CHARS_MAX, parseTimeSec, scoreAnswer } from "./score-answer.ts";
