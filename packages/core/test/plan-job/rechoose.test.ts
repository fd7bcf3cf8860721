/** Goal: what is left of a job is chosen again when its bounds are at risk, and else left alone. */
import { type JobProgress, type PlanJobRequest, planJob, rechoose } from "@murakkab/core";
import type { ConfigurationQuality, JobPlan, Slo } from "@murakkab/model";
import { describe, expect, test } from "vitest";
import { defaultQuality, quality, worldRequest } from "./planning-world.ts";

const SURE = { scoreSum: 190, count: 200 };

/** The default, and the same with less effort for speech: as good, as far as is known. */
function qualities(): ConfigurationQuality[] {
  const whole = defaultQuality(worldRequest(), SURE);
  const plan = accepted(planJob(worldRequest()));
  const steps = plan.steps.map((it) =>
    it.executor === "speech" ? { ...it, knobs: { effort: "fast" } } : it,
  );
  return [whole, quality({ steps }, { other: { scoreSum: 180, count: 200 } })];
}

function accepted(decision: ReturnType<typeof planJob>): JobPlan {
  if (decision.kind !== "accepted") throw new Error(JSON.stringify(decision));
  return decision.plan;
}

function request(slo: Slo): PlanJobRequest {
  return worldRequest({ slo, objective: "quality" }, { qualities: qualities() });
}

/** Scenes and frames are done, with this many frames. */
function progressOf(plan: JobPlan, frames: number): JobProgress {
  return {
    plan,
    started: new Set(["scene-detection", "frame-extraction"]),
    sizes: new Map([
      ["scene-detection.scenes", 12],
      ["frame-extraction.frames", frames],
    ]),
  };
}

function again(slo: Slo, left: { elapsedMs?: number; spentUsd?: number; frames?: number } = {}) {
  const asked = request(slo);
  const plan = accepted(planJob(asked));
  const { elapsedMs = 700, spentUsd = 0.001, frames = 12 } = left;
  const progress = progressOf(plan, frames);
  const rest = { elapsedMs, runningMs: 0, spentUsd, spentWh: 0 };
  return { plan, choice: rechoose({ ...asked, slo, progress, ...rest }) };
}

describe("rechoose", () => {
  test("a job in time and budget goes on as planned", () => {
    const { choice } = again({ latencyMsMax: 60_000, qualityMin: 0.8 });
    expect(choice.kind).toBe("keep");
  });

  test("lost time is made good by a cheaper option within the promise", () => {
    const slo = { latencyMsMax: 20_000, qualityMin: 0.8 };
    const { plan, choice } = again(slo, { elapsedMs: 15_200 });
    expect(plan.steps.find((it) => it.executor === "speech")?.knobs["effort"]).toBe("accurate");
    if (choice.kind !== "changed") throw new Error(JSON.stringify(choice));
    expect(choice.reason).toMatch(/latency was at risk: speech-to-text by speech\{effort=fast\}/);
    const speech = choice.plan.steps.find((it) => it.executor === "speech");
    expect(speech?.knobs["effort"]).toBe("fast");
    // R1: what has started is as it was.
    for (const step of ["scene-detection", "frame-extraction"]) {
      const of = (it: JobPlan): unknown => it.steps.find((one) => one.step === step);
      expect(of(choice.plan)).toEqual(of(plan));
    }
    expect(choice.plan.explanation?.configuration).toContain("speech{effort=fast}");
  });

  test("many more frames than were expected put the budget at risk", () => {
    const slo = { costUsdMax: 0.016, qualityMin: 0.8 };
    const { choice } = again(slo, { frames: 60, spentUsd: 0.001 });
    expect(choice.kind).not.toBe("keep");
    expect("reason" in choice ? choice.reason : "").toMatch(/cost/);
  });

  test("when nothing can keep the bounds any more, that is said", () => {
    const { choice } = again({ latencyMsMax: 20_000, qualityMin: 0.8 }, { elapsedMs: 19_999 });
    expect(choice).toMatchObject({ kind: "none" });
  });

  test("nothing that has started is left to choose", () => {
    const asked = request({ latencyMsMax: 60_000 });
    const plan = accepted(planJob(asked));
    const started = new Set(plan.steps.map((it) => it.step));
    const progress = { plan, started, sizes: new Map<string, number>() };
    const rest = { elapsedMs: 10, runningMs: 0, spentUsd: 0, spentWh: 0 };
    expect(rechoose({ ...asked, progress, ...rest }).kind).toBe("keep");
  });
});
