/** Goal: one job counts once, counts can be taken back, records stay bounded, crossings are told. */
import {
  addScore,
  DemotionWatch,
  EMPTY_QUALITY_RECORD,
  importQuality,
  type JobScore,
  QualityModel,
  type QualityRecord,
  toWorkflowProfile,
} from "@murakkab/core";
import type { ConfigurationQuality } from "@murakkab/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const score = (change: Partial<JobScore> = {}): JobScore => ({
  ...{ jobId: "j1", configuration: "a=x{}", questionClass: "what", kind: "label" },
  ...{ score: 1, atMs: 1_700_000_000_000 },
  ...change,
});

const add = (record: QualityRecord, ...scores: JobScore[]) => scores.reduce(addScore, record);

describe("quality record", () => {
  test("a later score of the same job replaces the earlier one, also on another configuration", () => {
    const first = add(EMPTY_QUALITY_RECORD, score({ score: 0.1 }), score({ jobId: "j2" }));
    const again = add(first, score({ score: 0.1 }));
    expect(toWorkflowProfile("w", again)).toEqual(toWorkflowProfile("w", first));
    const moved = add(first, score({ score: 0.7, configuration: "a=y{}" }));
    const [x, y] = toWorkflowProfile("w", moved).configurations;
    expect(x?.byClass).toEqual({ what: { scoreSum: 1, count: 1 } });
    expect(y?.byClass).toEqual({ what: { scoreSum: 0.7, count: 1 } });
  });

  test("labels, feedback and sure drafts of one job are kept apart", () => {
    const record = add(
      EMPTY_QUALITY_RECORD,
      score(),
      score({ kind: "feedback", score: 0.5 }),
      score({ kind: "sure", score: 0 }),
    );
    expect(toWorkflowProfile("w", record).configurations[0]).toMatchObject({
      byClass: { what: { scoreSum: 1, count: 1 } },
      feedback: { what: { scoreSum: 0.5, count: 1 } },
      sureRatio: { what: { scoreSum: 0, count: 1 } },
    });
  });

  test("property: repeating scores in any order changes no count", () => {
    const any = fc.record({
      jobId: fc.constantFrom("a", "b", "c", "d"),
      configuration: fc.constantFrom("a=x{}", "a=y{}"),
      questionClass: fc.constantFrom("q", "r"),
      score: fc.constantFrom(0, 0.3, 1),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 30 }), (scores) => {
        const record = add(EMPTY_QUALITY_RECORD, ...scores.map((it) => score(it)));
        const last = new Map(scores.map((it) => [it.jobId, it]));
        const sums = toWorkflowProfile("w", record).configurations.flatMap((it) =>
          Object.values(it.byClass),
        );
        const total = [...last.values()].reduce((sum, it) => sum + it.score, 0);
        expect(sums.reduce((sum, it) => sum + it.count, 0)).toBe(last.size);
        expect(sums.reduce((sum, it) => sum + it.scoreSum, 0)).toBeCloseTo(total, 8);
      }),
    );
  });

  test("is bounded", () => {
    let record = EMPTY_QUALITY_RECORD;
    for (let i = 0; i < 1_100; i += 1) {
      record = addScore(
        record,
        score({ jobId: `j${i}`, configuration: `a=x{k=${i % 320}}`, questionClass: `c${i}` }),
      );
    }
    expect(Object.keys(record.configurations)).toHaveLength(300);
    expect(record.remembered).toHaveLength(1_000);
  });

  test("imported counts stand above shipped ones, own ones are added", () => {
    const of = (count: number): ConfigurationQuality => ({
      configuration: "a=x{}",
      byClass: { what: { scoreSum: count, count } },
      feedback: {},
      provenance: { kind: "measured", note: "earlier" },
    });
    const shipped = { workflow: "w", configurations: [of(100)] };
    const own = add(EMPTY_QUALITY_RECORD, score());
    const countOf = (record: QualityRecord) =>
      toWorkflowProfile("w", record, shipped).configurations[0]?.byClass.what?.count;
    expect(countOf(own)).toBe(101);
    const imported = importQuality(own, { workflow: "w", configurations: [of(10)] });
    expect(countOf(imported)).toBe(10);
    expect(countOf(addScore(imported, score({ jobId: "j9" })))).toBe(11);
    // What was exported here is known already.
    const exported = toWorkflowProfile("w", own, shipped);
    expect(countOf(importQuality(own, exported))).toBe(101);
  });
});

describe("demotion watch", () => {
  test("tells the fall once and the recovery once", () => {
    const watch = new DemotionWatch();
    let record = EMPTY_QUALITY_RECORD;
    const told: string[] = [];
    const next = (change: Partial<JobScore>): void => {
      record = addScore(record, score(change));
      const model = new QualityModel(toWorkflowProfile("w", record));
      told.push(...watch.update("w", model).map((it) => `${it.kind} ${it.questionClass ?? "*"}`));
    };
    for (let i = 0; i < 20; i += 1) next({ jobId: `label${i}` });
    expect(told).toEqual([]);
    for (let i = 0; i < 8; i += 1) next({ jobId: `bad${i}`, kind: "feedback", score: 0 });
    expect(told).toEqual(["configuration-demoted *", "configuration-demoted what"]);
    for (let i = 0; i < 60; i += 1) next({ jobId: `good${i}`, kind: "feedback", score: 1 });
    expect(told.slice(2)).toEqual(["configuration-recovered *", "configuration-recovered what"]);
  });
});
