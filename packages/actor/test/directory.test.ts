/** Goal: D1 to D3 where keyed.test.ts does not look, and the limits of a sender's patience. */

import { delay } from "@murakkab/kit";
import { encode } from "@murakkab/protocol";
import { expect, test } from "vitest";
import { account, LEASE_MS, newLog, outcomeOf, World } from "./keyed-world.ts";

const ASK = { deadlineMs: 20_000 };

test("D2: a host that hangs keeps its actors as long as its lease runs", async () => {
  const world = new World();
  await world.directory("d");
  const logB = newLog();
  const a = await world.host("a", account(newLog()));
  const anna = world.process("s").system.actor("account", "anna");
  await world.run(anna.ask("add", ASK));
  await world.host("b", account(logB));
  a.hang();
  const ask = outcomeOf(anna.ask("add", { deadlineMs: 1_500 }));
  expect(await world.run(ask)).toEqual({ code: "TIMEOUT" });
  expect(logB.made).toBe(0);
  a.resume();
  await world.pass(2 * LEASE_MS);
  expect(await world.run(anna.ask("read", ASK))).toBeGreaterThan(0);
  expect(logB.made).toBe(0);
});

test("the placements were lost: the next generation is above the one in the state", async () => {
  const world = new World();
  await world.directory("d");
  const log = newLog();
  await world.host("a", account(log));
  const { state } = world.broker.connect("test");
  const states = await world.run(state.openKeyValue("MK_ACTOR_STATE"));
  const record = { version: 1, generation: 41, state: { count: 6, seen: [] } };
  await world.run(states.put("account.anna", encode(record, "msgpack")));
  const anna = world.process("s").system.actor("account", "anna");
  expect(await world.run(anna.ask("add", ASK))).toBe(7);
  expect(log.saved).toEqual([{ count: 7, generation: 42 }]);
});

test("a state that its host cannot read is the sender's error, not a reason to move on", async () => {
  const world = new World();
  await world.directory("d");
  const [logA, logB] = [newLog(), newLog()];
  await world.host("a", account(logA));
  await world.host("b", account(logB));
  const { state } = world.broker.connect("test");
  const states = await world.run(state.openKeyValue("MK_ACTOR_STATE"));
  const record = { version: 9, generation: 0, state: null };
  await world.run(states.put("account.anna", encode(record, "msgpack")));
  const ask = world.process("s").system.actor("account", "anna").ask("add", ASK);
  expect(await world.outcome(ask)).toEqual({ code: "UNSUPPORTED_VERSION" });
  expect(logA.made + logB.made).toBe(1);
});

test("a cancelled ask is not repeated while its actor is being looked for", async () => {
  const world = new World();
  const log = newLog();
  const controller = new AbortController();
  const { system } = world.process("s");
  const options = { ...ASK, signal: controller.signal };
  const ask = outcomeOf(system.actor("account", "anna").ask("add", options));
  await world.pass(1_000);
  controller.abort();
  await world.directory("d");
  await world.host("a", account(log));
  expect(await world.run(ask)).toEqual({ code: "CANCELLED" });
  expect(log.contexts).toHaveLength(0);
});

test("an ask that takes long is left alone while its actor works on it", async () => {
  const world = new World();
  await world.directory("d");
  const log = newLog();
  await world.host(
    "a",
    account(log, () => delay(world.clock, 15_000)),
    { idleMs: 1_000 },
  );
  const anna = world.process("s").system.actor("account", "anna");
  expect(await world.run(anna.ask("add", ASK))).toBe(1);
  expect(await world.run(anna.ask("add", { ...ASK, messageId: "long" }))).toBe(2);
  expect(log.contexts).toHaveLength(2);
  expect(log.made).toBe(1);
});
