/**
 * A job's hard budgets: what is spent, and what is reserved for attempts that are out.
 *
 * Owns:      B1.
 * Does not:  know attempts, plans or prices: amounts come from predictions and bills.
 *
 * Invariants:
 *   B1. At every reservation that is granted, spent + reserved <= budget, on both axes.
 *
 * What is spent may still pass the budget: an attempt that runs is not stopped for taking more than
 * was predicted. That overrun is told by `settle`, and nothing more is granted then.
 */
import { assert } from "@murakkab/kit";

export interface Amount {
  readonly costUsd: number;
  readonly energyWh: number;
}

export interface BudgetLimits {
  readonly costUsdMax?: number;
  readonly energyWhMax?: number;
}

export type Reservation =
  | { readonly kind: "ok" }
  /** What the budget lacks for it, 0 on an axis that suffices. */
  | { readonly kind: "short"; readonly missing: Amount };

export const NO_AMOUNT: Amount = { costUsd: 0, energyWh: 0 };
/** Sums of many small amounts may end a hair above what they are. */
const TOLERANCE_RATIO = 1e-9;

export class BudgetLedger {
  private readonly limits: BudgetLimits;
  private readonly reservations = new Map<string, Amount>();
  private spentAmount: Amount = NO_AMOUNT;
  private reservedAmount: Amount = NO_AMOUNT;

  constructor(limits: BudgetLimits) {
    this.limits = limits;
  }

  get spent(): Amount {
    return this.spentAmount;
  }

  get reserved(): Amount {
    return this.reservedAmount;
  }

  /** What can still be reserved; infinite on an axis without a budget, never below 0. */
  get left(): Amount {
    return {
      costUsd: leftOf(this.limits.costUsdMax, this.spent.costUsd + this.reserved.costUsd),
      energyWh: leftOf(this.limits.energyWhMax, this.spent.energyWh + this.reserved.energyWh),
    };
  }

  /** B1. The answer that `reserve` would give. */
  check(upper: Amount): Reservation {
    const { costUsdMax, energyWhMax } = this.limits;
    const { spent, reserved } = this;
    const missing = {
      costUsd: missingOf(costUsdMax, spent.costUsd + reserved.costUsd + upper.costUsd),
      energyWh: missingOf(energyWhMax, spent.energyWh + reserved.energyWh + upper.energyWh),
    };
    const isShort = missing.costUsd > 0 || missing.energyWh > 0;
    return isShort ? { kind: "short", missing } : { kind: "ok" };
  }

  /** Requires: nothing is reserved under `key` (asserted). */
  reserve(key: string, upper: Amount): Reservation {
    const answer = this.check(upper);
    if (answer.kind === "ok") this.take(key, upper);
    return answer;
  }

  /** For what runs already, whatever is left: another owner of the job had reserved it. */
  take(key: string, upper: Amount): void {
    assert(!this.reservations.has(key), `budget: ${key} is reserved twice`);
    this.reservations.set(key, upper);
    this.reservedAmount = plus(this.reservedAmount, upper);
  }

  /** The attempt is over. Returns by how much it passed its reservation, 0 where it did not. */
  settle(key: string, actual: Amount): Amount {
    const upper = this.reservations.get(key) ?? NO_AMOUNT;
    this.reservations.delete(key);
    // Differences of sums drift; with nothing reserved the truth is known.
    this.reservedAmount =
      this.reservations.size === 0 ? NO_AMOUNT : minus(this.reservedAmount, upper);
    this.spentAmount = plus(this.spentAmount, actual);
    return {
      costUsd: Math.max(0, actual.costUsd - upper.costUsd),
      energyWh: Math.max(0, actual.energyWh - upper.energyWh),
    };
  }
}

function leftOf(max: number | undefined, used: number): number {
  return max === undefined ? Number.POSITIVE_INFINITY : Math.max(0, max - used);
}

function missingOf(max: number | undefined, needed: number): number {
  if (max === undefined || needed <= max * (1 + TOLERANCE_RATIO)) return 0;
  return needed - max;
}

function plus(a: Amount, b: Amount): Amount {
  return { costUsd: a.costUsd + b.costUsd, energyWh: a.energyWh + b.energyWh };
}

function minus(a: Amount, b: Amount): Amount {
  return {
    costUsd: Math.max(0, a.costUsd - b.costUsd),
    energyWh: Math.max(0, a.energyWh - b.energyWh),
  };
}
