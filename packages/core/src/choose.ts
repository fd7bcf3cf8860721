/**
 * From a logical workflow to a job's plan: an executor and knobs for every step, fan-outs, order.
 *
 * Owns:      type checking of a workflow, dropping of optional branches that can't run.
 * Does not:  optimise: it takes the library's defaults within the user's constraints.
 *
 * Invariants:
 *   C1. Every input of every planned step has the port's type, or its list (then it fans out).
 *   C2. Only steps that can't run, or that nothing needs any more, are left out, each with a note.
 */
import { InvalidArgumentError, TerminalError } from "@murakkab/kit";
import {
  defaultKnobs,
  type ExecutorEntry,
  formatInterfaceType,
  type JobConstraints,
  type JobPlan,
  type KnobValues,
  type Library,
  type PlannedStep,
  parseInterfaceType,
  type Source,
  type Workflow,
  type WorkflowStep,
} from "@murakkab/model";
import {
  type Availability,
  availableExecutors,
  type Capability,
  groupCapabilities,
  missingClause,
} from "./capability.ts";

/**
 * Items per attempt where nothing is known of how many there will be: a few share what starting
 * costs, and a list of some more still keeps several cores busy.
 */
const BATCH_ITEMS_DEFAULT = 8;

export interface ChooseRequest {
  readonly workflow: Workflow;
  readonly planner: JobPlan["planner"];
  readonly library: Library;
  readonly availability: Availability;
  readonly constraints: JobConstraints;
  readonly excludedTypes: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
  /** Steps that stay although the output does not take their values: drafts of stages. */
  readonly alsoNeeded?: readonly string[];
}

/**
 * Errors: `INVALID_ARGUMENT` for a workflow or constraint that can't hold (field named);
 * `MISSING_CAPABILITY` when a needed step can't run on any node.
 */
export function chooseExecutors(request: ChooseRequest): JobPlan {
  checkConstraints(request);
  const chooser = new Chooser(request);
  const steps = sortSteps(request.workflow).flatMap((step) => chooser.plan(step));
  const outputType = chooser.typeOf(request.workflow.output, "workflow output");
  if (outputType === null) throw chooser.missing(request.workflow.output);
  const needed = keepNeeded(steps, request.workflow.output, request.alsoNeeded ?? []);
  return {
    workflow: request.workflow.name,
    planner: request.planner,
    inputs: request.workflow.inputs,
    steps: needed,
    output: request.workflow.output,
    outputType,
    notes: [...new Set([...request.notes, ...chooser.notes])],
  };
}

class Chooser {
  readonly notes: string[] = [];
  private readonly request: ChooseRequest;
  private readonly capabilities: ReadonlyMap<string, Capability>;
  private readonly planned = new Map<string, PlannedStep>();
  private readonly dropped = new Map<string, string>();

  constructor(request: ChooseRequest) {
    this.request = request;
    this.capabilities = groupCapabilities(request.library);
  }

  plan(step: WorkflowStep): PlannedStep[] {
    const capability = this.capabilities.get(step.capability);
    if (capability === undefined) {
      throw new TerminalError(
        "MISSING_CAPABILITY",
        `step "${step.id}" needs the capability "${step.capability}", which no executor of the library has`,
        { field: `steps.${step.id}.capability` },
      );
    }
    const executor = this.chooseExecutor(step, capability);
    const excluded = this.excludedOutput(capability);
    if (executor === null || excluded !== null) {
      return this.drop(step, excluded ?? missingClause(capability, this.request.availability));
    }
    const connected = this.connect(step, capability);
    if (connected.kind === "blocked") return this.drop(step, connected.reason);
    const planned: PlannedStep = {
      step: step.id,
      capability: step.capability,
      executor: executor.id,
      knobs: this.chooseKnobs(step, executor),
      inputs: connected.sources,
      ...(connected.fanOut === null ? {} : { fanOut: connected.fanOut }),
      ...(connected.fanOut === null || executor.batchMax === undefined
        ? {}
        : { batchItems: Math.min(executor.batchMax, BATCH_ITEMS_DEFAULT) }),
      outputs: Object.fromEntries(
        Object.entries(capability.outputs).map(([name, port]) => [
          name,
          connected.fanOut === null ? port.type : listOf(port.type, step.id),
        ]),
      ),
    };
    this.planned.set(step.id, planned);
    return [planned];
  }

  /** The type of a source; null when its step was left out. */
  typeOf(source: Source, where: string): string | null {
    if (source.kind === "input") {
      const type = this.request.workflow.inputs[source.input];
      if (type !== undefined) return type;
      throw new InvalidArgumentError(
        `${where} names the input "${source.input}", expected one of ${nameList(Object.keys(this.request.workflow.inputs))}`,
        { field: where },
      );
    }
    if (this.dropped.has(source.step)) return null;
    const type = this.planned.get(source.step)?.outputs[source.output];
    if (type !== undefined) return type;
    throw new InvalidArgumentError(
      `${where} names "${source.step}.${source.output}", which is no output of an earlier step`,
      { field: where },
    );
  }

  missing(source: Source): TerminalError {
    const reason = source.kind === "step" ? this.dropped.get(source.step) : undefined;
    return new TerminalError(
      "MISSING_CAPABILITY",
      `the workflow "${this.request.workflow.name}" can't run: ${reason ?? "its output is missing"}`,
    );
  }

  private drop(step: WorkflowStep, reason: string): PlannedStep[] {
    this.dropped.set(step.id, reason);
    this.notes.push(reason);
    return [];
  }

  private excludedOutput(capability: Capability): string | null {
    for (const port of Object.values(capability.outputs)) {
      const reason = this.request.excludedTypes.get(parseInterfaceType(port.type).name);
      if (reason !== undefined) return `${capability.name} is left out: ${reason}`;
    }
    return null;
  }

  private chooseExecutor(step: WorkflowStep, capability: Capability): ExecutorEntry | null {
    const wanted = step.executor ?? this.request.constraints.executors?.[step.capability];
    const available = availableExecutors(capability, this.request.availability);
    if (wanted === undefined) return available[0] ?? null;
    if (!capability.executors.some((entry) => entry.id === wanted)) {
      throw new InvalidArgumentError(
        `executor "${wanted}" for ${step.capability} is not known, expected one of ${nameList(capability.executors.map((entry) => entry.id))}`,
        { field: `constraints.executors.${step.capability}` },
      );
    }
    const chosen = available.find((entry) => entry.id === wanted);
    if (chosen !== undefined) return chosen;
    throw new TerminalError(
      "MISSING_CAPABILITY",
      `executor "${wanted}" can't run: ${this.request.availability.get(wanted) ?? "no node offers it"}`,
      { field: `constraints.executors.${step.capability}` },
    );
  }

  private chooseKnobs(step: WorkflowStep, executor: ExecutorEntry): KnobValues {
    const wanted = {
      ...this.request.constraints.knobs?.[executor.capability],
      ...this.request.constraints.knobs?.[executor.id],
      ...this.request.constraints.knobs?.[step.id],
      ...step.knobs,
    };
    for (const [name, value] of Object.entries(wanted)) {
      const field = `constraints.knobs.${executor.id}.${name}`;
      const knob = Object.hasOwn(executor.knobs, name) ? executor.knobs[name] : undefined;
      if (knob === undefined) {
        throw new InvalidArgumentError(
          `knob "${name}" is not known to executor ${executor.id}, expected one of ${nameList(Object.keys(executor.knobs))}`,
          { field },
        );
      }
      if (!knob.values.includes(value)) {
        throw new InvalidArgumentError(
          `knob "${name}" of executor ${executor.id} is ${JSON.stringify(value)}, expected one of ${knob.values.map((item) => JSON.stringify(item)).join(", ")}`,
          { field },
        );
      }
    }
    return { ...defaultKnobs(executor), ...wanted };
  }

  private connect(step: WorkflowStep, capability: Capability) {
    const sources: Record<string, Source> = {};
    let fanOut: string | null = null;
    let lastReason = "";
    for (const name of Object.keys(step.inputs)) {
      if (Object.hasOwn(capability.inputs, name)) continue;
      throw new InvalidArgumentError(
        `step "${step.id}" has the input "${name}", expected inputs of ${capability.name}: ${nameList(Object.keys(capability.inputs))}`,
        { field: `steps.${step.id}.inputs.${name}` },
      );
    }
    for (const [name, port] of Object.entries(capability.inputs)) {
      const where = `steps.${step.id}.inputs.${name}`;
      const source = step.inputs[name];
      const type = source === undefined ? null : this.typeOf(source, where);
      if (source === undefined || type === null) {
        const upstream = source?.kind === "step" ? this.dropped.get(source.step) : undefined;
        lastReason = upstream ?? `step "${step.id}" lacks the input "${name}" (${port.type})`;
        if (port.isOptional === true) continue;
        if (source === undefined) throw new InvalidArgumentError(lastReason, { field: where });
        return { kind: "blocked", reason: lastReason } as const;
      }
      const needsFanOut = type !== port.type;
      if (needsFanOut && (fanOut !== null || type !== `list<${port.type}>`)) {
        throw new InvalidArgumentError(
          `step "${step.id}" gets ${type} for its input "${name}", expected ${port.type}`,
          { field: where },
        );
      }
      if (needsFanOut) fanOut = name;
      sources[name] = source;
    }
    // A step whose inputs all vanished has nothing to work on; a question alone is no evidence.
    const fed = Object.values(sources).some(
      (source) =>
        source.kind === "step" || this.request.workflow.inputs[source.input] !== "question",
    );
    const wantsFeed = Object.values(capability.inputs).some((port) => port.type !== "question");
    if (wantsFeed && !fed) return { kind: "blocked", reason: lastReason } as const;
    return { kind: "connected", sources, fanOut } as const;
  }
}

function listOf(type: string, step: string): string {
  const parsed = parseInterfaceType(type);
  if (!parsed.isList) return formatInterfaceType({ name: parsed.name, isList: true });
  throw new InvalidArgumentError(
    `step "${step}" would fan out and give a list of lists of ${parsed.name}, expected a plain list`,
  );
}

function checkConstraints({ library, constraints, workflow }: ChooseRequest): void {
  const names = new Set([
    ...library.executors.flatMap((entry) => [entry.id, entry.capability]),
    ...workflow.steps.map((step) => step.id),
  ]);
  const keys = [
    ...Object.keys(constraints.executors ?? {}).map((name) => ["executors", name] as const),
    ...Object.keys(constraints.knobs ?? {}).map((name) => ["knobs", name] as const),
  ];
  for (const [group, name] of keys) {
    if (names.has(name)) continue;
    throw new InvalidArgumentError(
      `constraint on "${name}" names no executor, capability or step of this library`,
      { field: `constraints.${group}.${name}` },
    );
  }
}

/** Every step after its sources. Errors: `INVALID_ARGUMENT` for unknown steps, doubles, cycles. */
export function sortSteps(workflow: Workflow): readonly WorkflowStep[] {
  const byId = new Map<string, WorkflowStep>();
  for (const step of workflow.steps) {
    if (byId.has(step.id)) {
      throw new InvalidArgumentError(`workflow "${workflow.name}" has two steps "${step.id}"`, {
        field: `steps.${step.id}`,
      });
    }
    byId.set(step.id, step);
  }
  const sorted: WorkflowStep[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (step: WorkflowStep): void => {
    if (state.get(step.id) === "done") return;
    if (state.get(step.id) === "open") {
      throw new InvalidArgumentError(
        `workflow "${workflow.name}" has a cycle through step "${step.id}", expected a DAG`,
        { field: `steps.${step.id}` },
      );
    }
    state.set(step.id, "open");
    for (const [name, source] of Object.entries(step.inputs)) {
      if (source.kind === "input") continue;
      const before = byId.get(source.step);
      if (before === undefined) {
        throw new InvalidArgumentError(
          `step "${step.id}" takes "${name}" from the step "${source.step}", which does not exist`,
          { field: `steps.${step.id}.inputs.${name}` },
        );
      }
      visit(before);
    }
    state.set(step.id, "done");
    sorted.push(step);
  };
  for (const step of workflow.steps) visit(step);
  return sorted;
}

/** Steps that lead to the output; the others would cost time and money for nothing (C2). */
function keepNeeded(
  steps: readonly PlannedStep[],
  output: Source,
  alsoNeeded: readonly string[],
): readonly PlannedStep[] {
  const needed = new Set<string>(alsoNeeded);
  if (output.kind === "step") needed.add(output.step);
  for (const step of [...steps].reverse()) {
    if (!needed.has(step.step)) continue;
    for (const source of Object.values(step.inputs)) {
      if (source.kind === "step") needed.add(source.step);
    }
  }
  return steps.filter((step) => needed.has(step.step));
}

function nameList(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.join(", ");
}
