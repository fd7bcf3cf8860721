/**
 * Type-directed search: which chain of capabilities turns the types at hand into a wanted type.
 *
 * Owns:      the backward search over types, fan-out, optional inputs, cycle avoidance.
 * Does not:  choose executors or knobs (see choose.ts).
 *
 * Invariants:
 *   D1. Every required input of every step has a source of its type, or of its list (fan-out).
 *   D2. A step fans out over one input at most.
 *   D3. The same types and library give the same steps in the same order.
 *   D4. Where a draft points (`staging.focus`) is no source of a step: what it points to is made for
 *       the same question once more, and the step would depend on itself.
 */
import {
  formatInterfaceType,
  type Port,
  parseInterfaceType,
  type Source,
  type WorkflowStep,
} from "@murakkab/model";
import type { Capability } from "./capability.ts";

export interface DeriveContext {
  readonly capabilities: ReadonlyMap<string, Capability>;
  /** Null when the capability may be used, else one clause why not. */
  readonly unusable: (capability: Capability) => string | null;
  /** Type text to the job input that has it. */
  readonly inputs: ReadonlyMap<string, string>;
  /** Types that this job's inputs can't give, with the reason: a video without sound, say. */
  readonly excludedTypes: ReadonlyMap<string, string>;
}

export type Derivation =
  | {
      readonly kind: "found";
      readonly source: Source;
      readonly steps: readonly WorkflowStep[];
      readonly left: readonly string[];
    }
  | { readonly kind: "missing"; readonly blame: readonly string[] };

/** How the value of type `wanted` comes about. Cost: bounded by types × capabilities. */
export function deriveType(wanted: string, context: DeriveContext): Derivation {
  return new Search(context).derive(wanted, new Set());
}

class Search {
  private readonly context: DeriveContext;
  private readonly memo = new Map<string, Derivation>();

  constructor(context: DeriveContext) {
    this.context = context;
  }

  derive(wanted: string, path: ReadonlySet<string>): Derivation {
    const input = this.context.inputs.get(wanted);
    if (input !== undefined) {
      return { kind: "found", source: { kind: "input", input }, steps: [], left: [] };
    }
    const excluded = this.context.excludedTypes.get(parseInterfaceType(wanted).name);
    if (excluded !== undefined) return { kind: "missing", blame: [excluded] };
    if (path.has(wanted)) return { kind: "missing", blame: [] };
    const known = this.memo.get(wanted);
    if (known !== undefined) return known;
    const result = this.search(wanted, new Set([...path, wanted]));
    // A failure below a cycle may be a success elsewhere: only complete answers are remembered.
    if (result.kind === "found" || path.size === 0) this.memo.set(wanted, result);
    return result;
  }

  private search(wanted: string, path: ReadonlySet<string>): Derivation {
    const blame: string[] = [];
    let best: Extract<Derivation, { kind: "found" }> | null = null;
    for (const capability of this.context.capabilities.values()) {
      for (const [output, port] of Object.entries(capability.outputs)) {
        const found = this.through(capability, { output, port, wanted }, path);
        if (found === null) continue;
        if (found.kind === "missing") blame.push(...found.blame);
        else if (best === null || isBetter(found, best)) best = found;
      }
    }
    if (best !== null) return best;
    if (blame.length === 0) blame.push(`no executor in the library produces ${wanted}`);
    return { kind: "missing", blame: [...new Set(blame)] };
  }

  /** Null when this output does not have the wanted type at all. */
  private through(
    capability: Capability,
    { output, port, wanted }: { output: string; port: Port; wanted: string },
    path: ReadonlySet<string>,
  ): Derivation | null {
    if (isFocus(capability, output)) return null; // D4
    const mustFanOut = port.type !== wanted;
    const target = parseInterfaceType(wanted);
    if (mustFanOut && !(target.isList && port.type === target.name)) return null;
    const unusable = this.context.unusable(capability);
    if (unusable !== null) return { kind: "missing", blame: [unusable] };
    const inputs = this.connect(capability, mustFanOut, path);
    if (inputs.kind === "missing") return inputs;
    const steps = mergeSteps(inputs.steps, {
      id: capability.name,
      capability: capability.name,
      inputs: inputs.sources,
    });
    const source: Source = { kind: "step", step: capability.name, output };
    return { kind: "found", source, steps, left: inputs.left };
  }

  private connect(capability: Capability, mustFanOut: boolean, path: ReadonlySet<string>) {
    const sources: Record<string, Source> = {};
    let steps: readonly WorkflowStep[] = [];
    const left: string[] = [];
    let hasFannedOut = false;
    for (const [name, port] of Object.entries(capability.inputs)) {
      const direct = this.derive(port.type, path);
      const type = parseInterfaceType(port.type);
      const mayFanOut = mustFanOut && !hasFannedOut && !type.isList; // D2
      const found =
        direct.kind === "missing" && mayFanOut
          ? this.derive(formatInterfaceType({ name: type.name, isList: true }), path)
          : direct;
      if (found.kind === "missing") {
        const { blame } = found;
        if (port.isOptional !== true) return { kind: "missing", blame } as const;
        // Nothing is lost: only a plan with drafts connects it.
        if (this.isFocusType(port.type)) continue;
        left.push(...blame);
        continue;
      }
      if (direct.kind === "missing") hasFannedOut = true;
      sources[name] = found.source;
      left.push(...found.left);
      for (const step of found.steps) steps = mergeSteps(steps, step);
    }
    if (mustFanOut && !hasFannedOut) return { kind: "missing", blame: [] } as const;
    if (Object.keys(sources).length === 0) return { kind: "missing", blame: left } as const;
    return { kind: "connected", sources, steps, left } as const;
  }

  private isFocusType(type: string): boolean {
    return [...this.context.capabilities.values()].some((capability) =>
      Object.entries(capability.outputs).some(
        ([output, port]) => port.type === type && isFocus(capability, output),
      ),
    );
  }
}

function isFocus(capability: Capability, output: string): boolean {
  return capability.executors.some(({ staging }) => staging?.focus === output);
}

/** Steps are named by their capability: one step per capability in a derived workflow. */
function mergeSteps(steps: readonly WorkflowStep[], step: WorkflowStep): readonly WorkflowStep[] {
  return steps.some((other) => other.id === step.id) ? steps : [...steps, step];
}

type Found = Extract<Derivation, { kind: "found" }>;

/** Fewer things left out first, then fewer steps; ties keep the capability that sorts first. */
function isBetter(a: Found, b: Found): boolean {
  if (a.left.length !== b.left.length) return a.left.length < b.left.length;
  return a.steps.length < b.steps.length;
}
