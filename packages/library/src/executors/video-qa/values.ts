/**
 * The values that the video question executors exchange: one type for each interface type.
 *
 * Owns:      the TypeScript types and the schemas that executors check at their entry.
 * Units:     seconds from the start of the video; boxes in ratios [0, 1] of the picture's sides,
 *            so that a consumer need not know how wide the picture was that a finder looked at.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import { type ArtifactRef, isArtifactRef } from "@murakkab/model";
import { z } from "zod";

const sec = z.number().min(0);

/** Left, top, width and height as ratios of the picture's sides. */
export const boxSchema = z.object({
  x: z.number(),
  y: z.number(),
  width: z.number(),
  height: z.number(),
});
export type Box = z.infer<typeof boxSchema>;

export const sceneSchema = z.object({
  index: z.number().int().min(0),
  startSec: sec,
  endSec: sec,
});
export type Scene = z.infer<typeof sceneSchema>;

/** `image` is an artifact reference on the wire. */
export const frameSchema = z.object({
  index: z.number().int().min(0),
  atSec: sec,
  /** Index of the scene that the frame lies in. */
  scene: z.number().int().min(0),
  sceneStartSec: sec,
  sceneEndSec: sec,
  image: z.custom<ArtifactRef>(isArtifactRef, "expected an artifact reference"),
});
export type Frame = z.infer<typeof frameSchema>;

export const timeSpanSchema = z.object({ startSec: sec, endSec: sec });
export type TimeSpan = z.infer<typeof timeSpanSchema>;

/** With `words`: worth hearing only where one of them is said, in lower case. */
export const focusSpanSchema = timeSpanSchema.extend({ words: z.array(z.string()).optional() });
export type FocusSpan = z.infer<typeof focusSpanSchema>;

export const transcriptSchema = z.object({
  words: z.array(z.object({ word: z.string(), startSec: sec, endSec: sec })),
  /** One for each stretch of speech between two pauses. */
  segments: z.array(z.object({ startSec: sec, endSec: sec, text: z.string() })),
});
export type Transcript = z.infer<typeof transcriptSchema>;

/** `caption`: a line in the lower part that spans the picture; `sign`: any other text. */
export const TEXT_REGIONS = ["caption", "sign"] as const;

export const screenTextSchema = z.object({
  atSec: sec,
  scene: z.number().int().min(0),
  sceneStartSec: sec,
  sceneEndSec: sec,
  lines: z.array(
    z.object({
      text: z.string(),
      /** How sure the reader is, in [0, 1]. */
      confidence: z.number(),
      region: z.enum(TEXT_REGIONS),
      box: boxSchema,
    }),
  ),
});
export type ScreenText = z.infer<typeof screenTextSchema>;
export type ScreenLine = ScreenText["lines"][number];

/** A colour's basic name, its finer name if it has one, and the share of its area that has it. */
export const seenColorSchema = z.object({
  color: z.string(),
  shade: z.string().optional(),
  ratio: z.number(),
});
export type SeenColor = z.infer<typeof seenColorSchema>;

export const seenPersonSchema = z.object({
  box: boxSchema,
  top: seenColorSchema,
  bottom: seenColorSchema.optional(),
  /** What covers the head where that is neither hair-like nor background. */
  hat: seenColorSchema.optional(),
  /** Further colours on the upper body: an apron, a scarf, a tie. */
  others: z.array(seenColorSchema).default([]),
});
export type SeenPerson = z.infer<typeof seenPersonSchema>;

export const scenePeopleSchema = z.object({
  atSec: sec,
  scene: z.number().int().min(0),
  sceneStartSec: sec,
  sceneEndSec: sec,
  people: z.array(seenPersonSchema),
  /** The colour that most of the picture has. */
  background: z.string(),
});
export type ScenePeople = z.infer<typeof scenePeopleSchema>;

export const questionSchema = z.union([
  z.string().trim().min(1),
  z.object({ text: z.string().trim().min(1) }).transform((it) => it.text),
]);

export const EVIDENCE_SOURCES = ["speech", "screen-text", "picture"] as const;
export type EvidenceSource = (typeof EVIDENCE_SOURCES)[number];

export interface Evidence {
  readonly source: EvidenceSource;
  readonly atSec: number;
  readonly text: string;
}

export interface Answer {
  /** A few words, or "not found". */
  readonly text: string;
  readonly found: boolean;
  /** In [0, 1]. */
  readonly confidence: number;
  readonly evidence: readonly Evidence[];
}

/** Errors: `INVALID_ARGUMENT` that names the port, the field and what was expected. */
export function readInput<T>(schema: z.ZodType<T>, port: string, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = [port, ...(issue?.path ?? [])].join(".");
  throw new InvalidArgumentError(`input ${field} is not valid: ${issue?.message ?? "unreadable"}`, {
    field,
  });
}

/** As `readInput`, for an input that a plan may leave out. */
export function readOptionalInput<T>(
  schema: z.ZodType<T>,
  port: string,
  value: unknown,
): T | undefined {
  return value === undefined || value === null ? undefined : readInput(schema, port, value);
}
