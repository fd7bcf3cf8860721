/**
 * Schemas of profiles and feedback on the wire.
 *
 * An import is strict: a number that is not finite or negative, an unknown field, or a provenance
 * that is missing refuses it whole, because a wrong profile spoils every later plan.
 */
import type {
  ConfigurationQuality,
  ExecutorProfile,
  LinearModel,
  ProfileSet,
  Provenance,
  QualityCount,
  WorkflowProfile,
} from "@murakkab/model";
import { z } from "zod";
import {
  CONFIGURATION_CHARS_MAX,
  PROFILE_ENTRIES_MAX,
  PROFILE_IMPORT_COUNT_MAX,
} from "./limits.ts";

const NUMBER = "expected a finite number, 0 or more";
const amount = z.number(NUMBER).nonnegative(NUMBER);
const name = z.string("expected a text").min(1, "expected a text").max(256);
const count = z.number("expected a count").nonnegative("expected a count, 0 or more").max(1e12);

const few = <T>(record: z.ZodType<T>) =>
  record.refine(
    (value) => Object.keys(value as object).length <= PROFILE_ENTRIES_MAX,
    `expected at most ${PROFILE_ENTRIES_MAX} entries`,
  );

export const provenanceSchema = z.strictObject(
  {
    kind: z.enum(
      ["measured", "published", "prior", "modelled"],
      "expected measured, published, prior or modelled",
    ),
    note: z.string("expected a text that says where the figures come from").max(4_096),
    at: z.iso.datetime("expected a time such as 2026-01-31T12:00:00Z").exactOptional(),
    nodeKind: name.exactOptional(),
    count: count.exactOptional(),
  },
  "expected { kind, note }: every figure says where it comes from",
) satisfies z.ZodType<Provenance>;

const linearModelSchema = z.strictObject(
  { fixed: amount, perUnit: amount, spread: amount },
  "expected { fixed, perUnit, spread }",
) satisfies z.ZodType<LinearModel>;

const knobsSchema = few(z.record(name, z.union([z.string().max(1_024), z.number(), z.boolean()])));

const executorProfileSchema = z.strictObject({
  executor: name,
  version: name,
  knobs: knobsSchema,
  nodeKind: name,
  runMs: linearModelSchema,
  cpuSec: linearModelSchema,
  outputSizes: few(z.record(name, linearModelSchema)),
  memoryBytesMax: amount.nullable(),
  startMs: amount.nullable(),
  provenance: provenanceSchema,
}) satisfies z.ZodType<ExecutorProfile>;

const qualityCountSchema = z
  .strictObject({ scoreSum: count, count })
  .refine((it) => it.scoreSum <= it.count + 1e-9, {
    path: ["scoreSum"],
    error: "expected no more than count: scores are between 0 and 1",
  }) satisfies z.ZodType<QualityCount>;
const classCountsSchema = few(z.record(name, qualityCountSchema));

const configurationQualitySchema = z.strictObject({
  configuration: z.string().min(1).max(CONFIGURATION_CHARS_MAX),
  byClass: classCountsSchema,
  feedback: classCountsSchema,
  provenance: provenanceSchema,
  sureRatio: classCountsSchema.exactOptional(),
}) satisfies z.ZodType<ConfigurationQuality>;

const workflowProfileSchema = z.strictObject({
  workflow: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,160}$/, "expected the signature of a workflow, letters and dashes"),
  configurations: z.array(configurationQualitySchema).max(PROFILE_IMPORT_COUNT_MAX),
}) satisfies z.ZodType<WorkflowProfile>;

export const profileSetSchema = z.strictObject({
  executors: z.array(executorProfileSchema).max(PROFILE_IMPORT_COUNT_MAX),
  workflows: z.array(workflowProfileSchema).max(PROFILE_IMPORT_COUNT_MAX),
}) satisfies z.ZodType<ProfileSet>;

/** `after`: how many entries the pages before had. */
export const profileGetSchema = z
  .strictObject({ after: z.number().int().nonnegative().exactOptional() })
  .nullable();

/** `next`: what to ask for as `after`; null on the last page. */
export interface ProfilePage {
  readonly profiles: ProfileSet;
  readonly next: number | null;
}

export const profilePutSchema = z.strictObject({ profiles: profileSetSchema });

export interface ProfilePutReply {
  readonly executorCount: number;
  readonly configurationCount: number;
}

export const jobFeedbackSchema = z.strictObject({
  jobId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected 1 to 128 letters, digits, "-" or "_"'),
  score: z
    .number("expected a number from 0 (wrong) to 1 (right)")
    .min(0, "expected a number from 0 (wrong) to 1 (right)")
    .max(1, "expected a number from 0 (wrong) to 1 (right)"),
  /** Of the job. Default: `default`. */
  tenant: z.string().min(1).max(128).exactOptional(),
  /** The score is against a known answer, not an opinion. Default false. */
  labelled: z.boolean().exactOptional(),
});
export type JobFeedback = z.infer<typeof jobFeedbackSchema>;

/** What the score was counted for. */
export interface JobFeedbackReply {
  readonly jobId: string;
  readonly score: number;
  readonly workflow: string;
  readonly configuration: string;
  readonly questionClass: string;
  /** It took the place of an earlier score of the same job. */
  readonly isReplaced: boolean;
}
