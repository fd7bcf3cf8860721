/** The line for cores: order, time-outs, idempotency, dead instances. Virtual time. */
import { describe, expect, it } from "vitest";
import { settle, VirtualClock } from "../../testkit/src/virtual-clock.ts";
import { CoreGate } from "../src/core-gate.ts";

function gateOf(offeredCores: number) {
  const clock = new VirtualClock();
  const gate = new CoreGate(clock, { offeredCores });
  const log: string[] = [];
  const acquire = (attempt: string, cores: number, remainingMs = 1_000, instance = "i1") => {
    gate.acquire({ instance, attempt, cores, remainingMs }).then(
      () => log.push(`${attempt} held`),
      (error: { code: string }) => log.push(`${attempt} ${error.code}`),
    );
  };
  return { clock, gate, log, acquire };
}

describe("core gate", () => {
  it("serves in order of arrival: a small attempt does not overtake a large one", async () => {
    const { gate, log, acquire } = gateOf(4);
    acquire("a", 3);
    acquire("large", 4);
    acquire("small", 1);
    await settle();
    expect(log).toEqual(["a held"]);
    gate.release("a");
    await settle();
    expect(log).toEqual(["a held", "large held"]);
    gate.release("large");
    await settle();
    expect(log).toEqual(["a held", "large held", "small held"]);
  });

  it("answers CORES_BUSY when the time is up, and lets the next in", async () => {
    const { clock, log, acquire } = gateOf(2);
    acquire("a", 1);
    acquire("large", 2, 500);
    acquire("small", 1, 5_000);
    await clock.runUntil(() => log.length === 3);
    expect(log).toEqual(["a held", "large CORES_BUSY", "small held"]);
    expect(clock.monotonicMs()).toBe(500);
  });

  it("holds once for a repeated acquire and frees once for a repeated release", async () => {
    const { gate, log, acquire } = gateOf(2);
    acquire("a", 2);
    acquire("a", 2);
    acquire("b", 1);
    acquire("b", 1);
    await settle();
    expect(gate.heldCores).toBe(2);
    gate.release("a");
    gate.release("a");
    await settle();
    expect(gate.heldCores).toBe(1);
    expect(log).toEqual(["a held", "a held", "b held", "b held"]);
  });

  it("frees what a dead instance held and cancels what it waited for", async () => {
    const { gate, log, acquire } = gateOf(2);
    acquire("a", 2, 1_000, "dead");
    acquire("b", 1, 1_000, "dead");
    acquire("c", 2, 1_000, "alive");
    gate.releaseInstance("dead");
    await settle();
    expect(log.sort()).toEqual(["a held", "b CANCELLED", "c held"]);
    expect(gate.heldCores).toBe(2);
  });

  it("refuses at once what the whole offer is too small for", async () => {
    const { gate } = gateOf(2);
    const refused = gate.acquire({ instance: "i", attempt: "a", cores: 3, remainingMs: 10 });
    await expect(refused).rejects.toMatchObject({
      code: "NODE_FULL",
      kind: "retryable",
      message: "attempt needs 3 cores, expected at most the 2 that this node offers",
    });
  });

  it("adds fractions without drift", async () => {
    const { gate, log, acquire } = gateOf(1);
    for (let count = 0; count < 10; count += 1) acquire(`a${count}`, 0.1);
    await settle();
    expect(log).toHaveLength(10);
    expect(gate.heldCores).toBe(1);
  });
});

describe("C5: adopted instances", () => {
  it("count with all that they could use until they say what they hold", async () => {
    const { gate, log, acquire } = gateOf(4);
    gate.adopt("old", 3);
    acquire("a", 2);
    acquire("b", 1);
    await settle();
    expect(log).toEqual([]);
    expect(gate.strangerCount).toBe(1);
    gate.introduce("old", [{ attempt: "old.1", cores: 1 }]);
    await settle();
    expect(log).toEqual(["a held", "b held"]);
    expect(gate.heldCores).toBe(4);
    expect(gate.strangerCount).toBe(0);
    gate.introduce("old", []); // said later: what was granted and released since is what counts
    expect(gate.heldCores).toBe(4);
    gate.release("old.1");
    expect(gate.heldCores).toBe(3);
  });

  it("may hold more than a smaller offer, and then nothing is granted", async () => {
    const { gate, log, acquire } = gateOf(1);
    gate.adopt("old", 1);
    gate.adopt("older", 1);
    gate.introduce("old", [{ attempt: "old.1", cores: 1 }]);
    gate.introduce("older", [{ attempt: "older.1", cores: 1 }]);
    expect(gate.heldCores).toBe(2);
    acquire("a", 1);
    gate.release("old.1");
    await settle();
    expect(log).toEqual([]);
    gate.releaseInstance("older");
    await settle();
    expect(log).toEqual(["a held"]);
  });

  it("that end without a word free what was counted for them", () => {
    const { gate } = gateOf(2);
    gate.adopt("old", 2);
    gate.releaseInstance("old");
    expect(gate.heldCores).toBe(0);
    expect(gate.strangerCount).toBe(0);
  });
});
