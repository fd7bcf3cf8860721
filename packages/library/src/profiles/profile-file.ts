/**
 * The format of profile files, and its translation from and into the domain's types.
 *
 * Strict as executor files are: an unknown key is a problem. Units are in the names: `fixedMs` and
 * `perUnitMs` are milliseconds, for an attempt of size 0 and for each unit of its size; sizes of
 * outputs say their unit, `unknown` where no library was at hand that knows the port.
 */
import {
  ANY_NODE_KIND,
  type ConfigurationQuality,
  type ExecutorProfile,
  type LinearModel,
  type ProfileSet,
  SIZE_UNITS,
  type WorkflowProfile,
} from "@murakkab/model";
import { profileSetSchema, provenanceSchema } from "@murakkab/protocol";
import { z } from "zod";
import { checkShape, type YamlSource } from "../catalogue/yaml-source.ts";

const amountOf = (unit: string) =>
  z
    .number(`expected a finite number of ${unit}, 0 or more`)
    .nonnegative(`expected a finite number of ${unit}, 0 or more`);
const text = (expected: string) => z.string(expected).min(1, expected);
const knobValue = z.union([z.string(), z.number(), z.boolean()], {
  error: "expected a text, a number, true or false",
});

const spread = amountOf("ln(observed / predicted)");
const runLine = z.strictObject(
  { fixedMs: amountOf("ms"), perUnitMs: amountOf("ms per unit of size"), spread },
  "expected { fixedMs, perUnitMs, spread }",
);
const cpuLine = z.strictObject(
  { fixedSec: amountOf("seconds"), perUnitSec: amountOf("seconds per unit of size"), spread },
  "expected { fixedSec, perUnitSec, spread }",
);
const sizeLine = z.strictObject(
  {
    unit: z.enum([...SIZE_UNITS, "unknown"], `expected ${SIZE_UNITS.join(", ")} or unknown`),
    fixed: amountOf("the unit"),
    perUnit: amountOf("the unit per unit of size"),
    spread,
  },
  "expected { unit, fixed, perUnit, spread }",
);

const executorSchema = z.strictObject({
  executor: text("expected the id of an executor"),
  version: text('expected a version in quotes such as "1.0.0"'),
  knobs: z.record(z.string(), knobValue, "expected a map of knob values").default({}),
  nodeKind: text(`expected the kind of node, or ${ANY_NODE_KIND}`),
  runMs: runLine,
  cpuSec: cpuLine,
  outputSizes: z.record(z.string(), sizeLine, "expected a map of outputs").default({}),
  memoryBytesMax: amountOf("bytes").exactOptional(),
  startMs: amountOf("ms").exactOptional(),
  provenance: provenanceSchema,
});

const profileFileSchema = z.strictObject(
  {
    executors: z.array(executorSchema, "expected a list of executor profiles").default([]),
    workflows: z.array(z.unknown(), "expected a list of workflow profiles").default([]),
  },
  "expected { executors, workflows }",
);

/** Numbers keep this many digits: more are noise, and noise makes differences. */
const DIGITS = 6;

type ExecutorInFile = z.infer<typeof executorSchema>;

/** The file's profiles, or `null` when its shape is wrong (see `source.problems`). */
export function readProfiles(source: YamlSource): ProfileSet | null {
  const file = checkShape(source, profileFileSchema);
  if (file === null) return null;
  // Workflows are in the file as they are in the domain: counts have no unit.
  const shape = z.strictObject({
    executors: z.unknown().optional(),
    workflows: profileSetSchema.shape.workflows.default([]),
  });
  const checked = checkShape(source, shape);
  if (checked === null) return null;
  return { executors: file.executors.map(toProfile), workflows: checked.workflows };
}

function toProfile(file: ExecutorInFile): ExecutorProfile {
  const { executor, version, knobs, nodeKind, runMs, cpuSec, provenance } = file;
  return {
    ...{ executor, version, knobs, nodeKind },
    runMs: { fixed: runMs.fixedMs, perUnit: runMs.perUnitMs, spread: runMs.spread },
    cpuSec: { fixed: cpuSec.fixedSec, perUnit: cpuSec.perUnitSec, spread: cpuSec.spread },
    outputSizes: Object.fromEntries(
      Object.entries(file.outputSizes).map(([port, { unit: _unit, ...line }]) => [port, line]),
    ),
    memoryBytesMax: file.memoryBytesMax ?? null,
    startMs: file.startMs ?? null,
    provenance,
  };
}

/** `unitOf`: unit of an executor's output port, where it is known. */
export function toProfileFile(
  { executors, workflows }: ProfileSet,
  unitOf: (executor: string, port: string) => string,
): unknown {
  return {
    executors: executors.map((profile) => toExecutor(profile, unitOf)),
    workflows: workflows.map(toWorkflow),
  };
}

function toExecutor(
  profile: ExecutorProfile,
  unitOf: (executor: string, port: string) => string,
): unknown {
  const { executor, version, nodeKind, runMs, cpuSec, memoryBytesMax, startMs } = profile;
  const ports = Object.keys(profile.outputSizes).sort();
  const outputSizes = ports.map((port) => {
    const line = roundLine(profile.outputSizes[port] as LinearModel);
    return [port, { unit: unitOf(executor, port), ...line }] as const;
  });
  const run = roundLine(runMs);
  const cpu = roundLine(cpuSec);
  return {
    ...{ executor, version, knobs: sorted(profile.knobs), nodeKind },
    runMs: { fixedMs: run.fixed, perUnitMs: run.perUnit, spread: run.spread },
    cpuSec: { fixedSec: cpu.fixed, perUnitSec: cpu.perUnit, spread: cpu.spread },
    outputSizes: Object.fromEntries(outputSizes),
    ...(memoryBytesMax === null ? {} : { memoryBytesMax: round(memoryBytesMax) }),
    ...(startMs === null ? {} : { startMs: round(startMs) }),
    provenance: profile.provenance,
  };
}

function toWorkflow({ workflow, configurations }: WorkflowProfile): unknown {
  return {
    workflow,
    configurations: configurations.map((it) => ({
      configuration: it.configuration,
      byClass: roundCounts(it.byClass),
      feedback: roundCounts(it.feedback),
      ...(it.sureRatio === undefined ? {} : { sureRatio: roundCounts(it.sureRatio) }),
      provenance: it.provenance,
    })),
  };
}

function roundCounts(counts: ConfigurationQuality["byClass"]): ConfigurationQuality["byClass"] {
  return Object.fromEntries(
    Object.entries(sorted(counts)).map(([name, { scoreSum, count }]) => [
      name,
      { scoreSum: round(scoreSum), count: round(count) },
    ]),
  );
}

function roundLine({ fixed, perUnit, spread: width }: LinearModel): LinearModel {
  return { fixed: round(fixed), perUnit: round(perUnit), spread: round(width) };
}

function round(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

function sorted<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
