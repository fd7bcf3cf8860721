/** From the samples of one setting on one kind of node to its profile. */
import type { ExecutorProfile, KnobValues, LinearModel } from "@murakkab/model";
import { fitLine, type LinePrior, type SizedValue, SPREAD_PRIOR } from "./fit-line.ts";
import type { ProfileSample } from "./sample-set.ts";
import { median } from "./statistics.ts";

export interface LearnedSamples {
  readonly executor: string;
  readonly version: string;
  readonly knobs: KnobValues;
  readonly nodeKind: string;
  readonly samples: readonly ProfileSample[];
  readonly resetAtMs: number;
}

/** Attempts that a shipped or imported profile's level counts for, at most. */
const PRIOR_WEIGHT_MAX = 8;
const NOTHING: LinearModel = { fixed: 0, perUnit: 0, spread: SPREAD_PRIOR };

/**
 * Null when there is neither a sample nor a prior. `startMs`: cold starts seen, in any order.
 *
 * Times are fitted as if the node had its usual speed; CPU seconds, memory and sizes as they were.
 */
export function fitProfile(
  learned: LearnedSamples,
  prior: ExecutorProfile | null,
  startMs: readonly number[],
): ExecutorProfile | null {
  const { executor, version, knobs, nodeKind, samples, resetAtMs } = learned;
  if (samples.length === 0) return prior?.nodeKind === nodeKind ? prior : null;
  // What drifted away from a prior, or runs on another kind of node, keeps its shape, not its level.
  const isLevelKnown = resetAtMs === 0 && prior?.nodeKind === nodeKind;
  const weight = isLevelKnown ? Math.min(PRIOR_WEIGHT_MAX, prior.provenance.count ?? 1) : 0;
  const priorOf = (line: LinearModel | undefined): LinePrior | undefined =>
    line === undefined ? undefined : { line, weight };
  const fit = (
    valueOf: (sample: ProfileSample) => number | null | undefined,
    line: LinearModel | undefined,
  ): LinearModel | null => fitLine(sizedValues(samples, valueOf), priorOf(line));
  const runMs = fit((it) => it.runMs / it.speed, prior?.runMs) ?? NOTHING;
  const ports = new Set([
    ...Object.keys(prior?.outputSizes ?? {}),
    ...samples.flatMap((it) => Object.keys(it.outputSizes)),
  ]);
  const memory = samples.map((it) => it.memoryBytesMax ?? 0);
  const memoryBytesMax = Math.max(prior?.memoryBytesMax ?? 0, ...memory);
  return {
    ...{ executor, version, knobs, nodeKind, runMs },
    cpuSec: fit((it) => it.cpuSec, prior?.cpuSec) ?? busyCore(runMs),
    outputSizes: Object.fromEntries(
      [...ports].sort().map((port) => {
        const line = fit((it) => it.outputSizes[port], prior?.outputSizes[port]);
        return [port, line ?? NOTHING];
      }),
    ),
    memoryBytesMax: memoryBytesMax === 0 ? null : memoryBytesMax,
    startMs: median(startMs) ?? prior?.startMs ?? null,
    provenance: {
      kind: "measured",
      note: noteOf(samples, prior, weight),
      at: new Date(Math.max(...samples.map((it) => it.atMs))).toISOString(),
      nodeKind,
      count: samples.length,
    },
  };
}

/** The time line of the samples; of a prior only the shape counts. Null without samples. */
export function fitUsual(
  { samples }: LearnedSamples,
  prior: ExecutorProfile | null,
): LinearModel | null {
  if (samples.length === 0) return null;
  const times = sizedValues(samples, (it) => it.runMs / it.speed);
  return fitLine(times, prior === null ? undefined : { line: prior.runMs, weight: 0 });
}

function sizedValues(
  samples: readonly ProfileSample[],
  valueOf: (sample: ProfileSample) => number | null | undefined,
): readonly SizedValue[] {
  return samples.flatMap((sample) => {
    const value = valueOf(sample);
    return value === null || value === undefined ? [] : [{ size: sample.size, value }];
  });
}

/** Where the host tells no CPU time, one core is taken to be busy all the time. */
function busyCore({ fixed, perUnit, spread }: LinearModel): LinearModel {
  return { fixed: fixed / 1_000, perUnit: perUnit / 1_000, spread };
}

function noteOf(
  samples: readonly ProfileSample[],
  prior: ExecutorProfile | null,
  weight: number,
): string {
  const nodes = new Set(samples.map((it) => it.node)).size;
  const own = `learnt from attempts on ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
  if (prior === null) return own;
  const level = weight === 0 ? "its shape" : `its level as ${weight} attempts`;
  return `${own}; an earlier profile counts, ${level} (${prior.provenance.kind})`;
}
