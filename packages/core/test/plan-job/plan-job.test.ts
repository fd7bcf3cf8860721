/** Goal: a job gets the plan that keeps its bounds at the least of what counts, or an honest no. */
import {
  chooseExecutors,
  enumeratePaths,
  explainJobPlan,
  groupCapabilities,
  type PlanDecision,
  type PlanJobRequest,
  planJob,
} from "@murakkab/core";
import type { ConfigurationQuality, JobPlan, KnobValues, Slo } from "@murakkab/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quality, type WorldOptions, worldRequest } from "./planning-world.ts";

const right = (share: number, count = 60) => ({ scoreSum: share * count, count });

/** The default plan of a path, with some knobs changed by step. */
function planOf(
  request: PlanJobRequest,
  pick: (path: ReturnType<typeof enumeratePaths>[number]) => boolean,
  knobs: Readonly<Record<string, KnobValues>> = {},
): JobPlan {
  const paths = enumeratePaths(request.workflow, groupCapabilities(request.library));
  const path = paths.find(pick);
  if (path === undefined) throw new Error("no such path");
  const drafts = path.stages.map((it) => it.draft);
  const plan = chooseExecutors({ ...request, workflow: path.workflow, alsoNeeded: drafts });
  const steps = plan.steps.map((it) => ({ ...it, knobs: { ...it.knobs, ...knobs[it.step] } }));
  return { ...plan, steps, ...(path.stages.length === 0 ? {} : { stages: path.stages }) };
}

const isWhole = (it: { leftOut: readonly string[]; stages: readonly unknown[] }): boolean =>
  it.leftOut.length === 0 && it.stages.length === 0;

function knownQualities(): ConfigurationQuality[] {
  const request = worldRequest();
  const whole = planOf(request, isWhole);
  const fast = planOf(request, isWhole, { "speech-to-text": { effort: "fast" } });
  const few = planOf(request, isWhole, { "frame-extraction": { count: 6 } });
  const pictures = planOf(request, (it) => it.leftOut.join() === "transcript");
  return [
    quality(whole, { other: right(0.9), written: right(0.95), count: right(0.9) }),
    quality(fast, { other: right(0.6), written: right(0.95), count: right(0.9) }),
    quality(few, { other: right(0.9), written: right(0.5), count: right(0.9) }),
    quality(pictures, { other: right(0.4), written: right(0.95), count: right(0.9) }),
  ];
}

function decide(
  slo: Slo,
  changes: Partial<PlanJobRequest> = {},
  options: WorldOptions = {},
): PlanDecision {
  return planJob(worldRequest({ slo, ...changes }, { qualities: knownQualities(), ...options }));
}

function accepted(decision: PlanDecision): JobPlan {
  if (decision.kind !== "accepted") throw new Error(JSON.stringify(decision));
  return decision.plan;
}

const executorsOf = (plan: JobPlan): string[] => plan.steps.map((it) => it.executor).sort();
const knobOf = (plan: JobPlan, executor: string, name: string): unknown =>
  plan.steps.find((it) => it.executor === executor)?.knobs[name];

describe("jobs without bounds", () => {
  test("get the library's defaults, and what these are expected to take", () => {
    const plan = accepted(decide({}));
    expect(plan.steps).toHaveLength(7);
    expect(knobOf(plan, "speech", "effort")).toBe("accurate");
    expect(plan.predicted?.latencyMs.p50).toBeGreaterThan(1_000);
    expect(plan.predicted?.quality?.mean).toBeGreaterThan(0.7);
    expect(plan.explanation).toBeUndefined();
  });

  test("get no prediction where a profile lacks", () => {
    expect(accepted(decide({}, {}, { profiles: false })).predicted).toBeUndefined();
  });
});

describe("the choice", () => {
  test("leaves speech out for a question about what is written, and says so", () => {
    const plan = accepted(
      decide(
        { qualityTier: "good" },
        { objective: "cost" },
        { question: "What does the sign say?" },
      ),
    );
    expect(executorsOf(plan)).not.toContain("speech");
    expect(plan.notes.join()).toMatch(
      /audio-extraction and speech-to-text are left out.*"written"/,
    );
    expect(plan.explanation?.questionClass).toBe("written");
  });

  test("keeps speech where leaving it out would break the promise", () => {
    const plan = accepted(decide({ qualityTier: "good" }, { objective: "cost" }));
    expect(executorsOf(plan)).toContain("speech");
    expect(knobOf(plan, "speech", "effort")).toBe("accurate");
    // Fewer frames lose nothing for this kind of question.
    expect(knobOf(plan, "frames", "count")).toBe(6);
  });

  test("takes many items at a time where starting costs", () => {
    const plan = accepted(decide({ qualityTier: "good" }, { objective: "energy" }));
    expect(plan.steps.find((it) => it.executor === "text")?.batchItems).toBeGreaterThan(1);
  });

  test("a fast answer may be a worse one only if the job says so", () => {
    const careful = accepted(decide({ latencyMsMax: 60_000 }, { objective: "latency" }));
    const basic = accepted(decide({ qualityMin: 0.2 }, { objective: "latency" }));
    expect(basic.predicted?.latencyMs.p50).toBeLessThan(careful.predicted?.latencyMs.p50 ?? 0);
    expect(careful.predicted?.quality?.low).toBeGreaterThan(basic.predicted?.quality?.low ?? 1);
  });

  test("a bound that leaves no room for good quality takes what there is, and says so", () => {
    const best = accepted(decide({ latencyMsMax: 60_000 }, { objective: "latency" }));
    const tight = (best.predicted?.latencyMs.p95 ?? 0) * 0.6;
    const plan = accepted(decide({ latencyMsMax: tight }));
    expect(plan.notes.join()).toMatch(/tier|leave room only/);
  });

  test("the draft ends most jobs: it is staged when that is known", () => {
    const request = worldRequest();
    const staged = planOf(
      request,
      (it) =>
        it.stages.length === 1 &&
        it.stages[0]?.deferred.join() === "audio-extraction,speech-to-text,question-answering" &&
        it.workflow.steps.some((step) => step.inputs["focus"] !== undefined),
    );
    const sure = { other: right(0.8) };
    const qualities = [
      ...knownQualities(),
      quality(staged, { other: right(0.9) }, { sureRatio: sure }),
    ];
    const plan = accepted(decide({ qualityTier: "good" }, { objective: "energy" }, { qualities }));
    expect(plan.stages?.[0]?.atLeast).toBe(0.7);
    const speech = plan.steps.find((it) => it.executor === "speech");
    expect(speech?.predicted?.probability).toBeLessThan(0.3);
    expect(plan.notes.join()).toMatch(/only if the draft is less sure than 0.7/);
    // What is bounded counts the whole way, what is expected the likelier one.
    expect(plan.predicted?.costUsd.p95).toBeGreaterThan((plan.predicted?.costUsd.p50 ?? 0) * 1.1);
  });

  test("what disappointed is not promised again", () => {
    const [whole, ...others] = knownQualities();
    if (whole === undefined) throw new Error("none");
    const only = [whole];
    const before = accepted(decide({ qualityTier: "best" }, {}, { qualities: only }));
    expect(before.explanation?.configuration).toBe(whole.configuration);
    const told = { ...whole, feedback: { other: { scoreSum: 1, count: 30 } } };
    const after = planJob(
      worldRequest({ slo: { qualityMin: 0.8 } }, { qualities: [told, ...others] }),
    );
    const chosen = after.kind === "accepted" ? after.plan.explanation?.configuration : null;
    expect(chosen).not.toBe(whole.configuration);
  });

  test("limited cores count: on one core parallel steps are not parallel", () => {
    const two = accepted(decide({ qualityMin: 0.5 }, { objective: "latency" }));
    const one = accepted(decide({ qualityMin: 0.5 }, { objective: "latency" }, { cores: 1 }));
    const works = one.steps.reduce((sum, it) => sum + (it.predicted?.runMs.p50 ?? 0), 0);
    expect(one.predicted?.latencyMs.p50).toBeGreaterThanOrEqual(works - 1);
    expect(one.predicted?.latencyMs.p50).toBeGreaterThan(two.predicted?.latencyMs.p50 ?? 0);
  });
});

describe("what can't be kept", () => {
  test("impossible bounds get offers that are then accepted", () => {
    const slo = { latencyMsMax: 30, qualityMin: 0.7 };
    const decision = decide(slo);
    if (decision.kind !== "counter-offer") throw new Error(JSON.stringify(decision));
    expect(decision.offers.map((it) => it.axis)).toContain("latency");
    for (const offer of decision.offers) {
      const again = decide(offer.slo);
      expect(again.kind, offer.sloText).toBe("accepted");
    }
  });

  test("quality above what is known is offered as what is known", () => {
    const decision = decide({ qualityMin: 0.9999 });
    if (decision.kind !== "counter-offer") throw new Error(JSON.stringify(decision));
    expect(decision.offers[0]?.axis).toBe("quality");
    expect(decision.offers[0]?.slo.qualityMin).toBeGreaterThan(0.6);
  });

  test("a bound that would not help is named", () => {
    const decision = decide({ latencyMsMax: 60_000, qualityMin: 0.9999 });
    if (decision.kind !== "counter-offer") throw new Error(JSON.stringify(decision));
    expect(decision.message).toContain("quality would have to give way; to loosen latency alone");
  });

  test("two impossible bounds are named", () => {
    const decision = decide({ latencyMsMax: 1, qualityMin: 0.9999 });
    expect(decision.kind).toBe("rejected");
    if (decision.kind === "rejected") expect(decision.binding).toMatch(/latency.*quality/);
  });

  test("quality that was never measured is not promised", () => {
    const decision = planJob(worldRequest({ slo: { qualityMin: 0.5 } }));
    expect(decision).toMatchObject({ kind: "rejected", binding: "quality" });
  });

  test("without profiles nothing is promised, and the plan says so", () => {
    const plan = accepted(decide({ latencyMsMax: 10 }, {}, { profiles: false }));
    expect(plan.notes.join()).toMatch(/not promised: no profile/);
    expect(plan.predicted).toBeUndefined();
  });

  test("the load that is there counts", () => {
    const free = accepted(decide({ latencyMsMax: 60_000 }));
    const bound = (free.predicted?.latencyMs.p95 ?? 0) * 1.3;
    expect(decide({ latencyMsMax: bound }).kind).toBe("accepted");
    expect(decide({ latencyMsMax: bound, qualityMin: 0.75 }, {}, { queueMs: bound }).kind).toBe(
      "counter-offer",
    );
  });
});

test("L1: whatever is accepted keeps its bounds by its own prediction", () => {
  const bound = fc.option(fc.double({ min: 0.05, max: 1, noNaN: true }), { nil: undefined });
  const objective = fc.constantFrom("cost", "energy", "latency", "quality", "resources" as const);
  fc.assert(
    fc.property(bound, bound, bound, bound, objective, (latency, cost, energy, least, aim) => {
      const slo: Slo = {
        ...(latency === undefined ? {} : { latencyMsMax: latency * 8_000 }),
        ...(cost === undefined ? {} : { costUsdMax: cost * 0.012 }),
        ...(energy === undefined ? {} : { energyWhMax: energy * 0.012 }),
        ...(least === undefined ? {} : { qualityMin: least }),
      };
      const decision = decide(slo, { objective: aim });
      if (decision.kind !== "accepted") return;
      const { predicted } = decision.plan;
      expect(predicted).toBeDefined();
      expect(predicted?.latencyMs.p95).toBeLessThanOrEqual(slo.latencyMsMax ?? Infinity);
      expect(predicted?.costUsd.p95).toBeLessThanOrEqual((slo.costUsdMax ?? Infinity) * (1 + 1e-9));
      expect(predicted?.energyWh.p95).toBeLessThanOrEqual(
        (slo.energyWhMax ?? Infinity) * (1 + 1e-9),
      );
      expect(predicted?.quality?.low ?? 0).toBeGreaterThanOrEqual((slo.qualityMin ?? 0) - 1e-6);
    }),
    { numRuns: 60 },
  );
});

describe("explanations", () => {
  test("every option that was not taken has a reason, the chosen point is on the frontier", () => {
    const plan = accepted(
      decide({ qualityTier: "good", latencyMsMax: 20_000 }, { mustExplain: true }),
    );
    const { rejected = [], frontier = [] } = plan.explanation ?? {};
    expect(rejected.some((it) => it.code === "breaks-quality" && it.toWin !== undefined)).toBe(
      true,
    );
    expect(rejected.some((it) => it.executor === "speech")).toBe(true);
    expect(frontier.filter((it) => it.isChosen)).toHaveLength(1);
    expect(frontier.length).toBeGreaterThan(2);
  });

  test("a plan of before is explained by what is known now", () => {
    const plan = accepted(decide({ qualityTier: "good" }));
    const request = worldRequest(
      { slo: { qualityTier: "good" }, mustExplain: true },
      { qualities: knownQualities() },
    );
    const told = explainJobPlan(request, plan);
    expect(told?.configuration).toBe(plan.explanation?.configuration);
    expect(told?.rejected.length).toBeGreaterThan(0);
    const strange = { ...plan, steps: plan.steps.map((it) => ({ ...it, executor: "gone" })) };
    expect(explainJobPlan(request, strange)).toBeNull();
  });
});
