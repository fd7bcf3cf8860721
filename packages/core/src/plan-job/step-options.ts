/**
 * The options of one step: executor, knobs, kind of node and size of batches, with what each takes.
 *
 * Does not:  know quality: what an option loses depends on the path that it is on (cases.ts).
 *
 * The same step with inputs of the same sizes occurs on many paths of a workflow: it is worked out
 * once.
 */
import { canonicalJson } from "@murakkab/kit";
import type { JobPlan, PlannedStep, WorkflowStep } from "@murakkab/model";
import type { Rates } from "../accounting.ts";
import { type Availability, availableExecutors, type Capability } from "../capability.ts";
import { optionKey } from "../profile/configuration.ts";
import { type Candidate, candidatesOf } from "./candidates.ts";
import { type EstimateParts, type StepOption, stepCost, toPoint } from "./estimate.ts";
import type { Knowledge } from "./knowledge.ts";
import { attemptShape, sourceName, type ValueSizes } from "./sizes.ts";

/** Nodes of one kind: profiles are kept by it. */
export interface NodeKind {
  readonly kind: string;
  readonly cores: number;
  readonly programs: ReadonlySet<string>;
  /** How much longer things take there now than profiled. */
  readonly speedFactor: number;
}

export interface OptionContext {
  readonly capabilities: ReadonlyMap<string, Capability>;
  readonly availability: Availability;
  readonly constraints: Parameters<typeof candidatesOf>[1]["constraints"];
  readonly kinds: readonly NodeKind[];
  readonly knowledge: Knowledge;
  readonly rates: Rates;
  readonly cores: number;
  readonly dispatchMs: number;
}

/** An option of the option key that it belongs to. */
export type KeyedOption = StepOption & { readonly key: string };

/** A small batch: between one by one and one per core. */
const BATCH_ITEMS_FEW = 4;

export class StepOptionSource {
  /** Executors of which nothing is known. */
  readonly unknown = new Set<string>();
  private readonly context: OptionContext;
  private readonly candidates = new Map<string, readonly Candidate[]>();
  private readonly known = new Map<string, readonly KeyedOption[]>();

  constructor(context: OptionContext) {
    this.context = context;
  }

  /** All options, or those of one option key. */
  optionsOf(
    planned: PlannedStep,
    step: WorkflowStep | undefined,
    sizes: ValueSizes,
  ): readonly KeyedOption[] {
    const asked = stepText(planned, step);
    const memoKey = `${asked} ${this.sizesText(planned, sizes)}`;
    const known = this.known.get(memoKey);
    if (known !== undefined) return known;
    const made = this.candidatesFor(asked, planned, step).flatMap((candidate) =>
      this.make(planned, candidate, sizes),
    );
    this.known.set(memoKey, made);
    return made;
  }

  private sizesText(planned: PlannedStep, sizes: ValueSizes): string {
    const executors = this.context.capabilities.get(planned.capability)?.executors ?? [];
    const ports = new Set([...executors.flatMap((it) => it.sizedBy ?? []), planned.fanOut ?? ""]);
    return [...ports]
      .flatMap((port) => {
        const source = planned.inputs[port];
        return source === undefined ? [] : [`${port}=${sizes.get(sourceName(source)) ?? 0}`];
      })
      .join(" ");
  }

  private candidatesFor(
    asked: string,
    planned: PlannedStep,
    step: WorkflowStep | undefined,
  ): readonly Candidate[] {
    const known = this.candidates.get(asked);
    if (known !== undefined) return known;
    const { capabilities, availability, constraints, knowledge } = this.context;
    const capability = capabilities.get(planned.capability);
    const executors = capability === undefined ? [] : availableExecutors(capability, availability);
    const all = candidatesOf(planned, { step, executors, constraints });
    // Without any knowledge of quality only the reference is safe: a cheaper knob might ruin it.
    const found = knowledge.quality === null ? all.slice(0, 1) : all;
    this.candidates.set(asked, found);
    return found;
  }

  private make(planned: PlannedStep, candidate: Candidate, sizes: ValueSizes): KeyedOption[] {
    const { kinds, knowledge } = this.context;
    const { entry, knobs } = candidate;
    return kinds
      .filter((kind) => entry.programs.every((name) => kind.programs.has(name)))
      .flatMap((kind) => {
        const profile = knowledge.executor(entry, knobs, kind.kind);
        if (profile === null) {
          this.unknown.add(entry.id);
          return [];
        }
        return this.batches(planned, candidate, sizes).map((batch) =>
          this.makeOne({ planned, candidate, kind, profile, batch, sizes }),
        );
      });
  }

  /** Items per attempt that are worth a look: all at once, one attempt per core, a few. */
  private batches(
    planned: PlannedStep,
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

  private makeOne(it: {
    readonly planned: PlannedStep;
    readonly candidate: Candidate;
    readonly kind: NodeKind;
    readonly profile: StepOption["profile"];
    readonly batch: number | null;
    readonly sizes: ValueSizes;
  }): KeyedOption {
    const { planned, candidate, kind, profile, batch, sizes } = it;
    const { rates, dispatchMs, kinds } = this.context;
    const { entry, knobs } = candidate;
    const batchItems = batch === null ? {} : { batchItems: batch };
    const shape = attemptShape({ ...planned, ...batchItems }, entry, sizes);
    const parts: EstimateParts = { rates, speedFactor: kind.speedFactor, dispatchMs };
    const cost = stepCost(entry, profile, shape, parts);
    const nodeKind = kinds.length > 1 ? kind.kind : null;
    const choice = { executor: entry.id, knobs, ...batchItems };
    const id = optionIdOf(nodeKind === null ? choice : { ...choice, nodeKind });
    const point = toPoint(id, entry, cost, { attempts: shape.attempts, logLoss: 0, dispatchMs });
    const key = optionKey(choice);
    return { id, key, entry, knobs, nodeKind, batchItems: batch, profile, shape, point };
  }
}

function stepText(planned: PlannedStep, step: WorkflowStep | undefined): string {
  const { capability, fanOut, batchItems, inputs } = planned;
  const fixed = step?.executor === undefined && step?.knobs === undefined ? "" : canonicalJson({ executor: step.executor ?? null, knobs: step.knobs ?? {} });
  return `${planned.step} ${capability} ${fanOut ?? ""} ${batchItems ?? ""} ${Object.keys(inputs).join()} ${fixed}`;
}

/** What tells the options of one step apart. */
export function optionIdOf(
  planned: Pick<JobPlan["steps"][number], "executor" | "knobs" | "batchItems" | "nodeKind">,
): string {
  const { batchItems, nodeKind } = planned;
  const batch = batchItems === undefined ? "" : `/${batchItems}`;
  return `${optionKey(planned)}${batch}${nodeKind === undefined ? "" : `@${nodeKind}`}`;
}
