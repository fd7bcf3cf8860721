/**
 * Which executors and knob settings a step could have within the job's constraints.
 *
 * Invariants:
 *   K1. Every candidate is available on some node of its kind and keeps all constraints.
 *   K2. The library's default executor with its default knobs comes first, where it is allowed.
 */
import {
  defaultKnobs,
  type ExecutorEntry,
  type JobConstraints,
  type KnobValues,
  type PlannedStep,
  type WorkflowStep,
} from "@murakkab/model";

export interface Candidate {
  readonly entry: ExecutorEntry;
  readonly knobs: KnobValues;
}

/**
 * Most knob settings of one executor that are looked at; beyond, knobs vary one or two at a time.
 * Ten values of each of three knobs stay below it.
 */
const KNOB_SETTINGS_MAX = 1_024;

export function candidatesOf(
  planned: Pick<PlannedStep, "step" | "capability">,
  context: {
    readonly step: WorkflowStep | undefined;
    readonly executors: readonly ExecutorEntry[];
    readonly constraints: JobConstraints;
  },
): readonly Candidate[] {
  const { step, executors, constraints } = context;
  const wanted = step?.executor ?? constraints.executors?.[planned.capability];
  return executors
    .filter((entry) => wanted === undefined || entry.id === wanted)
    .flatMap((entry) => {
      const fixed = {
        ...constraints.knobs?.[entry.capability],
        ...constraints.knobs?.[entry.id],
        ...constraints.knobs?.[planned.step],
        ...step?.knobs,
      };
      // A knob that this executor does not have: it cannot be what the user wants.
      if (Object.keys(fixed).some((name) => !Object.hasOwn(entry.knobs, name))) return [];
      return knobSettings(entry, fixed).map((knobs) => ({ entry, knobs }));
    });
}

function knobSettings(entry: ExecutorEntry, fixed: KnobValues): readonly KnobValues[] {
  const free = Object.entries(entry.knobs).filter(([name]) => !Object.hasOwn(fixed, name));
  const base = { ...defaultKnobs(entry), ...fixed };
  const count = free.reduce((product, [, knob]) => product * knob.values.length, 1);
  const depth = count <= KNOB_SETTINGS_MAX ? free.length : 2;
  const settings = vary(base, free, depth);
  return [base, ...settings.slice(0, KNOB_SETTINGS_MAX - 1)]; // K2
}

/** All settings that differ from `base` in one to `depth` of the free knobs. */
function vary(
  base: KnobValues,
  free: readonly (readonly [string, ExecutorEntry["knobs"][string]])[],
  depth: number,
): readonly KnobValues[] {
  if (depth === 0) return [];
  return free.flatMap(([name, knob], index) =>
    knob.values
      .filter((value) => value !== base[name])
      .flatMap((value) => {
        const changed = { ...base, [name]: value };
        return [changed, ...vary(changed, free.slice(index + 1), depth - 1)];
      }),
  );
}
