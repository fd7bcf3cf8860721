/**
 * From the paths of a workflow to choice problems.
 *
 * A *case* fixes a path and the sizes of the values that decide how much later steps have to do
 * (how many frames): within it, the options of its steps can be chosen independently. A visited
 * configuration is a case of its own, with the quality that was measured of it instead of a
 * composed one.
 *
 * Invariants:
 *   S1. Every whole configuration lies in exactly one composed case of its path, or is visited.
 *   S2. All options of a step in a case lead to the sizes of that case.
 */
import { canonicalJson } from "@murakkab/kit";
import type { JobPlan, Objective } from "@murakkab/model";
import type { Rates } from "../accounting.ts";
import { type Availability, availableExecutors, type Capability } from "../capability.ts";
import type { ChoiceProblem, Scenario, StepOptions } from "../optimize/problem.ts";
import { labelSteps, optionKey } from "../profile/configuration.ts";
import { type Candidate, candidatesOf } from "./candidates.ts";
import { type EstimateParts, type StepOption, stepCost, toPoint } from "./estimate.ts";
import type { Knowledge, VisitedConfiguration } from "./knowledge.ts";
import type { PlanPath } from "./paths.ts";
import { baseLoss, lossScale, optionLoss } from "./quality-bound.ts";
import { attemptShape, outputSizes, sourceName, type ValueSizes } from "./sizes.ts";

/** Nodes of one kind: profiles are kept by it. */
export interface NodeKind {
  readonly kind: string;
  readonly cores: number;
  readonly programs: ReadonlySet<string>;
  /** How much longer things take there now than profiled. */
  readonly speedFactor: number;
}

export interface SkeletonPath {
  readonly path: PlanPath;
  /** Steps that are to be chosen, with default executors and knobs. */
  readonly skeleton: JobPlan;
  readonly pathKey: string;
  /** With the steps that have started, as they run; absent before a job runs: the skeleton. */
  readonly whole?: JobPlan;
}

export interface CaseContext {
  readonly capabilities: ReadonlyMap<string, Capability>;
  readonly availability: Availability;
  readonly constraints: Parameters<typeof candidatesOf>[1]["constraints"];
  readonly kinds: readonly NodeKind[];
  readonly sizes: ValueSizes;
  readonly knowledge: Knowledge;
  readonly questionClass: string;
  readonly rates: Rates;
  readonly cores: number;
  readonly queueMs: number;
  readonly dispatchMs: number;
  readonly limits: ChoiceProblem["limits"];
  readonly objective: Objective;
}

export interface PlanCase {
  readonly path: SkeletonPath;
  readonly options: readonly (readonly StepOption[])[];
  readonly problem: ChoiceProblem;
  readonly visited: VisitedConfiguration | null;
  /** Of a composed case: whether a choice in it is a visited configuration. */
  readonly isBanned: ((optionIds: readonly string[]) => boolean) | null;
}

export interface Cases {
  readonly cases: readonly PlanCase[];
  /** Executors of which nothing is known. */
  readonly unknown: ReadonlySet<string>;
}

/** Different sizes that one step may lead to within a path; more are merged upwards. */
const SIZES_PER_STEP_MAX = 6;
const CASES_PER_PATH_MAX = 16;
/** A small batch: between one by one and one per core. */
const BATCH_ITEMS_FEW = 4;
/** Chance that a staged draft is sure where none was ever run: as good as a coin. */
const SURE_RATIO_PRIOR = 0.5;

export function buildCases(paths: readonly SkeletonPath[], context: CaseContext): Cases {
  const unknown = new Set<string>();
  const builder = new CaseBuilder(context, unknown);
  const cases = paths.flatMap((path) => builder.casesOf(path));
  return { cases, unknown };
}

/** -ln of what an option of a step keeps of the path's quality, on the safe side. */
type LossOf = (label: string, optionKey: string) => number;

interface Partial {
  readonly sizes: ValueSizes;
  readonly options: readonly (readonly StepOption[])[];
}

class CaseBuilder {
  private readonly context: CaseContext;
  private readonly unknown: Set<string>;
  private readonly candidates = new Map<string, readonly Candidate[]>();

  constructor(context: CaseContext, unknown: Set<string>) {
    this.context = context;
    this.unknown = unknown;
  }

  casesOf(path: SkeletonPath): PlanCase[] {
    const { knowledge, questionClass } = this.context;
    const base = knowledge.quality?.pathBase(path.pathKey, questionClass) ?? null;
    const fixed = fixedOptions(path);
    const visited = (knowledge.quality?.visited(questionClass) ?? []).filter(
      (it) =>
        it.pathKey === path.pathKey &&
        fixed.every(({ label, key }) => it.options.get(label) === key),
    );
    // A path whose quality nobody knows can be promised by nobody: only the workflow as it was
    // given is taken on trust.
    const isWhole = path.path.leftOut.length === 0 && path.path.stages.length === 0;
    if (base === null && visited.length === 0 && !(isWhole && knowledge.quality === null))
      return [];
    const scale = base === null ? null : lossScale(base, knowledge.quality?.level ?? 0.9);
    const lossOf = (label: string, key: string): number =>
      scale === null || knowledge.quality === null
        ? 0
        : optionLoss(knowledge.quality.retention(label, key, questionClass), scale);
    let partials: Partial[] = [{ sizes: this.context.sizes, options: [] }];
    for (const planned of path.skeleton.steps) {
      partials = partials.flatMap((partial) => this.extend(path, planned, partial, lossOf));
      partials = mergeCases(partials);
    }
    const fixedLoss = fixed.reduce((sum, it) => sum + lossOf(it.label, it.key), 0);
    const composedLoss = base === null || scale === null ? 0 : baseLoss(base, scale) + fixedLoss;
    const composed =
      base === null && knowledge.quality !== null
        ? []
        : partials.map((it) => this.composed(path, it, composedLoss, visited));
    const direct = visited
      .filter((it) => !it.isDemoted)
      .flatMap((it) => partials.flatMap((partial) => this.direct(path, partial, it)));
    return [...composed, ...direct];
  }

  private extend(
    path: SkeletonPath,
    planned: JobPlan["steps"][number],
    partial: Partial,
    lossOf: LossOf,
  ): Partial[] {
    const options = this.optionsOf(path, planned, { sizes: partial.sizes, lossOf });
    if (options.length === 0) return [];
    const matters = mattersLater(path.skeleton, planned.step, this.context.capabilities);
    const groups = new Map<string, { sizes: Map<string, number>; options: StepOption[] }>();
    for (const option of options) {
      const sizes = outputSizes({ ...planned, ...batchOf(option) }, option.profile, option.shape);
      const key = [...sizes]
        .map(([name, size]) => (matters.has(name) ? roundSize(size) : ""))
        .join(" ");
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { sizes, options: [option] });
      else {
        group.options.push(option);
        for (const [name, size] of sizes) {
          group.sizes.set(name, Math.max(size, group.sizes.get(name) ?? 0));
        }
      }
    }
    return mergeGroups([...groups.values()]).map((group) => ({
      sizes: new Map([...partial.sizes, ...group.sizes]),
      options: [...partial.options, group.options],
    }));
  }

  private optionsOf(
    path: SkeletonPath,
    planned: JobPlan["steps"][number],
    { sizes, lossOf }: { readonly sizes: ValueSizes; readonly lossOf: LossOf },
  ): StepOption[] {
    const kinds = this.context.kinds;
    const label = labelSteps(path.whole ?? path.skeleton).get(planned.step) ?? planned.step;
    return this.candidatesFor(path, planned).flatMap((candidate) =>
      kinds
        .filter((kind) => candidate.entry.programs.every((name) => kind.programs.has(name)))
        .flatMap((kind) =>
          this.batches(planned, candidate, sizes).map((batch) => ({ kind, batch })),
        )
        .flatMap(({ kind, batch }) => {
          const option = this.makeOption({ planned, candidate, kind, batch, sizes, label, lossOf });
          return option === null ? [] : [option];
        }),
    );
  }

  private candidatesFor(
    path: SkeletonPath,
    planned: JobPlan["steps"][number],
  ): readonly Candidate[] {
    const { capabilities, availability, constraints, knowledge } = this.context;
    const step = path.path.workflow.steps.find((it) => it.id === planned.step);
    const memoKey = `${planned.step} ${planned.capability} ${step?.executor ?? ""} ${canonicalJson(step?.knobs ?? {})}`;
    const known = this.candidates.get(memoKey);
    if (known !== undefined) return known;
    const capability = capabilities.get(planned.capability);
    const executors = capability === undefined ? [] : availableExecutors(capability, availability);
    const all = candidatesOf(planned, { step, executors, constraints });
    // Without any knowledge of quality only the reference is safe: a cheaper knob might ruin it.
    const found = knowledge.quality === null ? all.slice(0, 1) : all;
    this.candidates.set(memoKey, found);
    return found;
  }

  /** Items per attempt that are worth a look: one by one, all at once, one attempt per core. */
  private batches(
    planned: JobPlan["steps"][number],
    { entry }: Candidate,
    sizes: ValueSizes,
  ): readonly (number | null)[] {
    const source = planned.fanOut === undefined ? undefined : planned.inputs[planned.fanOut];
    if (source === undefined || entry.batchMax === undefined) return [null];
    const items = Math.round(sizes.get(sourceName(source)) ?? 0);
    if (items <= 1) return [1];
    const whole = Math.min(items, entry.batchMax);
    const perCore = Math.ceil(items / Math.max(1, Math.floor(this.context.cores)));
    const given = planned.batchItems === undefined ? [] : [planned.batchItems];
    const counts = [whole, perCore, BATCH_ITEMS_FEW, ...given];
    return [...new Set(counts.map((it) => Math.min(it, whole)))];
  }

  private makeOption(it: {
    readonly planned: JobPlan["steps"][number];
    readonly candidate: Candidate;
    readonly kind: NodeKind;
    readonly batch: number | null;
    readonly sizes: ValueSizes;
    readonly label: string;
    readonly lossOf: LossOf;
  }): StepOption | null {
    const { planned, candidate, kind, batch, sizes } = it;
    const { knowledge, rates, dispatchMs, kinds } = this.context;
    const { entry, knobs } = candidate;
    const profile = knowledge.executor(entry, knobs, kind.kind);
    if (profile === null) {
      this.unknown.add(entry.id);
      return null;
    }
    const batchItems = batch === null ? {} : { batchItems: batch };
    const shape = attemptShape({ ...planned, ...batchItems }, entry, sizes);
    const parts: EstimateParts = { rates, speedFactor: kind.speedFactor, dispatchMs };
    const cost = stepCost(entry, profile, shape, parts);
    const key = optionKey({ executor: entry.id, knobs });
    const nodeKind = kinds.length > 1 ? kind.kind : null;
    const id = optionIdOf({
      executor: entry.id,
      knobs,
      ...(batch === null ? {} : { batchItems: batch }),
      ...(nodeKind === null ? {} : { nodeKind }),
    });
    const how = { attempts: shape.attempts, logLoss: it.lossOf(it.label, key), dispatchMs };
    const point = toPoint(id, entry, cost, how);
    return { id, entry, knobs, nodeKind, batchItems: batch, profile, shape, point };
  }

  private composed(
    path: SkeletonPath,
    partial: Partial,
    loss: number,
    visited: readonly VisitedConfiguration[],
  ): PlanCase {
    const labels = labelSteps(path.whole ?? path.skeleton);
    const names = path.skeleton.steps.map((it) => labels.get(it.step) ?? it.step);
    const problem = this.problem(path, partial.options, loss);
    // S1: what was measured itself is judged by that.
    const isBanned = (ids: readonly string[]): boolean =>
      visited.some(({ options }) =>
        names.every((name, index) => options.get(name) === keyPart(ids[index] ?? "")),
      );
    const { options } = partial;
    return {
      path,
      options,
      problem,
      visited: null,
      isBanned: visited.length === 0 ? null : isBanned,
    };
  }

  private direct(path: SkeletonPath, partial: Partial, visited: VisitedConfiguration): PlanCase[] {
    const labels = labelSteps(path.whole ?? path.skeleton);
    const options = path.skeleton.steps.map((planned, index) => {
      const wanted = visited.options.get(labels.get(planned.step) ?? planned.step);
      return (partial.options[index] ?? [])
        .filter((it) => keyPart(it.id) === wanted)
        .map((it) => ({ ...it, point: { ...it.point, logLoss: 0 } }));
    });
    if (options.some((it) => it.length === 0)) return [];
    const loss = -Math.log(Math.max(visited.quality.low, 1e-9));
    const problem = this.problem(path, options, loss);
    return [{ path, options, problem, visited, isBanned: null }];
  }

  private problem(
    path: SkeletonPath,
    options: readonly (readonly StepOption[])[],
    baseLogLoss: number,
  ): ChoiceProblem {
    const { cores, queueMs, limits, objective } = this.context;
    const { scenarios, probabilityOf } = this.scenariosOf(path);
    const steps: StepOptions[] = path.skeleton.steps.map((planned, index) => ({
      step: planned.step,
      after: sourceSteps(path.skeleton, planned.step),
      probability: probabilityOf(planned.step),
      options: (options[index] ?? []).map((it) => it.point),
    }));
    return { steps, scenarios, cores, queueMs, baseLogLoss, limits, objective };
  }

  private scenariosOf({ skeleton, pathKey }: SkeletonPath): {
    readonly scenarios: readonly Scenario[];
    readonly probabilityOf: (step: string) => number;
  } {
    const all = skeleton.steps.map((it) => it.step);
    const stage = skeleton.stages?.[0];
    // After its draft has come out unsure everything runs.
    if (stage === undefined || !all.includes(stage.draft)) {
      return { scenarios: [{ probability: 1, steps: all }], probabilityOf: () => 1 };
    }
    const { knowledge, questionClass } = this.context;
    const sure = knowledge.quality?.sureRatio(pathKey, questionClass) ?? SURE_RATIO_PRIOR;
    const deferred = new Set(stage.deferred);
    return {
      scenarios: [
        { probability: sure, steps: all.filter((it) => !deferred.has(it)) },
        { probability: 1 - sure, steps: all },
      ],
      probabilityOf: (step) => (deferred.has(step) ? 1 - sure : 1),
    };
  }
}

/** What runs already, as profiles name it. */
function fixedOptions({ skeleton, whole }: SkeletonPath): readonly {
  readonly label: string;
  readonly capability: string;
  readonly key: string;
}[] {
  if (whole === undefined) return [];
  const open = new Set(skeleton.steps.map((it) => it.step));
  const labels = labelSteps(whole);
  return whole.steps
    .filter((it) => !open.has(it.step))
    .map((it) => ({
      label: labels.get(it.step) ?? it.step,
      capability: it.capability,
      key: optionKey(it),
    }));
}

function batchOf({ batchItems }: StepOption): { readonly batchItems?: number } {
  return batchItems === null ? {} : { batchItems };
}

/** What tells the options of one step apart. */
export function optionIdOf(
  planned: Pick<JobPlan["steps"][number], "executor" | "knobs" | "batchItems" | "nodeKind">,
): string {
  const { batchItems, nodeKind } = planned;
  const batch = batchItems === undefined ? "" : `/${batchItems}`;
  return `${optionKey(planned)}${batch}${nodeKind === undefined ? "" : `@${nodeKind}`}`;
}

/** The option key in an option's id: batches and nodes change no result. */
function keyPart(id: string): string {
  return id.slice(0, id.lastIndexOf("}") + 1);
}

/** A step runs after those whose values it takes, and a deferred one after its draft. */
export function sourceSteps({ steps, stages }: JobPlan, step: string): readonly string[] {
  const planned = steps.find((it) => it.step === step);
  const sources = Object.values(planned?.inputs ?? {}).flatMap((it) =>
    it.kind === "step" ? [it.step] : [],
  );
  const drafts = (stages ?? []).filter((it) => it.deferred.includes(step)).map((it) => it.draft);
  // What has ended is waited for no more: then it is no step of this plan.
  const open = new Set(steps.map((it) => it.step));
  return [...new Set([...sources, ...drafts])].filter((it) => open.has(it));
}

/** Output values of a step whose size decides how much a later step does. */
function mattersLater(
  { steps }: JobPlan,
  step: string,
  capabilities: ReadonlyMap<string, Capability>,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const later of steps) {
    const executors = capabilities.get(later.capability)?.executors ?? [];
    const drivers = new Set([...executors.flatMap((it) => it.sizedBy ?? []), later.fanOut]);
    for (const [port, source] of Object.entries(later.inputs)) {
      if (source.kind === "step" && source.step === step && drivers.has(port)) {
        names.add(sourceName(source));
      }
    }
  }
  return names;
}

/** Items exactly, larger sizes to about a tenth: what differs less costs alike. */
function roundSize(size: number): string {
  if (size < 64) return String(Math.round(size));
  return String(Math.round(Math.log(size) / Math.log(1.1)));
}

type Group = { readonly sizes: Map<string, number>; readonly options: StepOption[] };

/** The smallest groups' sizes are raised to the next until few enough are left (S2 upwards). */
function mergeGroups(groups: readonly Group[]): readonly Group[] {
  const total = (group: Group): number =>
    [...group.sizes.values()].reduce((sum, it) => sum + it, 0);
  const sorted = [...groups].sort((a, b) => total(a) - total(b));
  while (sorted.length > SIZES_PER_STEP_MAX) {
    const gaps = sorted.slice(1).map((it, index) => total(it) - total(sorted[index] ?? it));
    const at = gaps.indexOf(Math.min(...gaps));
    const [low, high] = [sorted[at], sorted[at + 1]];
    if (low === undefined || high === undefined) break;
    sorted.splice(at, 2, { sizes: high.sizes, options: [...low.options, ...high.options] });
  }
  return sorted;
}

function mergeCases(partials: readonly Partial[]): Partial[] {
  return partials.slice(0, CASES_PER_PATH_MAX);
}
