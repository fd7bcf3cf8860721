/** Goal: B1 holds for any order of reservations and bills. Method: against a plain model. */
import { BudgetLedger } from "@murakkab/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const amount = fc.record({
  costUsd: fc.double({ min: 0, max: 1, noNaN: true }),
  energyWh: fc.double({ min: 0, max: 1, noNaN: true }),
});
const limits = fc.record(
  {
    costUsdMax: fc.double({ min: 0, max: 5, noNaN: true }),
    energyWhMax: fc.double({ min: 0, max: 5, noNaN: true }),
  },
  { requiredKeys: [] },
);
const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

describe("budget ledger", () => {
  test("B1: spent + reserved <= budget whenever something is granted, else what is missing", () => {
    const step = fc.tuple(fc.boolean(), fc.nat(9), amount);
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60 }), (budget, steps) => {
        const ledger = new BudgetLedger(budget);
        const open = new Map<string, { costUsd: number; energyWh: number }>();
        const spent = { costUsd: 0, energyWh: 0 };
        for (const [isReserve, number, given] of steps) {
          const key = `k${number}`;
          if (isReserve && !open.has(key)) {
            const reservation = ledger.reserve(key, given);
            if (reservation.kind === "ok") open.set(key, given);
            for (const axis of ["costUsd", "energyWh"] as const) {
              const max = budget[`${axis}Max`] ?? Number.POSITIVE_INFINITY;
              const used = spent[axis] + sum([...open.values()].map((it) => it[axis]));
              if (reservation.kind === "ok") expect(used).toBeLessThanOrEqual(max + 1e-8);
              else if (reservation.missing[axis] > 0) {
                expect(used + given[axis] - reservation.missing[axis]).toBeCloseTo(max, 6);
              }
            }
          } else if (!isReserve) {
            const upper = open.get(key) ?? { costUsd: 0, energyWh: 0 };
            const overrun = ledger.settle(key, given);
            open.delete(key);
            for (const axis of ["costUsd", "energyWh"] as const) {
              spent[axis] += given[axis];
              expect(overrun[axis]).toBe(Math.max(0, given[axis] - upper[axis]));
              expect(ledger.spent[axis]).toBeCloseTo(spent[axis], 9);
            }
          }
          expect(ledger.left.costUsd).toBeGreaterThanOrEqual(0);
        }
        for (const key of open.keys()) ledger.settle(key, { costUsd: 0, energyWh: 0 });
        expect(ledger.reserved).toEqual({ costUsd: 0, energyWh: 0 });
      }),
    );
  });

  test("exactly the budget is enough, and nothing after an overrun", () => {
    const ledger = new BudgetLedger({ costUsdMax: 0.3 });
    const cost = (costUsd: number) => ({ costUsd, energyWh: 99 });
    for (const key of ["a", "b", "c"]) expect(ledger.reserve(key, cost(0.1)).kind).toBe("ok");
    expect(ledger.check(cost(0.01)).kind).toBe("short");
    expect(ledger.settle("a", cost(0.5))).toMatchObject({ costUsd: 0.4 });
    expect(ledger.reserve("d", cost(0)).kind).toBe("short");
    expect(ledger.left).toEqual({ costUsd: 0, energyWh: Number.POSITIVE_INFINITY });
  });

  test("a key is reserved once", () => {
    const ledger = new BudgetLedger({});
    ledger.reserve("a", { costUsd: 1, energyWh: 1 });
    expect(() => ledger.reserve("a", { costUsd: 1, energyWh: 1 })).toThrow("twice");
  });
});
