/**
 * Settings that were never measured, from those that were: one knob at a time.
 *
 * The nearest known setting is taken (fewest knobs differ). For each knob that differs, a pair of
 * known settings that differ in this knob alone, by the same two values, gives the ratio; the
 * product of the ratios carries the known setting over. Knobs are so assumed to act independently.
 * Without such a pair the knob's effect is unknown: ratio 1, and far more uncertain.
 */
import type { KnobValues } from "@murakkab/model";

export interface KnownSetting<T> {
  readonly knobs: KnobValues;
  readonly value: T;
  /** How well it is known; decides between equally near settings. */
  readonly weight: number;
}

export interface CombinedSetting<T> {
  readonly base: KnownSetting<T>;
  /** For each differing knob: the pair (from, to) that stands for the change, null = none known. */
  readonly steps: readonly {
    readonly knob: string;
    readonly pair: readonly [KnownSetting<T>, KnownSetting<T>] | null;
  }[];
}

/** Null when nothing is known. Ties are broken by weight, then by order in `known`. */
export function combineKnobs<T>(
  known: readonly KnownSetting<T>[],
  wanted: KnobValues,
): CombinedSetting<T> | null {
  let best: CombinedSetting<T> | null = null;
  const pairs = new Map<string, ReturnType<typeof findPair<T>>>();
  const pairFor = (knob: string, from: KnobValues) => {
    const key = `${knob} ${typeof from[knob]} ${String(from[knob])}`;
    const pair = pairs.get(key) ?? findPair(known, { knob, from, to: wanted });
    pairs.set(key, pair);
    return pair;
  };
  for (const base of known) {
    const steps = differingKnobs(base.knobs, wanted).map((knob) => ({
      knob,
      pair: pairFor(knob, base.knobs),
    }));
    const candidate = { base, steps };
    if (best === null || isBetter(candidate, best)) best = candidate;
  }
  return best;
}

export function differingKnobs(a: KnobValues, b: KnobValues): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => a[name] !== b[name]).sort();
}

function findPair<T>(
  known: readonly KnownSetting<T>[],
  change: { readonly knob: string; readonly from: KnobValues; readonly to: KnobValues },
): readonly [KnownSetting<T>, KnownSetting<T>] | null {
  const { knob } = change;
  let best: readonly [KnownSetting<T>, KnownSetting<T>] | null = null;
  for (const from of known) {
    if (from.knobs[knob] !== change.from[knob]) continue;
    for (const to of known) {
      if (to.knobs[knob] !== change.to[knob]) continue;
      const differing = differingKnobs(from.knobs, to.knobs);
      if (differing.length !== 1 || differing[0] !== knob) continue;
      const weight = Math.min(from.weight, to.weight);
      if (best === null || weight > Math.min(best[0].weight, best[1].weight)) best = [from, to];
    }
  }
  return best;
}

/** Fewer unknown steps, then fewer steps, then the better known base. */
function isBetter<T>(a: CombinedSetting<T>, b: CombinedSetting<T>): boolean {
  const unknown = (it: CombinedSetting<T>): number =>
    it.steps.filter((step) => step.pair === null).length;
  if (unknown(a) !== unknown(b)) return unknown(a) < unknown(b);
  if (a.steps.length !== b.steps.length) return a.steps.length < b.steps.length;
  return a.base.weight > b.base.weight;
}
