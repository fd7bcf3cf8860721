/** Goal: profiles survive being taken apart and joined, and wrong ones are told before any is sent. */
import type { ExecutorProfile, ProfileSet } from "@murakkab/model";
import { describe, expect, test } from "vitest";
import { checkProfiles, mergeProfiles, splitProfiles } from "../src/profiles.ts";

const line = { fixed: 1, perUnit: 1, spread: 0.1 };
const profile = (index: number): ExecutorProfile => ({
  ...{ executor: "ocr", version: "1", knobs: { index }, nodeKind: "k" },
  ...{ runMs: line, cpuSec: line, outputSizes: {}, memoryBytesMax: null, startMs: null },
  provenance: { kind: "prior", note: "x".repeat(1_000) },
});
const set: ProfileSet = {
  executors: Array.from({ length: 900 }, (_, i) => profile(i)),
  workflows: ["a", "b"].map((workflow) => ({
    workflow,
    configurations: Array.from({ length: 300 }, (_, i) => ({
      ...{ configuration: `c=x{k=${i}}`, byClass: {}, feedback: {} },
      provenance: { kind: "prior", note: "x" },
    })),
  })),
};

describe("profiles on their way", () => {
  test("parts fit into messages and together are the whole", () => {
    const parts = splitProfiles(set);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) expect(JSON.stringify(part).length).toBeLessThan(600_000);
    expect(mergeProfiles(parts)).toEqual(set);
    expect(splitProfiles({ executors: [], workflows: [] })).toEqual([]);
  });

  test("what two pages have is there once, from the later one", () => {
    const later = { ...profile(3), startMs: 7 };
    const merged = mergeProfiles([set, { executors: [later], workflows: [] }]);
    expect(merged.executors).toHaveLength(900);
    expect(merged.executors.find((it) => it.knobs["index"] === 3)?.startMs).toBe(7);
  });

  test("a bad number in the last part refuses all", () => {
    const bad = { ...profile(900), runMs: { ...line, fixed: Number.NaN } };
    const executors = [...set.executors, bad];
    expect(() => checkProfiles({ executors, workflows: [] })).toThrow(
      /runMs\.fixed" is NaN: expected a finite number/,
    );
  });
});
