/**
 * Labelled questions about one video.
 *
 * Owns:      the format of `*.questions.yaml` files (strict: an unknown field is an error).
 * Does not:  judge answers; see score-answer.ts.
 */
import { z } from "zod";

/** The one answer to a question that the video does not answer. */
export const NOT_FOUND_ANSWER = "not found";

export const QUESTION_KINDS = [
  "who-wears",
  "wears-what",
  "what-color",
  "who-does",
  "does-what",
  "carries-what",
  "what-says",
  "who-where",
  "where-is",
  "how-many",
  "fact",
  "when",
] as const;

const question = z.string().min(5).max(200).endsWith("?");
const kind = z.enum(QUESTION_KINDS);
const answers = z.array(z.string().min(1).max(80)).min(1);
/** Where the evidence lies: what a viewer needs to hear or see. */
const source = z.enum(["speech", "caption", "sign", "picture"]);
const sceneId = z.string().min(1);

const answerable = z.strictObject({
  question,
  /** Any of these, found in the answer as whole words, makes it right. */
  answers,
  kind: kind.exclude(["when"]),
  scene: sceneId,
  /** All that a viewer needs; most questions need one, some join two. */
  source: z.array(source).min(1),
  answerable: z.literal(true),
});

const when = z.strictObject({
  question,
  /** Seconds after the start of the video. */
  atSec: z.number().min(0),
  toleranceSec: z.number().min(0.5).max(15),
  kind: z.literal("when"),
  scene: sceneId,
  source: z.array(source).min(1),
  answerable: z.literal(true),
});

const unanswerable = z.strictObject({
  question,
  answers: z.tuple([z.literal(NOT_FOUND_ANSWER)]),
  kind,
  answerable: z.literal(false),
});

export const questionEntrySchema = z.discriminatedUnion("answerable", [
  z.discriminatedUnion("kind", [answerable, when]),
  unanswerable,
]);

const questions = z
  .array(questionEntrySchema, "expected a list of questions")
  .min(1, "expected at least one question")
  .refine((list) => new Set(list.map((it) => it.question)).size === list.length, {
    error: "expected each question once",
  });
const scenes = z.string().endsWith(".yaml");
/** The media file, beside the question file, that the questions are about. */
const video = z.string().min(1).exactOptional();

export const questionFileSchema = z.strictObject({
  /** The scene file, beside the question file, that the video was made from. */
  scenes,
  video,
  questions,
});

/** Questions about a video of one's own: there is no scene file. */
export const datasetFileSchema = z.strictObject(
  { scenes: scenes.exactOptional(), video, questions },
  "expected { video, questions }",
);

export type QuestionEntry = z.infer<typeof questionEntrySchema>;
export type QuestionFile = z.infer<typeof questionFileSchema>;
