/** The profile store as the planner of jobs asks it. */
import { type QualityKnowledge, type QualityModel, qualityKnowledge } from "@murakkab/core";
import { defaultKnobs } from "@murakkab/model";
import type { ProfileStore } from "../profiles/profile-store.ts";
import type { ProfileSource } from "./job-planner.ts";

export function profileSource(store: ProfileStore): ProfileSource {
  // A model is replaced when a score changes it; what was worked out of it goes with it.
  const known = new WeakMap<QualityModel, QualityKnowledge>();
  const exploring = new WeakMap<QualityModel, QualityKnowledge>();
  return {
    explorationRatio: store.policy.explorationRatio,
    executor: (entry, knobs, nodeKind) => store.learner.predictFor(entry, knobs, nodeKind),
    quality: (workflow, isExploring) => {
      const model = store.model(workflow);
      if (model.configurations().length === 0) return null;
      const made = isExploring
        ? (exploring.get(model) ?? qualityKnowledge(model, "mean"))
        : (known.get(model) ?? qualityKnowledge(model));
      (isExploring ? exploring : known).set(model, made);
      return made;
    },
    startMs: (entry, nodeKind) => {
      const profile = store.learner.predictFor(entry, defaultKnobs(entry), nodeKind);
      return profile?.startMs ?? null;
    },
    speedOf: (node) => store.speedOf(node),
  };
}
