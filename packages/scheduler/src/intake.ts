/**
 * From a request to a job that could be accepted: check, locate, copy, type, plan.
 *
 * Owns:      the order of those.
 * Does not:  journal or execute anything.
 *
 * Invariants:
 *   I1. Where the fleet has more than one host, every input has copies on two of them, or the
 *       answer says that it has not. A job whose data stays on its host has none.
 */
import {
  chooseExecutors,
  type InputSize,
  type PlanDecision,
  planWorkflow,
  workflowSignature,
} from "@murakkab/core";
import { type Clock, canonicalJson, InvalidArgumentError } from "@murakkab/kit";
import {
  type JobPlan,
  type Library,
  parseSlo,
  parseSloObject,
  type Submission,
  type Workflow,
} from "@murakkab/model";
import type { JobRecord, SubmitRequest } from "@murakkab/protocol";
import type { Fleet } from "./fleet.ts";
import type { InputCopier } from "./input-copier.ts";
import {
  type InputResolver,
  noNodes,
  type ResolvedInput,
  typeInputs,
  type WorkflowInputs,
} from "./job-inputs.ts";
import type { JobPlanner, PlanningInput } from "./planning/job-planner.ts";

export interface IntakeLibrary extends Library {
  readonly workflows: readonly Workflow[];
}

export interface PreparedJob {
  readonly record: JobRecord;
  readonly plan: JobPlan;
  readonly notes: readonly string[];
}

/** What became of a request: a job that may be accepted, or what can't be promised. */
export type Preparation =
  | { readonly kind: "prepared"; readonly job: PreparedJob }
  | {
      readonly kind: "refused";
      readonly decision: Exclude<PlanDecision, { readonly kind: "accepted" }>;
      readonly notes: readonly string[];
    };

export const DEFAULT_TENANT = "default";
const PLANS_KEPT_COUNT = 1_000;

export class Intake {
  private readonly fleet: Fleet;
  private readonly resolver: InputResolver;
  private readonly copier: InputCopier;
  private readonly clock: Clock;
  private readonly planner: JobPlanner;
  private readonly library: IntakeLibrary;
  private readonly plans = new Map<string, JobPlan>();
  private plansOf = -1;

  constructor(
    components: {
      readonly fleet: Fleet;
      readonly resolver: InputResolver;
      readonly copier: InputCopier;
      readonly clock: Clock;
      readonly planner: JobPlanner;
    },
    settings: { readonly library: IntakeLibrary },
  ) {
    this.fleet = components.fleet;
    this.resolver = components.resolver;
    this.copier = components.copier;
    this.clock = components.clock;
    this.planner = components.planner;
    this.library = settings.library;
  }

  /**
   * Checks, types and plans. Writes nothing but what an agent imports.
   * `mustExplain`: also why not another plan; for those who only ask.
   */
  async prepare(
    request: SubmitRequest,
    jobId: string,
    { mustExplain = false }: { readonly mustExplain?: boolean } = {},
  ): Promise<Preparation> {
    const submission = toSubmission(request, jobId);
    const inline = typeof request.workflow === "object" ? request.workflow : null;
    const named = inline ?? this.findWorkflow(submission.workflow);
    if (this.fleet.nodeCount === 0) throw noNodes();
    const located = await this.resolver.resolve(submission.inputs, jobId);
    const isBound = submission.constraints.staysOnHost === true;
    const { resolved, notes: copyNotes } = isBound
      ? { resolved: located, notes: [] }
      : await this.copier.copy(located, jobId); // I1
    const inputs = typeInputs(submission.description, resolved);
    const logical =
      named === null ? this.deriveWorkflow(submission, inputs) : asLogical(named, inputs);
    const inputSizes = sizesOf(logical.workflow, inputs, resolved);
    const { excludedTypes } = inputs;
    const input = { submission, ...logical, excludedTypes, inputSizes, mustExplain };
    const decision = this.planner.plan(input, this.defaultPlan(input));
    if (decision.kind !== "accepted") return { kind: "refused", decision, notes: copyNotes };
    const { plan } = decision;
    const record = this.recordOf(input, plan, { inputs, resolved });
    return { kind: "prepared", job: { record, plan, notes: [...plan.notes, ...copyNotes] } };
  }

  private recordOf(
    { submission, workflow, excludedTypes, inputSizes }: PlanningInput,
    plan: JobPlan,
    { inputs, resolved }: { inputs: WorkflowInputs; resolved: readonly ResolvedInput[] },
  ): JobRecord {
    const { jobId, tenant, description } = submission;
    return {
      submission,
      status: {
        jobId,
        state: "accepted",
        tenant,
        description: description ?? null,
        workflow: plan.workflow,
        acceptedAtMs: this.clock.wallMs(),
        plan,
        stepStates: {},
      },
      inputValues: pickInputs(plan, inputs),
      inputGaps: inputs.gaps,
      holders: Object.fromEntries(resolved.map((it) => [it.artifact.artifact, it.holders])),
      inputSizes,
      // What choosing again on the way starts from; most jobs never do.
      ...(plan.explanation === undefined
        ? {}
        : { logical: { workflow, excludedTypes: Object.fromEntries(excludedTypes) } }),
    };
  }

  /**
   * The same plan for the same question while the fleet is the same: most jobs are one of a few
   * workflows.
   */
  private cached(key: string, makePlan: () => JobPlan): JobPlan {
    if (this.plansOf !== this.fleet.version) {
      this.plans.clear();
      this.plansOf = this.fleet.version;
    }
    const known = this.plans.get(key);
    if (known !== undefined) return known;
    const plan = makePlan();
    if (this.plans.size >= PLANS_KEPT_COUNT) this.plans.clear();
    this.plans.set(key, plan);
    return plan;
  }

  private deriveWorkflow(submission: Submission, inputs: WorkflowInputs): LogicalWorkflow {
    const request = {
      description: submission.description ?? "",
      inputs: inputs.typed,
      library: this.library,
      availability: this.planner.availability(submission),
      excludedTypes: inputs.excludedTypes,
    };
    const { workflow, notes } = planWorkflow(request);
    if (inputs.excludedTypes.size === 0) return { workflow, planner: "type-directed", notes };
    // What this input lacks is left out later: beliefs are about the workflow as it is for others.
    const usual = planWorkflow({ ...request, excludedTypes: new Map() }).workflow;
    const isSame = canonicalJson(usual.output) === canonicalJson(workflow.output);
    return { workflow: isSame ? usual : workflow, planner: "type-directed", notes };
  }

  /** The library's defaults within the job's constraints. */
  private defaultPlan(input: PlanningInput): JobPlan {
    const { workflow, submission, excludedTypes, planner } = input;
    const makePlan = (): JobPlan => ({
      ...chooseExecutors({
        ...{ workflow, planner, excludedTypes },
        library: this.library,
        availability: this.planner.availability(submission),
        constraints: submission.constraints,
        notes: input.notes,
      }),
      workflowSignature: workflowSignature(workflow),
    });
    // A workflow that came with the job is not known by its name.
    const isKnown = this.library.workflows.includes(workflow) && excludedTypes.size === 0;
    if (!isKnown) return makePlan();
    const hasConstraints = Object.keys(submission.constraints).length > 0;
    const constraints = hasConstraints ? canonicalJson(submission.constraints) : "";
    return this.cached(`${workflow.name} ${constraints}`, makePlan);
  }

  private findWorkflow(name: string | undefined): Workflow | null {
    if (name === undefined) return null;
    const found = this.library.workflows.find((workflow) => workflow.name === name);
    if (found !== undefined) return found;
    const names = this.library.workflows.map((workflow) => workflow.name).join(", ") || "none";
    throw new InvalidArgumentError(`workflow "${name}" is not known, expected one of: ${names}`, {
      field: "workflow",
    });
  }
}

interface LogicalWorkflow {
  readonly workflow: Workflow;
  readonly planner: JobPlan["planner"];
  readonly notes: readonly string[];
}

/** Errors: `INVALID_ARGUMENT` when the job lacks an input of the workflow. */
function asLogical(workflow: Workflow, inputs: WorkflowInputs): LogicalWorkflow {
  const missing = Object.entries(workflow.inputs).find(
    ([, type]) => !inputs.typed.some((input) => input.type === type),
  );
  if (missing === undefined) return { workflow, planner: "named", notes: [] };
  const [name, type] = missing;
  const given = inputs.typed.map((input) => input.type).join(", ") || "none";
  throw new InvalidArgumentError(
    `workflow "${workflow.name}" needs the input "${name}" of type ${type}, and the job gives: ${given}`,
    { field: type === "question" ? "description" : "inputs" },
  );
}

/** By the workflow's names: seconds of media where they are known, and bytes. */
function sizesOf(
  workflow: Workflow,
  inputs: WorkflowInputs,
  resolved: readonly ResolvedInput[],
): Readonly<Record<string, InputSize>> {
  return Object.fromEntries(
    Object.entries(workflow.inputs).flatMap(([name, type]): [string, InputSize][] => {
      const media = resolved.find((it) => it.media.type === type);
      const text = inputs.values[type];
      if (media === undefined) {
        const bytes = text?.kind === "inline" ? String(text.value).length : 0;
        return [[name, { bytes }]];
      }
      const { bytes } = media.artifact;
      const { durationSec } = media.media;
      return [[name, durationSec === null ? { bytes } : { sec: durationSec, bytes }]];
    }),
  );
}

/** A named workflow's inputs are matched by type; the derived one's by name. */
function pickInputs(plan: JobPlan, inputs: WorkflowInputs): JobRecord["inputValues"] {
  return Object.fromEntries(
    Object.entries(plan.inputs).flatMap(([name, type]) => {
      const typed = inputs.typed.find((input) => input.type === type);
      const value = typed === undefined ? undefined : inputs.values[typed.name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function toSubmission(request: SubmitRequest, jobId: string): Submission {
  const { slo, constraints } = request;
  const name = typeof request.workflow === "object" ? request.workflow.name : request.workflow;
  return {
    jobId,
    ...(request.description === undefined ? {} : { description: request.description }),
    ...(name === undefined ? {} : { workflow: name }),
    inputs: request.inputs,
    slo: slo === undefined ? {} : typeof slo === "string" ? parseSlo(slo) : parseSloObject(slo),
    ...(request.objective === undefined ? {} : { objective: request.objective }),
    constraints: constraints ?? {},
    tenant: request.tenant ?? DEFAULT_TENANT,
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    ...(request.deadlineMs === undefined ? {} : { deadlineMs: request.deadlineMs }),
    ...(request.durable === undefined ? {} : { durable: request.durable }),
    ...(request.fresh === undefined ? {} : { fresh: request.fresh }),
  };
}
