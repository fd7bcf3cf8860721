/**
 * Two-sided cumulative sum: notices that one profile no longer holds.
 *
 * Each attempt gives z = ln(observed / predicted) / spread, held within ±2 so that an outlier counts
 * as one attempt. Up: S = max(0, S + z - 0.5); down likewise; drifted when S > 15. A profile that
 * holds (z about normal) gets there once in some millions of attempts (Siegmund's approximation),
 * one whose attempts take twice as long after ten: later than a node's own drift is seen, which
 * explains it better.
 */
import { clamp, median } from "./statistics.ts";

export interface DriftEntry {
  readonly node: string;
  readonly lnRatio: number;
  readonly atMs: number;
}

export interface Drift {
  readonly ratio: number;
  readonly count: number;
  /** Nodes on which the attempts took another time than predicted. */
  readonly nodes: readonly string[];
  /** Nodes on which they did not. */
  readonly unchangedNodes: readonly string[];
  readonly sinceMs: number;
}

const SLACK = 0.5;
const Z_MAX = 2;
const THRESHOLD = 15;
/** Below this the spread is the clock's, not the executor's. */
const SPREAD_MIN = 0.15;
/** Attempts of a run that are remembered: more than a detection takes. */
const RUN_COUNT_MAX = 64;

export class DriftSum {
  private up = 0;
  private down = 0;
  private upRun: DriftEntry[] = [];
  private downRun: DriftEntry[] = [];

  add(entry: DriftEntry, spread: number): Drift | null {
    const z = clamp(entry.lnRatio / Math.max(SPREAD_MIN, spread), -Z_MAX, Z_MAX);
    this.up = Math.max(0, this.up + z - SLACK);
    this.down = Math.max(0, this.down - z - SLACK);
    this.upRun = this.up === 0 ? [] : [...this.upRun, entry].slice(-RUN_COUNT_MAX);
    this.downRun = this.down === 0 ? [] : [...this.downRun, entry].slice(-RUN_COUNT_MAX);
    if (this.up <= THRESHOLD && this.down <= THRESHOLD) return null;
    const drift = describeRun(this.up > THRESHOLD ? this.upRun : this.downRun);
    this.clear();
    return drift;
  }

  clear(): void {
    this.up = 0;
    this.down = 0;
    this.upRun = [];
    this.downRun = [];
  }
}

function describeRun(run: readonly DriftEntry[]): Drift {
  const whole = median(run.map((it) => it.lnRatio)) ?? 0;
  const byNode = new Map<string, number[]>();
  for (const { node, lnRatio } of run) {
    const values = byNode.get(node);
    if (values === undefined) byNode.set(node, [lnRatio]);
    else values.push(lnRatio);
  }
  const extreme = Math.max(...[...byNode.values()].map((it) => Math.abs(median(it) ?? 0)));
  const isChanged = (values: readonly number[]): boolean =>
    Math.abs(median(values) ?? 0) > extreme / 3;
  const names = (changed: boolean): readonly string[] =>
    [...byNode]
      .filter(([, it]) => isChanged(it) === changed)
      .map(([node]) => node)
      .sort();
  const times = run.map((it) => it.atMs);
  return {
    ratio: Math.exp(whole),
    count: run.length,
    nodes: names(true),
    unchangedNodes: names(false),
    sinceMs: Math.min(...times),
  };
}
