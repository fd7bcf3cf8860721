/**
 * The counts behind the beliefs about one workflow, as stored.
 *
 * Owns:      how a score is added, replaced and forgotten; bounds.
 * Does not:  store (see the scheduler's profile store) or judge (see quality-model.ts).
 *
 * Invariants:
 *   Q1. One job counts once per kind of score: a later score replaces the earlier one.
 *   Q2. At most `CONFIGURATIONS_MAX` configurations; the least recently scored go.
 *   Q3. Jobs are remembered up to `REMEMBERED_MAX`; a score for an older one counts as a new one.
 */
import { hashText64 } from "@murakkab/kit";
import type {
  ConfigurationQuality,
  Provenance,
  QualityCount,
  WorkflowProfile,
} from "@murakkab/model";
import { addCounts, NO_COUNT } from "./quality-belief.ts";

/** `label`: against a known answer; `feedback`: a user's; `sure`: 1 where the draft was sure. */
export type ScoreKind = "label" | "feedback" | "sure";

export interface JobScore {
  readonly jobId: string;
  readonly configuration: string;
  readonly questionClass: string;
  readonly kind: ScoreKind;
  /** 0 to 1. */
  readonly score: number;
  readonly atMs: number;
}

type ClassCounts = Readonly<Record<string, QualityCount>>;

export interface ConfigurationRecord {
  readonly label: ClassCounts;
  readonly feedback: ClassCounts;
  readonly sure: ClassCounts;
  readonly atMs: number;
}

/** A score that was counted: enough to take it back. */
interface Remembered {
  readonly jobId: string;
  readonly kind: ScoreKind;
  /** Hash of the configuration's text. */
  readonly configurationHash: string;
  readonly questionClass: string;
  readonly score: number;
}

export interface QualityRecord {
  readonly configurations: Readonly<Record<string, ConfigurationRecord>>;
  /** Oldest first. */
  readonly remembered: readonly Remembered[];
  /** Imported counts; they take the place of those that came with the product. */
  readonly imported: readonly ConfigurationQuality[];
}

/** Half a megabyte of text at most: a store's value. */
export const CONFIGURATIONS_MAX = 300;
export const REMEMBERED_MAX = 1_000;
/** Classes of questions per configuration; the library's executors know some ten. */
export const CLASSES_MAX = 64;

export const EMPTY_QUALITY_RECORD: QualityRecord = {
  configurations: {},
  remembered: [],
  imported: [],
};

/** The class of questions that no class of the library fits, or of jobs that are no questions. */
export const NO_CLASS = "any";

/** Counts one score (Q1). Requires: 0 <= score <= 1. */
export function addScore(record: QualityRecord, score: JobScore): QualityRecord {
  const { jobId, kind } = score;
  const earlier = record.remembered.find((it) => it.jobId === jobId && it.kind === kind);
  const cleared = earlier === undefined ? record : takeBack(record, earlier);
  const before = cleared.configurations[score.configuration];
  const counts = before ?? { label: {}, feedback: {}, sure: {}, atMs: 0 };
  const questionClass = knownClass(counts[kind], score.questionClass);
  const changed: ConfigurationRecord = {
    ...counts,
    [kind]: change(counts[kind], questionClass, { scoreSum: score.score, count: 1 }),
    atMs: Math.max(counts.atMs, score.atMs),
  };
  const remembered: Remembered = {
    ...{ jobId, kind, questionClass, score: score.score },
    configurationHash: hashText64(score.configuration),
  };
  return {
    ...cleared,
    configurations: bound({ ...cleared.configurations, [score.configuration]: changed }),
    remembered: [...cleared.remembered, remembered].slice(-REMEMBERED_MAX),
  };
}

/**
 * Takes the place of all that was known of the configurations in it, so that importing twice, or
 * importing what was exported here, counts nothing twice.
 */
export function importQuality(record: QualityRecord, profile: WorkflowProfile): QualityRecord {
  const imported = new Map(record.imported.map((it) => [it.configuration, it]));
  for (const quality of profile.configurations) imported.set(quality.configuration, quality);
  const taken = new Set(profile.configurations.map((it) => it.configuration));
  const hashes = new Set([...taken].map((it) => hashText64(it)));
  return {
    configurations: Object.fromEntries(
      Object.entries(record.configurations).filter(([configuration]) => !taken.has(configuration)),
    ),
    remembered: record.remembered.filter((it) => !hashes.has(it.configurationHash)),
    imported: [...imported.values()].slice(-CONFIGURATIONS_MAX),
  };
}

/** True when a score of this kind was counted for the job and is remembered. */
export function hasScore(record: QualityRecord, jobId: string, kind: ScoreKind): boolean {
  return record.remembered.some((it) => it.jobId === jobId && it.kind === kind);
}

/**
 * What is known in all: own counts and, added to them, imported ones, or `shipped` ones of
 * configurations that were not imported.
 */
export function toWorkflowProfile(
  workflow: string,
  record: QualityRecord,
  shipped: WorkflowProfile | null = null,
): WorkflowProfile {
  const earlier = [...(shipped?.configurations ?? []), ...record.imported];
  const merged = new Map(earlier.map((it) => [it.configuration, it] as const));
  for (const [configuration, own] of Object.entries(record.configurations)) {
    merged.set(configuration, merge(configuration, own, merged.get(configuration)));
  }
  const configurations = [...merged.values()].sort((a, b) =>
    a.configuration < b.configuration ? -1 : 1,
  );
  return { workflow, configurations };
}

function merge(
  configuration: string,
  own: ConfigurationRecord,
  earlier: ConfigurationQuality | undefined,
): ConfigurationQuality {
  const byClass = addClasses(own.label, earlier?.byClass);
  const sureRatio = addClasses(own.sure, earlier?.sureRatio);
  const { count } = addCounts(Object.values(byClass));
  const also = earlier === undefined ? "" : `; with earlier counts (${earlier.provenance.note})`;
  const provenance: Provenance = {
    kind: "measured",
    note: `labelled runs and feedback on this cluster${also}`,
    at: new Date(own.atMs).toISOString(),
    count,
  };
  return {
    ...{ configuration, byClass, provenance },
    feedback: addClasses(own.feedback, earlier?.feedback),
    ...(Object.keys(sureRatio).length === 0 ? {} : { sureRatio }),
  };
}

function addClasses(a: ClassCounts, b: ClassCounts = {}): ClassCounts {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return Object.fromEntries(
    names.map((name) => [name, addCounts([a[name] ?? NO_COUNT, b[name] ?? NO_COUNT])]),
  );
}

function takeBack(record: QualityRecord, earlier: Remembered): QualityRecord {
  const remembered = record.remembered.filter((it) => it !== earlier);
  const { kind, questionClass } = earlier;
  const found = Object.entries(record.configurations).find(
    ([configuration]) => hashText64(configuration) === earlier.configurationHash,
  );
  if (found === undefined) return { ...record, remembered };
  const [configuration, counts] = found;
  const less = { scoreSum: -earlier.score, count: -1 };
  const changed = { ...counts, [kind]: change(counts[kind], questionClass, less) };
  return {
    ...record,
    remembered,
    configurations: { ...record.configurations, [configuration]: changed },
  };
}

function change(counts: ClassCounts, name: string, by: QualityCount): ClassCounts {
  const sum = addCounts([counts[name] ?? NO_COUNT, by]);
  if (sum.count <= 0) {
    const { [name]: _dropped, ...rest } = counts;
    return rest;
  }
  // Sums of fractions drift by their last digits when parts are taken away again.
  const scoreSum = Math.min(sum.count, Math.max(0, Math.round(sum.scoreSum * 1e9) / 1e9));
  return { ...counts, [name]: { scoreSum, count: sum.count } };
}

function knownClass(counts: ClassCounts, name: string): string {
  if (Object.hasOwn(counts, name)) return name;
  return Object.keys(counts).length < CLASSES_MAX ? name : NO_CLASS;
}

function bound(
  configurations: Readonly<Record<string, ConfigurationRecord>>,
): Readonly<Record<string, ConfigurationRecord>> {
  const entries = Object.entries(configurations);
  if (entries.length <= CONFIGURATIONS_MAX) return configurations;
  const newest = entries.sort(([, a], [, b]) => b.atMs - a.atMs).slice(0, CONFIGURATIONS_MAX);
  return Object.fromEntries(newest);
}
