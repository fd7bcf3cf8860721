/**
 * Entries of the bucket MK_PROFILES: how they are read, and how two of a kind are merged.
 *
 * Lenient towards unknown fields, so that version N reads what N+1 wrote; an entry that makes no
 * sense is an error, which the store's reader tells and passes over.
 */
import type { ProfileRecord, QualityRecord } from "@murakkab/core";
import { profileKeyText } from "@murakkab/core";
import type { ConfigurationQuality, ExecutorProfile } from "@murakkab/model";
import { contentHeaders, decode, profileSetSchema, validate } from "@murakkab/protocol";
import { z } from "zod";

export type NodeSpeeds = Readonly<
  Record<string, { readonly lnSpeed: number; readonly atMs: number }>
>;

/** Nodes whose speed is stored; the ones seen longest ago go. */
const STORED_NODES_MAX = 1_024;
/** Below this a node runs as profiled, and there is nothing to store. */
const LN_SPEED_MIN = 0.1;

const amount = z.number().nonnegative();
const knobs = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const profileRecordSchema = z.object({
  executor: z.string(),
  version: z.string(),
  knobs,
  nodeKind: z.string(),
  resetAtMs: amount,
  samples: z.array(
    z.object({
      id: z.string(),
      atMs: amount,
      node: z.string(),
      size: amount,
      runMs: amount,
      speed: z.number().positive(),
      cpuSec: amount.nullable(),
      memoryBytesMax: amount.nullable(),
      outputSizes: z.record(z.string(), amount),
    }),
  ),
}) satisfies z.ZodType<ProfileRecord>;

const classCounts = z.record(z.string(), z.object({ scoreSum: amount, count: amount }));

const qualityRecordSchema = z.object({
  configurations: z.record(
    z.string(),
    z.object({ label: classCounts, feedback: classCounts, sure: classCounts, atMs: amount }),
  ),
  remembered: z.array(
    z.object({
      jobId: z.string(),
      kind: z.enum(["label", "feedback", "sure"]),
      configurationHash: z.string(),
      questionClass: z.string(),
      score: z.number().min(0).max(1),
    }),
  ),
  imported: z.array(z.custom<ConfigurationQuality>((it) => typeof it === "object" && it !== null)),
}) satisfies z.ZodType<QualityRecord>;

const nodeSpeedsSchema = z.record(z.string(), z.object({ lnSpeed: z.number(), atMs: amount }));

const startsSchema = z.record(z.string(), z.array(amount));

export function readProfileRecord(data: Uint8Array): ProfileRecord {
  return validate(profileRecordSchema, valueOf(data), "stored profile");
}

export function readQualityRecord(data: Uint8Array): QualityRecord {
  return validate(qualityRecordSchema, valueOf(data), "stored quality");
}

export function readPriors(data: Uint8Array): readonly ExecutorProfile[] {
  const set = { executors: valueOf(data), workflows: [] };
  return validate(profileSetSchema, set, "stored import").executors;
}

export function readNodeSpeeds(data: Uint8Array): NodeSpeeds {
  return validate(nodeSpeedsSchema, valueOf(data), "stored node speeds");
}

/** Cold starts by executor, version and kind of node, ms. */
export function readStarts(data: Uint8Array): Readonly<Record<string, readonly number[]>> {
  return validate(startsSchema, valueOf(data), "stored start times");
}

/** Later imports take the place of earlier ones of the same setting and kind of node. */
export function mergePriors(
  before: readonly ExecutorProfile[],
  imported: readonly ExecutorProfile[],
): readonly ExecutorProfile[] {
  const merged = new Map(before.map((it) => [profileKeyText(it), it]));
  for (const profile of imported) merged.set(profileKeyText(profile), profile);
  return [...merged.values()];
}

/** Per node the later belief. */
export function mergeSpeeds(theirs: NodeSpeeds, mine: NodeSpeeds): NodeSpeeds {
  const merged = new Map(Object.entries(theirs));
  for (const [node, speed] of Object.entries(mine)) {
    if ((merged.get(node)?.atMs ?? -1) < speed.atMs) merged.set(node, speed);
  }
  const changed = [...merged].filter(([, { lnSpeed }]) => Math.abs(lnSpeed) > LN_SPEED_MIN);
  changed.sort(([, a], [, b]) => b.atMs - a.atMs);
  return Object.fromEntries(changed.slice(0, STORED_NODES_MAX));
}

function valueOf(data: Uint8Array): unknown {
  const { value } = decode(data, contentHeaders("msgpack"));
  return (value as { readonly value?: unknown } | null)?.value;
}
