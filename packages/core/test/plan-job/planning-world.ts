/** A small video library with profiles and beliefs, for tests of the planner. */
import {
  chooseExecutors,
  configurationKey,
  type NodeKind,
  type PlanJobRequest,
  ProfileLearner,
  planWorkflow,
  QualityModel,
  qualityKnowledge,
} from "@murakkab/core";
import type {
  ConfigurationQuality,
  ExecutorEntry,
  ExecutorProfile,
  JobPlan,
  KnobValues,
  QualityCount,
} from "@murakkab/model";
import { allAvailable, videoExecutors } from "@murakkab/testkit";

export const KIND = "test cpu";
const RATES = {
  pricePerCoreHourUsd: 3.6,
  busyWattsPerCore: 3.6,
  idleWattsPerCore: 0,
  memoryWattsPerGib: 0,
};

/** Seconds of one attempt by executor and knob: `fixed + perUnit x size`. */
const SECONDS: Readonly<Record<string, readonly [number, number]>> = {
  "scenes{}": [0.1, 0.005],
  "frames{count=6}": [0.2, 0.002],
  "frames{count=24}": [0.4, 0.004],
  "audio{}": [0.05, 0.001],
  "speech{effort=fast}": [0.3, 0.0000012],
  "speech{effort=accurate}": [0.3, 0.0000024],
  "text{}": [0.1, 0.1],
  "people{}": [0.02, 0.08],
  "answer{effort=low}": [0.02, 0],
  "answer{effort=high}": [0.02, 0],
};

export function worldExecutors(): ExecutorEntry[] {
  const knob = (values: (string | number)[], preset: string | number) => ({
    description: "test",
    values,
    default: preset,
  });
  return videoExecutors().map((entry): ExecutorEntry => {
    switch (entry.id) {
      case "scenes":
      case "audio":
        return { ...entry, sizedBy: ["video"], programs: [] };
      case "frames":
        return { ...entry, sizedBy: ["video"], programs: [], knobs: { count: knob([6, 24], 24) } };
      case "speech":
        return {
          ...entry,
          programs: [],
          sizedBy: ["focus", "audio"],
          inputs: { ...entry.inputs, focus: { type: "list<time-span>", isOptional: true } },
          knobs: { effort: knob(["fast", "accurate"], "accurate") },
        };
      case "text":
      case "people":
        return { ...entry, programs: [], sizedBy: ["frame"], batchMax: 32 };
      default:
        return {
          ...entry,
          outputs: { ...entry.outputs, focus: { type: "list<time-span>", sizeUnit: "sec" } },
          staging: {
            confidence: { port: "answer", field: "confidence" },
            atLeast: [0.7],
            focus: "focus",
          },
          questionClasses: [
            { name: "written", phrases: ["sign", "written"] },
            { name: "count", phrases: ["how many"] },
          ],
        };
    }
  });
}

function settings(entry: ExecutorEntry): KnobValues[] {
  return Object.entries(entry.knobs).reduce<KnobValues[]>(
    (all, [name, { values }]) =>
      all.flatMap((it) => values.map((value) => ({ ...it, [name]: value }))),
    [{}],
  );
}

export function keyOf(id: string, knobs: KnobValues): string {
  return `${id}{${Object.entries(knobs)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(",")}}`;
}

function profilesOf(executors: readonly ExecutorEntry[]): ExecutorProfile[] {
  return executors.flatMap((entry) =>
    settings(entry).map((knobs): ExecutorProfile => {
      const [fixed, perUnit] = SECONDS[keyOf(entry.id, knobs)] ?? [0.1, 0];
      const line = (value: number, slope: number) => ({
        fixed: value,
        perUnit: slope,
        spread: 0.05,
      });
      const sizes: Record<string, ReturnType<typeof line>> = {};
      if (entry.id === "frames") sizes["frames"] = line(Number(knobs["count"]) / 2, 0);
      if (entry.id === "audio") sizes["audio"] = line(44, 32_000);
      if (entry.id === "answer") sizes["focus"] = line(8, 0);
      return {
        executor: entry.id,
        version: entry.version,
        knobs,
        nodeKind: KIND,
        runMs: line(fixed * 1_000, perUnit * 1_000),
        cpuSec: line(fixed, perUnit),
        outputSizes: sizes,
        memoryBytesMax: null,
        startMs: null,
        provenance: { kind: "measured", note: "test", count: 20, nodeKind: KIND },
      };
    }),
  );
}

export interface WorldOptions {
  readonly question?: string;
  readonly profiles?: boolean;
  /** Configurations with their counts by class; absent: quality was never looked at. */
  readonly qualities?: readonly ConfigurationQuality[];
  readonly cores?: number;
  readonly queueMs?: number;
}

export function worldRequest(
  changes: Partial<PlanJobRequest> = {},
  options: WorldOptions = {},
): PlanJobRequest {
  const executors = worldExecutors();
  const library = { executors };
  const availability = allAvailable(executors);
  const question = options.question ?? "who wears the red dress?";
  const cores = options.cores ?? 2;
  const { workflow, notes } = planWorkflow({
    description: question,
    inputs: [
      { name: "question", type: "question" },
      { name: "video", type: "video" },
    ],
    library,
    availability,
    excludedTypes: new Map(),
  });
  const learner = new ProfileLearner();
  if (options.profiles !== false) learner.setPriors(profilesOf(executors));
  const { qualities } = options;
  const kind: NodeKind = { kind: KIND, cores, programs: new Set(), speedFactor: 1 };
  return {
    workflow,
    planner: "type-directed",
    library,
    availability,
    constraints: {},
    excludedTypes: new Map(),
    notes,
    question,
    slo: {},
    objective: null,
    inputSizes: { question: { bytes: question.length }, video: { sec: 60, bytes: 1_000_000 } },
    kinds: [kind],
    cores,
    queueMs: options.queueMs ?? 0,
    dispatchMs: 10,
    knowledge: {
      executor: (entry, knobs, nodeKind) => learner.predictFor(entry, knobs, nodeKind),
      quality:
        qualities === undefined
          ? null
          : qualityKnowledge(new QualityModel({ workflow: "test", configurations: qualities })),
    },
    rates: RATES,
    mustExplain: false,
    ...changes,
  };
}

/** Of the workflow as it is, by default executors and knobs, for all questions alike. */
export function defaultQuality(request: PlanJobRequest, count: QualityCount): ConfigurationQuality {
  return quality(chooseExecutors(request), { other: count });
}

export function quality(
  plan: Pick<JobPlan, "steps" | "stages">,
  byClass: Readonly<Record<string, QualityCount>>,
  more: Partial<ConfigurationQuality> = {},
): ConfigurationQuality {
  return {
    configuration: configurationKey(plan),
    byClass,
    feedback: {},
    provenance: { kind: "measured", note: "test" },
    ...more,
  };
}
