/**
 * The page and the picture: what they say, that no text breaks out of its place, and that they ask
 * for nothing from anywhere.
 */
import { createHash } from "node:crypto";
import type { FrontierPoint, JobPlan } from "@murakkab/model";
import { compareReceipt } from "@murakkab/sdk";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frontierPicture } from "../src/render/html/frontier-svg.ts";
import { planPage } from "../src/render/html/plan-page.ts";
import { COSTED_PLAN, COSTED_RECEIPT, EXPLANATION, explanationOf } from "./costed-fixtures.ts";
import { PLAN } from "./fixtures.ts";

const TITLE = "Who wears the red dress?";
const PAGE = planPage({ title: TITLE, plan: COSTED_PLAN, explained: null });
const EXPLAINED_PAGE = planPage({
  title: TITLE,
  plan: COSTED_PLAN,
  explained: {
    ...{ jobId: COSTED_RECEIPT.jobId, state: "succeeded", plan: COSTED_PLAN },
    ...{ lastPlan: COSTED_PLAN, explanation: EXPLANATION, predicted: null },
    ...{ receipt: COSTED_RECEIPT, comparison: compareReceipt(COSTED_RECEIPT, COSTED_PLAN) },
  },
});

const count = (text: string, part: string): number => text.split(part).length - 1;
const textOf = (html: string): string =>
  html
    .replace(/<(script|style)>[\s\S]*?<\/\1>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");

const VOID = new Set(["meta", "rect", "line", "circle", "path"]);

/** Names of all tags; fails where they are not nested as they should be. */
function tagsOf(html: string): Set<string> {
  const open: string[] = [];
  const names = new Set<string>();
  const body = html.replace(/<(script|style)>[\s\S]*?<\/\1>/g, "").replace("<!doctype html>", "");
  for (const [, close, name = "", attributes = ""] of body.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z0-9-]+(?:="[^"<]*")?)*)\s*\/?>/g,
  )) {
    names.add(name);
    expect(attributes).not.toMatch(/\son[a-z]*=/);
    if (close === "/") expect(open.pop()).toBe(name);
    else if (!VOID.has(name)) open.push(name);
  }
  // What no pattern took would be markup that is none.
  const left = body.replace(/<\/?[a-z][a-z0-9]*(?:\s+[a-zA-Z0-9-]+(?:="[^"<]*")?)*\s*\/?>/g, "");
  expect(left).not.toContain("<");
  expect(open).toEqual([]);
  return names;
}

describe("the page", () => {
  test.each([
    "5.14 s",
    "p95 7.42 s",
    "$0.0000734",
    "0.0186 Wh",
    "0.78 to 0.93",
    "at most 9.00 s: 18% to spare",
    "at least 0.75 (tier good): 0.03 to spare",
    "objective energy",
    "18,432 configurations considered, exact",
    "beam=narrow segments=2",
    "only if the draft is less sure",
    "text ×14",
    "breaks-latency",
    "p95 of the job would be 12.4 s, the bound is 9.00 s",
    "latency&lt;12.4s",
    "2 more",
    "prior: rule: 0.4 s per s of audio",
    "measured: 24 labelled questions",
    "people are not looked for",
    "left out",
  ])("says %s", (text) => {
    expect(textOf(PAGE)).toContain(text);
  });

  test.each([
    "took 5.87 s",
    "4.68 s 1.20×",
    "not run",
    "from job 11111111",
    "above what was reserved",
  ])("of an ended job says %s", (text) => {
    expect(textOf(EXPLAINED_PAGE)).toContain(text);
    expect(textOf(PAGE)).not.toContain(text);
  });

  test("every footnote leads to an origin", () => {
    const marks = [...PAGE.matchAll(/href="#(origin-\d+)"/g)].map(([, id]) => id);
    expect(marks.length).toBeGreaterThan(5);
    for (const id of marks) expect(count(PAGE, `id="${id}"`)).toBe(1);
  });

  test("asks for nothing from anywhere, and runs the one script that its policy names", () => {
    for (const page of [PAGE, EXPLAINED_PAGE]) {
      expect(page).not.toMatch(/\bsrc=|@import|https?:\/\/|\/\/[a-z]+\./);
      for (const [, target] of page.matchAll(/(?:href=|url\()"?([^")]*)/g)) {
        expect(target).toMatch(/^#/);
      }
      const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1] ?? "";
      const hash = createHash("sha256").update(script).digest("base64");
      expect(page).toContain(
        `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`,
      );
      expect(count(page, "<script")).toBe(1);
    }
  });

  test("is made for light and dark, wide and narrow", () => {
    expect(PAGE).toContain("prefers-color-scheme:dark");
    expect(PAGE).toContain("max-width:640px");
    expect(PAGE).toContain('name="viewport"');
    expect(count(PAGE, 'class="point"')).toBe(2 * EXPLANATION.frontier.length);
    expect(count(PAGE, 'class="ring"')).toBe(2);
  });

  test("its tags are nested as they should be", () => {
    tagsOf(PAGE);
    tagsOf(EXPLAINED_PAGE);
  });

  test("without predictions it shows the graph, and nothing that is not known", () => {
    const page = planPage({ title: TITLE, plan: PLAN, explained: null });
    expect(textOf(page)).toContain("ffmpeg-scenes");
    expect(textOf(page)).not.toMatch(/undefined|NaN|null|modelled/);
    tagsOf(page);
  });
});

test("no text of a job or a library becomes markup", () => {
  const evil = `</script></style></svg></title><img src=x onerror=alert(1)>"' onload="x" &\u0000\ud800`;
  const replaced = JSON.parse(JSON.stringify(COSTED_PLAN), (key, value: unknown) => {
    const isText = typeof value === "string" && !["kind", "planner", "code", "step"].includes(key);
    return isText && !["objective", "input", "draft", "output"].includes(key) ? evil : value;
  }) as JobPlan;
  const steps = replaced.steps.map((step) => ({
    ...step,
    executor: evil,
    knobs: { [evil]: evil },
  }));
  const page = planPage({ title: evil, plan: { ...replaced, steps }, explained: null });
  expect(page).not.toContain("<img");
  expect(count(page, "</script>")).toBe(1);
  expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect([...tagsOf(page)].sort()).toEqual([...tagsOf(PAGE)].sort());
  const explanation = replaced.explanation ?? EXPLANATION;
  const tags = ["circle", "g", "line", "rect", "style", "svg", "text", "title"];
  const picture = frontierPicture(explanation);
  for (const tag of tagsOf(picture)) expect(tags).toContain(tag);
});

describe("the picture", () => {
  test("stands alone, with the points where their figures are", () => {
    const picture = frontierPicture(EXPLANATION);
    expect(picture).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
    tagsOf(picture);
    const points = [
      ...picture.matchAll(/<title>(.*?) s ·[\s\S]*?<circle class="q[^"]*" cx="([\d.]+)"/g),
    ];
    expect(points).toHaveLength(EXPLANATION.frontier.length);
    const byLatency = points
      .map(([, title = "", x]) => [Number(title.replace("Chosen: ", "")), Number(x)] as const)
      .sort((a, b) => a[0] - b[0])
      .map(([, x]) => x);
    expect(byLatency).toEqual([...byLatency].sort((a, b) => a - b));
    expect(count(picture, 'class="bound"')).toBe(2);
    expect(textOf(picture)).toContain("≤ 9 s");
    expect(textOf(picture)).toContain("0.02 Wh");
  });

  test("whatever the frontier, every mark lies inside", () => {
    const point = fc.record({
      latencyMs: fc.double({ min: 1, max: 1e8, noNaN: true }),
      costUsd: fc.double({ min: 0, max: 100, noNaN: true }),
      energyWh: fc.double({ min: 0, max: 1e4, noNaN: true }),
      quality: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      summary: fc.string(),
      isChosen: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 20 }), (frontier: FrontierPoint[]) => {
        const explanation = explanationOf({ frontier, objective: "cost", slo: { costUsdMax: 1 } });
        const picture = frontierPicture(explanation);
        expect(picture).not.toMatch(/NaN|Infinity|undefined/);
        for (const [, x, y] of picture.matchAll(/cx="([^"]*)" cy="([^"]*)"/g)) {
          expect(Number(x)).toBeGreaterThanOrEqual(0);
          expect(Number(x)).toBeLessThanOrEqual(760);
          expect(Number(y)).toBeGreaterThanOrEqual(0);
          expect(Number(y)).toBeLessThanOrEqual(420);
        }
      }),
      { numRuns: 200 },
    );
  });
});
