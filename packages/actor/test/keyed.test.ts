/**
 * Goal: a keyed actor is alive when it is spoken to, in one place, and nothing it saved is lost,
 * whatever becomes of the processes. Method: several processes on the in-memory bus, virtual time.
 */

import { delay } from "@murakkab/kit";
import { decode } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { account, LEASE_MS, newLog, outcomeOf, World } from "./keyed-world.ts";

const ASK = { deadlineMs: 20_000 };

async function placementOf(world: World, key: string) {
  const { state } = world.broker.connect("test");
  const store = await world.run(state.openKeyValue("MK_ACTORS"));
  const entry = await world.run(store.get(key));
  const headers = { "Content-Type": "application/msgpack" };
  return entry === null ? null : decode(entry.value, headers).value;
}

describe("activation", () => {
  test("many first asks of many senders over two directories make one activation", async () => {
    const world = new World();
    const log = newLog();
    await world.directory("d1");
    await world.directory("d2");
    await world.host("a", account(log));
    await world.host("b", account(log));
    const senders = ["s1", "s2", "s3"].map((name) => world.process(name).system);
    const asks = senders.flatMap((system) =>
      Array.from({ length: 20 }, () => system.actor("account", "anna").ask("add", ASK)),
    );
    const values = (await world.run(Promise.all(asks))) as number[];
    expect(log.made).toBe(1);
    expect(values.sort((x, y) => x - y)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(await placementOf(world, "account.anna")).toMatchObject({ generation: 1 });
  });

  test("actors spread over the hosts by load, or as `choose` says", async () => {
    const world = new World();
    await world.directory("d", {
      choose: ({ key }, hosts) =>
        key.startsWith("x") ? "a" : (hosts.find((it) => it.host === "b")?.host ?? null),
    });
    const byHost = { a: newLog(), b: newLog() };
    await world.host("a", account(byHost.a));
    await world.host("b", account(byHost.b));
    const { system } = world.process("s");
    for (const key of ["x1", "x2", "y1"])
      await world.run(system.actor("account", key).ask("add", ASK));
    expect([byHost.a.made, byHost.b.made]).toEqual([2, 1]);

    const even = new World();
    await even.directory("d");
    const logs = [newLog(), newLog(), newLog()];
    for (const [n, log] of logs.entries()) await even.host(`h${n}`, account(log));
    const sender = even.process("s").system;
    for (let n = 0; n < 9; n += 1) await even.run(sender.actor("account", `k${n}`).ask("add", ASK));
    expect(logs.map((log) => log.made)).toEqual([3, 3, 3]);
  });

  test("nobody hosts the type, or no directory runs: UNAVAILABLE at the deadline, not sooner lost", async () => {
    const world = new World();
    const { system } = world.process("s");
    const early = await world.outcome(
      system.actor("account", "k").ask("add", { deadlineMs: 1_000 }),
    );
    expect(early).toEqual({ code: "UNAVAILABLE" });
    // One that comes up within the deadline is found.
    const ask = outcomeOf(system.actor("account", "k").ask("add", ASK));
    await world.pass(2_000);
    await world.directory("d");
    await world.host("a", account(newLog()));
    expect(await world.run(ask)).toEqual({ value: 1 });
  });

  test("a tell wakes the actor and resolves when it is in the mailbox", async () => {
    const world = new World();
    const log = newLog();
    await world.directory("d");
    await world.host("a", account(log));
    const { system } = world.process("s");
    await world.run(system.actor("account", "anna").tell("add"));
    system.tell({ type: "account", key: "anna", isKeyed: true }, "add");
    await world.pass(50);
    expect(await world.run(system.actor("account", "anna").ask("read", ASK))).toBe(2);
  });

  test("a stream wakes the actor", async () => {
    const world = new World();
    await world.directory("d");
    await world.host("a", account(newLog()));
    const read = async () => {
      const items: unknown[] = [];
      for await (const item of world.process("s").system.actor("account", "k").stream(3, ASK)) {
        items.push(item);
      }
      return items;
    };
    expect(await world.run(read())).toEqual([0, 1, 2]);
  });
});

describe("passivation", () => {
  test("an idle actor is saved and let go; the next ask finds its state, unsaved changes too", async () => {
    const world = new World();
    const log = newLog();
    await world.directory("d");
    const a = await world.host("a", account(log), { idleMs: 1_000 });
    const { system } = world.process("s");
    const anna = system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    await world.run(anna.ask("add-unsaved", ASK));
    await world.pass(900);
    expect(await world.run(a.system.activationCount())).toBe(1);
    await world.pass(1_500);
    expect(await world.run(a.system.activationCount())).toBe(0);
    const direct = system.ask({ type: "account", key: "anna" }, "read", ASK);
    expect(await world.outcome(direct)).toEqual({ code: "NO_RESPONDERS" });
    expect(await world.run(anna.ask("read", ASK))).toBe(2);
    expect(log.made).toBe(2);
  });

  test("messages that meet a passivation are all answered, once each (200 seeds)", async () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const world = new World(`passivating-${seed}`);
      const log = newLog();
      await world.directory("d");
      await world.host("a", account(log), { idleMs: 500 });
      const anna = world.process("s").system.actor("account", "anna");
      const draw = world.random.stream("gaps");
      const results: Promise<{ value?: unknown; code?: string }>[] = [];
      for (let n = 0; n < 6; n += 1) {
        results.push(outcomeOf(anna.ask("add", ASK)));
        if (draw.next() < 0.5) results.push(outcomeOf(anna.tell("add").then(() => 0)));
        // Around the moment at which the wheel finds it idle.
        await world.pass(995 + draw.next() * 16);
      }
      const outcomes = await world.run(Promise.all(results));
      expect(
        outcomes.filter((it) => it.code !== undefined),
        `seed ${seed}`,
      ).toEqual([]);
      expect(await world.run(anna.ask("read", ASK)), `seed ${seed}`).toBe(results.length);
    }
  });

  test("a host that stops saves its actors; they live on elsewhere at once", async () => {
    const world = new World();
    await world.directory("d");
    const a = await world.host("a", account(newLog()));
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add-unsaved", ASK));
    await world.host("b", account(newLog()));
    await world.run(a.system.stop({ graceMs: 100 }));
    const startedMs = world.clock.monotonicMs();
    expect(await world.run(anna.ask("add", ASK))).toBe(2);
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(100);
    expect(await placementOf(world, "account.anna")).toEqual({ host: "b", generation: 2 });
  });
});

describe("loss of a host", () => {
  test("killed: activated elsewhere at once with its state and a greater generation", async () => {
    const world = new World();
    await world.directory("d");
    const a = await world.host("a", account(newLog()));
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    await world.host("b", account(newLog()));
    await a.kill();
    const startedMs = world.clock.monotonicMs();
    expect(await world.run(anna.ask("add", ASK))).toBe(2);
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(100);
    expect(await placementOf(world, "account.anna")).toEqual({ host: "b", generation: 2 });
  });

  test("killed while it handles: an ask with a message id is done once elsewhere, another is told", async () => {
    const world = new World();
    await world.directory("d");
    const log = newLog();
    const a = await world.host(
      "a",
      account(log, () => delay(world.clock, 1_000)),
    );
    const anna = world.process("s").system.actor("account", "anna");
    const named = outcomeOf(anna.ask("add", { ...ASK, messageId: "order-7" }));
    await world.pass(500);
    const unnamed = outcomeOf(anna.ask("add", ASK));
    await world.host("b", account(newLog()));
    await a.kill();
    expect(await world.run(named)).toEqual({ value: 1 });
    expect(await world.run(unnamed)).toEqual({ code: "UNAVAILABLE" });
    expect(world.clock.monotonicMs()).toBeLessThan(6_000);
    expect(await world.run(anna.ask("read", ASK))).toBe(1);
  });

  test("cut off: replaced at once; its save fails with STALE_GENERATION, and healed it answers nothing", async () => {
    const world = new World();
    await world.directory("d");
    const [logA, logB] = [newLog(), newLog()];
    const a = await world.host("a", account(logA));
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    await world.host("b", account(logB));
    a.cut();
    expect(await world.run(anna.ask("add", ASK))).toBe(2);
    a.heal();
    // Its own clock and the reconnect stop it; the write is refused whatever it believes.
    const late = await world.outcome(logA.contexts[0]!.save());
    expect(late).toEqual({ code: "STALE_GENERATION" });
    const values = await world.run(Promise.all([anna.ask("add", ASK), anna.ask("add", ASK)]));
    expect(values).toEqual([3, 4]);
    expect(logA.contexts).toHaveLength(1);
    expect(await world.run(a.system.activationCount())).toBe(0);
    expect(logB.saved.every((it) => it.generation === 2)).toBe(true);
  });

  test("hung: replaced when its lease has run out; resumed, it handles nothing it got meanwhile", async () => {
    const world = new World();
    await world.directory("d");
    const [logA, logB] = [newLog(), newLog()];
    const a = await world.host("a", account(logA));
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    await world.host("b", account(logB));
    a.hang();
    const startedMs = world.clock.monotonicMs();
    const values = [1, 2, 3].map((n) => anna.ask("add", { ...ASK, messageId: `m${n}` }));
    expect(new Set(await world.run(Promise.all(values)))).toEqual(new Set([2, 3, 4]));
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(LEASE_MS + 6_000);
    a.resume();
    await world.pass(2 * LEASE_MS);
    expect(logA.contexts).toHaveLength(1);
    expect(await world.run(a.system.activationCount())).toBe(0);
    expect(await world.run(anna.ask("read", ASK))).toBe(4);
  });

  test("its lease runs out by its own clock: it answers UNAVAILABLE, unhandled, until confirmed anew", async () => {
    const world = new World();
    await world.directory("d");
    const log = newLog();
    const a = await world.host("a", account(log));
    const sender = world.process("s").system;
    const anna = sender.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    a.setStoreAway(true);
    await world.pass(LEASE_MS + 100);
    const direct = { type: "account", key: "anna" };
    expect(await world.outcome(sender.ask(direct, "add", ASK))).toEqual({ code: "UNAVAILABLE" });
    expect(log.contexts).toHaveLength(1);
    a.setStoreAway(false);
    // The keyed ask repeats by itself until the lease is back.
    expect(await world.run(anna.ask("add", ASK))).toBe(2);
    expect(log.made).toBe(1);
    expect(a.system.deadLetters().countByReason["lease-lost"]).toBeGreaterThan(0);
  });

  test("a save that fails ends the activation: what it had in memory is not what is stored", async () => {
    const world = new World();
    await world.directory("d");
    const log = newLog();
    const a = await world.host("a", account(log));
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    a.setStoreAway(true);
    expect(await world.outcome(anna.ask("add", { deadlineMs: 500 }))).toEqual({
      code: "UNAVAILABLE",
    });
    a.setStoreAway(false);
    expect(await world.run(anna.ask("read", ASK))).toBe(1);
    expect(log.made).toBe(2);
  });
});

test("one history: with kills, cuts, hangs and passivations, each save follows the one before (60 seeds)", async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const world = new World(`history-${seed}`);
    const log = newLog();
    const draw = world.random.stream("faults");
    await world.directory("d1");
    await world.directory("d2");
    const slow = (): Promise<void> => delay(world.clock, draw.next() * 20);
    const hosts = [];
    for (let n = 0; n < 3; n += 1) {
      hosts.push(await world.host(`h${n}`, account(log, slow), { idleMs: 700 }));
    }
    const anna = world.process("s").system.actor("account", "anna");
    const results: Promise<{ value?: unknown; code?: string }>[] = [];
    for (let n = 0; n < 25; n += 1) {
      results.push(outcomeOf(anna.ask("add", { deadlineMs: 30_000, messageId: `m${n}` })));
      const host = hosts[draw.index(hosts.length)]!;
      const fault = draw.index(6);
      if (fault === 0) host.cut();
      else if (fault === 1) host.hang();
      else if (fault === 2) host.setStoreAway(true);
      await world.pass(draw.next() * 1_500);
      host.heal();
      host.resume();
      host.setStoreAway(false);
    }
    const outcomes = await world.run(Promise.all(results));
    expect(
      outcomes.filter((it) => it.code !== undefined),
      `seed ${seed}`,
    ).toEqual([]);
    // Every id has its effect exactly once, and no step was written twice. (One may be missing
    // from the list: its write was stored, but the answer to it was lost.)
    expect(await world.run(anna.ask("read", ASK)), `seed ${seed}`).toBe(25);
    const counts = log.saved.map((it) => it.count);
    const isGrowing = counts.every((count, at) => at === 0 || count > (counts[at - 1] ?? 0));
    expect(isGrowing, `seed ${seed}: ${counts.join(" ")}`).toBe(true);
    const generations = log.saved.map((it) => it.generation);
    expect(generations, `seed ${seed}`).toEqual([...generations].sort((x, y) => x - y));
  }
});

describe("supervision of keyed actors", () => {
  test("a defect restarts it from what it saved; too many let it go, and the next ask finds it anew", async () => {
    const world = new World();
    await world.directory("d");
    const log = newLog();
    const escalated: unknown[] = [];
    const a = await world.host("a", account(log), {
      restartsMax: 1,
      onEscalate: (error) => void escalated.push(error),
    });
    const anna = world.process("s").system.actor("account", "anna");
    await world.run(anna.ask("add", ASK));
    await world.run(anna.ask("add-unsaved", ASK));
    expect(await world.outcome(anna.ask("boom", ASK))).toEqual({ code: "INTERNAL" });
    expect(await world.run(anna.ask("read", ASK))).toBe(1);
    expect(await world.outcome(anna.ask("boom", ASK))).toEqual({ code: "INTERNAL" });
    expect(escalated).toHaveLength(1);
    expect(await world.run(a.system.activationCount())).toBe(0);
    expect(await world.run(anna.ask("read", ASK))).toBe(1);
    expect(log.made).toBe(3);
  });

  test("one that cannot start is the sender's UNAVAILABLE or the defect's text, not a hang", async () => {
    const world = new World();
    await world.directory("d");
    let made = 0;
    await world.host(
      "a",
      () => {
        made += 1;
        return {
          handle: async () => null,
          start: async () => {
            throw new Error("cannot start");
          },
        };
      },
      { restartsMax: 1 },
    );
    const anna = world.process("s").system.actor("account", "anna");
    expect(await world.outcome(anna.ask("x", ASK))).toEqual({ code: "INTERNAL" });
    expect(made).toBe(2);
  });
});

test("a type that is no longer hosted is saved and let go; another host takes it", async () => {
  const world = new World();
  await world.directory("d");
  const process = world.process("a");
  const hosting = await world.run(
    process.system.host({ type: "account", make: account(newLog()) }),
  );
  const anna = world.process("s").system.actor("account", "anna");
  await world.run(anna.ask("add-unsaved", ASK));
  await world.run(hosting.stop());
  await world.host("b", account(newLog()));
  expect(await world.run(anna.ask("add", ASK))).toBe(2);
  expect(await placementOf(world, "account.anna")).toEqual({ host: "b", generation: 2 });
});

describe("repeats", () => {
  test("a message that is delivered a hundred times is handled once and answered a hundred times", async () => {
    const world = new World();
    await world.directory("d");
    const log = newLog();
    await world.host(
      "a",
      account(log, () => delay(world.clock, 50)),
    );
    const { system } = world.process("s");
    const anna = system.actor("account", "anna");
    const asks = Array.from({ length: 50 }, () => anna.ask("add", { ...ASK, messageId: "once" }));
    expect(new Set(await world.run(Promise.all(asks)))).toEqual(new Set([1]));
    for (let n = 0; n < 50; n += 1) {
      expect(await world.run(anna.ask("add", { ...ASK, messageId: "once" }))).toBe(1);
    }
    expect(log.contexts).toHaveLength(1);
  });
});
