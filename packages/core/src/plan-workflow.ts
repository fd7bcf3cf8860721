/**
 * The type-directed planner: description and input types to a logical workflow.
 *
 * Owns:      which output the user wants, and the workflow that gives it.
 * Does not:  choose executors, knobs or nodes.
 */
import { TerminalError } from "@murakkab/kit";
import type { Library, Workflow } from "@murakkab/model";
import {
  type Availability,
  availableExecutors,
  type Capability,
  groupCapabilities,
  missingClause,
} from "./capability.ts";
import { type Derivation, deriveType } from "./derive.ts";
import { isQuestion, keywordHits } from "./text-match.ts";

export interface TypedInput {
  /** Name in the workflow: `question`, `video`, `audio-2`. */
  readonly name: string;
  readonly type: string;
}

export interface PlanRequest {
  readonly description: string;
  readonly inputs: readonly TypedInput[];
  readonly library: Library;
  readonly availability: Availability;
  /** Types that the inputs can't give, with the reason. */
  readonly excludedTypes: ReadonlyMap<string, string>;
}

export interface LogicalPlan {
  readonly workflow: Workflow;
  /** What was left out and what that costs. */
  readonly notes: readonly string[];
}

/** The type of an answer to a question. A multimodal model may take its place with the same type. */
const ANSWER_TYPE = "answer";

/**
 * Errors: `NO_PLAN` (terminal) naming what is missing: no capability connects the inputs to an
 * output that the description asks for.
 */
export function planWorkflow(request: PlanRequest): LogicalPlan {
  const capabilities = groupCapabilities(request.library);
  const context = {
    capabilities,
    unusable: (capability: Capability) =>
      availableExecutors(capability, request.availability).length > 0
        ? null
        : missingClause(capability, request.availability),
    inputs: new Map(request.inputs.map((input) => [input.type, input.name])),
    excludedTypes: request.excludedTypes,
  };
  const blame: string[] = [];
  for (const type of rankOutputTypes(request.description, capabilities)) {
    const found = deriveType(type, context);
    if (found.kind === "missing") blame.push(...found.blame);
    else if (found.steps.length > 0 && usesMedia(found, request))
      return toLogicalPlan(found, request);
    else blame.push(...found.left);
  }
  const types = request.inputs.map((input) => input.type).join(", ") || "no input";
  const why = [...new Set(blame)].slice(0, 4).join("; ") || "the description names no known task";
  throw new TerminalError("NO_PLAN", `no plan leads from ${types} to what is asked for: ${why}`, {
    field: "description",
  });
}

/** A plan that ignores the user's file answers another question than the one asked. */
function usesMedia(found: Extract<Derivation, { kind: "found" }>, request: PlanRequest): boolean {
  const used = new Set(
    found.steps.flatMap((step) =>
      Object.values(step.inputs).flatMap((source) =>
        source.kind === "input" ? [source.input] : [],
      ),
    ),
  );
  const media = request.inputs.filter((input) => input.type !== "question");
  return media.every((input) => used.has(input.name));
}

/** Output types that the description may mean, most likely first. */
function rankOutputTypes(
  description: string,
  capabilities: ReadonlyMap<string, Capability>,
): readonly string[] {
  const scored: { type: string; score: number }[] = [];
  for (const capability of capabilities.values()) {
    const hits = keywordHits(description, [
      capability.name.replaceAll("-", " "),
      ...capability.keywords,
    ]);
    for (const { type } of Object.values(capability.outputs)) {
      scored.push({ type, score: hits });
      const listed = `list<${type}>`;
      if (!type.startsWith("list<")) scored.push({ type: listed, score: hits - 0.5 });
    }
  }
  const named = scored
    .filter((candidate) => candidate.score > 0)
    .sort((a, b) => b.score - a.score || (a.type < b.type ? -1 : 1))
    .map((candidate) => candidate.type);
  // A question wants an answer, whatever nouns are in it; a task wants what it names.
  const order = isQuestion(description) ? [ANSWER_TYPE, ...named] : [...named, ANSWER_TYPE];
  return [...new Set(order)];
}

function toLogicalPlan(
  found: Extract<Derivation, { kind: "found" }>,
  request: PlanRequest,
): LogicalPlan {
  const used = new Set(
    found.steps.flatMap((step) =>
      Object.values(step.inputs).flatMap((source) =>
        source.kind === "input" ? [source.input] : [],
      ),
    ),
  );
  const inputs = request.inputs.filter((input) => used.has(input.name));
  return {
    workflow: {
      name: "type-directed",
      inputs: Object.fromEntries(inputs.map((input) => [input.name, input.type])),
      steps: found.steps,
      output: found.source,
    },
    notes: [...new Set(found.left)],
  };
}
