/**
 * From a request to an accepted job: check, type, plan, journal, answer.
 *
 * Owns:      the order of those, idempotency, and the admission bound.
 * Does not:  execute anything.
 *
 * Invariants:
 *   I1. A job is answered as accepted only after its record and its first event are journaled.
 *   I2. The same jobId or idempotency key gives the same job.
 */
import { chooseExecutors, findAvailability, planWorkflow } from "@murakkab/core";
import {
  type Clock,
  canonicalJson,
  InvalidArgumentError,
  OverloadedError,
  type Random,
  sha256Hex,
  TerminalError,
} from "@murakkab/kit";
import {
  type JobPlan,
  type Library,
  parseSlo,
  parseSloObject,
  type Submission,
  type Workflow,
} from "@murakkab/model";
import { ACTIVE_JOB_COUNT_MAX, type SubmitRequest } from "@murakkab/protocol";
import type { Fleet } from "./fleet.ts";
import {
  type InputResolver,
  noNodes,
  type ResolvedInput,
  typeInputs,
  type WorkflowInputs,
} from "./job-inputs.ts";
import type { JobJournal, JobRecord } from "./job-journal.ts";

export interface IntakeLibrary extends Library {
  readonly workflows: readonly Workflow[];
}

export interface PreparedJob {
  readonly record: JobRecord;
  readonly plan: JobPlan;
  readonly notes: readonly string[];
  readonly holders: ReadonlyMap<string, ReadonlySet<string>>;
}

const DEFAULT_TENANT = "default";
const SLO_NOTE =
  "the slo does not steer the choice of executors yet: the plan uses the library's defaults, and the receipt tells whether the slo held";

export class Intake {
  private readonly fleet: Fleet;
  private readonly resolver: InputResolver;
  private readonly journal: JobJournal;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly library: IntakeLibrary;

  constructor(
    components: {
      readonly fleet: Fleet;
      readonly resolver: InputResolver;
      readonly journal: JobJournal;
      readonly clock: Clock;
      readonly random: Random;
    },
    settings: { readonly library: IntakeLibrary },
  ) {
    this.fleet = components.fleet;
    this.resolver = components.resolver;
    this.journal = components.journal;
    this.clock = components.clock;
    this.random = components.random.stream("job-ids");
    this.library = settings.library;
  }

  /** The job that this request stands for: an earlier one's id, or a new one (I2). */
  async identify(
    request: SubmitRequest,
    activeCount: number,
  ): Promise<{ jobId: string; isNew: boolean }> {
    const wanted = request.jobId ?? this.random.uuid();
    if (request.jobId !== undefined) {
      const known = await this.journal.loadRecord(request.jobId);
      if (known !== null) {
        this.checkSame(known, request);
        return { jobId: request.jobId, isNew: false };
      }
    }
    if (activeCount >= ACTIVE_JOB_COUNT_MAX) {
      throw new OverloadedError(
        `${activeCount} jobs are unfinished, expected fewer than ${ACTIVE_JOB_COUNT_MAX}; try again later`,
        { retryAfterMs: 1_000 },
      );
    }
    return { jobId: wanted, isNew: true };
  }

  /** Claims the idempotency key once the job is known to be acceptable. */
  async claim(request: SubmitRequest, jobId: string): Promise<string> {
    const key = idempotencyHash(request);
    return key === null ? jobId : this.journal.claimKey(key, jobId);
  }

  /** The key's former job never came to be: from now on the key stands for this one. */
  async reclaim(request: SubmitRequest, jobId: string): Promise<void> {
    const key = idempotencyHash(request);
    if (key !== null) await this.journal.setKey(key, jobId);
  }

  private checkSame(known: JobRecord, request: SubmitRequest): void {
    const { description, workflow, inputs } = known.submission;
    const name = typeof request.workflow === "string" ? request.workflow : request.workflow?.name;
    const before = canonicalJson({ description, workflow, inputs });
    const now = canonicalJson({
      description: request.description,
      workflow: name,
      inputs: request.inputs,
    });
    if (before === now) return;
    throw new TerminalError(
      "JOB_ID_TAKEN",
      `job id ${known.submission.jobId} belongs to another job, expected a fresh UUID`,
      { field: "jobId" },
    );
  }

  /** Checks, types and plans. Writes nothing but what an agent imports. */
  async prepare(request: SubmitRequest, jobId: string): Promise<PreparedJob> {
    const submission = toSubmission(request, jobId);
    const inline = typeof request.workflow === "object" ? request.workflow : null;
    const named = inline ?? this.findWorkflow(submission.workflow);
    const { nodes } = this.fleet.snapshot();
    if (nodes.length === 0) throw noNodes();
    const resolved = await this.resolver.resolve(submission.inputs, jobId);
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
      },
      plan,
      notes: [...plan.notes, ...(hasSlo ? [SLO_NOTE] : [])],
      holders: holdersOf(resolved),
    };
  }

  private availability(submission: Submission) {
    const labels = submission.constraints.labels ?? {};
    return findAvailability(this.library, this.fleet.snapshot().nodes, labels);
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

function idempotencyHash({ tenant, idempotencyKey }: SubmitRequest): string | null {
  if (idempotencyKey === undefined) return null;
  return sha256Hex(`${tenant ?? DEFAULT_TENANT}\n${idempotencyKey}`);
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

function holdersOf(resolved: readonly ResolvedInput[]): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(resolved.map(({ artifact, holders }) => [artifact.artifact, new Set(holders)]));
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
  };
}
