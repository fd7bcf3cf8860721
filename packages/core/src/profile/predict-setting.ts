/**
 * The profile of a setting that was not measured as such, from what was.
 *
 * In this order, the first that applies:
 *   1. this setting on this kind of node, or said to hold on any;
 *   2. this setting on another kind of node: the same line, `modelled`, spread widened;
 *   3. another setting of the executor carried over knob by knob (see knob-ratios.ts), on the kind
 *      of node that is known best: `prior`, with the knobs named, spread widened per knob;
 * each for the executor's version first, then for its other versions with the spread widened.
 */
import { ANY_NODE_KIND, type ExecutorProfile, type LinearModel } from "@murakkab/model";
import { predictLine } from "./fit-line.ts";
import { combineKnobs, differingKnobs, type KnownSetting } from "./knob-ratios.ts";
import type { ProfileKey } from "./learner.ts";
import { clamp } from "./statistics.ts";

/** Standard deviations of ln(observed / predicted) that each step away from the measured adds. */
const OTHER_KIND_SPREAD = 0.4;
const OTHER_VERSION_SPREAD = 0.3;
const KNOWN_KNOB_SPREAD = 0.15;
const UNKNOWN_KNOB_SPREAD = 0.6;
/** How far the ratio of a line's part may lie from that of the whole line. */
const PART_RATIO_MAX = 4;

/** `profiles`: all of the executor. Null when there is none. */
export function predictSetting(
  wanted: ProfileKey,
  profiles: readonly ExecutorProfile[],
): ExecutorProfile | null {
  const same = profiles.filter((it) => it.version === wanted.version);
  const found = fromVersion(wanted, same);
  if (found !== null) return found;
  const others = profiles.filter((it) => it.version !== wanted.version);
  const older = fromVersion(wanted, others);
  if (older === null) return null;
  const note = `version ${wanted.version} was never run; ${older.provenance.note}`;
  return {
    ...widen(older, OTHER_VERSION_SPREAD),
    version: wanted.version,
    provenance: { ...older.provenance, kind: "modelled", note },
  };
}

function fromVersion(
  wanted: ProfileKey,
  profiles: readonly ExecutorProfile[],
): ExecutorProfile | null {
  const same = profiles.filter((it) => differingKnobs(it.knobs, wanted.knobs).length === 0);
  const here = same.find((it) => it.nodeKind === wanted.nodeKind);
  if (here !== undefined) return here;
  const anywhere = same.find((it) => it.nodeKind === ANY_NODE_KIND);
  if (anywhere !== undefined) return anywhere;
  const elsewhere = bestKnown(same);
  if (elsewhere !== null) return onOtherKind(elsewhere, wanted.nodeKind);
  return fromOtherKnobs(wanted, profiles);
}

function onOtherKind(profile: ExecutorProfile, nodeKind: string): ExecutorProfile {
  const note = `known on nodes of kind ${profile.nodeKind} only, not on ${nodeKind}; ${profile.provenance.note}`;
  return {
    ...widen(profile, OTHER_KIND_SPREAD),
    nodeKind,
    startMs: profile.startMs,
    provenance: { ...profile.provenance, kind: "modelled", note },
  };
}

function fromOtherKnobs(
  wanted: ProfileKey,
  profiles: readonly ExecutorProfile[],
): ExecutorProfile | null {
  const kinds = [...new Set(profiles.map((it) => it.nodeKind))].sort();
  const kind = [wanted.nodeKind, ANY_NODE_KIND].find((it) => kinds.includes(it));
  const nodeKind = kind ?? bestKnown(profiles)?.nodeKind;
  const onKind = profiles.filter((it) => it.nodeKind === nodeKind);
  const known = onKind.map((value) => ({ knobs: value.knobs, value, weight: countOf(value) }));
  const combined = combineKnobs<ExecutorProfile>(known, wanted.knobs);
  if (combined === null) return null;
  let profile = combined.base.value;
  let variance = 0;
  const parts: string[] = [];
  for (const { knob, pair } of combined.steps) {
    parts.push(pair === null ? `${knob} (effect unknown)` : knob);
    variance += (pair === null ? UNKNOWN_KNOB_SPREAD : KNOWN_KNOB_SPREAD) ** 2;
    if (pair !== null) profile = carryOver(profile, pair);
  }
  const widened = widen(profile, Math.sqrt(variance));
  const note = `never run with these knobs; from a known setting, one knob at a time: ${parts.join(", ")}`;
  const result: ExecutorProfile = {
    ...{ ...widened, knobs: wanted.knobs, nodeKind: nodeKind ?? wanted.nodeKind },
    provenance: { kind: "prior", note },
  };
  if (nodeKind === wanted.nodeKind || nodeKind === ANY_NODE_KIND) return result;
  return { ...onOtherKind(result, wanted.nodeKind), provenance: { kind: "prior", note } };
}

/** The change from one setting to the other, applied to each line part by part. */
function carryOver(
  profile: ExecutorProfile,
  [from, to]: readonly [KnownSetting<ExecutorProfile>, KnownSetting<ExecutorProfile>],
): ExecutorProfile {
  const ports = Object.entries(profile.outputSizes).map(([port, line]) => {
    const before = from.value.outputSizes[port];
    const after = to.value.outputSizes[port];
    const isKnown = before !== undefined && after !== undefined;
    return [port, isKnown ? scaleLine(line, before, after) : line] as const;
  });
  return {
    ...profile,
    runMs: scaleLine(profile.runMs, from.value.runMs, to.value.runMs),
    cpuSec: scaleLine(profile.cpuSec, from.value.cpuSec, to.value.cpuSec),
    outputSizes: Object.fromEntries(ports),
  };
}

/** Each part of the line by its own ratio, near that of the whole where a part is next to nothing. */
function scaleLine(line: LinearModel, from: LinearModel, to: LinearModel): LinearModel {
  const perUnit = from.perUnit + to.perUnit;
  const balancedSize = perUnit > 0 ? (from.fixed + to.fixed) / perUnit : 1;
  const before = predictLine(from, balancedSize);
  const after = predictLine(to, balancedSize);
  const whole = before > 0 && after > 0 ? after / before : 1;
  const near = (a: number, b: number): number =>
    a > 0 && b > 0 ? clamp(b / a, whole / PART_RATIO_MAX, whole * PART_RATIO_MAX) : whole;
  return {
    fixed: line.fixed * near(from.fixed, to.fixed),
    perUnit: line.perUnit * near(from.perUnit, to.perUnit),
    spread: Math.max(line.spread, from.spread, to.spread),
  };
}

function widen(profile: ExecutorProfile, by: number): ExecutorProfile {
  const wider = (line: LinearModel): LinearModel => ({
    ...line,
    spread: Math.sqrt(line.spread ** 2 + by ** 2),
  });
  return {
    ...profile,
    runMs: wider(profile.runMs),
    cpuSec: wider(profile.cpuSec),
    outputSizes: Object.fromEntries(
      Object.entries(profile.outputSizes).map(([port, line]) => [port, wider(line)]),
    ),
  };
}

/** Most observations; ties by kind of node, so that the choice is stable. */
function bestKnown(profiles: readonly ExecutorProfile[]): ExecutorProfile | null {
  const sorted = [...profiles].sort(
    (a, b) => countOf(b) - countOf(a) || (a.nodeKind < b.nodeKind ? -1 : 1),
  );
  return sorted[0] ?? null;
}

function countOf(profile: ExecutorProfile): number {
  return profile.provenance.count ?? 0;
}
