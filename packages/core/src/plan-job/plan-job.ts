/**
 * From a logical workflow and a job's SLOs to the plan that keeps all of them at the least cost
 * (or energy, …), to the nearest SLOs that could be kept, or to the reason why none can.
 *
 * Owns:      the order: what can run, which paths, which cases, what the tiers mean, the choice.
 * Does not:  know where profiles come from (knowledge.ts) or what else the fleet does (`queueMs`).
 *
 * Invariants:
 *   L1. An accepted plan keeps every bound of the SLO by its own prediction's bound.
 *   L2. The same request gives the same decision.
 *   L3. Nothing is promised of what nothing is known of: the plan then says so in its notes.
 */
import type {
  CounterOffer,
  JobPlan,
  Library,
  Objective,
  PlanExplanation,
  Slo,
  SloTier,
} from "@murakkab/model";
import type { Rates } from "../accounting.ts";
import { groupCapabilities } from "../capability.ts";
import { type ChooseRequest, chooseExecutors } from "../choose.ts";
import { compareLevels, evaluateChoice } from "../optimize/evaluate.ts";
import type { ChoiceLimits, SolvedChoice } from "../optimize/problem.ts";
import { solveCases, solveChoice } from "../optimize/solve.ts";
import { configurationKey, pathKey } from "../profile/configuration.ts";
import { CaseBuilder, type CaseContext, type PlanCase, type SkeletonPath } from "./cases.ts";
import { configuredPlan, planPaths } from "./configured-plan.ts";
import { explainPlan } from "./explain-plan.ts";
import type { Knowledge } from "./knowledge.ts";
import { materialize } from "./materialize.ts";
import { makeOffers } from "./offers.ts";
import { predictPlan } from "./predict-plan.ts";
import { classifyQuestion, questionClassesOf } from "./question-class.ts";
import { type InputSize, inputSizes } from "./sizes.ts";
import { type NodeKind, optionIdOf } from "./step-options.ts";
import { latencyTiers, qualityTiers, type TierScale } from "./tiers.ts";

export interface PlanJobRequest extends ChooseRequest {
  readonly library: Library;
  readonly question: string | null;
  readonly slo: Slo;
  readonly objective: Objective | null;
  /** By the name that the workflow has for the input. */
  readonly inputSizes: Readonly<Record<string, InputSize>>;
  readonly kinds: readonly NodeKind[];
  /** Cores that the job's nodes offer together. */
  readonly cores: number;
  /** Wait at the present load, ms. */
  readonly queueMs: number;
  readonly dispatchMs: number;
  /**
   * What jobs take over the bound of their predictions: bounds on latency are held with it, and
   * offers have it in them. Default 1.
   */
  readonly latencyFactor?: number;
  readonly knowledge: Knowledge;
  readonly rates: Rates;
  /** Also say why not the others; costs some hundred solves. */
  readonly mustExplain: boolean;
  /** Chosen by what may be true (`knowledge.quality.promise` is the mean): the plan says so. */
  readonly isExploring?: boolean;
}

export type PlanDecision =
  | { readonly kind: "accepted"; readonly plan: JobPlan }
  | {
      readonly kind: "counter-offer";
      readonly message: string;
      readonly offers: readonly CounterOffer[];
    }
  | { readonly kind: "rejected"; readonly message: string; readonly binding: string };

/** What a job gets that says nothing of quality, and how that gives way to its bounds. */
const QUALITY_FLOORS: readonly SloTier[] = ["good", "fair", "basic"];
/** Paths whose configurations are composed, not only taken as they were visited. */
const COMPOSED_PATHS_MAX = 6;
/** Options looked at for one case: some tens of ms at most; what is reached is told by the gap. */
const NODES_MAX = 200_000;
/** Of a job with bounds and no objective. */
const OBJECTIVE_DEFAULT: Objective = "cost";

/**
 * `base`: the workflow with the library's defaults, where the caller has it already.
 * Errors: as `chooseExecutors`.
 */
export function planJob(
  request: PlanJobRequest,
  base: JobPlan = chooseExecutors(request),
): PlanDecision {
  if (request.constraints.configuration !== undefined) {
    return { kind: "accepted", plan: predictPlan(configuredPlan(request, base), request) };
  }
  if (Object.keys(request.slo).length === 0 && request.objective === null) {
    return { kind: "accepted", plan: predictPlan(base, request) };
  }
  return new JobPlanner(request, base).decide();
}

/**
 * Why a plan that was made before is what it is, by what is known now; null where the plan can't be
 * found among today's choices (the library or the profiles changed).
 */
export function explainJobPlan(request: PlanJobRequest, plan: JobPlan): PlanExplanation | null {
  return new JobPlanner(request, chooseExecutors(request)).explainGiven(plan);
}

/** Of a job that runs: what can't be chosen any more, and what is left to choose with. */
export interface JobProgress {
  readonly plan: JobPlan;
  /** Steps that have started, ended ones too. */
  readonly started: ReadonlySet<string>;
  /** Sizes of the values that are there, by `step.port`. */
  readonly sizes: ReadonlyMap<string, number>;
}

export class JobPlanner {
  private readonly request: PlanJobRequest;
  private readonly base: JobPlan;
  private readonly progress: JobProgress | null;
  readonly context: CaseContext;
  private readonly builder: CaseBuilder;

  constructor(request: PlanJobRequest, base: JobPlan, progress: JobProgress | null = null) {
    this.request = request;
    this.base = base;
    this.progress = progress;
    const capabilities = groupCapabilities(request.library);
    const classes = base.steps.flatMap((step) =>
      questionClassesOf(capabilities.get(step.capability)?.executors ?? []),
    );
    const { knowledge, rates, kinds, cores, queueMs, dispatchMs, availability, constraints } =
      request;
    this.context = {
      ...{
        capabilities,
        availability,
        constraints,
        kinds,
        knowledge,
        rates,
        cores,
        queueMs,
        dispatchMs,
      },
      questionClass: classifyQuestion(request.question ?? "", classes),
      sizes: new Map([...inputSizes(request.inputSizes), ...(progress?.sizes ?? [])]),
      limits: {},
      objective: request.objective ?? OBJECTIVE_DEFAULT,
    };
    this.builder = new CaseBuilder(this.skeletons(), this.context);
  }

  decide(): PlanDecision {
    const { slo, knowledge } = this.request;
    if (slo.qualityMin !== undefined && knowledge.quality === null) {
      return {
        kind: "rejected",
        binding: "quality",
        message: `no quality can be promised of workflow "${this.base.workflow}": it was never measured; measure it with: murakkab profile ${this.base.workflow} --dataset FILE`,
      };
    }
    if (!this.builder.hasCases()) return this.unpredicted();
    const wanted = this.resolveTiers(slo);
    for (const floor of this.floors(wanted)) {
      const floored = floor === null ? wanted : { ...wanted, qualityMin: floor.value };
      const solved = this.solve(floored);
      if (solved === null) continue;
      return { kind: "accepted", plan: this.finish(solved, wanted, floor) };
    }
    return makeOffers({
      cases: this.withLimits(wanted),
      context: this.context,
      slo: wanted,
      latencyFactor: this.request.latencyFactor ?? 1,
      workflow: this.base.workflow,
    });
  }

  explainGiven(plan: JobPlan): PlanExplanation | null {
    const key = pathKey(plan);
    const wanted = new Map(plan.steps.map((it) => [it.step, optionIdOf(it)]));
    const configuration = configurationKey(plan);
    const found = this.casesFor({}, [key])
      .filter((it) => it.path.pathKey === key)
      .map((planCase) => ({
        planCase,
        ids: planCase.path.skeleton.steps.map((it) => wanted.get(it.step) ?? ""),
      }))
      .filter(({ planCase, ids }) =>
        ids.every((id, index) => planCase.options[index]?.some((it) => it.id === id)),
      )
      .sort((a, b) => rankOf(a.planCase, configuration) - rankOf(b.planCase, configuration))[0];
    if (found === undefined) return null;
    const slo = plan.explanation?.slo ?? this.resolveTiers(this.request.slo);
    const { planCase, ids } = found;
    const totals = evaluateChoice(planCase.problem, ids);
    const choice = {
      kind: "solved",
      optionIds: ids,
      totals,
      gapRatio: plan.explanation?.gapRatio ?? 0,
      nodeCount: 0,
    } as const;
    return this.explain({ planCase, choice, slo, plan });
  }

  private skeletons(): readonly SkeletonPath[] {
    return planPaths(this.request).flatMap(({ path, plan }) => {
      const whole = { path, skeleton: plan, pathKey: pathKey(plan) };
      return this.progress === null ? [whole] : restrict(whole, this.progress);
    });
  }

  private floors(wanted: Slo): readonly ({ tier: SloTier; value: number } | null)[] {
    if (wanted.qualityMin !== undefined || this.context.objective === "quality") return [null];
    const scale = this.qualityScale();
    if (scale === null) return [null];
    return [...QUALITY_FLOORS.map((tier) => ({ tier, value: scale[tier] })), null];
  }

  private qualityScale(): TierScale | null {
    return qualityTiers(this.builder.visitedQualities());
  }

  /** Tiers stay beside the numbers that they come to: both are shown. */
  private resolveTiers(slo: Slo): Slo {
    const { qualityTier, latencyTier } = slo;
    const quality = qualityTier === undefined ? null : this.qualityScale();
    const latency = latencyTier === undefined ? null : latencyTiers(this.withLimits({}));
    return {
      ...slo,
      ...(qualityTier === undefined || quality === null
        ? {}
        : { qualityMin: quality[qualityTier] }),
      ...(latencyTier === undefined || latency === null
        ? {}
        : { latencyMsMax: latency[latencyTier] * (this.request.latencyFactor ?? 1) }),
    };
  }

  /**
   * Cases that may keep the quality of `slo`: all visited configurations, and the composed ones of
   * the paths that matter.
   */
  private casesFor(slo: Slo, pathKeys: readonly string[]): readonly PlanCase[] {
    const { logLossMax = Number.POSITIVE_INFINITY } = this.limitsOf(slo);
    return [
      ...this.builder.visitedCases(logLossMax),
      ...this.builder.composedCases(pathKeys, logLossMax),
    ];
  }

  /** Of the paths that matter, whatever they lose, with the limits of `slo`. */
  withLimits(slo: Slo): readonly PlanCase[] {
    const pathKeys = this.builder.pathKeys().slice(0, COMPOSED_PATHS_MAX);
    return this.limited(this.casesFor({}, pathKeys), slo);
  }

  private limitsOf(slo: Slo): ChoiceLimits {
    return toLimits(slo, this.request.latencyFactor ?? 1);
  }

  private limited(cases: readonly PlanCase[], slo: Slo): readonly PlanCase[] {
    const limits = this.limitsOf(slo);
    return cases.map((it) => ({ ...it, problem: { ...it.problem, limits } }));
  }

  /**
   * The best over all visited configurations, then over what can be composed on the paths of the
   * best of them and on the whole workflow. A composed configuration that was visited counts by
   * what was measured of it: those are banned from composed cases.
   */
  solve(slo: Slo): { planCase: PlanCase; choice: SolvedChoice } | null {
    const { logLossMax = Number.POSITIVE_INFINITY } = this.limitsOf(slo);
    const visited = this.limited(this.builder.visitedCases(logLossMax), slo).flatMap((planCase) => {
      const choice = solveChoice(planCase.problem, { isReasonWanted: false });
      return choice.kind === "solved" ? [{ planCase, choice }] : [];
    });
    visited.sort((a, b) => compareLevels(a.choice.totals.levels, b.choice.totals.levels));
    const [best = null] = visited;
    const promising = [
      ...visited.map((it) => it.planCase.path.pathKey),
      ...this.builder.pathKeys(),
    ];
    const pathKeys = [...new Set(promising)].slice(0, COMPOSED_PATHS_MAX);
    const composed = this.limited(this.builder.composedCases(pathKeys, logLossMax), slo);
    const problems = composed.map(({ problem, isBanned }) =>
      isBanned === null ? problem : { ...problem, isBanned },
    );
    const found = solveCases(problems, {
      nodesMax: NODES_MAX,
      isReasonWanted: false,
      ...(best === null ? {} : { cutoff: best.choice.totals.levels }),
    }).best;
    const planCase = found === null ? undefined : composed[found.index];
    return found === null || planCase === undefined ? best : { planCase, choice: found.choice };
  }

  private finish(
    { planCase, choice }: { planCase: PlanCase; choice: SolvedChoice },
    slo: Slo,
    floor: { readonly tier: SloTier; readonly value: number } | null,
  ): JobPlan {
    const made = materialize(planCase, choice.optionIds, this.context, choice.totals);
    const plan = { ...made.plan, ...this.identity() };
    const notes = [...plan.notes, ...this.notesOf(plan, planCase, floor)];
    const explanation = this.explain({ planCase, choice, slo, plan });
    return { ...plan, notes: [...new Set(notes)], explanation };
  }

  /** What beliefs are kept under, whatever of the workflow is run. */
  private identity(): Pick<JobPlan, "workflowSignature" | "questionClass"> {
    const { workflowSignature, questionClass } = this.base;
    return {
      ...(workflowSignature === undefined ? {} : { workflowSignature }),
      ...(questionClass === undefined ? {} : { questionClass }),
    };
  }

  private explain(parts: {
    readonly planCase: PlanCase;
    readonly choice: SolvedChoice;
    readonly slo: Slo;
    readonly plan: JobPlan;
  }): PlanExplanation {
    const { choice, slo, plan, planCase } = parts;
    const { context, request } = this;
    const cases = request.mustExplain ? this.withLimits(slo) : [planCase];
    const why = request.mustExplain
      ? explainPlan({ ...parts, cases, context, latencyFactor: request.latencyFactor ?? 1 })
      : { rejected: [], frontier: [] };
    return {
      objective: context.objective,
      slo,
      configurationCount: cases.reduce(
        (sum, it) => sum + it.options.reduce((product, options) => product * options.length, 1),
        0,
      ),
      gapRatio: choice.gapRatio,
      questionClass: context.questionClass,
      configuration: planCase.visited?.key ?? configurationKey(plan),
      ...why,
    };
  }

  private notesOf(
    plan: JobPlan,
    planCase: PlanCase,
    floor: { readonly tier: SloTier; readonly value: number } | null,
  ): string[] {
    const { path } = planCase.path;
    const notes: string[] = [];
    const left = this.base.steps.filter((it) => !plan.steps.some((step) => step.step === it.step));
    if (path.leftOut.length > 0 && left.length > 0) {
      const names = left.map((it) => it.step).join(" and ");
      notes.push(
        `${names} ${left.length === 1 ? "is" : "are"} left out: questions of the kind "${this.context.questionClass}" are answered as well without (quality ${qualityText(plan)})`,
      );
    }
    for (const stage of plan.stages ?? []) {
      notes.push(
        `${stage.deferred.join(", ")} run only if the draft is less sure than ${stage.atLeast}`,
      );
    }
    const { slo, isExploring, knowledge } = this.request;
    if (slo.qualityTier !== undefined && knowledge.quality === null) {
      notes.push(
        `tier ${slo.qualityTier} says nothing here: the quality of this workflow was never measured, and the library's reference runs`,
      );
    }
    if (isExploring === true) {
      notes.push(
        "exploring: chosen by what quality is expected, not by what is sure, as policy lets a share of jobs",
      );
    }
    const isBounded = Object.keys(slo).length > 0;
    if (
      floor === null &&
      isBounded &&
      slo.qualityMin === undefined &&
      slo.qualityTier === undefined &&
      plan.predicted?.quality != null
    ) {
      notes.push(`the bounds leave room only for quality ${qualityText(plan)}`);
    } else if (floor !== null && floor.tier !== "good") {
      notes.push(`within the bounds quality of tier ${floor.tier} is the best that can be had`);
    }
    return notes;
  }

  /** L3. */
  private unpredicted(): PlanDecision {
    const why =
      this.builder.unknown.size === 0
        ? "no profile fits this workflow"
        : `no profile of ${[...this.builder.unknown].sort().join(", ")} is known yet`;
    const note = `the SLO is not promised: ${why}; the library's defaults run, and the receipt tells whether it held`;
    return { kind: "accepted", plan: { ...this.base, notes: [...this.base.notes, note] } };
  }
}

/** The part of a path that is open; none where something runs that the path does not have. */
function restrict(
  { path, skeleton, pathKey: key }: SkeletonPath,
  { plan, started }: JobProgress,
): SkeletonPath[] {
  const running = plan.steps.filter((it) => started.has(it.step));
  const hasAll = running.every((it) => skeleton.steps.some((step) => step.step === it.step));
  if (!hasAll) return [];
  const steps = skeleton.steps.map((it) => {
    const planned = plan.steps.find((step) => step.step === it.step);
    if (planned === undefined || started.has(it.step)) return planned ?? it;
    // What it would be with now is one of the choices.
    return planned.batchItems === undefined ? it : { ...it, batchItems: planned.batchItems };
  });
  const open = steps.filter((it) => !started.has(it.step));
  if (open.length === 0) return [];
  return [
    { path, pathKey: key, skeleton: { ...skeleton, steps: open }, whole: { ...skeleton, steps } },
  ];
}

/** The case of the visited configuration itself first. */
function rankOf({ visited }: PlanCase, configuration: string): number {
  return visited?.key === configuration ? 0 : 1;
}

function qualityText({ predicted }: JobPlan): string {
  const quality = predicted?.quality;
  if (quality === null || quality === undefined) return "unknown";
  return `${quality.mean.toFixed(2)}, ${quality.low.toFixed(2)} to ${quality.high.toFixed(2)}`;
}

/** Slack for values that went through a logarithm and back. */
const ROUNDING = 1e-9;

function toLimits(slo: Slo, latencyFactor: number): ChoiceLimits {
  return {
    ...(slo.latencyMsMax === undefined ? {} : { latencyMsMax: slo.latencyMsMax / latencyFactor }),
    ...(slo.costUsdMax === undefined ? {} : { costUsdMax: slo.costUsdMax }),
    ...(slo.energyWhMax === undefined ? {} : { energyWhMax: slo.energyWhMax }),
    ...(slo.qualityMin === undefined
      ? {}
      : { logLossMax: -Math.log(Math.max(slo.qualityMin, 1e-9)) + ROUNDING }),
  };
}
