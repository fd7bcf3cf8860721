/**
 * Quality of workflows as one scheduler has it in memory: counts, and the model made of them.
 *
 * Owns:      which workflows are at hand, when a model is made anew, what crossed a line.
 * Does not:  read or write the store (see profile-store.ts).
 */
import {
  addScore,
  DemotionWatch,
  EMPTY_QUALITY_RECORD,
  type JobScore,
  type QualityEvent,
  QualityModel,
  type QualityPolicy,
  type QualityRecord,
  toWorkflowProfile,
} from "@murakkab/core";
import type { WorkflowProfile } from "@murakkab/model";

interface KnownWorkflow {
  record: QualityRecord;
  /** Of the record as it was last stored or read. */
  readonly model: QualityModel;
}

/** Workflows in one process; the signatures of a cluster's few hundred workflows fit. */
const WORKFLOWS_MAX = 1_000;

export class WorkflowBeliefs {
  private readonly policy: QualityPolicy;
  private readonly shipped: ReadonlyMap<string, WorkflowProfile>;
  /** Least recently changed first. */
  private readonly workflows = new Map<string, KnownWorkflow>();
  private readonly watch = new DemotionWatch();
  private readonly onDropped: (workflow: string) => void;

  /** `onDropped`: a workflow is no longer at hand. */
  constructor(
    shipped: readonly WorkflowProfile[],
    policy: QualityPolicy,
    onDropped: (workflow: string) => void,
  ) {
    this.shipped = new Map(shipped.map((it) => [it.workflow, it]));
    this.policy = policy;
    this.onDropped = onDropped;
  }

  model(workflow: string): QualityModel {
    return this.workflows.get(workflow)?.model ?? this.keep(workflow, EMPTY_QUALITY_RECORD);
  }

  /** Takes a record that was stored or read; what crossed a line since is returned, not told. */
  put(workflow: string, record: QualityRecord): readonly QualityEvent[] {
    return this.watch.update(workflow, this.keep(workflow, record));
  }

  /** Counts a score that is not stored yet. The model follows when it is. */
  count(workflow: string, score: JobScore): void {
    const known = this.workflows.get(workflow);
    if (known === undefined) this.keep(workflow, addScore(EMPTY_QUALITY_RECORD, score));
    else known.record = addScore(known.record, score);
  }

  /** Records that hold anything of their own. */
  records(): readonly (readonly [string, QualityRecord])[] {
    return [...this.workflows].flatMap(([workflow, { record }]) =>
      record === EMPTY_QUALITY_RECORD ? [] : [[workflow, record] as const],
    );
  }

  /** Shipped and own, sorted by signature. */
  profiles(): readonly WorkflowProfile[] {
    const signatures = [...new Set([...this.shipped.keys(), ...this.workflows.keys()])].sort();
    const all = signatures.map((workflow) => {
      const record = this.workflows.get(workflow)?.record ?? EMPTY_QUALITY_RECORD;
      return this.profileOf(workflow, record);
    });
    return all.filter((it) => it.configurations.length > 0);
  }

  private keep(workflow: string, record: QualityRecord): QualityModel {
    const model = new QualityModel(this.profileOf(workflow, record), this.policy);
    this.workflows.delete(workflow);
    this.workflows.set(workflow, { record, model });
    const [oldest] = this.workflows.keys();
    if (this.workflows.size > WORKFLOWS_MAX && oldest !== undefined) {
      this.workflows.delete(oldest);
      this.onDropped(oldest);
    }
    return model;
  }

  private profileOf(workflow: string, record: QualityRecord): WorkflowProfile {
    return toWorkflowProfile(workflow, record, this.shipped.get(workflow) ?? null);
  }
}
