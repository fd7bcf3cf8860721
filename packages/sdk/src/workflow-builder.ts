/**
 * Workflows written in TypeScript.
 *
 * The builder's type remembers the names of inputs and steps, so that a source that does not
 * exist is a compile error; the same is checked when it runs, for callers without types.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { KnobValues, Source, Workflow, WorkflowStep } from "@murakkab/model";
import { checkWorkflow, expectOneOf } from "./check-workflow.ts";
import { parseSource } from "./workflow-source.ts";

export interface InputSource<Name extends string = string> {
  readonly kind: "input";
  readonly input: Name;
}

export interface StepSource<Step extends string = string> {
  readonly kind: "step";
  readonly step: Step;
  readonly output: string;
}

/** A source as text (`"input.video"`, `"scenes.frames"`) or made by `input()` or `stepOutput()`. */
export type SourceOf<Inputs extends string, Steps extends string> =
  | InputSource<Inputs>
  | StepSource<Steps>
  | `input.${Inputs}`
  | `${Steps}.${string}`;

/** The workflow's input of that name, as the source of a step's input. */
export function input<const Name extends string>(name: Name): InputSource<Name> {
  return { kind: "input", input: name };
}

/** An output port of an earlier step, as the source of a step's input or the workflow's output. */
export function stepOutput<const Step extends string>(
  step: Step,
  output: string,
): StepSource<Step> {
  return { kind: "step", step, output };
}

export interface StepOptions {
  /** Only this executor may run the step. Default: the chooser picks one. */
  readonly executor?: string;
  /** Knob values that the chooser must keep. */
  readonly knobs?: KnobValues;
}

/**
 * Starts a workflow: add inputs, then steps in an order in which each comes after its sources,
 * then name the output. Errors: every method throws `INVALID_ARGUMENT` that names the culprit.
 */
export function workflow(name: string, description?: string): WorkflowBuilder<never, never> {
  return new WorkflowBuilder({
    name,
    ...(description === undefined ? {} : { description }),
    inputs: {},
    steps: [],
  });
}

type Draft = Omit<Workflow, "output">;

/** Immutable: each method answers a new builder, so that a prefix can be shared. */
export class WorkflowBuilder<Inputs extends string, Steps extends string> {
  readonly #draft: Draft;

  /** @internal Use `workflow(name)`. */
  constructor(draft: Draft) {
    this.#draft = draft;
  }

  /** Adds an input, such as `.input("video", "video")` or `.input("pages", "list<image>")`. */
  input<const Name extends string>(
    name: Name,
    type: string,
  ): WorkflowBuilder<Inputs | Name, Steps> {
    if (Object.hasOwn(this.#draft.inputs, name)) {
      fail(`inputs.${name}`, `${this.#what} has two inputs named "${name}", expected one of each`);
    }
    return new WorkflowBuilder({
      ...this.#draft,
      inputs: { ...this.#draft.inputs, [name]: type },
    });
  }

  step<const Id extends string>(
    id: Id,
    capability: string,
    inputs: Readonly<Record<string, SourceOf<Inputs, Steps>>>,
    options: StepOptions = {},
  ): WorkflowBuilder<Inputs, Steps | Id> {
    if (this.#draft.steps.some((step) => step.id === id)) {
      fail("steps", `${this.#what} has two steps named "${id}", expected one of each`);
    }
    const sources = Object.entries(inputs).map(([port, source]): [string, Source] => {
      const field = `steps.${id}.inputs.${port}`;
      return [port, this.#resolve(source, `${this.#what} step "${id}"`, field)];
    });
    const step: WorkflowStep = { id, capability, inputs: Object.fromEntries(sources), ...options };
    return new WorkflowBuilder({ ...this.#draft, steps: [...this.#draft.steps, step] });
  }

  /** Names the result and answers the finished, checked workflow. */
  output(source: SourceOf<Inputs, Steps>): Workflow {
    const output = this.#resolve(source, `${this.#what} output`, "output");
    return checkWorkflow({ ...this.#draft, output });
  }

  get #what(): string {
    return `workflow "${this.#draft.name}"`;
  }

  #resolve(given: SourceOf<Inputs, Steps>, what: string, field: string): Source {
    const source: Source = typeof given === "string" ? parseSource(given, field) : given;
    if (source.kind === "input") {
      const known = Object.keys(this.#draft.inputs);
      if (known.includes(source.input)) return source;
      fail(field, `${what} uses the unknown input "${source.input}", ${expectOneOf(known)}`);
    }
    const known = this.#draft.steps.map((step) => step.id);
    if (known.includes(source.step)) return source;
    fail(field, `${what} uses the unknown step "${source.step}", ${expectOneOf(known)}`);
  }
}

function fail(field: string, message: string): never {
  throw new InvalidArgumentError(message, { field });
}
