/** Goal: the profiler finds the good settings in its time, tries them together, and ends when told. */

import { seededRandom } from "@murakkab/kit";
import type { Receipt } from "@murakkab/model";
import { describe, expect, test } from "vitest";
import type { Setting } from "../../src/profiler/grid.ts";
import { profileExecutor } from "../../src/profiler/profile-executor.ts";
import { profileWorkflow } from "../../src/profiler/profile-workflow.ts";
import type { TrialResult } from "../../src/profiler/trial-runner.ts";
import { PLAIN } from "../../src/render/paint.ts";
import { renderFigures } from "../../src/render/render-profile.ts";

const knobSetting = (knob: string, value: number): Setting => ({
  name: `e.${knob}=${value}`,
  changes: [{ kind: "knob", executor: "e", knob, value }],
});
const SETTINGS: readonly Setting[] = [
  { name: "base", changes: [] },
  knobSetting("cheap", 1),
  knobSetting("quick", 1),
  knobSetting("bad", 1),
  knobSetting("dear", 1),
];
/** Factors on cost and quality of each change. */
const EFFECTS: Readonly<Record<string, { readonly cost: number; readonly quality: number }>> = {
  cheap: { cost: 0.5, quality: 1 },
  quick: { cost: 0.7, quality: 1 },
  bad: { cost: 0.9, quality: 0.2 },
  dear: { cost: 3, quality: 1 },
};

function truthOf(setting: Setting) {
  return setting.changes.reduce(
    (truth, change) => {
      const effect = EFFECTS[change.kind === "knob" ? change.knob : ""];
      return {
        cost: truth.cost * (effect?.cost ?? 1),
        quality: truth.quality * (effect?.quality ?? 1),
      };
    },
    { cost: 10, quality: 0.95 },
  );
}

function resultOf(setting: Setting, score: number, more: Partial<Receipt> = {}): TrialResult {
  const { cost } = truthOf(setting);
  const step = {
    capability: "c",
    cpuSec: cost,
    runMs: 1_000 * cost,
    items: 1,
    costUsd: 1,
    energyWh: 1,
  };
  const receipt = {
    ...{ state: "succeeded", latencyMs: 1_000 * cost, costUsd: cost / 100, energyWh: cost / 10 },
    ...{ steps: [step], ...more },
  } as unknown as Receipt;
  const { costUsd, energyWh, latencyMs } = receipt;
  const taken = { cpuSec: cost, costUsd, energyWh, latencyMs };
  return { jobId: "j", setting: setting.name, score, receipt, ...taken };
}

interface Given {
  readonly budgetMs: number;
  readonly seed?: number;
  readonly abortAfter?: number;
}

async function play({ budgetMs, seed = 1, abortAfter = Number.POSITIVE_INFINITY }: Given) {
  const random = seededRandom(seed);
  const controller = new AbortController();
  const lines: string[] = [];
  let nowMs = 0;
  let count = 0;
  const outcome = await profileWorkflow(
    {
      ...{ settings: SETTINGS, questionCount: 40, budgetMs, parallelCount: 1 },
      nowMs: () => nowMs,
      tell: (line) => lines.push(line),
      run: async (setting) => {
        count += 1;
        if (count > abortAfter) {
          controller.abort(new Error("stop"));
          throw new Error("stop");
        }
        nowMs += 1_000;
        return resultOf(setting, random.next() < truthOf(setting).quality ? 1 : 0);
      },
    },
    controller.signal,
  );
  return { outcome, lines, elapsedMs: nowMs };
}

describe("profiling a workflow", () => {
  test("ends in time, stops what is dominated, and tries the good changes together", async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { outcome, lines, elapsedMs } = await play({ budgetMs: 300_000, seed });
      expect(elapsedMs).toBeLessThanOrEqual(305_000);
      const by = new Map(outcome.figures.map((it) => [it.setting, it]));
      expect(by.get("e.bad=1")?.stopped).toMatch(/quality .* at .* CPU-s/);
      expect(lines.some((it) => it.startsWith("stopped e.bad=1"))).toBe(true);
      const together = by.get("e.cheap=1 e.quick=1");
      expect(together?.cpuSec).toBeCloseTo(3.5, 6);
      expect(together?.isOnFrontier).toBe(true);
      expect(together?.quality?.mean).toBeGreaterThan(0.6);
    }
  });

  test("an interrupt ends it with what was learnt until then", async () => {
    const { outcome } = await play({ budgetMs: 120_000, abortAfter: 7 });
    expect(outcome.end).toBe("interrupted");
    expect(outcome.results).toHaveLength(7);
    expect(outcome.figures.reduce((sum, it) => sum + it.runs, 0)).toBe(7);
  });

  test("an error that is no interrupt is not swallowed", async () => {
    const broken = profileWorkflow(
      {
        ...{ settings: SETTINGS, questionCount: 4, budgetMs: 1_000, parallelCount: 2 },
        ...{ nowMs: () => 0, tell: () => undefined },
        run: () => Promise.reject(new Error("no cluster")),
      },
      new AbortController().signal,
    );
    await expect(broken).rejects.toThrow("no cluster");
  });

  test("the table has every figure with its unit", async () => {
    const { outcome } = await play({ budgetMs: 60_000 });
    const lines = renderFigures(outcome.figures, { columns: 140, paint: PLAIN, isExecutor: false });
    expect(lines[0]).toMatch(
      /setting +runs +quality \[90 %\] +latency +CPU s +cost +energy +fit error/,
    );
    expect(lines.join("\n")).toMatch(
      /base .* 0\.\d\d \[0\.\d\d, 0\.\d\d\] +10\.0 s +10\.00 +\$0\.10 +1\.00 Wh/,
    );
  });
});

describe("profiling an executor", () => {
  test("spends its time where the mean is least certain", async () => {
    const random = seededRandom("executor");
    let nowMs = 0;
    const outcome = await profileExecutor(
      {
        ...{ settings: SETTINGS.slice(0, 2), budgetMs: 60_000, capability: "c", inputCount: 1 },
        ...{ nowMs: () => nowMs, tell: () => undefined },
        run: async (setting) => {
          nowMs += 1_000;
          const noise = setting.name === "base" ? 0.001 : 0.5;
          const runMs = 1_000 * (1 + noise * (2 * random.next() - 1));
          const step = { capability: "c", cpuSec: 1, runMs, items: 1, costUsd: 1, energyWh: 1 };
          return resultOf(setting, 0, { steps: [step] as never });
        },
      },
      new AbortController().signal,
    );
    const [calm, noisy] = outcome.figures;
    expect(calm?.runs).toBeLessThanOrEqual(5);
    expect(noisy?.runs).toBe(12);
    expect(outcome.end).toBe("settled");
  });
});
