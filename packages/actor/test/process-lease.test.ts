/** Goal: P1 to P3 of the process' lease. Method: a slow store, a bus that goes away, virtual time. */
import { type KeyValue, MemoryBroker } from "@murakkab/bus";
import { delay, SILENT_LOGGER, UnavailableError } from "@murakkab/kit";
import { expect, test } from "vitest";
import { ProcessLease } from "../src/process-lease.ts";
import { World } from "./keyed-world.ts";

const LEASE_MS = 1_000;

async function open(setup: { readonly storeMs: number }) {
  const world = new World();
  const { clock } = world;
  const broker = new MemoryBroker({ clock });
  const bus = broker.connect("p");
  const real = await world.run(bus.state.openKeyValue("MK_ACTOR_HOSTS", { ttlMs: LEASE_MS }));
  const slow = { isAway: false, storeMs: setup.storeMs };
  const through = async <T>(operate: () => Promise<T>): Promise<T> => {
    await delay(clock, slow.storeMs);
    if (slow.isAway) throw new UnavailableError("away");
    const result = await operate();
    await delay(clock, slow.storeMs);
    return result;
  };
  const store: KeyValue = {
    get: (key) => real.get(key),
    put: (key, value) => through(() => real.put(key, value)),
    create: (key, value) => through(() => real.create(key, value)),
    update: (key, value, revision) => through(() => real.update(key, value, revision)),
    delete: (key) => real.delete(key),
    keys: () => real.keys(),
    recent: (limit) => real.recent(limit),
  };
  let regainedCount = 0;
  const lease = new ProcessLease(
    { store, messaging: bus.messaging, clock, log: SILENT_LOGGER },
    { hostId: "p", leaseMs: LEASE_MS, onRegained: () => void (regainedCount += 1) },
  );
  const isHeld = (): boolean => lease.isHeld(clock.monotonicMs());
  return { world, broker, real, slow, lease, isHeld, regained: () => regainedCount };
}

test("P1: it ends by the own clock before the store forgets it, counted from before the sending", async () => {
  const { world, real, slow, lease, isHeld } = await open({ storeMs: 100 });
  await world.run(lease.start());
  await world.pass(3_000);
  expect(isHeld()).toBe(true);
  expect(lease.epoch).toBe(1);
  slow.isAway = true;
  let heldUntilMs = 0;
  let storedUntilMs = 0;
  for (let n = 0; n < 200; n += 1) {
    await world.pass(10);
    if (isHeld()) heldUntilMs = world.clock.monotonicMs();
    if ((await world.run(real.get("p"))) !== null) storedUntilMs = world.clock.monotonicMs();
  }
  expect(heldUntilMs).toBeGreaterThan(3_000);
  // 100 ms to the store, and the margin of a tenth.
  expect(storedUntilMs - heldUntilMs).toBeGreaterThanOrEqual(180);
});

test("P2, P3: not held while the bus is away, and of a new epoch after that", async () => {
  const { world, broker, lease, isHeld, regained } = await open({ storeMs: 1 });
  await world.run(lease.start());
  broker.cut("p");
  expect(isHeld()).toBe(false);
  broker.heal("p");
  expect(isHeld()).toBe(false);
  await world.pass(20);
  expect(isHeld()).toBe(true);
  expect([lease.epoch, regained()]).toEqual([2, 2]);
});

test("P3: an entry that someone deleted means a new epoch", async () => {
  const { world, real, lease, isHeld } = await open({ storeMs: 1 });
  await world.run(lease.start());
  await world.run(real.delete("p"));
  await world.pass(LEASE_MS);
  expect(isHeld()).toBe(true);
  expect(lease.epoch).toBe(2);
});

test("a store that answers slower than the lease lasts gives no lease", async () => {
  const { world, lease } = await open({ storeMs: 600 });
  expect(await world.outcome(lease.start())).toEqual({ code: "UNAVAILABLE" });
});

test("given back, it is gone from the store at once and stays away", async () => {
  const { world, real, lease, isHeld } = await open({ storeMs: 1 });
  await world.run(lease.start());
  await world.run(lease.stop());
  expect(isHeld()).toBe(false);
  await world.pass(LEASE_MS);
  expect(await world.run(real.get("p"))).toBeNull();
});
