/**
 * Names for what beliefs are about: a logical workflow, a path through it, a configuration of it.
 *
 * Owns:      the canonical texts. Equal decisions give equal text, whatever order things were in.
 * Does not:  know how good a configuration is (see quality.ts).
 *
 * A *configuration* is one line, for instance
 * `audio-extraction=ffmpeg-audio{} question-answering=extractive-answerer{sentences=2}`; stages
 * follow in brackets: `[question-answering.draft1.answer>=0.8: frame-extraction]`; a deferred step
 * that takes the draft's hint where to look says so: `speech-to-text<focus`. Its *path* is the same line
 * without executors and knobs. How many items an attempt takes changes no result and is left out.
 *
 * Steps are called by their capability, so that a named workflow and a derived one that do the same
 * share what is known. Where a capability occurs twice the step's id is added, and a stage's draft
 * is called `capability.draftN`.
 */
import { hashText64 } from "@murakkab/kit";
import type { JobPlan, KnobValue, KnobValues, PlanStage, Source } from "@murakkab/model";

export interface ConfiguredStep {
  readonly step: string;
  readonly capability: string;
  readonly executor: string;
  readonly knobs: KnobValues;
  readonly inputs?: Readonly<Record<string, Source>>;
}

/** What of a plan decides how good its results are. `JobPlan` is one. */
export interface ConfiguredPlan {
  readonly steps: readonly ConfiguredStep[];
  readonly stages?: readonly PlanStage[];
}

export interface ParsedOption {
  readonly executor: string;
  readonly knobs: KnobValues;
}

export interface ParsedConfiguration {
  /** See `pathKey`. */
  readonly path: string;
  /** Step label (capability first) to what runs it. */
  readonly options: ReadonlyMap<string, ParsedOption>;
}

/** Signature of a workflow whose output needs no step at all. */
const NO_STEP = "input";
const PLAIN_TEXT = /^(?!true$|false$)[A-Za-z_][\w.:/-]*$/;

/** `{}` or `{depth=2,mode=fast}`, sorted by name. */
export function knobsText(knobs: KnobValues): string {
  const parts = Object.keys(knobs)
    .sort()
    .map((name) => `${name}=${valueText(knobs[name] ?? "")}`);
  return `{${parts.join(",")}}`;
}

/** Texts that could be taken for a number, or for our own signs, are quoted and escaped. */
function valueText(value: KnobValue): string {
  if (typeof value !== "string") return String(value);
  return PLAIN_TEXT.test(value) ? value : `'${encodeURIComponent(value)}'`;
}

/** `executor{knob=value,…}`: one option of one step. */
export function optionKey(option: ParsedOption): string {
  return `${option.executor}${knobsText(option.knobs)}`;
}

/** What ran: the path, and executor and knobs of every step on it. */
export function configurationKey(plan: ConfiguredPlan): string {
  const labels = labelSteps(plan);
  const options = plan.steps
    .map((step) => `${labels.get(step.step) ?? step.step}=${optionKey(step)}`)
    .sort();
  return [...options, ...stagesText(plan, labels)].join(" ");
}

/** The steps that run, and in which stages; not by what. */
export function pathKey(plan: ConfiguredPlan): string {
  const labels = labelSteps(plan);
  return [[...labels.values()].sort().join("+"), ...stagesText(plan, labels)].join(" ");
}

/** Step id to the label that it has in the keys. */
export function labelSteps(plan: ConfiguredPlan): ReadonlyMap<string, string> {
  const drafts = new Map(
    (plan.stages ?? []).map((stage, index) => [stage.draft, `draft${index + 1}`]),
  );
  const counts = new Map<string, number>();
  for (const { step, capability } of plan.steps) {
    if (!drafts.has(step)) counts.set(capability, (counts.get(capability) ?? 0) + 1);
  }
  return new Map(
    plan.steps.map(({ step, capability }) => {
      const draft = drafts.get(step);
      if (draft !== undefined) return [step, `${capability}.${draft}`];
      return [step, counts.get(capability) === 1 ? capability : `${capability}.${step}`];
    }),
  );
}

/** The capability of a label: all before its first dot. */
export function capabilityOfLabel(label: string): string {
  const dot = label.indexOf(".");
  return dot === -1 ? label : label.slice(0, dot);
}

function stagesText(
  { stages = [], steps }: ConfiguredPlan,
  labels: ReadonlyMap<string, string>,
): readonly string[] {
  return stages.map((stage) => {
    const deferred = stage.deferred
      .map((id) => {
        const step = steps.find((it) => it.step === id);
        const hint = Object.values(step?.inputs ?? {}).find(
          (it) => it.kind === "step" && it.step === stage.draft && it.output !== stage.output,
        );
        const mark = hint?.kind === "step" ? `<${hint.output}` : "";
        return `${labels.get(id) ?? id}${mark}`;
      })
      .sort();
    const draft = `${labels.get(stage.draft) ?? stage.draft}.${stage.output}`;
    return `[${draft}>=${stage.atLeast}: ${deferred.join("+")}]`;
  });
}

/** The parts of a configuration's text; null when it is none. */
export function parseConfiguration(text: string): ParsedConfiguration | null {
  const bracket = text.indexOf(" [");
  const body = bracket === -1 ? text : text.slice(0, bracket);
  const stages = bracket === -1 ? "" : text.slice(bracket);
  const options = new Map<string, ParsedOption>();
  for (const part of body.split(" ")) {
    const match = /^([\w.-]+)=([\w.-]+)\{([^{}]*)\}$/.exec(part);
    if (match === null) return null;
    const [, label = "", executor = "", inside = ""] = match;
    const knobs = parseKnobs(inside);
    if (knobs === null) return null;
    options.set(label, { executor, knobs });
  }
  return { path: `${[...options.keys()].sort().join("+")}${stages}`, options };
}

/** Path, and option keys by step label; null when the text is no configuration. */
export function configurationParts(
  text: string,
): { readonly path: string; readonly options: ReadonlyMap<string, string> } | null {
  const parsed = parseConfiguration(text);
  if (parsed === null) return null;
  const options = [...parsed.options].map(([label, it]) => [label, optionKey(it)] as const);
  return { path: parsed.path, options: new Map(options) };
}

/**
 * The configuration with other options, whatever its path. Errors: none; a text that is no
 * configuration comes back as it is.
 */
export function changeOptions(
  text: string,
  change: (capability: string, option: ParsedOption) => ParsedOption,
): string {
  const parsed = parseConfiguration(text);
  if (parsed === null) return text;
  const bracket = text.indexOf(" [");
  const stages = bracket === -1 ? "" : text.slice(bracket);
  const options = [...parsed.options].map(
    ([label, option]) => `${label}=${optionKey(change(capabilityOfLabel(label), option))}`,
  );
  return `${options.sort().join(" ")}${stages}`;
}

/** `executor{knob=value}` as text gives the option; null when it is none. */
export function parseOption(text: string): ParsedOption | null {
  return parseConfiguration(`x=${text}`)?.options.get("x") ?? null;
}

function parseKnobs(inside: string): KnobValues | null {
  if (inside === "") return {};
  const knobs: Record<string, KnobValue> = {};
  for (const pair of inside.split(",")) {
    const at = pair.indexOf("=");
    const value = at < 1 ? null : parseValue(pair.slice(at + 1));
    if (value === null) return null;
    knobs[pair.slice(0, at)] = value;
  }
  return knobs;
}

function parseValue(text: string): KnobValue | null {
  if (text === "true" || text === "false") return text === "true";
  if (PLAIN_TEXT.test(text)) return text;
  const quoted = /^'([^']*|.*)'$/.exec(text);
  if (quoted !== null) {
    try {
      return decodeURIComponent(quoted[1] ?? "");
    } catch {
      return null;
    }
  }
  const number = Number(text);
  return text !== "" && Number.isFinite(number) ? number : null;
}

/** A workflow or a plan: what the signature is made of. */
export interface SignedWorkflow {
  readonly inputs: Readonly<Record<string, string>>;
  readonly steps: readonly (
    | { readonly id: string; readonly capability: string; readonly inputs: SourceMap }
    | { readonly step: string; readonly capability: string; readonly inputs: SourceMap }
  )[];
  readonly output: Source;
}
type SourceMap = Readonly<Record<string, Source>>;

/**
 * Capability of the output and a hash of the logical DAG: the capabilities that lead to the output
 * and how they are wired. Names of the workflow, its steps and inputs don't matter.
 *
 * A plan that left steps out has another DAG than its workflow; it says its workflow's signature in
 * `workflowSignature`, see `signatureOfPlan`.
 */
export function workflowSignature(workflow: SignedWorkflow): string {
  const byId = new Map(
    workflow.steps.map((step) => ["id" in step ? step.id : step.step, step] as const),
  );
  const inputs = inputTerms(workflow.inputs);
  const known = new Map<string, string>();
  const termOf = (source: Source): string => {
    if (source.kind === "input") return inputs.get(source.input) ?? `?${source.input}`;
    return `${stepTerm(source.step)}.${source.output}`;
  };
  const stepTerm = (id: string): string => {
    const step = byId.get(id);
    const before = known.get(id);
    if (before !== undefined) return before;
    if (step === undefined) return `?${id}`;
    known.set(id, "cycle"); // chooser refuses these; here it only must end
    const parts = Object.keys(step.inputs)
      .sort()
      .map((port) => `${port}:${termOf(step.inputs[port] as Source)}`);
    const term = hashText64(`${step.capability}(${parts.join(",")})`);
    known.set(id, term);
    return term;
  };
  const last = workflow.output.kind === "step" ? byId.get(workflow.output.step) : undefined;
  return `${last?.capability ?? NO_STEP}-${hashText64(termOf(workflow.output))}`;
}

/** The signature that the plan was given, else that of its own steps. */
export function signatureOfPlan(
  plan: Pick<JobPlan, "inputs" | "steps" | "output" | "workflowSignature">,
): string {
  return plan.workflowSignature ?? workflowSignature(plan);
}

/** Inputs by type; where a type occurs twice, by their order too. */
function inputTerms(inputs: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  return new Map(
    Object.keys(inputs)
      .sort()
      .map((name) => {
        const type = inputs[name] ?? "";
        const index = counts.get(type) ?? 0;
        counts.set(type, index + 1);
        return [name, index === 0 ? `<${type}>` : `<${type}>${index + 1}`];
      }),
  );
}
