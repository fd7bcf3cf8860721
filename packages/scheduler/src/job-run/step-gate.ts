/**
 * What happens at a boundary: steps are chosen again, held back, or let go.
 *
 * Owns:      the questions to the Rechooser, and the end of a job whose budget is short.
 * Does not:  choose (the Rechooser does), or keep the ledger (core/budget.ts).
 *
 * Invariants:
 *   G1. Every boundary is answered by exactly one input: `proceed`, `replan` or `end`.
 *   G2. A step starts only when the upper bound of all its attempts fits into the budget.
 */
import { type Amount, NO_AMOUNT } from "@murakkab/core";
import { canonicalJson, isRuntimeError, type Logger } from "@murakkab/kit";
import type { ExecutorEntry, JobPlan, PlannedStep } from "@murakkab/model";
import type { JobRecord, PassedValue } from "@murakkab/protocol";
import type { Boundary, JobInput, JobMachine, StepRun } from "../job-machine.ts";
import { lengthOf } from "../passed-value.ts";
import type { DoneStep, RechooseInput, Rechooser, RunningStep } from "../ports.ts";
import { sizeOfValue, sizeUnitOf } from "../value-size.ts";
import { add, type JobBudget, upperBound } from "./job-budget.ts";
import { planWithout } from "./leave-out.ts";

export interface StepGateComponents {
  readonly executor: (id: string) => ExecutorEntry | undefined;
  readonly rechooser?: Rechooser;
  readonly log: Logger;
}

export interface StepGateSettings {
  readonly record: JobRecord;
  readonly machine: JobMachine;
  readonly budget: JobBudget | null;
  readonly nowMs: () => number;
}

export class StepGate {
  private readonly parts: StepGateComponents;
  private readonly settings: StepGateSettings;

  constructor(components: StepGateComponents, settings: StepGateSettings) {
    this.parts = components;
    this.settings = settings;
  }

  /** Whether anyone has to look before steps start. */
  static isNeeded({ status, submission }: JobRecord, rechooser: Rechooser | undefined): boolean {
    const { slo, objective } = submission;
    if (slo.costUsdMax !== undefined || slo.energyWhMax !== undefined) return true;
    const hasGoal = Object.keys(slo).length > 0 || objective !== undefined;
    return rechooser !== undefined && hasGoal && status.plan?.predicted !== undefined;
  }

  /** G1. */
  answer(at: Boundary): JobInput {
    const asked = at === "step" || at === "retry" ? this.rechoose(at) : null;
    if (asked !== null) return asked;
    const { hold, short } = this.unaffordable();
    const proceed: JobInput = { kind: "proceed", hold, nowMs: this.settings.nowMs() };
    if (short === null) return proceed;
    const cheaper = at === "replan" ? null : this.rechoose("budget");
    if (cheaper !== null) return cheaper;
    const { machine } = this.settings;
    const isRunning = [...machine.steps.values()].some((run) => run.state === "running");
    // What runs may take less than was reserved for it, and another step may be within the budget.
    if (isRunning || hold.size < machine.startable.length) return proceed;
    return this.stop(short);
  }

  /** No attempt is out, and this one, of a step that has started, does not fit. */
  starved(planned: PlannedStep, itemCount: number): JobInput {
    const { budget } = this.settings;
    const upper = upperBound(planned, itemCount);
    return exceeded(budget?.explain(planned.step, upper) ?? "the budget is short", planned.step);
  }

  /** G2. Steps that could start and are too dear together with those before them. */
  private unaffordable(): { readonly hold: ReadonlySet<string>; readonly short: string | null } {
    const { machine, budget } = this.settings;
    const hold = new Set<string>();
    let short: string | null = null;
    let planned = NO_AMOUNT;
    if (budget === null) return { hold, short };
    for (const run of machine.startable) {
      const upper = upperBound(run.planned, this.countItems(run.planned));
      const together = add(planned, upper);
      if (budget.check(together).kind === "ok") {
        planned = together;
        continue;
      }
      hold.add(run.planned.step);
      short ??= budget.explain(run.planned.step, together);
    }
    return { hold, short };
  }

  /** 0 for a list that is none: the step then says so when it starts. */
  private countItems(planned: PlannedStep): number {
    try {
      return this.settings.machine.countItems(planned);
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      return 0;
    }
  }

  private rechoose(at: RechooseInput["at"]): JobInput | null {
    const { machine, record } = this.settings;
    const { rechooser, log } = this.parts;
    if (rechooser === undefined || record.status.plan?.predicted === undefined) return null;
    const choice = rechooser.rechoose(this.describe(at));
    if (choice === null) return null;
    if ("stop" in choice) return this.stop(choice.stop);
    if (isSamePlan(choice.plan, machine.plan)) return null;
    const problem = machine.replanProblem(choice.plan);
    if (problem === null) return { kind: "replan", ...choice };
    const { jobId } = record.submission;
    log.error({ event: "replan.refused", jobId, problem }, "a plan was chosen that can't be taken");
    return null;
  }

  /** The job ends with what it has, or fails and says why. */
  private stop(reason: string): JobInput {
    const { machine, budget } = this.settings;
    const isRunning = [...machine.steps.values()].some((run) => run.state === "running");
    if (isRunning) {
      const hold = new Set(machine.startable.map((run) => run.planned.step));
      return { kind: "proceed", hold, nowMs: this.settings.nowMs() };
    }
    const isAffordable = (planned: PlannedStep): boolean =>
      budget === null || budget.check(upperBound(planned, this.countItems(planned))).kind === "ok";
    const plan = planWithout(machine, {
      ...{ executor: this.parts.executor, isAffordable, reason },
    });
    if (plan !== null && machine.replanProblem(plan) === null)
      return { kind: "replan", plan, reason, isPartial: true };
    return exceeded(reason);
  }

  private describe(at: RechooseInput["at"]): RechooseInput {
    const { machine, record, budget, nowMs } = this.settings;
    const runs = [...machine.steps.values()];
    const spent = runs.reduce<Amount>(add, NO_AMOUNT);
    const reserved = budget?.reserved ?? NO_AMOUNT;
    return {
      ...{ at, record, plan: machine.plan, stages: machine.stages },
      done: runs.filter((run) => run.state === "done").map((run) => this.describeDone(run)),
      running: runs.filter((run) => run.state === "running").map(describeRunning),
      ...{ spentUsd: spent.costUsd, spentWh: spent.energyWh },
      ...{ reservedUsd: reserved.costUsd, reservedWh: reserved.energyWh },
      elapsedMs: nowMs(),
    };
  }

  private describeDone({ planned, total, outputs, ...sums }: StepRun): DoneStep {
    const entry = this.parts.executor(planned.executor);
    const describe = (port: string, value: PassedValue) => {
      const type = planned.outputs[port] ?? "unknown";
      const unit = entry?.outputs[port]?.sizeUnit ?? sizeUnitOf({ type });
      const size = sizeOfValue(value, unit, entry?.outputs[port]?.bytesPerSec);
      return { size, count: lengthOf(value) };
    };
    return {
      ...{ step: planned.step, itemCount: total },
      ...{ runMs: sums.runMs, costUsd: sums.costUsd, energyWh: sums.energyWh },
      outputs: Object.fromEntries(
        Object.entries(outputs ?? {}).map(([port, value]) => [port, describe(port, value)]),
      ),
    };
  }
}

function describeRunning({ planned, total, doneCount, costUsd, energyWh }: StepRun): RunningStep {
  return { step: planned.step, itemCount: total, doneCount, costUsd, energyWh };
}

function exceeded(reason: string, step?: string): JobInput {
  const error = { code: "BUDGET_EXCEEDED", message: reason, retryable: false };
  return {
    ...{ kind: "end", state: "failed" },
    error: step === undefined ? error : { ...error, step },
  };
}

function isSamePlan(a: JobPlan, b: JobPlan): boolean {
  const parts = ({ steps, output, stages }: JobPlan) => canonicalJson({ steps, output, stages });
  return parts(a) === parts(b);
}
