/** The profile store as the planner of jobs asks it. */
import { type QualityKnowledge, type QualityModel, qualityKnowledge } from "@murakkab/core";
import type { ProfileStore } from "../profiles/profile-store.ts";
import type { ProfileSource } from "./job-planner.ts";

export function profileSource(store: ProfileStore): ProfileSource {
  // A model is replaced when a score changes it; what was worked out of it goes with it.
  const known = new WeakMap<QualityModel, QualityKnowledge>();
  return {
    executor: (entry, knobs, nodeKind) => store.learner.predictFor(entry, knobs, nodeKind),
    quality: (workflow) => {
      const model = store.model(workflow);
      if (model.configurations().length === 0) return null;
      const made = known.get(model) ?? qualityKnowledge(model);
      known.set(model, made);
      return made;
    },
    speedOf: (node) => store.speedOf(node),
  };
}
