/** Goal: a seed decides everything about the faults, and every wanted kind comes. */
import { describe, expect, test } from "vitest";
import { FAULT_KINDS, type FaultKind, planFaults } from "../src/fault-plan.ts";

const plan = (seed: number, kinds: readonly FaultKind[] = FAULT_KINDS, forMs = 60_000) =>
  planFaults({ seed, forMs, kinds });

describe("the plan of faults", () => {
  test("the same seed gives the same plan, another seed another one", () => {
    expect(plan(7)).toEqual(plan(7));
    expect(plan(7)).not.toEqual(plan(8));
  });

  test.each([1, 2, 3, 4, 5])("seed %i: in order, in time, of every kind", (seed) => {
    const faults = plan(seed);
    expect(faults).toHaveLength(30);
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
    expect(faults.map(({ atMs }) => atMs)).toEqual(
      faults.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
    );
    for (const fault of faults) {
      expect(fault.atMs).toBeGreaterThanOrEqual(500);
      expect(fault.latestMs).toBeGreaterThanOrEqual(fault.atMs);
      expect(fault.latestMs).toBeLessThanOrEqual(60_000);
      expect(fault.pick).toBeLessThan(1);
    }
  });

  test("a share waits for steps of the protocols", () => {
    const faults = [1, 2, 3, 4].flatMap((seed) => plan(seed));
    const triggered = faults.filter(({ trigger }) => trigger !== null).length;
    expect(triggered / faults.length).toBeGreaterThan(0.35);
    expect(triggered / faults.length).toBeLessThan(0.65);
  });

  test("only the wanted kinds, each at least once even in a short run", () => {
    const kinds: readonly FaultKind[] = ["nats", "pause", "worker"];
    const faults = plan(3, kinds, 1_000);
    expect(faults.map(({ kind }) => kind).toSorted()).toEqual(["nats", "pause", "worker"]);
    expect(faults.find(({ kind }) => kind === "pause")?.outageMs).toBe(10_000);
    expect(faults.find(({ kind }) => kind === "nats")?.outageMs).toBeLessThanOrEqual(3_000);
  });
});
