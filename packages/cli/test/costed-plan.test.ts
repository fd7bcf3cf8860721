/**
 * What a person reads of a costed plan: every number with its unit and where it comes from, the
 * reasons, and never more columns than there are.
 */
import type { FrontierPoint, JobPlan } from "@murakkab/model";
import { compareReceipt } from "@murakkab/sdk";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { caretLines } from "../src/render/caret.ts";
import { makePaint, PLAIN } from "../src/render/paint.ts";
import { tellingOptions } from "../src/render/plan-facts.ts";
import { renderExplanation } from "../src/render/render-explanation.ts";
import { renderFrontier } from "../src/render/render-frontier.ts";
import { renderPlan, renderPlanWithReasons } from "../src/render/render-plan.ts";
import { renderReceipt } from "../src/render/render-receipt.ts";
import { renderRefusal } from "../src/render/render-refusal.ts";
import { makeScale, roundTicks, tickText } from "../src/render/scale.ts";
import { textWidth } from "../src/render/text-width.ts";
import {
  COSTED_PLAN,
  COSTED_RECEIPT,
  EXPLANATION,
  explanationOf,
  offerOn,
} from "./costed-fixtures.ts";
import { PLAN } from "./fixtures.ts";

const AT_80 = { columns: 80, paint: PLAIN } as const;
const at = (columns: number) => ({ columns, paint: PLAIN });
const textOf = (lines: readonly string[]): string => lines.join("\n");
/** A line break is no difference to a reader. */
const flat = (lines: readonly string[]): string => lines.join(" ").replace(/\s+/g, " ");
const widest = (lines: readonly string[]): number => Math.max(...lines.map(textWidth));

describe("the plan", () => {
  const lines = renderPlanWithReasons(COSTED_PLAN, at(120));
  const text = textOf(lines);

  test.each([
    ["executor and knobs", "beam=narrow segments=2"],
    ["batch", "4 per batch"],
    ["items", "text ×14"],
    ["stage", "only if the draft is less sure"],
    ["draft", "draft: ends the job if"],
    ["steps without a choice", "without another option: audio, frames, text, answer"],
    ["time in the box", "≈ 3.90 s"],
    ["chance of a deferred step", /text ×14 .* 42% {2}measured/],
    ["figures of a step with units", /speech +3\.90 s +5\.46 s +\$0\.0000433 +0\.0109 Wh/],
    ["origin of a step's figures", /prior +rule: 0\.4 s per s of audio/],
    ["latency", "latency  p50 5.14 s, p95 7.42 s         (modelled; 120 ms of it waiting"],
    ["cost", "cost     p50 $0.0000734, p95 $0.000102  (modelled)"],
    ["energy", "energy   p50 0.0186 Wh, p95 0.0259 Wh   (modelled)"],
    ["quality", "0.86 (0.78 to 0.93)            (measured: 24 labelled questions"],
    ["what the totals rest on", "5 measured, 1 prior"],
    ["bound with margin", "at most 9.00 s: p95 7.42 s, 18% to spare"],
    ["tier", "at least 0.75 (tier good): lower end 0.78, 0.03 to spare"],
    ["objective and size of the search", "objective energy"],
    ["exactness", "18,432 configurations considered, exact"],
    ["code", "pocketsphinx beam=wide  breaks-latency"],
    ["reason and what would win", "the bound is 9.00 s; to win: latency<12.4s"],
    ["a step that was left out", /people {2}left out\n.*face-finder {2}unavailable/],
  ])("tells %s", (_what, expected) => {
    if (typeof expected === "string") expect(text).toContain(expected);
    else expect(text).toMatch(expected);
  });

  test("at most three options are told per step, and --all tells every one", () => {
    const told = lines.filter((line) => line.includes("✗"));
    const { rejected } = EXPLANATION;
    expect(told).toHaveLength(rejected.length - 2);
    expect(text).toContain("and 2 more (--all shows them)");
    const all = renderPlanWithReasons(COSTED_PLAN, { ...at(120), isAll: true });
    expect(all.filter((line) => line.includes("✗"))).toHaveLength(rejected.length);
    expect(textOf(all)).not.toContain("--all");
  });

  test("a bound that is not kept is said so", () => {
    const slo = { latencyMsMax: 5_000, qualityMin: 0.9, costUsdMax: 1 };
    const plan = { ...COSTED_PLAN, explanation: { ...EXPLANATION, slo } };
    const said = textOf(renderPlanWithReasons(plan, AT_80));
    expect(said).toContain("at most 5.00 s: p95 7.42 s, over by 48%");
    expect(said).toContain("lower end 0.78, short by 0.12");
    expect(said).toContain("100% to spare");
  });

  test("with two stages a step names the draft that it waits for", () => {
    const [stage] = COSTED_PLAN.stages ?? [];
    const second = { ...stage, draft: "speech", deferred: ["text"], atLeast: 0.9 };
    const plan = { ...COSTED_PLAN, stages: [stage, second] } as JobPlan;
    expect(flat(renderPlan(plan, at(40)))).toContain("only if speech is less sure than 0.9");
  });

  test("without predictions it is what it was before there were any", () => {
    expect(renderPlanWithReasons(PLAN, AT_80)).toEqual(renderPlan(PLAN, AT_80));
    expect(textOf(renderPlan(PLAN, AT_80))).not.toMatch(/undefined|NaN|modelled|≈/);
  });
});

describe("nothing is wider than the terminal", () => {
  const explained = {
    ...{ jobId: COSTED_RECEIPT.jobId, state: "succeeded" as const },
    ...{ plan: COSTED_PLAN, lastPlan: COSTED_PLAN, explanation: EXPLANATION },
    ...{ predicted: COSTED_PLAN.predicted ?? null, receipt: COSTED_RECEIPT },
    comparison: compareReceipt(COSTED_RECEIPT, COSTED_PLAN),
  };
  test.each([40, 52, 60, 80, 100, 120, 200])("%i columns", (columns) => {
    const options = { columns, paint: makePaint(true), isAll: true };
    expect(widest(renderPlanWithReasons(COSTED_PLAN, options))).toBeLessThanOrEqual(columns);
    if (columns >= 60) {
      // Narrower, the ids of jobs are not cut.
      expect(widest(renderExplanation(explained, options))).toBeLessThanOrEqual(columns);
      const [, ...receipt] = renderReceipt(COSTED_RECEIPT, options);
      expect(widest(receipt)).toBeLessThanOrEqual(columns);
    }
  });

  test("any frontier: its chart fits, and marks the chosen point once", () => {
    const point = fc.record({
      latencyMs: fc.double({ min: 1, max: 1e7, noNaN: true }),
      costUsd: fc.double({ min: 0, max: 100, noNaN: true }),
      energyWh: fc.double({ min: 0, max: 1e4, noNaN: true }),
      quality: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      summary: fc.string(),
      isChosen: fc.constant(false),
    });
    const inputs = fc.tuple(
      fc.array(point, { minLength: 1, maxLength: 30 }),
      fc.constantFrom("cost", "energy", "latency"),
      fc.integer({ min: 40, max: 160 }),
      fc.option(fc.double({ min: 1, max: 1e7, noNaN: true }), { nil: undefined }),
    );
    fc.assert(
      fc.property(inputs, ([points, objective, columns, latencyMsMax]) => {
        const frontier = points.map((one, index) => ({ ...one, isChosen: index === 0 }));
        const slo = latencyMsMax === undefined ? {} : { latencyMsMax };
        const explanation = explanationOf({ frontier, objective, slo });
        const lines = renderFrontier(explanation, at(columns));
        expect(widest(lines)).toBeLessThanOrEqual(columns);
        const plot = lines.filter((line) => /[│┤]/.test(line));
        const marks = plot.join("").match(/◆/g) ?? [];
        expect(marks).toHaveLength(frontier.length === 1 ? 0 : 1);
        expect(textOf(lines)).not.toMatch(/NaN|undefined|Infinity/);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the frontier", () => {
  const pointAt = (fields: Partial<FrontierPoint>): FrontierPoint => ({
    ...{ latencyMs: 1_000, costUsd: 0.001, energyWh: 0.01, quality: 0.8, summary: "x" },
    ...{ isChosen: false, ...fields },
  });

  test("marks say quality, and bounds are drawn or said to be outside", () => {
    const text = textOf(renderFrontier(EXPLANATION, AT_80));
    expect(text).toMatch(/quality ○◔◑◕● 0\.6 to 0\.93/);
    expect(text).toContain("× quality not known");
    expect(text).toContain("╎ latency bound   ╌ energy bound");
    const slo = { latencyMsMax: 3_600_000, energyWhMax: 0.03 };
    const far = textOf(renderFrontier({ ...EXPLANATION, slo }, AT_80));
    expect(far).toContain("latency bound 60 min 00 s outside".replace("60 min 00 s", "1 h 00 min"));
    expect(far).not.toContain("╎");
  });

  test("a faster point stands left of a slower one, a cheaper one lower", () => {
    const frontier = [
      pointAt({ latencyMs: 1_000, costUsd: 0.004, quality: 0.5 }),
      pointAt({ latencyMs: 4_000, costUsd: 0.001, quality: 0.9, isChosen: true }),
    ];
    const explanation = explanationOf({ frontier, objective: "cost", slo: {} });
    const plot = renderFrontier(explanation, AT_80).filter((line) => /[│┤]/.test(line));
    const rowOf = (mark: string) => plot.findIndex((line) => line.includes(mark));
    expect(rowOf("○")).toBeLessThan(rowOf("◆"));
    expect(plot[rowOf("○")]?.indexOf("○")).toBeLessThan(plot[rowOf("◆")]?.indexOf("◆") ?? 0);
  });

  test("far apart figures get a log scale, which is said", () => {
    const frontier = [pointAt({}), pointAt({ latencyMs: 100_000, costUsd: 0.0001 })];
    const explanation = explanationOf({ frontier, objective: "latency", slo: {} });
    expect(textOf(renderFrontier(explanation, AT_80))).toContain("expected latency, log scale");
  });

  test("ticks are round figures within the scale", () => {
    expect(roundTicks(makeScale([1_900, 13_000]), 6)).toEqual([
      2_000, 4_000, 6_000, 8_000, 10_000, 12_000,
    ]);
    expect(roundTicks(makeScale([0.001, 1]), 4)).toEqual([0.001, 0.01, 0.1, 1]);
    expect(tickText("5.00 s")).toBe("5 s");
    expect(tickText("$0.00002")).toBe("$0.00002");
    expect(tickText("0.50 Wh")).toBe("0.5 Wh");
  });
});

test("the most telling options differ in reason and executor before they repeat one", () => {
  const speech = EXPLANATION.rejected.filter(({ step }) => step === "speech");
  expect(
    tellingOptions(speech, 3)
      .map(({ code }) => code)
      .sort(),
  ).toEqual(["breaks-latency", "constraint", "worse-objective"]);
  expect(tellingOptions(speech, 99)).toHaveLength(speech.length);
});

describe("the receipt and the explanation", () => {
  test.each([
    ["what was said of the latency", "said p50 5.14 s, p95 7.42 s: 1.14×"],
    ["quality that was promised", "quality 0.86 (0.78 to 0.93)"],
    ["that it was not measured", "not measured in this job"],
    ["from where a result is shared", "audio: from job 11111111-6c43-4f0e-9a52-3a1c5f1f6a01"],
    ["a choice that was made again", "text takes psm=11 instead of psm=6"],
    ["an overrun", "$0.0000012 and 0.0003 Wh above what was reserved"],
    ["SLOs", "at most 9.00 s: met (5.87 s)"],
  ])("tells %s", (_what, expected) => {
    expect(flat(renderReceipt(COSTED_RECEIPT, AT_80))).toContain(expected);
  });

  test("an explanation holds each step against its prediction, and names what never ran", () => {
    const comparison = compareReceipt(COSTED_RECEIPT, COSTED_PLAN);
    const lines = renderExplanation(
      {
        ...{ jobId: COSTED_RECEIPT.jobId, state: "succeeded", plan: COSTED_PLAN },
        ...{ lastPlan: COSTED_PLAN, explanation: EXPLANATION, predicted: null },
        ...{ receipt: COSTED_RECEIPT, comparison },
      },
      AT_80,
    );
    const text = textOf(lines);
    expect(text).toMatch(/speech +3\.90 s +5\.46 s +4\.68 s +1\.20× +within/);
    expect(text).toMatch(/answer +8 ms +11 ms +13 ms +1\.60× +over p95/);
    expect(text).toMatch(/not run +frames/);
  });

  test("a job that still runs, and one of which nothing is known, are told apart", () => {
    const nothing = { lastPlan: null, explanation: null, predicted: null, comparison: null };
    const running = {
      jobId: "j",
      state: "running",
      plan: PLAN,
      receipt: null,
      ...nothing,
    } as const;
    expect(textOf(renderExplanation(running, AT_80))).toContain("has not ended");
    const forgotten = {
      ...running,
      plan: null,
      state: "succeeded",
      receipt: COSTED_RECEIPT,
    } as const;
    expect(textOf(renderExplanation(forgotten, AT_80))).toContain("plan is not known any more");
  });
});

describe("a refusal", () => {
  const offers = [
    offerOn("latency", "latency<12.5s,quality>=0.9"),
    offerOn("cost", "cost<$3,good"),
  ];
  const message = "latency<1s and quality>=0.9 can't hold together";

  test("is one sentence, then offers to paste, each with what the job would take", () => {
    const refusal = { message, offers, binding: null };
    const lines = renderRefusal(refusal, { ...AT_80, canAccept: true });
    expect(lines[0]).toContain(message);
    expect(lines).toContain("  --slo 'latency<12.5s,quality>=0.9'");
    expect(lines).toContain("  --slo 'cost<$3,good'");
    expect(flat(lines)).toContain(
      "p50 5.14 s, p95 7.42 s, $0.0000734, 0.0186 Wh, quality 0.78 to 0.93",
    );
    expect(flat(lines)).toContain("--accept-offer latency");
    const planned = renderRefusal(refusal, { ...AT_80, canAccept: false });
    expect(flat(planned)).not.toContain("--accept-offer");
  });

  test("an offer cannot break out of its quotes or drive the terminal", () => {
    const evil = offerOn("cost", "cost<$1'; rm -rf ~\u001b[2J");
    const refusal = { message, offers: [evil], binding: null };
    const text = textOf(renderRefusal(refusal, { ...AT_80, canAccept: true }));
    expect(text).toContain("'cost<$1'\\''; rm -rf ~[2J'");
    expect(text).not.toContain("\u001b");
  });

  test("a rejection names what binds", () => {
    const refusal = { message: "nothing transcribes here", offers: [], binding: "speech-to-text" };
    const lines = renderRefusal(refusal, { ...AT_80, canAccept: true });
    expect(flat(lines)).toContain("binding constraint: speech-to-text");
    expect(flat(lines)).not.toContain("--slo");
  });
});

describe("a caret", () => {
  test.each([
    ["latency<30", 11, "latency<30", "          ^"],
    ["cost<€2", 6, "cost<€2", "     ^"],
    ["日本<1", 3, "日本<1", "    ^"],
    ["", 1, "", "^"],
    ["a\nb<", 3, "a b<", "  ^"],
  ])("%j at %i", (text, position, first, second) => {
    expect(caretLines(text, position)).toEqual([first, second]);
  });

  test("a long text is cut around the fault", () => {
    const [text, caret] = caretLines(`${"x".repeat(100)}!${"y".repeat(100)}`, 101);
    expect(text[caret.indexOf("^")]).toBe("!");
    expect(textWidth(text)).toBeLessThan(76);
  });
});
