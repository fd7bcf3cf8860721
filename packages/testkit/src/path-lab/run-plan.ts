/**
 * Walks a plan in the lab: fan-outs, batches, drafts. What a job would do, without the fleet.
 *
 * Invariants:
 *   W1. A deferred step runs only when every draft before its stage was not sure enough.
 *   W2. Latency is that of the attempts' own times on `cores` cores, placed as soon as their inputs
 *       and a core are there, in the order of the plan: no queueing, no transport.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { JobPlan, PlannedStep, PlanStage, Source } from "@murakkab/model";
import type { ExecutorLab, LabResult } from "./executor-lab.ts";

export interface PlanRunOptions {
  readonly lab: Pick<ExecutorLab, "run">;
  /** Values of the job's inputs, by name. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** W2. */
  readonly cores: number;
}

export interface StepRun {
  readonly step: string;
  readonly cpuSec: number;
  /** Sum over the attempts. */
  readonly runMs: number;
  readonly attemptCount: number;
}

export interface PlanRun {
  readonly output: unknown;
  readonly steps: readonly StepRun[];
  readonly cpuSec: number;
  readonly latencyMs: number;
  /** The draft that was sure enough; null when the plan was run to its end. */
  readonly endedBy: string | null;
}

export async function runPlan(plan: JobPlan, options: PlanRunOptions): Promise<PlanRun> {
  return await new PlanWalk(plan, options).run();
}

class PlanWalk {
  private readonly plan: JobPlan;
  private readonly options: PlanRunOptions;
  private readonly results = new Map<string, readonly LabResult[]>();
  private readonly outputs = new Map<string, Readonly<Record<string, unknown>>>();
  /** When a step's outputs are there, ms. */
  private readonly endMs = new Map<string, number>();
  private readonly coreFreeMs: number[];

  constructor(plan: JobPlan, options: PlanRunOptions) {
    this.plan = plan;
    this.options = options;
    this.coreFreeMs = Array.from({ length: options.cores }, () => 0);
  }

  async run(): Promise<PlanRun> {
    const stages = this.plan.stages ?? [];
    const deferredBy = (step: string): PlanStage[] =>
      stages.filter((stage) => stage.deferred.includes(step));
    // Everything that is not deferred runs, then stage by stage what the next one needs.
    let startMs = 0;
    for (const [index, stage] of stages.entries()) {
      const open = this.plan.steps.filter(
        ({ step }) => !deferredBy(step).some((it) => stages.indexOf(it) >= index),
      );
      await this.runSteps(open, startMs);
      startMs = this.endMs.get(stage.draft) ?? startMs;
      if (this.isSure(stage)) return this.end(stage.draft, stage.output);
    }
    await this.runSteps(this.plan.steps, startMs);
    const { output } = this.plan;
    if (output.kind === "step") return this.end(output.step, output.output, null);
    throw new InvalidArgumentError(
      "the plan gives back one of its inputs, expected a step's output",
    );
  }

  private end(step: string, output: string, endedBy: string | null = step): PlanRun {
    const steps = [...this.results].map(([name, attempts]) => ({
      step: name,
      cpuSec: attempts.reduce((sum, it) => sum + it.cpuSec, 0),
      runMs: attempts.reduce((sum, it) => sum + it.runMs, 0),
      attemptCount: attempts.length,
    }));
    return {
      output: this.outputs.get(step)?.[output],
      steps,
      cpuSec: steps.reduce((sum, it) => sum + it.cpuSec, 0),
      latencyMs: this.endMs.get(step) ?? 0,
      endedBy,
    };
  }

  private isSure({ draft, confidencePort, confidenceField, atLeast }: PlanStage): boolean {
    const value = this.outputs.get(draft)?.[confidencePort];
    const confidence = (value as Record<string, unknown> | undefined)?.[confidenceField];
    return typeof confidence === "number" && confidence >= atLeast;
  }

  private async runSteps(steps: readonly PlannedStep[], startMs: number): Promise<void> {
    for (const step of steps) {
      if (this.results.has(step.step)) continue;
      const inputs: Record<string, unknown> = {};
      let readyMs = startMs;
      for (const [port, source] of Object.entries(step.inputs)) {
        inputs[port] = this.valueOf(source);
        if (source.kind === "step") {
          readyMs = Math.max(readyMs, this.endMs.get(source.step) ?? 0);
        }
      }
      await this.runStep(step, { inputs, readyMs });
    }
  }

  private async runStep(
    step: PlannedStep,
    { inputs, readyMs }: { inputs: Readonly<Record<string, unknown>>; readyMs: number },
  ): Promise<void> {
    const { executor, knobs, fanOut, batchItems } = step;
    const { lab } = this.options;
    const attempts: LabResult[] = [];
    if (fanOut === undefined) attempts.push(await lab.run({ executor, knobs, inputs }));
    else {
      const items = inputs[fanOut] as readonly unknown[];
      const size = batchItems ?? 1;
      for (let first = 0; first < items.length; first += size) {
        const batch = items.slice(first, first + size);
        const value = batchItems === undefined ? batch[0] : batch;
        const isBatch = batchItems !== undefined;
        const given = { ...inputs, [fanOut]: value };
        attempts.push(await lab.run({ executor, knobs, inputs: given, isBatch }));
      }
    }
    this.results.set(step.step, attempts);
    this.outputs.set(step.step, gather(step, attempts));
    const ends = attempts.map((it) => this.place(readyMs, it.runMs));
    this.endMs.set(step.step, Math.max(readyMs, ...ends));
  }

  /** W2. */
  private place(readyMs: number, runMs: number): number {
    const core = this.coreFreeMs.indexOf(Math.min(...this.coreFreeMs));
    const endMs = Math.max(readyMs, this.coreFreeMs[core] ?? 0) + runMs;
    this.coreFreeMs[core] = endMs;
    return endMs;
  }

  private valueOf(source: Source): unknown {
    if (source.kind === "input") return this.options.inputs[source.input];
    return this.outputs.get(source.step)?.[source.output];
  }
}

function gather(step: PlannedStep, attempts: readonly LabResult[]): Record<string, unknown> {
  if (step.fanOut === undefined) return { ...attempts[0]?.outputs };
  const ports = Object.keys(step.outputs);
  return Object.fromEntries(
    ports.map((port) => [
      port,
      attempts.flatMap(({ outputs }) =>
        step.batchItems === undefined ? [outputs[port]] : (outputs[port] as readonly unknown[]),
      ),
    ]),
  );
}
