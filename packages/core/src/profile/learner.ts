/**
 * Executor profiles, learnt from attempts.
 *
 * Owns:      samples per profile, their fit, the speed of nodes, what counts as drift.
 * Does not:  read a clock (times come with the observations), store anything (see the scheduler's
 *            profile store), or choose.
 *
 * Invariants:
 *   L1. At most `PROFILES_MAX` profiles of at most 64 samples each; the least recently observed go.
 *   L2. Merging what others learnt is idempotent and commutes.
 *   L3. A drift is returned once per crossing. After a profile's drift older samples are void.
 *   L4. A node's speed is not learnt into the profiles: samples are kept with the speed that the
 *       node was believed to have, and fitted without it.
 *
 * A profile that came with the product or was imported is the prior of its own: its shape counts,
 * and its level as up to `PRIOR_WEIGHT_MAX` attempts, until own attempts outweigh it.
 */
import { canonicalJson, hashText64 } from "@murakkab/kit";
import type {
  AttemptObservation,
  ExecutorEntry,
  ExecutorProfile,
  KnobValues,
  LinearModel,
} from "@murakkab/model";
import { knobsText } from "./configuration.ts";
import { DriftSum } from "./drift-sum.ts";
import { predictLine } from "./fit-line.ts";
import { fitProfile, fitUsual, type LearnedSamples } from "./fit-profile.ts";
import { NodeSpeed } from "./node-speed.ts";
import { predictSetting } from "./predict-setting.ts";
import { boundSamples, mergeSamples, type ProfileSample } from "./sample-set.ts";

export interface ProfileKey {
  readonly executor: string;
  readonly version: string;
  readonly knobs: KnobValues;
  readonly nodeKind: string;
}

/** What is stored of one profile; `mergeRecord` takes it back. */
export interface ProfileRecord extends ProfileKey {
  readonly samples: readonly ProfileSample[];
  /** Samples from before are void: the profile drifted. 0 = never. */
  readonly resetAtMs: number;
}

/** How long a cold instance took until its first attempt. */
export interface StartObservation {
  readonly executor: string;
  readonly version: string;
  readonly nodeKind: string;
  readonly startMs: number;
}

export type LearnerEvent =
  | {
      readonly kind: "profile-drifted";
      readonly profile: ProfileKey;
      /** Observed over predicted time. */
      readonly ratio: number;
      readonly count: number;
      readonly nodes: readonly string[];
    }
  | {
      readonly kind: "node-drifted";
      readonly node: string;
      readonly ratio: number;
      readonly count: number;
      /** Only this executor became slower there; others run as before. */
      readonly executor?: string;
    };

/** Profiles in one process: some hundred executors and settings on several kinds of nodes. */
export const PROFILES_MAX = 2_000;
/** Nodes whose speed is kept, as many as a scheduler keeps. */
const NODES_MAX = 4_096;
/** Predicted settings that are kept per executor, until one of its attempts changes them. */
const PREDICTIONS_MAX = 1_000;
/** Start-up times that are kept per executor and kind of node. */
const STARTS_MAX = 16;
/** Executors and kinds of nodes whose start-up times are kept. */
const START_KEYS_MAX = 1_000;
/** Attempts shorter than this are mostly the clock's and the event loop's doing, ms. */
const RESIDUAL_MIN_MS = 5;
/** Samples before a profile is taken for a measure of its node. */
const RESIDUAL_SAMPLES_MIN = 3;
/** Samples before a profile's own drift is looked for. */
const DRIFT_SAMPLES_MIN = 6;

interface Learned extends LearnedSamples {
  samples: readonly ProfileSample[];
  resetAtMs: number;
  prior: ExecutorProfile | null;
  readonly drift: DriftSum;
  fitted: ExecutorProfile | null;
  /** The time line of own samples alone: what is usual here, whatever a prior says. */
  usual: LinearModel | null;
  /** Samples that came since the fit, and since that of `usual`. */
  unfitted: number;
  usualUnfitted: number;
}

export class ProfileLearner {
  /** Least recently observed first. */
  private readonly profilesByKey = new Map<string, Learned>();
  private readonly keysByExecutor = new Map<string, Set<string>>();
  private readonly nodes = new Map<string, NodeSpeed>();
  private readonly startsByKey = new Map<string, readonly number[]>();
  /** By executor, so that an attempt of one does not void what is known of the others. */
  private readonly predictions = new Map<string, Map<string, ExecutorProfile | null>>();
  private changed = new Set<string>();

  /** What one attempt showed. Nonsense (not finite, negative) is passed over. */
  observe(observation: AttemptObservation): readonly LearnerEvent[] {
    if (!isSound(observation)) return [];
    const key = profileKeyText(observation);
    const learned = this.touch(key, observation);
    const node = this.nodeOf(observation.node);
    const id = sampleId(observation);
    if (learned.samples.some((sample) => sample.id === id)) return [];
    const events: LearnerEvent[] = [];
    const lnRatio = this.residualOf(learned, observation);
    if (lnRatio !== null) {
      const drift = node.add({ key, sampleId: id, lnRatio }, observation.atMs);
      if (drift !== null) {
        events.push({
          kind: "node-drifted",
          node: observation.node,
          ratio: drift.ratio,
          count: drift.count,
        });
        this.explainByNode(node, drift.sampleIds, drift.ratio);
      }
    }
    const sample = toSample(observation, id, Math.exp(node.lnToldSpeed));
    this.keep(key, learned, sample);
    if (lnRatio !== null) events.push(...this.checkProfile(key, learned, { sample, lnRatio }));
    return events;
  }

  observeStart({ executor, version, nodeKind, startMs }: StartObservation): void {
    if (!(startMs >= 0) || !Number.isFinite(startMs)) return;
    const key = `${executor}@${version} ${nodeKind}`;
    this.keepStarts(key, [...(this.startsByKey.get(key) ?? []), startMs]);
    for (const [, learned] of this.ofExecutor(executor)) forgetFit(learned);
    this.predictions.delete(executor);
  }

  /** Profiles that came with the product or were imported; replaces those of the same key. */
  setPriors(profiles: readonly ExecutorProfile[]): void {
    for (const profile of profiles) {
      const learned = this.touch(profileKeyText(profile), profile);
      learned.prior = profile;
      forgetFit(learned);
      this.predictions.delete(profile.executor);
    }
  }

  /** Everything known, own and prior, in a stable order. */
  profiles(): readonly ExecutorProfile[] {
    return [...this.profilesByKey.keys()]
      .sort()
      .flatMap((key) => this.fit(this.profilesByKey.get(key) as Learned, 0) ?? []);
  }

  /** Exactly this setting on this kind of node; null when it was never seen there. */
  profileOf(key: ProfileKey): ExecutorProfile | null {
    const learned = this.profilesByKey.get(profileKeyText(key));
    return learned === undefined ? null : this.fit(learned, 0);
  }

  /**
   * The profile of a setting that may never have been measured, on a kind of node that may never
   * have been seen: see predict-setting.ts for the rules. Null when nothing is known.
   */
  predictFor(
    entry: Pick<ExecutorEntry, "id" | "version">,
    knobs: KnobValues,
    nodeKind: string,
  ): ExecutorProfile | null {
    const wanted = { executor: entry.id, version: entry.version, knobs, nodeKind };
    const text = profileKeyText(wanted);
    const cached = this.predictions.get(entry.id) ?? new Map<string, ExecutorProfile | null>();
    const known = cached.get(text);
    if (known !== undefined) return known;
    const profiles = this.ofExecutor(entry.id).flatMap(([, learned]) => {
      const profile = this.fit(learned, learned.samples.length >> 3);
      return profile ?? [];
    });
    const predicted = predictSetting(wanted, profiles);
    if (cached.size >= PREDICTIONS_MAX) cached.clear();
    this.predictions.set(entry.id, cached.set(text, predicted));
    return predicted;
  }

  /** Factor on the times of the profiles: 1 = as profiled, 3 = takes three times as long. */
  speedOf(node: string): number {
    const speed = this.nodes.get(node);
    return speed === undefined ? 1 : Math.exp(speed.lnSpeed);
  }

  /** ln of the speeds of all nodes seen, for storing. */
  nodeSpeeds(): ReadonlyMap<string, { readonly lnSpeed: number; readonly atMs: number }> {
    return new Map(
      [...this.nodes].map(([node, { lnSpeed, atMs }]) => [node, { lnSpeed, atMs }] as const),
    );
  }

  /**
   * What others, or an earlier process, believe of nodes: all of it. Own attempts stand above it;
   * nodes that are not in it run as profiled.
   */
  setNodeSpeeds(speeds: ReadonlyMap<string, number>): void {
    for (const [node, speed] of this.nodes) {
      if (!speed.hasAttempts && !speeds.has(node)) this.nodes.delete(node);
    }
    for (const [node, lnSpeed] of speeds) {
      if (this.nodes.get(node)?.hasAttempts === true || !Number.isFinite(lnSpeed)) continue;
      this.boundNodes();
      this.nodes.set(node, new NodeSpeed(lnSpeed));
    }
  }

  // ---- storing and sharing -------------------------------------------------------------------

  /** Keys that were observed since the last call. */
  takeChanged(): readonly string[] {
    const keys = [...this.changed];
    this.changed = new Set();
    return keys;
  }

  /** For storing; null when the key was dropped meanwhile or holds a prior only. */
  recordOf(key: string): ProfileRecord | null {
    const learned = this.profilesByKey.get(key);
    if (learned === undefined || learned.samples.length === 0) return null;
    const { executor, version, knobs, nodeKind, samples, resetAtMs } = learned;
    return { executor, version, knobs, nodeKind, samples, resetAtMs };
  }

  /** Takes in what another process learnt (L2). True when something was new. */
  mergeRecord(record: ProfileRecord): boolean {
    const key = profileKeyText(record);
    const learned = this.touch(key, record);
    const resetAtMs = Math.max(learned.resetAtMs, record.resetAtMs);
    const before = learned.samples;
    learned.samples = mergeSamples(before, record.samples).filter((it) => it.atMs >= resetAtMs);
    const known = new Set(before.map((it) => it.id));
    const isNew =
      resetAtMs !== learned.resetAtMs || learned.samples.some((it) => !known.has(it.id));
    if (resetAtMs !== learned.resetAtMs) learned.drift.clear(); // told by whoever saw it first
    learned.resetAtMs = resetAtMs;
    if (isNew) {
      forgetFit(learned);
      this.predictions.delete(record.executor);
    }
    return isNew;
  }

  /** Cold starts, ms, by executor, version and kind of node. */
  starts(): ReadonlyMap<string, readonly number[]> {
    return this.startsByKey;
  }

  /** What others saw, before what was seen here. Idempotent: equal times are one start. */
  mergeStarts(starts: Readonly<Record<string, readonly number[]>>): void {
    for (const [key, theirs] of Object.entries(starts)) {
      const mine = this.startsByKey.get(key) ?? [];
      const others = theirs.filter((it) => !mine.includes(it));
      if (others.length > 0) this.keepStarts(key, [...others, ...mine]);
    }
    for (const learned of this.profilesByKey.values()) learned.fitted = null;
    this.predictions.clear();
  }

  // ---- learning ------------------------------------------------------------------------------

  /** ln(observed / profiled); null where that says nothing. */
  private residualOf(learned: Learned, observation: AttemptObservation): number | null {
    if (learned.samples.length < RESIDUAL_SAMPLES_MIN) return null;
    const usual = this.usualOf(learned);
    if (usual === null) return null;
    const expected = predictLine(usual, observation.size);
    if (Math.max(expected, observation.runMs) < RESIDUAL_MIN_MS) return null;
    return Math.log(
      Math.max(observation.runMs, RESIDUAL_MIN_MS) / Math.max(expected, RESIDUAL_MIN_MS),
    );
  }

  private keep(key: string, learned: Learned, sample: ProfileSample): void {
    learned.samples = boundSamples([...learned.samples, sample]);
    learned.unfitted += 1;
    learned.usualUnfitted += 1;
    this.changed.add(key);
    // Predictions follow the fits, which lag by an eighth of the samples.
    if (learned.unfitted > learned.samples.length >> 3) this.predictions.delete(learned.executor);
  }

  /** Samples taken while the node had become slower, before that was known, say so now (L4). */
  private explainByNode(node: NodeSpeed, sampleIds: readonly string[], speed: number): void {
    const ids = new Set(sampleIds);
    for (const key of node.keys()) {
      const learned = this.profilesByKey.get(key);
      if (learned === undefined) continue;
      learned.drift.clear();
      learned.samples = learned.samples.map((it) => (ids.has(it.id) ? { ...it, speed } : it));
      forgetFit(learned);
      this.changed.add(key);
    }
  }

  private checkProfile(
    key: string,
    learned: Learned,
    { sample, lnRatio }: { readonly sample: ProfileSample; readonly lnRatio: number },
  ): readonly LearnerEvent[] {
    if (learned.samples.length < DRIFT_SAMPLES_MIN) return [];
    const spread = this.usualOf(learned)?.spread ?? 0;
    const drift = learned.drift.add(
      { node: sample.node, lnRatio: lnRatio - Math.log(sample.speed), atMs: sample.atMs },
      spread,
    );
    if (drift === null) return [];
    const { ratio, count, nodes } = drift;
    if (drift.unchangedNodes.length >= nodes.length) {
      // Elsewhere it runs as before: the profile stands, some nodes are told.
      const { executor } = learned;
      return nodes.map((node) => ({ kind: "node-drifted", node, ratio, count, executor }) as const);
    }
    learned.resetAtMs = drift.sinceMs;
    learned.samples = learned.samples.filter((it) => it.atMs >= drift.sinceMs);
    forgetFit(learned);
    for (const node of this.nodes.values()) node.forget(key);
    const { executor, version, knobs, nodeKind } = learned;
    const profile = { executor, version, knobs, nodeKind };
    return [{ kind: "profile-drifted", profile, ratio, count, nodes }];
  }

  private fit(learned: Learned, unfittedMax: number): ExecutorProfile | null {
    if (learned.fitted !== null && learned.unfitted <= unfittedMax) return learned.fitted;
    const { executor, version, nodeKind } = learned;
    const starts = this.startsByKey.get(`${executor}@${version} ${nodeKind}`) ?? [];
    const prior = learned.prior ?? this.priorOfOtherKind(learned);
    learned.fitted = fitProfile(learned, prior, starts);
    learned.unfitted = 0;
    return learned.fitted;
  }

  /** Fitted again after every eighth of its samples; nothing that is told depends on it. */
  private usualOf(learned: Learned): LinearModel | null {
    if (learned.usual === null || learned.usualUnfitted > learned.samples.length >> 3) {
      learned.usual = fitUsual(learned, learned.prior ?? this.priorOfOtherKind(learned));
      learned.usualUnfitted = 0;
    }
    return learned.usual;
  }

  /** Of the same setting elsewhere: it says the shape. */
  private priorOfOtherKind(learned: Learned): ExecutorProfile | null {
    const text = knobsText(learned.knobs);
    for (const [, other] of this.ofExecutor(learned.executor)) {
      const { prior } = other;
      if (prior === null || prior.version !== learned.version) continue;
      if (knobsText(prior.knobs) === text) return prior;
    }
    return null;
  }

  // ---- bounds --------------------------------------------------------------------------------

  private touch(key: string, { executor, version, knobs, nodeKind }: ProfileKey): Learned {
    const found = this.profilesByKey.get(key);
    if (found !== undefined) {
      this.profilesByKey.delete(key);
      this.profilesByKey.set(key, found);
      return found;
    }
    const learned: Learned = {
      ...{ executor, version, knobs, nodeKind },
      ...{ samples: [], resetAtMs: 0, prior: null, drift: new DriftSum() },
      ...{ fitted: null, usual: null, unfitted: 0, usualUnfitted: 0 },
    };
    this.profilesByKey.set(key, learned);
    const keys = this.keysByExecutor.get(executor) ?? new Set();
    this.keysByExecutor.set(executor, keys.add(key));
    if (this.profilesByKey.size > PROFILES_MAX) this.dropOldest();
    return learned;
  }

  private dropOldest(): void {
    const [oldest] = this.profilesByKey;
    if (oldest === undefined) return;
    const [key, { executor }] = oldest;
    this.profilesByKey.delete(key);
    this.changed.delete(key);
    const keys = this.keysByExecutor.get(executor);
    keys?.delete(key);
    if (keys?.size === 0) this.keysByExecutor.delete(executor);
    this.predictions.delete(executor);
  }

  private keepStarts(key: string, starts: readonly number[]): void {
    this.startsByKey.delete(key);
    this.startsByKey.set(key, starts.slice(-STARTS_MAX));
    const [oldest] = this.startsByKey.keys();
    if (this.startsByKey.size > START_KEYS_MAX && oldest !== undefined) {
      this.startsByKey.delete(oldest);
    }
  }

  private nodeOf(node: string): NodeSpeed {
    const found = this.nodes.get(node);
    const speed = found ?? new NodeSpeed();
    if (found === undefined) this.boundNodes();
    else this.nodes.delete(node);
    this.nodes.set(node, speed);
    return speed;
  }

  private boundNodes(): void {
    const [oldest] = this.nodes.keys();
    if (oldest !== undefined && this.nodes.size >= NODES_MAX) this.nodes.delete(oldest);
  }

  private ofExecutor(executor: string): readonly (readonly [string, Learned])[] {
    return [...(this.keysByExecutor.get(executor) ?? [])].flatMap((key) => {
      const learned = this.profilesByKey.get(key);
      return learned === undefined ? [] : [[key, learned] as const];
    });
  }
}

function forgetFit(learned: Learned): void {
  learned.fitted = null;
  learned.usual = null;
}

/** One line: executor, version, knobs, kind of node. */
export function profileKeyText({ executor, version, knobs, nodeKind }: ProfileKey): string {
  return `${executor}@${version} ${knobsText(knobs)} ${nodeKind}`;
}

function toSample(observation: AttemptObservation, id: string, speed: number): ProfileSample {
  const { atMs, node, size, runMs, cpuSec, memoryBytesMax, outputSizes } = observation;
  return { id, atMs, node, size, runMs, speed, cpuSec, memoryBytesMax, outputSizes };
}

function sampleId(observation: AttemptObservation): string {
  return hashText64(canonicalJson(observation));
}

function isSound(observation: AttemptObservation): boolean {
  const { size, runMs, cpuSec, memoryBytesMax, outputSizes, atMs } = observation;
  const numbers = [size, runMs, cpuSec ?? 0, memoryBytesMax ?? 0, ...Object.values(outputSizes)];
  return numbers.every((it) => Number.isFinite(it) && it >= 0) && Number.isFinite(atMs);
}
