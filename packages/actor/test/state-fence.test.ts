/** Goal: F1 to F3: who may write the state of an actor. Method: fences of two owners over one bucket. */
import { MemoryBroker } from "@murakkab/bus";
import { UnavailableError } from "@murakkab/kit";
import { expect, test } from "vitest";
import { StateFence } from "../src/state-fence.ts";
import { World } from "./keyed-world.ts";

async function openStore() {
  const world = new World();
  const store = await new MemoryBroker({ clock: world.clock })
    .connect()
    .state.openKeyValue("MK_ACTOR_STATE");
  const fence = (generation: number, version = 1) =>
    new StateFence(store, { key: "t.k", generation, version });
  return { store, fence };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (error: { code: string }) => error.code,
  );

test("F1: from the moment a newer generation has loaded, the older one cannot write", async () => {
  const { fence } = await openStore();
  const [old, young] = [fence(1), fence(2)];
  expect(await old.load()).toBeNull();
  await old.save(() => "one");
  expect(await young.load()).toEqual({ state: "one", version: 1 });
  expect(await codeOf(old.save(() => "late"))).toBe("STALE_GENERATION");
  await young.save(() => "two");
  expect(await codeOf(old.load())).toBe("STALE_GENERATION");
  expect(await fence(3).load()).toEqual({ state: "two", version: 1 });
});

test("F1 holds for one that never saved, and against one that starts late", async () => {
  const { fence } = await openStore();
  const [old, young] = [fence(1), fence(2)];
  await old.load();
  await young.load();
  expect(await codeOf(old.save(() => "late"))).toBe("STALE_GENERATION");
  expect(await codeOf(fence(1).load())).toBe("STALE_GENERATION");
});

test("F2: of two activations of one generation the younger writes", async () => {
  const { fence } = await openStore();
  const [first, second] = [fence(1), fence(1)];
  await first.load();
  await second.load();
  await second.save(() => "second");
  expect(await codeOf(first.save(() => "first"))).toBe("STALE_GENERATION");
});

test("F3: after a write without an answer the record is read first, whether it was stored or not", async () => {
  for (const isStored of [true, false]) {
    const { store, fence } = await openStore();
    const one = fence(1);
    await one.load();
    const update = store.update.bind(store);
    store.update = async (...args) => {
      store.update = update;
      if (isStored) await update(...args);
      throw new UnavailableError("the answer was lost");
    };
    expect(await codeOf(one.save(() => "maybe"))).toBe("UNAVAILABLE");
    await one.save(() => "sure");
    expect(await fence(2).load()).toEqual({ state: "sure", version: 1 });
  }
});

test("saves that overlap are written in their order", async () => {
  const { fence } = await openStore();
  const one = fence(1);
  await one.load();
  await Promise.all([1, 2, 3, 4].map((n) => one.save(() => n)));
  expect(await fence(2).load()).toEqual({ state: 4, version: 1 });
});

test("a state of a newer version is refused, an older one is given with its version", async () => {
  const { fence } = await openStore();
  const one = fence(1, 2);
  await one.load();
  await one.save(() => "new form");
  expect(await codeOf(fence(2, 1).load())).toBe("UNSUPPORTED_VERSION");
  expect(await fence(2, 3).load()).toEqual({ state: "new form", version: 2 });
});
