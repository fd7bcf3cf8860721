/**
 * How much slower than profiled a node is at present.
 *
 * Owns:      the attempts a node ran lately, each as ln(observed / profiled), and the level in them.
 * Does not:  change profiles (see learner.ts).
 *
 * The level is a median of medians: per executor over its latest attempts, then over executors, of
 * two middle ones the one nearer to 0. So a single slow attempt moves nothing, one executor that
 * became slower is not taken for a slow node as long as others run there as before, and a node that
 * became three times slower is believed to be after half a window: within some ten attempts.
 * (A moving average would take longer to get there, and follow every outlier on the way.)
 */
import { cautiousMedian, clamp, median, spreadOf } from "./statistics.ts";

interface Residual {
  readonly key: string;
  readonly sampleId: string;
  readonly lnRatio: number;
}

export interface NodeDrift {
  /** Observed over profiled time, now. */
  readonly ratio: number;
  /** Attempts that say so. */
  readonly count: number;
  /** Ids of samples that were taken at the new level. */
  readonly sampleIds: readonly string[];
}

/** Attempts of a node that are looked at, over all executors. */
const WINDOW_COUNT = 15;
/** Of these, per executor: the newest. */
const PER_EXECUTOR_COUNT = 9;
/** Attempts before a level is believed in full. */
const TRUSTED_COUNT = 5;
/** A change of level below this is not followed: medians of nine attempts differ by as much. */
const STEP_LN_RATIO = Math.log(1.2);
/** A change of level below this is not told: neighbours on a host do as much. */
const TOLD_LN_RATIO = Math.log(1.5);
const LN_RATIO_MAX = Math.log(50);

export class NodeSpeed {
  private window: Residual[] = [];
  private believed: number;
  private told: number;
  atMs = 0;

  /** `lnSpeed`: what an earlier process believed of this node. */
  constructor(lnSpeed = 0) {
    this.believed = clamp(lnSpeed, -LN_RATIO_MAX, LN_RATIO_MAX);
    this.told = this.believed;
  }

  /** ln of the factor on profiled times. Moves in steps, so that noise does not move it. */
  get lnSpeed(): number {
    return this.believed;
  }

  /** Something ran there that this process saw. */
  get hasAttempts(): boolean {
    return this.window.length > 0;
  }

  /**
   * The part of it that was told as a drift. Samples are kept with this and not with the whole: the
   * profile and the node's speed would push one another away from where they belong.
   */
  get lnToldSpeed(): number {
    return this.told;
  }

  /** One more attempt; a drift when the level has left what was told last. */
  add(residual: Residual, atMs: number): NodeDrift | null {
    const lnRatio = clamp(residual.lnRatio, -LN_RATIO_MAX, LN_RATIO_MAX);
    this.window.push({ ...residual, lnRatio });
    if (this.window.length > WINDOW_COUNT) this.window.shift();
    this.atMs = atMs;
    const level = this.level();
    if (level === null || this.window.length < TRUSTED_COUNT) return null;
    if (Math.abs(level - this.told) <= this.toldBound()) {
      this.follow(level);
      return null;
    }
    const middle = (level + this.told) / 2;
    const agreeing = this.window.filter((it) => it.lnRatio > middle === level > this.told);
    if (agreeing.length < TRUSTED_COUNT) return null;
    this.window = agreeing; // the others were taken before it changed
    const now = median(agreeing.map((it) => it.lnRatio)) ?? level;
    this.told = now;
    this.believed = now;
    const sampleIds = agreeing.map((it) => it.sampleId);
    return { ratio: Math.exp(now), count: agreeing.length, sampleIds };
  }

  private follow(level: number): void {
    if (Math.abs(level - this.believed) > STEP_LN_RATIO) this.believed = level;
    if (Math.abs(level - this.told) < STEP_LN_RATIO / 2) this.believed = this.told;
  }

  /** Keys of the profiles whose attempts are in the window. */
  keys(): ReadonlySet<string> {
    return new Set(this.window.map((it) => it.key));
  }

  /** The profile was fitted anew: what was said against the old one says nothing now. */
  forget(key: string): void {
    this.window = this.window.filter((it) => it.key !== key);
  }

  private level(): number | null {
    const groups = this.byExecutor();
    return cautiousMedian(groups.map((values) => median(values.slice(-PER_EXECUTOR_COUNT)) ?? 0));
  }

  /** Noisy executors need a larger change to be believed. */
  private toldBound(): number {
    const spreads = this.byExecutor().map((values) => spreadOf(values.slice(-TRUSTED_COUNT)));
    return Math.max(TOLD_LN_RATIO, 1.5 * (median(spreads) ?? 0));
  }

  private byExecutor(): readonly (readonly number[])[] {
    const groups = new Map<string, number[]>();
    for (const { key, lnRatio } of this.window) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [lnRatio]);
      else group.push(lnRatio);
    }
    return [...groups.values()];
  }
}
