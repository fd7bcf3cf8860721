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
import { chooseExecutors, findAvailability, planWorkflow } from "@murakkab/core";
import { type Clock, canonicalJson, InvalidArgumentError } from "@murakkab/kit";
import {
  type JobPlan,
  type Library,
  parseSlo,
  parseSloObject,
  type Submission,
  type Workflow,
} from "@murakkab/model";
import type { InputSize, JobRecord, SubmitRequest } from "@murakkab/protocol";
import type { Fleet } from "./fleet.ts";
import type { InputCopier } from "./input-copier.ts";
import {
  type InputResolver,
  noNodes,
  type ResolvedInput,
  typeInputs,
  type WorkflowInputs,
} from "./job-inputs.ts";

export interface IntakeLibrary extends Library {
  readonly workflows: readonly Workflow[];
}

export interface PreparedJob {
  readonly record: JobRecord;
  readonly plan: JobPlan;
  readonly notes: readonly string[];
}

export const DEFAULT_TENANT = "default";
const PLANS_KEPT_COUNT = 1_000;
const SLO_NOTE =
  "the slo does not steer the choice of executors yet: the plan uses the library's defaults, and the receipt tells whether the slo held";

export class Intake {
  private readonly fleet: Fleet;
  private readonly resolver: InputResolver;
  private readonly copier: InputCopier;
  private readonly clock: Clock;
  private readonly library: IntakeLibrary;
  private readonly plans = new Map<string, JobPlan>();
  private plansOf = -1;

  constructor(
    components: {
      readonly fleet: Fleet;
      readonly resolver: InputResolver;
      readonly copier: InputCopier;
      readonly clock: Clock;
    },
    settings: { readonly library: IntakeLibrary },
  ) {
    this.fleet = components.fleet;
    this.resolver = components.resolver;
    this.copier = components.copier;
    this.clock = components.clock;
    this.library = settings.library;
  }

  /** Checks, types and plans. Writes nothing but what an agent imports. */
  async prepare(request: SubmitRequest, jobId: string): Promise<PreparedJob> {
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
    const plan =
      named === null
        ? this.planByTypes(submission, inputs)
        : this.planNamed(named, submission, inputs);
    const hasSlo = Object.keys(submission.slo).length > 0 || submission.objective !== undefined;
    const status: JobRecord["status"] = {
      jobId,
      state: "accepted",
      tenant: submission.tenant,
      description: submission.description ?? null,
      workflow: plan.workflow,
      acceptedAtMs: this.clock.wallMs(),
      plan,
      stepStates: {},
    };
    return {
      record: {
        submission,
        status,
        inputValues: pickInputs(plan, inputs),
        inputGaps: inputs.gaps,
        inputSizes: inputSizes(plan, { submission, resolved }),
        holders: Object.fromEntries(resolved.map((it) => [it.artifact.artifact, it.holders])),
      },
      plan,
      notes: [...plan.notes, ...copyNotes, ...(hasSlo ? [SLO_NOTE] : [])],
    };
  }

  private availability(submission: Submission) {
    const labels = submission.constraints.labels ?? {};
    return findAvailability(this.library, this.fleet.snapshot().nodes, labels);
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

  private planByTypes(submission: Submission, inputs: WorkflowInputs): JobPlan {
    const availability = this.availability(submission);
    const { excludedTypes } = inputs;
    const logical = planWorkflow({
      description: submission.description ?? "",
      inputs: inputs.typed,
      library: this.library,
      availability,
      excludedTypes,
    });
    return chooseExecutors({
      workflow: logical.workflow,
      planner: "type-directed",
      library: this.library,
      availability,
      constraints: submission.constraints,
      excludedTypes,
      notes: logical.notes,
    });
  }

  private planNamed(workflow: Workflow, submission: Submission, inputs: WorkflowInputs): JobPlan {
    const types = inputs.typed.map((input) => `${input.name}:${input.type}`).join(" ");
    const hasConstraints = Object.keys(submission.constraints).length > 0;
    const key = `${workflow.name} ${types} ${hasConstraints ? canonicalJson(submission.constraints) : ""}`;
    // A workflow that came with the job is not known by its name.
    const isKnown = this.library.workflows.includes(workflow) && inputs.excludedTypes.size === 0;
    const makePlan = (): JobPlan => this.planNamedNow(workflow, submission, inputs);
    return isKnown ? this.cached(key, makePlan) : makePlan();
  }

  private planNamedNow(
    workflow: Workflow,
    submission: Submission,
    inputs: WorkflowInputs,
  ): JobPlan {
    const missing = Object.entries(workflow.inputs).find(
      ([, type]) => !inputs.typed.some((input) => input.type === type),
    );
    if (missing !== undefined) {
      const [name, type] = missing;
      const given = inputs.typed.map((input) => input.type).join(", ") || "none";
      throw new InvalidArgumentError(
        `workflow "${workflow.name}" needs the input "${name}" of type ${type}, and the job gives: ${given}`,
        { field: type === "question" ? "description" : "inputs" },
      );
    }
    return chooseExecutors({
      workflow,
      planner: "named",
      library: this.library,
      availability: this.availability(submission),
      constraints: submission.constraints,
      excludedTypes: inputs.excludedTypes,
      notes: [],
    });
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

/** Of the plan's inputs, which are matched by type (see `pickInputs`). */
function inputSizes(
  plan: JobPlan,
  {
    submission,
    resolved,
  }: { readonly submission: Submission; readonly resolved: readonly ResolvedInput[] },
): NonNullable<JobRecord["inputSizes"]> {
  const sizes: Record<string, InputSize> = {};
  for (const [name, type] of Object.entries(plan.inputs)) {
    const file = resolved.find(({ media }) => media.type === type);
    if (file !== undefined) {
      const sec = file.media.durationSec;
      sizes[name] = { bytes: file.artifact.bytes, ...(sec === null ? {} : { sec }) };
    } else if (type === "question" && submission.description !== undefined) {
      sizes[name] = { bytes: new TextEncoder().encode(submission.description).length };
    }
  }
  return sizes;
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
