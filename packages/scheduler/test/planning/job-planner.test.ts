/** Goal: plans count what else is accepted, and what finished jobs have taught. */
import type { ActiveJob } from "@murakkab/core";
import type { ExecutorProfile, Slo, Workflow } from "@murakkab/model";
import { buildExecutor, VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { Fleet } from "../../src/fleet.ts";
import { JobPlanner, type PlanningInput } from "../../src/planning/job-planner.ts";
import { registrationOf } from "../fleet-builder.ts";

const EXECUTOR = buildExecutor("work", "work", { inputs: { a: "x" }, outputs: { out: "y" } });
const LIBRARY = { executors: [EXECUTOR] };
const WORKFLOW: Workflow = {
  name: "one-step",
  inputs: { a: "x" },
  steps: [{ id: "work", capability: "work", inputs: { a: { kind: "input", input: "a" } } }],
  output: { kind: "step", step: "work", output: "out" },
};
const RATES = {
  pricePerCoreHourUsd: 1,
  busyWattsPerCore: 3,
  idleWattsPerCore: 1,
  memoryWattsPerGib: 0,
};
const RUN_MS = 1_000;

function profile(): ExecutorProfile {
  const line = (fixed: number) => ({ fixed, perUnit: 0, spread: 0.05 });
  return {
    executor: "work",
    version: EXECUTOR.version,
    knobs: {},
    nodeKind: "any",
    runMs: line(RUN_MS),
    cpuSec: line(1),
    outputSizes: {},
    memoryBytesMax: null,
    startMs: 700,
    provenance: { kind: "measured", note: "test" },
  };
}

class Bench {
  active: ActiveJob[] = [];
  readonly fleet = new Fleet(new VirtualClock());
  readonly planner: JobPlanner;

  constructor({ isWarm = true } = {}) {
    this.fleet.register(registrationOf("n1"));
    if (isWarm) this.fleet.addInstance({ instance: "i", node: "n1", executor: EXECUTOR });
    const profiles = {
      executor: () => profile(),
      quality: () => null,
      explorationRatio: 0,
      startMs: () => 700,
      speedOf: () => 1,
    };
    const activeJobs = () => this.active;
    this.planner = new JobPlanner(
      { fleet: this.fleet, profiles, activeJobs },
      { library: LIBRARY, rates: RATES },
    );
  }

  plan(slo: Slo) {
    const input: PlanningInput = {
      submission: { jobId: "j", inputs: [], slo, constraints: {}, tenant: "t" },
      workflow: WORKFLOW,
      planner: "named",
      notes: [],
      excludedTypes: new Map(),
      inputSizes: { a: { bytes: 1 } },
      mustExplain: false,
    };
    return this.planner.plan(input);
  }

  predicted(slo: Slo) {
    const decision = this.plan(slo);
    if (decision.kind !== "accepted" || decision.plan.predicted === undefined) {
      throw new Error(JSON.stringify(decision));
    }
    return decision.plan.predicted;
  }
}

/** Fills one core for this long. */
function busy(workMs: number, changes: Partial<ActiveJob> = {}): ActiveJob {
  return { dueInMs: 1_500, hasBound: true, workMs, aloneMs: workMs, ...changes };
}

describe("the planner of jobs", () => {
  test("a job waits for what is due before it, over all cores", () => {
    const bench = new Bench();
    expect(bench.predicted({ latencyMsMax: 9_000 }).queueMs).toBe(0);
    const cores = registrationOf("n1").offer.cpus;
    bench.active = [busy(4_000)];
    expect(bench.predicted({ latencyMsMax: 9_000 }).queueMs).toBeCloseTo(4_000 / cores);
    bench.active = [busy(4_000, { dueInMs: 20_000, hasBound: false })];
    expect(bench.predicted({ latencyMsMax: 9_000 }).queueMs).toBe(0);
  });

  test("P1: whoever would make an accepted job late is offered a time after it", () => {
    const bench = new Bench();
    const cores = registrationOf("n1").offer.cpus;
    bench.active = [busy(5_000 * cores, { dueInMs: 5_400, aloneMs: 5_000 })];
    const decision = bench.plan({ latencyMsMax: 5_000 });
    if (decision.kind !== "counter-offer") throw new Error(JSON.stringify(decision));
    const [offer] = decision.offers;
    expect(offer?.axis).toBe("latency");
    expect(offer?.slo.latencyMsMax).toBeGreaterThan(5_400);
    expect(bench.plan(offer?.slo ?? {}).kind).toBe("accepted");
  });

  test("predictions come to what jobs took, and bounds are held by that", () => {
    const bench = new Bench();
    const slo = { latencyMsMax: 1_700 };
    const told = bench.predicted(slo);
    const before = told.latencyMs;
    for (let index = 0; index < 100; index += 1) bench.planner.observe(2 * before.p50, told);
    expect(bench.predicted({ latencyMsMax: 9_000 }).latencyMs.p50).toBeCloseTo(2 * before.p50, -1);
    const decision = bench.plan(slo);
    if (decision.kind !== "counter-offer") throw new Error(JSON.stringify(decision));
    const offered = decision.offers[0];
    expect(offered?.slo.latencyMsMax).toBeGreaterThan(2 * before.p50);
    expect(bench.plan(offered?.slo ?? {}).kind).toBe("accepted");
  });

  test("an instance that must start first takes its time", () => {
    const cold = new Bench({ isWarm: false }).predicted({ latencyMsMax: 9_000 });
    const warm = new Bench().predicted({ latencyMsMax: 9_000 });
    expect(warm.queueMs).toBe(0);
    // Which executors run is not known before the choice: with a base plan it is.
    expect(cold.latencyMs.p50).toBeGreaterThanOrEqual(warm.latencyMs.p50);
  });

  test("a job without bounds gets its defaults, and what they will take", () => {
    expect(new Bench().predicted({}).latencyMs.p50).toBeGreaterThanOrEqual(RUN_MS);
  });
});
