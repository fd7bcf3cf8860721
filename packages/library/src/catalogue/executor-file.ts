/**
 * The format of one executor file, and its translation into the domain's `ExecutorEntry`.
 *
 * Strict: an unknown key is a problem, because a misspelt one would silently mean its default.
 */
import { type ExecutorEntry, type Port, SIZE_UNITS } from "@murakkab/model";
import { z } from "zod";
import type { YamlSource } from "./yaml-source.ts";
import { checkShape } from "./yaml-source.ts";

/** Longest time limit of one attempt, s: a day; longer work belongs into several steps. */
const TIME_LIMIT_SEC_MAX = 86_400;
/** Most cores and MiB that one attempt may ask for: larger than any host we know of. */
const CORES_MAX = 4_096;
const MEMORY_MIB_MAX = 64 * 1024 * 1024;
/** Most attempts that one instance takes at a time: they share one event loop. */
const CONCURRENCY_MAX = 256;
/** Most items that one attempt of a fan-out takes: its inputs and outputs travel in one message. */
const BATCH_MAX = 1_024;
/** Same bound as ids on the wire. */
const ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,127}$/;
const NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

const text = (expected: string) => z.string(expected).trim().min(1, expected);
const idSchema = z
  .string("expected a text of lower-case letters, digits and dashes")
  .regex(ID_PATTERN, "expected lower-case letters, digits and dashes, at most 128");
const nameSchema = z
  .string()
  .regex(NAME_PATTERN, "expected a name of letters, digits and dashes that starts with a letter");
const knobValueSchema = z.union([z.string(), z.number(), z.boolean()], {
  error: "expected a text, a number, true or false",
});
const positive = (max: number, unit: string) =>
  z
    .number(`expected a number of ${unit} above 0`)
    .positive(`expected a number of ${unit} above 0`)
    .max(max, `expected at most ${max} ${unit}`);

/** Uncompressed 8K video, roughly. */
const BYTES_PER_SEC_MAX = 1e10;

const portSchema = z.strictObject({
  type: text("expected a type such as video or list<frame>"),
  description: text("expected a text").exactOptional(),
  optional: z.boolean("expected true or false").exactOptional(),
  /** What the output's size is counted in; default items for a list, else bytes. */
  sizeUnit: z.enum(SIZE_UNITS, `expected one of ${SIZE_UNITS.join(", ")}`).exactOptional(),
  /** Of a file of a fixed rate, with the unit sec. */
  bytesPerSec: positive(BYTES_PER_SEC_MAX, "bytes per second").exactOptional(),
});

const batchMaxSchema = z
  .number(`expected a whole number of items, 1 to ${BATCH_MAX}`)
  .int(`expected a whole number of items, 1 to ${BATCH_MAX}`)
  .min(1, `expected a whole number of items, 1 to ${BATCH_MAX}`)
  .max(BATCH_MAX, `expected at most ${BATCH_MAX} items`);

const sizedBySchema = z
  .array(nameSchema, "expected a list of input names")
  .min(1, "expected at least one input");

const stagingSchema = z.strictObject(
  {
    confidence: z.strictObject(
      {
        port: nameSchema,
        field: text("expected the name of a field that holds a number from 0 to 1"),
      },
      "expected { port, field }: where the output says how sure it is",
    ),
    atLeast: z
      .array(
        z
          .number("expected a number above 0, at most 1")
          .positive("expected a number above 0, at most 1")
          .max(1, "expected a number above 0, at most 1"),
        "expected a list of thresholds",
      )
      .min(1, "expected at least one threshold"),
    focus: nameSchema.exactOptional(),
  },
  "expected { confidence, atLeast }, and focus where an output points to a closer look",
);

const questionClassSchema = z.strictObject(
  {
    name: idSchema,
    phrases: z
      .array(text("expected a phrase of one or more words"), "expected a list of phrases")
      .min(1, "expected at least one phrase"),
  },
  "expected { name, phrases }",
);

const knobSchema = z.strictObject({
  description: text("expected a text that says what the knob changes"),
  values: z
    .array(knobValueSchema, "expected a list of allowed values, cheapest first")
    .min(1, "expected at least one value"),
  default: knobValueSchema,
});

const argSchema = z.union(
  [
    z.string(),
    z.strictObject({
      when: z.string(),
      equals: knobValueSchema.exactOptional(),
      args: z.array(z.string()).min(1),
    }),
  ],
  { error: "expected a text, or { when: KNOB, equals: VALUE, args: [TEXT, …] }" },
);

const commandSchema = z.strictObject({
  kind: z.literal("command"),
  program: z
    .string("expected the name of a program")
    .regex(/^[A-Za-z0-9._+-]+$/, "expected a program name without a path, found on PATH"),
  args: z.array(argSchema, "expected a list of arguments"),
  env: z
    .record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/, "expected an upper-case name"), z.string())
    .exactOptional(),
  files: z
    .record(
      nameSchema,
      z.strictObject({
        name: z
          .string("expected a file name")
          .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/, "expected a plain file name, no folders"),
        mediaType: z
          .string("expected a media type such as audio/wav")
          .regex(/^[a-z]+\/[a-z0-9.+-]+$/, "expected a media type such as audio/wav"),
      }),
    )
    .exactOptional(),
  parse: text("expected the name of a parser").exactOptional(),
  stdoutLimitBytes: z
    .number("expected a number of bytes")
    .int("expected a whole number of bytes")
    .positive("expected a number of bytes above 0")
    .exactOptional(),
});

const functionSchema = z.strictObject({
  kind: z.literal("function"),
  function: text("expected the name of a function"),
});

export const executorFileSchema = z.strictObject(
  {
    id: idSchema,
    version: text('expected a version in quotes such as "1.0.0"'),
    kind: z.enum(
      ["llm", "model", "tool", "composition"],
      "expected llm, model, tool or composition",
    ),
    capability: idSchema,
    description: text("expected a text that says what it does"),
    keywords: z.array(text("expected a word"), "expected a list of words").default([]),
    inputs: z.record(nameSchema, portSchema, "expected a map of input names to types"),
    outputs: z
      .record(nameSchema, portSchema, "expected a map of output names to types")
      .refine((ports) => Object.keys(ports).length > 0, "expected at least one output"),
    knobs: z.record(nameSchema, knobSchema, "expected a map of knobs").default({}),
    engine: z.discriminatedUnion("kind", [commandSchema, functionSchema], {
      error: "expected an engine of kind command or function",
    }),
    programs: z
      .array(text("expected a program name"), "expected a list of program names")
      .default([]),
    resources: z.strictObject(
      {
        cores: z
          .number("expected a number of cores, 0 or more")
          .nonnegative("expected a number of cores, 0 or more")
          .max(CORES_MAX, `expected at most ${CORES_MAX} cores`),
        memoryMib: positive(MEMORY_MIB_MAX, "MiB"),
        concurrency: z
          .number(`expected a whole number of attempts, 1 to ${CONCURRENCY_MAX}`)
          .int(`expected a whole number of attempts, 1 to ${CONCURRENCY_MAX}`)
          .min(1, `expected a whole number of attempts, 1 to ${CONCURRENCY_MAX}`)
          .max(CONCURRENCY_MAX, `expected at most ${CONCURRENCY_MAX} attempts at a time`)
          .exactOptional(),
      },
      "expected { cores, memoryMib }",
    ),
    timeLimitSec: positive(TIME_LIMIT_SEC_MAX, "seconds"),
    pure: z.boolean("expected true or false"),
    deterministic: z.boolean("expected true or false"),
    price: z
      .strictObject({
        perCoreHourUsd: z
          .number("expected dollars per core-hour")
          .nonnegative("expected dollars per core-hour, 0 or more"),
      })
      .exactOptional(),
    provenance: z.strictObject(
      {
        kind: z.enum(
          ["measured", "published", "prior", "modelled"],
          "expected measured, published, prior or modelled",
        ),
        note: text("expected a text that says where the figures come from"),
      },
      "expected { kind, note }: every figure says where it comes from",
    ),
    missingMeans: text("expected a clause that says what a plan loses").exactOptional(),
    sizedBy: sizedBySchema.exactOptional(),
    batchMax: batchMaxSchema.exactOptional(),
    staging: stagingSchema.exactOptional(),
    questionClasses: z
      .array(questionClassSchema, "expected a list of { name, phrases }")
      .exactOptional(),
  },
  "expected a map of fields",
);

export type ExecutorFile = z.infer<typeof executorFileSchema>;

/** The entry of a file, or `null` when its shape is wrong (see `source.problems`). */
export function readExecutor(source: YamlSource): ExecutorEntry | null {
  const file = checkShape(source, executorFileSchema);
  return file === null ? null : toEntry(file);
}

function toEntry(file: ExecutorFile): ExecutorEntry {
  const { timeLimitSec, pure, deterministic, price, inputs, outputs, ...same } = file;
  return {
    ...same,
    inputs: toPorts(inputs),
    outputs: toPorts(outputs),
    timeLimitMs: Math.round(timeLimitSec * 1_000),
    isPure: pure,
    isDeterministic: deterministic,
    ...(price === undefined ? {} : { pricePerCoreHourUsd: price.perCoreHourUsd }),
  };
}

function toPorts(ports: ExecutorFile["inputs"]): Record<string, Port> {
  const entries = Object.entries(ports).map(([name, { optional, ...port }]): [string, Port] => [
    name,
    optional === undefined ? port : { ...port, isOptional: optional },
  ]);
  return Object.fromEntries(entries);
}
