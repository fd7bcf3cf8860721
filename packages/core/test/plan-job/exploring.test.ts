/** Goal: what policy promises of quality decides; what explores says so. */
import { planJob, QUALITY_POLICY, QualityModel, qualityKnowledge } from "@murakkab/core";
import { expect, test } from "vitest";
import { defaultQuality, worldRequest } from "./planning-world.ts";

/** Four of four right: expected to be good, and not sure at all. */
const FEW = { scoreSum: 4, count: 4 };

function decide(promise: "low" | "mean", isExploring: boolean) {
  const qualities = [defaultQuality(worldRequest(), FEW)];
  const model = new QualityModel({ workflow: "test", configurations: qualities });
  const request = worldRequest({ slo: { qualityMin: 0.75 }, isExploring });
  const { knowledge: world } = request;
  const knowledge = {
    executor: (...asked: Parameters<typeof world.executor>) => world.executor(...asked),
    quality: qualityKnowledge(model, promise),
  };
  return planJob({ ...request, knowledge });
}

test("the lower end of a wide interval promises less than its mean", () => {
  expect(QUALITY_POLICY.promise).toBe("low");
  expect(decide("low", false).kind).toBe("counter-offer");
  expect(decide("mean", false).kind).toBe("accepted");
});

test("a plan that explores says so", () => {
  const decision = decide("mean", true);
  if (decision.kind !== "accepted") throw new Error(JSON.stringify(decision));
  expect(decision.plan.notes.join()).toMatch(/^exploring|,exploring/);
});
