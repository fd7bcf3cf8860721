/**
 * A job's budgets while it runs: what its attempts may take, by the plan's predictions.
 *
 * Owns:      upper bounds of steps and attempts, and by how much attempts passed theirs.
 * Does not:  decide what happens when it is short (step-gate.ts).
 */
import { type Amount, BudgetLedger, NO_AMOUNT, type Reservation } from "@murakkab/core";
import type { PlannedStep, Slo } from "@murakkab/model";
import type { JournaledEvent } from "@murakkab/protocol";
import { attemptKey } from "../job-machine/machine-types.ts";
import { batchOf, type StepRun } from "../job-machine/step-run.ts";
import type { AttemptId } from "../job-machine.ts";
import type { Dispatch } from "./attempt-sender.ts";

export class JobBudget {
  private readonly ledger: BudgetLedger;
  private readonly slo: Slo;
  /** Attempts that have a prediction: those without one can't pass it. */
  private readonly predicted = new Set<string>();
  private overrunAmount: Amount = NO_AMOUNT;

  constructor(slo: Slo) {
    this.slo = slo;
    this.ledger = new BudgetLedger(slo);
  }

  /** Null where the job has no budget. A deadline is none. */
  static of(slo: Slo): JobBudget | null {
    const hasBudget = slo.costUsdMax !== undefined || slo.energyWhMax !== undefined;
    return hasBudget ? new JobBudget(slo) : null;
  }

  get spent(): Amount {
    return this.ledger.spent;
  }

  get reserved(): Amount {
    return this.ledger.reserved;
  }

  /** Summed over attempts; null where none passed its reservation. */
  get overrun(): Amount | null {
    const { costUsd, energyWh } = this.overrunAmount;
    return costUsd > 0 || energyWh > 0 ? this.overrunAmount : null;
  }

  /** What is spent after a former owner had the job. */
  replay(steps: ReadonlyMap<string, StepRun>, past: readonly JournaledEvent[]): void {
    for (const { event, detail } of past) {
      const id = event.data as unknown as AttemptId;
      const run = steps.get(id.step);
      if (detail?.cost === undefined || run === undefined) continue;
      const size = Math.min(batchOf(run.planned) ?? 1, Math.max(1, run.total - id.item));
      const key = attemptKey(id);
      this.note(key, run.planned);
      this.ledger.take(key, upperBound(run.planned, size));
      this.settle(id, detail.cost);
    }
  }

  check(upper: Amount): Reservation {
    return this.ledger.check(upper);
  }

  /** Before an attempt is sent. */
  reserve({ id, planned, batchItems, resumeAt }: Dispatch): Reservation {
    const key = attemptKey(id);
    const upper = upperBound(planned, batchItems ?? 1);
    this.note(key, planned);
    if (resumeAt === null) return this.ledger.reserve(key, upper);
    this.ledger.take(key, upper);
    return { kind: "ok" };
  }

  private note(key: string, { predicted }: PlannedStep): void {
    if (predicted !== undefined) this.predicted.add(key);
  }

  settle(id: AttemptId, actual: Amount): void {
    const key = attemptKey(id);
    const over = this.ledger.settle(key, actual);
    if (!this.predicted.delete(key)) return;
    this.overrunAmount = add(this.overrunAmount, over);
  }

  /** One sentence: what is needed, left and spent, on the axes that are short. */
  explain(step: string, upper: Amount): string {
    const { left, spent } = this;
    const { costUsdMax, energyWhMax } = this.slo;
    const answer = this.check(upper);
    const missing = answer.kind === "short" ? answer.missing : NO_AMOUNT;
    const parts: string[] = [];
    if (costUsdMax !== undefined && missing.costUsd > 0) {
      parts.push(shortage((usd) => `$${plain(usd)}`, { max: costUsdMax, ...on("costUsd") }));
    }
    if (energyWhMax !== undefined && missing.energyWh > 0) {
      parts.push(shortage((wh) => `${plain(wh)} Wh`, { max: energyWhMax, ...on("energyWh") }));
    }
    return `step "${step}" ${parts.join("; it ")}`;

    function on(axis: keyof Amount) {
      return { needed: upper[axis], left: left[axis], spent: spent[axis] };
    }
  }

  private get left(): Amount {
    return this.ledger.left;
  }
}

/**
 * Most that attempts over so many items take, by the plan's prediction; nothing where it has none.
 *
 * The prediction is of the whole step: an attempt gets its items' share.
 */
export function upperBound({ predicted }: PlannedStep, itemCount: number): Amount {
  if (predicted === undefined) return NO_AMOUNT;
  const share = itemCount / Math.max(1, predicted.items);
  return {
    costUsd: predicted.costUsd.p95 * share,
    energyWh: predicted.energyWh.p95 * share,
  };
}

function shortage(
  format: (value: number) => string,
  it: {
    readonly max: number;
    readonly needed: number;
    readonly left: number;
    readonly spent: number;
  },
): string {
  const { max, needed, left, spent } = it;
  if (needed === 0) {
    return `can't start: of the budget of ${format(max)} nothing is left, ${format(spent)} is spent`;
  }
  return `needs up to ${format(needed)} (predicted), and of the budget of ${format(max)} ${format(left)} is left, ${format(spent)} is spent`;
}

export function add(a: Amount, b: Amount): Amount {
  return { costUsd: a.costUsd + b.costUsd, energyWh: a.energyWh + b.energyWh };
}

/** A number with three digits that say something, and no exponent. */
export function plain(value: number): string {
  if (!(value > 0)) return "0";
  const digits = Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(value))));
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
