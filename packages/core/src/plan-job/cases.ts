/**
 * From the paths of a workflow to choice problems.
 *
 * A *case* fixes a path and the sizes of the values that decide how much later steps have to do
 * (how many frames): within it, the options of its steps can be chosen independently. A visited
 * configuration is a case of its own, with the quality that was measured of it instead of a
 * composed one.
 *
 * Invariants:
 *   S1. Every whole configuration that keeps enough of its path's quality lies in exactly one
 *       composed case of its path, or is visited.
 *   S2. All options of a step in a case lead to at most the sizes of that case.
 */
import type { JobPlan, Objective, PlannedStep, WorkflowStep } from "@murakkab/model";
import type { ChoiceProblem, Scenario, StepOptions } from "../optimize/problem.ts";
import { labelSteps, optionKey } from "../profile/configuration.ts";
import type { StepOption } from "./estimate.ts";
import type { VisitedConfiguration } from "./knowledge.ts";
import type { PlanPath } from "./paths.ts";
import { baseLoss, type LossScale, lossScale, optionLoss } from "./quality-bound.ts";
import { outputSizes, sourceName, type ValueSizes } from "./sizes.ts";
import { type KeyedOption, type OptionContext, StepOptionSource } from "./step-options.ts";

export interface SkeletonPath {
  readonly path: PlanPath;
  /** Steps that are to be chosen, with default executors and knobs. */
  readonly skeleton: JobPlan;
  readonly pathKey: string;
  /** With the steps that have started, as they run; absent before a job runs: the skeleton. */
  readonly whole?: JobPlan;
}

export interface CaseContext extends OptionContext {
  readonly sizes: ValueSizes;
  readonly questionClass: string;
  readonly queueMs: number;
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

/** Different sizes that one step may lead to within a path; more are merged upwards. */
const SIZES_PER_STEP_MAX = 6;
/** Combinations of sizes of one path: two steps' worth. */
const CASES_PER_PATH_MAX = SIZES_PER_STEP_MAX ** 2;
/** Chance that a staged draft is sure where none was ever run: as good as a coin. */
const SURE_RATIO_PRIOR = 0.5;
/** An option that may keep less than half of the quality is none, whatever it saves. */
const OPTION_LOSS_MAX = Math.LN2;

interface Losses {
  /** By option key; null: not wanted. */
  readonly lossOf: (optionKey: string) => number | null;
  /** Where none is wanted. */
  readonly fallback?: (optionKey: string) => number | null;
}

interface Partial {
  readonly sizes: ValueSizes;
  readonly options: readonly (readonly KeyedOption[])[];
}

export class CaseBuilder {
  private readonly context: CaseContext;
  private readonly paths: readonly SkeletonPath[];
  private readonly source: StepOptionSource;
  private readonly built = new Map<string, readonly PlanCase[]>();
  private readonly builtVisited = new Map<string, PlanCase | null>();

  constructor(paths: readonly SkeletonPath[], context: CaseContext) {
    this.paths = paths;
    this.context = context;
    this.source = new StepOptionSource(context);
  }

  /** Executors of which nothing is known, as far as was looked. */
  get unknown(): ReadonlySet<string> {
    return this.source.unknown;
  }

  /** Of visited configurations that lose no more than this. */
  visitedCases(lossMax: number): readonly PlanCase[] {
    return this.paths.flatMap((path) => this.visitedOf(path, lossMax));
  }

  /** Of these paths, in their order, as far as the path as such loses no more than this. */
  composedCases(pathKeys: readonly string[], lossMax: number): readonly PlanCase[] {
    return pathKeys.flatMap((key) => {
      const path = this.paths.find((it) => it.pathKey === key);
      return path === undefined ? [] : this.composedOf(path, lossMax);
    });
  }

  /** The whole workflow first, then those that lose least as such. */
  pathKeys(): readonly string[] {
    const { quality } = this.context.knowledge;
    const low = ({ pathKey }: SkeletonPath): number =>
      quality?.pathBase(pathKey, this.context.questionClass)?.low ?? 0;
    const [whole, ...others] = this.paths;
    const sorted = [...others].sort((x, y) => low(y) - low(x) || (x.pathKey < y.pathKey ? -1 : 1));
    return (whole === undefined ? sorted : [whole, ...sorted]).map((it) => it.pathKey);
  }

  /** Whether anything at all is known that can run here. */
  hasCases(): boolean {
    return this.paths.some(
      (path) =>
        this.visited(path).length > 0 || this.composedOf(path, Number.POSITIVE_INFINITY).length > 0,
    );
  }

  /** Promised quality of every configuration that was visited and can run here. */
  visitedQualities(): readonly number[] {
    return this.paths.flatMap((path) => this.visited(path).map((it) => this.promised(it)));
  }

  // ---- visited -------------------------------------------------------------------------------

  private visited(path: SkeletonPath): readonly VisitedConfiguration[] {
    const { knowledge, questionClass } = this.context;
    const fixed = fixedOptions(path);
    return (knowledge.quality?.visited(questionClass) ?? []).filter(
      (it) =>
        it.pathKey === path.pathKey &&
        !it.isDemoted &&
        fixed.every(({ label, key }) => it.options.get(label) === key) &&
        this.visitedCase(path, it) !== null,
    );
  }

  private promised({ quality }: VisitedConfiguration): number {
    return this.context.knowledge.quality?.promise === "mean" ? quality.mean : quality.low;
  }

  private visitedOf(path: SkeletonPath, lossMax: number): PlanCase[] {
    return this.visited(path).flatMap((it) => {
      const loss = -Math.log(Math.max(this.promised(it), 1e-9));
      const found = loss > lossMax ? null : this.visitedCase(path, it);
      return found === null ? [] : [found];
    });
  }

  /** Null where an option is not available, or a constraint forbids it. */
  private visitedCase(path: SkeletonPath, visited: VisitedConfiguration): PlanCase | null {
    const known = this.builtVisited.get(visited.key);
    if (known !== undefined) return known;
    const labels = labelSteps(path.whole ?? path.skeleton);
    let partials: Partial[] = [{ sizes: this.context.sizes, options: [] }];
    for (const planned of path.skeleton.steps) {
      const wanted = visited.options.get(labels.get(planned.step) ?? planned.step);
      partials = this.extend(path, planned, partials, {
        lossOf: (key) => (key === wanted ? 0 : null),
      });
    }
    const [partial] = partials;
    const loss = -Math.log(Math.max(this.promised(visited), 1e-9));
    const made =
      partial === undefined
        ? null
        : { ...this.caseOf(path, partial, loss), visited, isBanned: null };
    this.builtVisited.set(visited.key, made);
    return made;
  }

  // ---- composed ------------------------------------------------------------------------------

  private composedOf(path: SkeletonPath, lossMax: number): readonly PlanCase[] {
    const { quality } = this.context.knowledge;
    const isWhole = path.path.leftOut.length === 0 && path.path.stages.length === 0;
    // A path whose quality nobody knows can be promised by nobody: only the workflow as it was
    // given is taken on trust.
    const base = quality?.pathBase(path.pathKey, this.context.questionClass) ?? null;
    if (base === null) return quality === null && isWhole ? this.compose(path, 0, null) : [];
    const level = quality === null || quality.promise === "mean" ? null : quality.level;
    const scale = lossScale(base, level);
    const fixed = fixedOptions(path);
    const lost = fixed.reduce((sum, it) => sum + this.lossOf(it.label, it.key, scale), 0);
    const loss = baseLoss(base, scale) + lost;
    return loss > lossMax ? [] : this.compose(path, loss, scale);
  }

  private compose(path: SkeletonPath, loss: number, scale: LossScale | null): readonly PlanCase[] {
    const known = this.built.get(path.pathKey);
    if (known !== undefined) return known;
    const labels = labelSteps(path.whole ?? path.skeleton);
    let partials: Partial[] = [{ sizes: this.context.sizes, options: [] }];
    for (const planned of path.skeleton.steps) {
      const label = labels.get(planned.step) ?? planned.step;
      const lossOf = (key: string): number | null => this.lossWithin(label, key, scale);
      const fallback = (key: string): number | null => this.lossOf(label, key, scale);
      partials = this.extend(path, planned, partials, { lossOf, fallback });
    }
    const names = path.skeleton.steps.map((it) => labels.get(it.step) ?? it.step);
    const visited = this.visitedKeys(path);
    const made = partials.map((it): PlanCase => {
      const keys = it.options.map((options) => new Map(options.map(({ id, key }) => [id, key])));
      // S1: what was measured itself is judged by that.
      const isBanned = (ids: readonly string[]): boolean =>
        visited.some((options) =>
          names.every((name, index) => options.get(name) === keys[index]?.get(ids[index] ?? "")),
        );
      return { ...this.caseOf(path, it, loss), isBanned: visited.length === 0 ? null : isBanned };
    });
    this.built.set(path.pathKey, made);
    return made;
  }

  /** Demoted ones, too: they are not to come back by composition. */
  private visitedKeys(path: SkeletonPath): readonly ReadonlyMap<string, string>[] {
    const { knowledge, questionClass } = this.context;
    return (knowledge.quality?.visited(questionClass) ?? [])
      .filter((it) => it.pathKey === path.pathKey)
      .map((it) => it.options);
  }

  /** Null for what may keep less than half. */
  private lossWithin(label: string, key: string, scale: LossScale | null): number | null {
    const loss = this.lossOf(label, key, scale);
    return loss <= OPTION_LOSS_MAX ? loss : null;
  }

  private lossOf(label: string, key: string, scale: LossScale | null): number {
    if (scale === null) return 0;
    const { knowledge, questionClass } = this.context;
    const kept = knowledge.quality?.retention(label, key, questionClass);
    return kept === undefined ? 0 : optionLoss(kept, scale);
  }

  // ---- both ----------------------------------------------------------------------------------

  /** One step more: options that lead to other sizes go into cases of their own (S2). */
  private extend(
    path: SkeletonPath,
    planned: PlannedStep,
    partials: readonly Partial[],
    { lossOf, fallback }: Losses,
  ): Partial[] {
    const step = path.path.workflow.steps.find((it) => it.id === planned.step);
    const matters = mattersLater(path.skeleton, planned.step, this.context);
    return partials
      .flatMap(({ sizes, options: before }) => {
        const some = this.lossy(planned, step, sizes, lossOf);
        const options =
          some.length > 0 || fallback === undefined
            ? some
            : this.lossy(planned, step, sizes, fallback);
        if (options.length === 0) return [];
        return groupBySizes(planned, options, matters).map((group) => ({
          sizes: new Map([...sizes, ...group.sizes]),
          options: [...before, group.options],
        }));
      })
      .slice(0, CASES_PER_PATH_MAX);
  }

  /** Options with what they lose on this path. */
  private lossy(
    planned: PlannedStep,
    step: WorkflowStep | undefined,
    sizes: ValueSizes,
    lossOf: Losses["lossOf"],
  ): readonly KeyedOption[] {
    const losses = new Map<string, number>();
    const isWanted = (key: string): boolean => {
      const loss = lossOf(key);
      if (loss !== null) losses.set(key, loss);
      return loss !== null;
    };
    return this.source.optionsOf(planned, step, { sizes, isWanted }).map((it) => {
      const logLoss = losses.get(it.key) ?? 0;
      return logLoss === 0 ? it : { ...it, point: { ...it.point, logLoss } };
    });
  }

  private caseOf(
    path: SkeletonPath,
    { options }: Partial,
    baseLogLoss: number,
  ): Omit<PlanCase, "isBanned"> {
    const { cores, queueMs, limits, objective } = this.context;
    const { scenarios, probabilityOf } = this.scenariosOf(path);
    const steps: StepOptions[] = path.skeleton.steps.map((planned, index) => ({
      step: planned.step,
      after: sourceSteps(path.skeleton, planned.step),
      probability: probabilityOf(planned.step),
      options: (options[index] ?? []).map((it) => it.point),
    }));
    const problem = { steps, scenarios, cores, queueMs, baseLogLoss, limits, objective };
    return { path, options, problem, visited: null };
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
  readonly key: string;
}[] {
  if (whole === undefined) return [];
  const open = new Set(skeleton.steps.map((it) => it.step));
  const labels = labelSteps(whole);
  return whole.steps
    .filter((it) => !open.has(it.step))
    .map((it) => ({ label: labels.get(it.step) ?? it.step, key: optionKey(it) }));
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
  { capabilities }: OptionContext,
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

interface SizeGroup {
  readonly sizes: Map<string, number>;
  readonly options: readonly KeyedOption[];
}

function groupBySizes(
  planned: PlannedStep,
  options: readonly KeyedOption[],
  matters: ReadonlySet<string>,
): readonly SizeGroup[] {
  const [first] = options;
  if (matters.size === 0 && first !== undefined) {
    // Nobody asks how large its outputs are: one group will do.
    return [{ sizes: outputSizes(planned, first.profile, first.shape), options }];
  }
  const groups = new Map<string, { sizes: Map<string, number>; options: KeyedOption[] }>();
  for (const option of options) {
    const sizes = outputSizes(planned, option.profile, option.shape);
    const key = [...sizes]
      .map(([name, size]) => (matters.has(name) ? roundSize(size) : ""))
      .join(" ");
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { sizes, options: [option] });
      continue;
    }
    group.options.push(option);
    for (const [name, size] of sizes) {
      group.sizes.set(name, Math.max(size, group.sizes.get(name) ?? 0));
    }
  }
  return mergeGroups([...groups.values()]);
}

/** Items exactly, larger sizes to about a tenth: what differs less costs alike. */
function roundSize(size: number): string {
  if (size < 64) return String(Math.round(size));
  return String(Math.round(Math.log(size) / Math.log(1.1)));
}

/** The smallest groups' sizes are raised to the next until few enough are left (S2 upwards). */
function mergeGroups(groups: readonly SizeGroup[]): readonly SizeGroup[] {
  const total = ({ sizes }: SizeGroup): number =>
    [...sizes.values()].reduce((sum, it) => sum + it, 0);
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
