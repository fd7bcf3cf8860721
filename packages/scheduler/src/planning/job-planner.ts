/**
 * The planner of jobs as the scheduler uses it: core's pure planning with what this process knows
 * of the fleet, of profiles and of the jobs that it has accepted.
 *
 * Owns:      gathering those into one request; the correction of latencies; the answer's form.
 * Does not:  decide (core/plan-job), read media or journal anything.
 *
 * Invariants:
 *   P1. A plan is accepted only if no job that was accepted before is made late by it, as far as
 *       predictions hold; otherwise a later time is offered.
 */
import {
  type ActiveJob,
  type Availability,
  earliestHarmlessDueMs,
  explainJobPlan,
  findAvailability,
  type InputSize,
  type JobProgress,
  type Knowledge,
  LatencyCalibration,
  type NodeKind,
  type PlanDecision,
  type PlanJobRequest,
  planJob,
  questionClassOf,
  type Rates,
  rechoose,
  waitMsFor,
  workflowSignature,
} from "@murakkab/core";
import { hashText64 } from "@murakkab/kit";
import {
  ANY_NODE_KIND,
  type CounterOffer,
  type ExecutorEntry,
  formatSlo,
  type JobPlan,
  type Library,
  type NodeRegistration,
  type PlanExplanation,
  type Prediction,
  type Slo,
  type Submission,
  type Workflow,
} from "@murakkab/model";
import type { JobRecord } from "@murakkab/protocol";
import type { Fleet } from "../fleet.ts";
import type { Rechoice, RechooseInput } from "../ports.ts";

/** Profiles and beliefs, as they are now. */
export interface ProfileSource {
  executor: Knowledge["executor"];
  /** Null: this workflow's quality was never looked at. Exploring: by what is expected of it. */
  quality(workflow: string, isExploring: boolean): Knowledge["quality"];
  /** Share of the jobs without a bound on quality that explore. */
  readonly explorationRatio: number;
  /** From the start of a cold instance to its first attempt, ms; null where never seen. */
  startMs(entry: ExecutorEntry, nodeKind: string): number | null;
  /** How much longer things take on a node now than profiled; 1 = as profiled. */
  speedOf(node: string): number;
}

export interface JobPlannerComponents {
  readonly fleet: Fleet;
  readonly profiles: ProfileSource;
  /** Jobs of this process that have not ended. */
  readonly activeJobs: () => readonly ActiveJob[];
}

export interface JobPlannerSettings {
  readonly library: Library;
  readonly rates: Rates;
}

export interface PlanningInput {
  readonly submission: Submission;
  readonly workflow: Workflow;
  readonly planner: JobPlan["planner"];
  readonly notes: readonly string[];
  readonly excludedTypes: ReadonlyMap<string, string>;
  /** By the workflow's name of the input. */
  readonly inputSizes: Readonly<Record<string, InputSize>>;
  readonly mustExplain: boolean;
}

/**
 * From an attempt being ready to its start in an engine, when nothing is in its way, and back, ms.
 * Measured on one host (bench overhead: 21 to 25 ms for a job of one step, its journal included).
 */
const DISPATCH_MS = 12;
/** Of an instance whose start was never measured, ms: most of it is the start of Node. */
const COLD_START_MS = 450;
/** When jobs without a latency bound count as due, ms: after those that have a usual one. */
export const DUE_MS_DEFAULT = 60_000;
const OFFER_SLACK = 1.05;

interface Load {
  readonly kinds: readonly NodeKind[];
  readonly cores: number;
  readonly queueMs: number;
}

export class JobPlanner {
  private readonly parts: JobPlannerComponents;
  private readonly settings: JobPlannerSettings;
  private readonly calibration = new LatencyCalibration();
  private readonly byCapability = new Map<string, readonly ExecutorEntry[]>();

  constructor(components: JobPlannerComponents, settings: JobPlannerSettings) {
    this.parts = components;
    this.settings = settings;
  }

  availability(submission: Submission): Availability {
    const labels = submission.constraints.labels ?? {};
    return findAvailability(this.settings.library, this.parts.fleet.snapshot().nodes, labels);
  }

  /**
   * `base`: the workflow with the library's defaults, where it is known already.
   * Errors: as core's `chooseExecutors`.
   */
  plan(input: PlanningInput, base?: JobPlan): PlanDecision {
    return this.choose(input, base === undefined ? base : this.classify(input, base));
  }

  /** Beliefs are kept by the class of the question. */
  private classify({ submission }: PlanningInput, base: JobPlan): JobPlan {
    const { description } = submission;
    const questionClass = questionClassOf(description ?? null, base, (capability) =>
      this.executorsOf(capability),
    );
    return questionClass === null ? base : { ...base, questionClass };
  }

  private executorsOf(capability: string): readonly ExecutorEntry[] {
    const known = this.byCapability.get(capability);
    if (known !== undefined) return known;
    const found = this.settings.library.executors.filter((it) => it.capability === capability);
    this.byCapability.set(capability, found);
    return found;
  }

  private choose(input: PlanningInput, base: JobPlan | undefined): PlanDecision {
    const { slo, objective } = input.submission;
    if (base !== undefined && Object.keys(slo).length === 0 && objective === undefined) {
      // Nothing to choose, and most often nothing to predict: work of some microseconds.
      if (base.steps.some((step) => !this.isProfiled(step)))
        return { kind: "accepted", plan: base };
    }
    const dueInMs = slo.latencyMsMax ?? DUE_MS_DEFAULT;
    const { kinds, cores } = this.nodesFor(input.submission);
    const active = this.parts.activeJobs();
    const queueMs = waitMsFor(dueInMs, active, cores) + this.coldMs(base, kinds);
    const decision = this.decide(input, { kinds, cores, queueMs, base });
    if (decision.kind !== "accepted") return decision;
    return this.checkOthers(input, decision.plan, { active, cores });
  }

  /**
   * Instances start side by side as soon as the plan is known: the slowest of the steps that come
   * first counts. Which executors are chosen is not known yet: the library's defaults stand for them.
   */
  private coldMs(base: JobPlan | undefined, kinds: readonly NodeKind[]): number {
    const { fleet, profiles } = this.parts;
    const first = (base?.steps ?? []).filter((step) =>
      Object.values(step.inputs).every((source) => source.kind === "input"),
    );
    const starts = first.flatMap(({ executor }) => {
      const entry = this.settings.library.executors.find((it) => it.id === executor);
      if (entry === undefined || fleet.countOf(executor) > 0) return [];
      return [profiles.startMs(entry, kinds[0]?.kind ?? ANY_NODE_KIND) ?? COLD_START_MS];
    });
    return Math.max(0, ...starts);
  }

  /**
   * A finished job: what was predicted of it and what it took. `isStaged`: it went all the way,
   * though a draft might have ended it: its bound was of this course, its expected value maybe not.
   */
  observe(
    realMs: number,
    predicted: Prediction | undefined,
    { isStaged = false }: { readonly isStaged?: boolean } = {},
  ): void {
    if (predicted === undefined) return;
    const { latencyMs, latencyFactors = { p50: 1, p95: 1 } } = predicted;
    const p95 = latencyMs.p95 / latencyFactors.p95;
    if (isStaged) this.calibration.observeUpper(realMs, p95);
    else this.calibration.observe(realMs, { p50: latencyMs.p50 / latencyFactors.p50, p95 });
  }

  private decide(
    input: PlanningInput,
    { base, ...load }: Load & { readonly base: JobPlan | undefined },
  ): PlanDecision {
    const factors = this.calibration.factors();
    return calibrate(planJob(this.requestOf(input, load, factors.p95), base), factors);
  }

  /** Why a job got its plan, by what is known now; null where that can't be told any more. */
  explainRecord(record: JobRecord): PlanExplanation | null {
    const { plan } = record.status;
    const input = plan === null ? null : planningInputOf(record, plan, true);
    if (plan === null || input === null) return plan?.explanation ?? null;
    const { kinds, cores } = this.nodesFor(record.submission);
    const queueMs = plan.predicted?.queueMs ?? 0;
    const { p95 } = this.calibration.factors();
    const explained =
      cores === 0
        ? null
        : explainJobPlan(this.requestOf(input, { kinds, cores, queueMs }, p95), plan);
    return explained ?? plan.explanation ?? null;
  }

  /** Rechooser: the steps that have not started, with what is left. */
  rechoose(input: RechooseInput): Rechoice | null {
    const { record, plan } = input;
    const { submission } = record;
    const planning = planningInputOf(record, plan, false);
    if (planning === null) return null;
    const { kinds, cores } = this.nodesFor(submission);
    if (cores === 0) return null;
    const { p95 } = this.calibration.factors();
    const request = this.requestOf(planning, { kinds, cores, queueMs: 0 }, p95);
    const choice = rechoose({
      ...request,
      progress: progressOf(input),
      elapsedMs: input.elapsedMs,
      slo: plan.explanation?.slo ?? submission.slo,
      runningMs: runningMs(input, cores) * p95,
      spentUsd: input.spentUsd + input.reservedUsd,
      spentWh: input.spentWh + input.reservedWh,
    });
    return choice.kind === "changed" ? { plan: choice.plan, reason: choice.reason } : null;
  }

  /** By the job's id, so that a repeated question gets the same answer. */
  private mayExplore({ jobId, slo }: Submission): boolean {
    const { explorationRatio } = this.parts.profiles;
    if (explorationRatio <= 0 || slo.qualityMin !== undefined || slo.qualityTier !== undefined) {
      return false;
    }
    return Number.parseInt(hashText64(jobId).slice(0, 8), 16) / 2 ** 32 < explorationRatio;
  }

  private isProfiled({ executor, knobs }: JobPlan["steps"][number]): boolean {
    const entry = this.settings.library.executors.find((it) => it.id === executor);
    return (
      entry !== undefined && this.parts.profiles.executor(entry, knobs, ANY_NODE_KIND) !== null
    );
  }

  private requestOf(input: PlanningInput, load: Load, latencyFactor: number): PlanJobRequest {
    const { submission, workflow, excludedTypes } = input;
    const isExploring = this.mayExplore(submission);
    return {
      workflow,
      planner: input.planner,
      library: this.settings.library,
      availability: this.availability(submission),
      constraints: submission.constraints,
      excludedTypes,
      notes: input.notes,
      question: submission.description ?? null,
      // Bounds are held by what is seen in the end, not by what profiles add up to.
      slo: submission.slo,
      latencyFactor,
      objective: submission.objective ?? null,
      inputSizes: input.inputSizes,
      ...load,
      dispatchMs: DISPATCH_MS,
      knowledge: {
        executor: this.parts.profiles.executor,
        quality: this.parts.profiles.quality(workflowSignature(workflow), isExploring),
      },
      isExploring,
      rates: this.settings.rates,
      mustExplain: input.mustExplain,
    };
  }

  /** P1. */
  private checkOthers(
    input: PlanningInput,
    plan: JobPlan,
    { active, cores }: { readonly active: readonly ActiveJob[]; readonly cores: number },
  ): PlanDecision {
    const accepted: PlanDecision = { kind: "accepted", plan };
    const { predicted } = plan;
    if (predicted === undefined || active.length === 0) return accepted;
    const { slo } = input.submission;
    const job = { dueInMs: slo.latencyMsMax ?? DUE_MS_DEFAULT, workMs: predicted.coreSec * 1_000 };
    const harmlessMs = earliestHarmlessDueMs(job, active, cores);
    if (harmlessMs === job.dueInMs || slo.latencyMsMax === undefined) return accepted;
    const queueMs = waitMsFor(harmlessMs ?? DUE_MS_DEFAULT, active, cores);
    const extraMs = Math.max(0, queueMs - predicted.queueMs);
    const factors = this.calibration.factors();
    const latencyMs = {
      p50: predicted.latencyMs.p50 + extraMs * factors.p50,
      p95: predicted.latencyMs.p95 + extraMs * factors.p95,
    };
    const offered: Slo = {
      ...slo,
      latencyMsMax: Math.ceil(Math.max(harmlessMs ?? 0, latencyMs.p95) * OFFER_SLACK),
    };
    const offer: CounterOffer = {
      axis: "latency",
      slo: offered,
      sloText: formatSlo(offered),
      prediction: { ...predicted, latencyMs, queueMs },
    };
    return {
      kind: "counter-offer",
      message: `with ${formatSlo(slo)} jobs that were accepted before would be late: ${active.length} are running or waiting`,
      offers: [offer],
    };
  }

  private nodesFor({ constraints }: Submission): Omit<Load, "queueMs"> {
    const labels = Object.entries(constraints.labels ?? {});
    const nodes = this.parts.fleet
      .listNodes()
      .filter((it) => !it.isAgentGone)
      .map((it) => it.registration)
      .filter((it) => labels.every(([name, value]) => it.labels[name] === value));
    const groups = new Map<string, NodeRegistration[]>();
    for (const node of nodes) {
      const kind = node.host.kind ?? ANY_NODE_KIND;
      groups.set(kind, [...(groups.get(kind) ?? []), node]);
    }
    const kinds = [...groups].map(([kind, members]): NodeKind => {
      const cores = members.reduce((sum, it) => sum + it.offer.cpus, 0);
      const speed = members.reduce(
        (sum, it) => sum + it.offer.cpus * this.parts.profiles.speedOf(it.node),
        0,
      );
      return {
        kind,
        cores,
        programs: new Set(members.flatMap((it) => Object.keys(it.programs))),
        speedFactor: speed / cores,
      };
    });
    return { kinds, cores: kinds.reduce((sum, it) => sum + it.cores, 0) };
  }
}

/** What the plan was chosen from; null where the record does not have it. */
function planningInputOf(
  { logical, submission, inputSizes }: JobRecord,
  plan: JobPlan,
  mustExplain: boolean,
): PlanningInput | null {
  if (logical === undefined) return null;
  return {
    submission,
    workflow: logical.workflow,
    planner: plan.planner,
    notes: [],
    excludedTypes: new Map(Object.entries(logical.excludedTypes)),
    inputSizes: inputSizes ?? {},
    mustExplain,
  };
}

function progressOf({ plan, done, running }: RechooseInput): JobProgress {
  const sizes = new Map<string, number>();
  for (const { step, outputs } of done) {
    for (const [port, { size, count }] of Object.entries(outputs)) {
      const known = size ?? count;
      if (known !== null) sizes.set(`${step}.${port}`, known);
    }
  }
  const started = new Set([...done, ...running].map((it) => it.step));
  return { plan, started, sizes };
}

/** Until what runs has ended, by its plan, with all cores, ms. */
function runningMs({ plan, running }: RechooseInput, cores: number): number {
  const left = running.map(({ step, itemCount, doneCount }) => {
    const predicted = plan.steps.find((it) => it.step === step)?.predicted?.runMs.p50 ?? 0;
    return predicted * (1 - doneCount / Math.max(1, itemCount));
  });
  const workMs = left.reduce((sum, it) => sum + it, 0);
  return workMs / Math.max(1, Math.min(cores, left.length));
}

/** What is told is what is expected to be seen. */
function calibrate(
  decision: PlanDecision,
  factors: { readonly p50: number; readonly p95: number },
): PlanDecision {
  if (decision.kind === "rejected") return decision;
  const onPrediction = (it: Prediction): Prediction => {
    const p50 = it.latencyMs.p50 * factors.p50;
    const p95 = Math.max(p50, it.latencyMs.p95 * factors.p95);
    const { p50: expected, p95: bound } = factors;
    return { ...it, latencyMs: { p50, p95 }, latencyFactors: { p50: expected, p95: bound } };
  };
  if (decision.kind === "accepted") {
    const { plan } = decision;
    const { predicted } = plan;
    if (predicted === undefined) return decision;
    return { kind: "accepted", plan: { ...plan, predicted: onPrediction(predicted) } };
  }
  return {
    ...decision,
    offers: decision.offers.map((offer) => ({
      ...offer,
      prediction: onPrediction(offer.prediction),
    })),
  };
}
