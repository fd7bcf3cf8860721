/**
 * How much of the quality each option of each step keeps, from configurations that were visited.
 *
 * Owns:      the pairs of configurations that differ in exactly one step, and what they say.
 * Does not:  know paths' own quality (see quality-model.ts).
 *
 * Per step label, retention is relative to the step's *anchor*: the option with the most labelled
 * questions, whose retention is 1. A pair says ln(quality of one / quality of the other), with the
 * sum of both variances (questions are taken as independent, which is cautious where both answered
 * the same ones); pairs of the same two options are pooled by their precision. Options that were
 * never paired with the anchor are reached over others, along the chain with the least variance.
 * The result is pulled towards "changes nothing" by a prior of sd `PRIOR_SPREAD`: of many options
 * tried on few questions the best looks better than it is.
 *
 * Options that were never run: knob by knob from known ones of the same executor (knob-ratios.ts),
 * an unknown knob or executor by the policy's `unknownRetention`.
 */
import { type ParsedOption, parseOption } from "./configuration.ts";
import { combineKnobs } from "./knob-ratios.ts";
import type { QualityPolicy } from "./quality-belief.ts";

/** ln of a factor on quality, and the variance of that. */
export interface LnFactor {
  readonly ln: number;
  readonly variance: number;
  /** `measured`: from pairs; `modelled`: over knobs; `prior`: nothing is known. */
  readonly kind: "measured" | "modelled" | "prior";
}

export interface VisitedConfiguration {
  readonly path: string;
  /** Step label to option key. */
  readonly options: ReadonlyMap<string, string>;
  readonly ln: number;
  readonly variance: number;
  readonly count: number;
}

interface Edge {
  readonly to: string;
  ln: number;
  precision: number;
}

const PRIOR_SPREAD = 0.3;
/** More options than a workflow's steps have together. */
const COMPOSED_MAX = 4_096;
const ANCHOR: LnFactor = { ln: 0, variance: 0, kind: "measured" };

export class Retentions {
  private readonly byLabel = new Map<string, ReadonlyMap<string, LnFactor>>();
  private readonly policy: QualityPolicy;
  /** Options that were never run, as they are asked for. */
  private readonly composed = new Map<string, LnFactor>();

  constructor(visited: readonly VisitedConfiguration[], policy: QualityPolicy) {
    this.policy = policy;
    const labels = new Set(visited.flatMap((it) => [...it.options.keys()]));
    for (const label of labels) this.byLabel.set(label, relateOptions(label, visited));
  }

  of(label: string, option: string): LnFactor {
    const known = this.byLabel.get(label);
    const found = known?.get(option);
    if (found !== undefined) return found;
    const key = `${label} ${option}`;
    const before = this.composed.get(key);
    if (before !== undefined) return before;
    const wanted = parseOption(option);
    const factor =
      known === undefined || wanted === null ? this.unknown() : this.fromKnobs(known, wanted);
    if (this.composed.size >= COMPOSED_MAX) this.composed.clear();
    this.composed.set(key, factor);
    return factor;
  }

  private fromKnobs(known: ReadonlyMap<string, LnFactor>, wanted: ParsedOption): LnFactor {
    const settings = [...known].flatMap(([key, value]) => {
      const option = parseOption(key);
      if (option === null || option.executor !== wanted.executor) return [];
      return [{ knobs: option.knobs, value, weight: 1 / (value.variance + 1e-3) }];
    });
    const combined = combineKnobs(settings, wanted.knobs);
    if (combined === null) return this.unknown();
    let { ln, variance } = combined.base.value;
    let kind: LnFactor["kind"] = "modelled";
    for (const { pair } of combined.steps) {
      if (pair === null) {
        const unknown = this.unknown();
        kind = "prior";
        ln += unknown.ln;
        variance += unknown.variance;
      } else {
        ln += pair[1].value.ln - pair[0].value.ln;
        variance += pair[0].value.variance + pair[1].value.variance;
      }
    }
    return { ln, variance, kind };
  }

  private unknown(): LnFactor {
    const { unknownRetention, unknownRetentionSpread } = this.policy;
    return { ln: Math.log(unknownRetention), variance: unknownRetentionSpread ** 2, kind: "prior" };
  }
}

function relateOptions(
  label: string,
  visited: readonly VisitedConfiguration[],
): ReadonlyMap<string, LnFactor> {
  const counts = new Map<string, number>();
  const siblings = new Map<string, VisitedConfiguration[]>();
  for (const configuration of visited) {
    const option = configuration.options.get(label);
    if (option === undefined) continue;
    counts.set(option, (counts.get(option) ?? 0) + configuration.count);
    const rest = [...configuration.options].filter(([name]) => name !== label);
    const key = `${configuration.path}\n${rest
      .map((it) => it.join("="))
      .sort()
      .join(" ")}`;
    const group = siblings.get(key);
    if (group === undefined) siblings.set(key, [configuration]);
    else group.push(configuration);
  }
  const anchor = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]?.[0];
  return anchor === undefined ? new Map() : spread(anchor, pairEdges(label, siblings));
}

function pairEdges(
  label: string,
  siblings: ReadonlyMap<string, readonly VisitedConfiguration[]>,
): ReadonlyMap<string, ReadonlyMap<string, Edge>> {
  const edges = new Map<string, Map<string, Edge>>();
  for (const group of siblings.values()) {
    for (const from of group) {
      for (const to of group) {
        const a = from.options.get(label) ?? "";
        const b = to.options.get(label) ?? "";
        if (a !== b) pool(edges, a, { to: b, ...ratio(from, to) });
      }
    }
  }
  return edges;
}

function ratio(from: VisitedConfiguration, to: VisitedConfiguration) {
  return { ln: to.ln - from.ln, precision: 1 / Math.max(1e-9, from.variance + to.variance) };
}

function pool(edges: Map<string, Map<string, Edge>>, from: string, edge: Edge): void {
  const targets = edges.get(from) ?? new Map<string, Edge>();
  edges.set(from, targets);
  const before = targets.get(edge.to);
  if (before === undefined) {
    targets.set(edge.to, edge);
    return;
  }
  const precision = before.precision + edge.precision;
  before.ln = (before.ln * before.precision + edge.ln * edge.precision) / precision;
  before.precision = precision;
}

/** Dijkstra's search with variances as lengths. */
function spread(
  anchor: string,
  edges: ReadonlyMap<string, ReadonlyMap<string, Edge>>,
): ReadonlyMap<string, LnFactor> {
  const open = new Map([[anchor, { ln: 0, variance: 0 }]]);
  const done = new Map<string, LnFactor>();
  while (open.size > 0) {
    const [option, reached] = nearest(open);
    open.delete(option);
    done.set(option, option === anchor ? ANCHOR : shrink(reached));
    for (const edge of edges.get(option)?.values() ?? []) {
      if (done.has(edge.to)) continue;
      const variance = reached.variance + 1 / edge.precision;
      const before = open.get(edge.to);
      if (before !== undefined && before.variance <= variance) continue;
      open.set(edge.to, { ln: reached.ln + edge.ln, variance });
    }
  }
  return done;
}

type Reached = { readonly ln: number; readonly variance: number };

function nearest(open: ReadonlyMap<string, Reached>): readonly [string, Reached] {
  let best: readonly [string, Reached] | null = null;
  for (const entry of open) {
    if (best === null || entry[1].variance < best[1].variance) best = entry;
  }
  return best ?? ["", { ln: 0, variance: 0 }];
}

function shrink({ ln, variance }: Reached): LnFactor {
  const prior = PRIOR_SPREAD * PRIOR_SPREAD;
  const kept = prior / (prior + variance);
  return { ln: ln * kept, variance: variance * kept, kind: "measured" };
}
