/** Goal: schedulers share what they learn, an outage loses nothing, nothing counts twice. */
import { MemoryBroker } from "@murakkab/bus";
import type { JobScore } from "@murakkab/core";
import { SILENT_LOGGER } from "@murakkab/kit";
import type { AttemptObservation, ConfigurationQuality, ExecutorProfile } from "@murakkab/model";
import { ProfileStore, type ProfileStoreSettings, pageOf } from "@murakkab/scheduler";
import { VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const WORKFLOW = "question-answering-0123456789abcdef";
const CONFIGURATION = "question-answering=extractive{}";

class World {
  readonly clock = new VirtualClock();
  readonly broker = new MemoryBroker({ clock: this.clock });
  readonly told: { readonly event: string; readonly by: string; readonly about: string }[] = [];

  /** Drives the clock until the work is done. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = work().finally(() => {
      isSettled = true;
    });
    settled.catch(() => undefined);
    await this.clock.runUntil(() => isSettled);
    return settled;
  }

  store(name: string, settings: ProfileStoreSettings = {}): ProfileStore {
    const { state } = this.broker.connect(name);
    return new ProfileStore(
      {
        ...{ state, clock: this.clock, log: SILENT_LOGGER },
        onEvent: (event, about) => this.told.push({ event, about, by: name }),
      },
      settings,
    );
  }

  pause(ms: number): Promise<void> {
    return this.run(() => new Promise((resolve) => this.clock.after(ms, resolve)));
  }
}

let serial = 0;
const attempt = (change: Partial<AttemptObservation> = {}): AttemptObservation => ({
  ...{ executor: "ocr", version: "1", knobs: { width: 640 }, node: "n1", nodeKind: "epyc" },
  ...{ size: 10, runMs: 100, cpuSec: 0.1, memoryBytesMax: 1e6, outputSizes: { text: 4 } },
  atMs: 1_700_000_000_000 + (serial += 1),
  ...change,
});

const score = (change: Partial<JobScore> = {}): JobScore => ({
  ...{ jobId: "j1", configuration: CONFIGURATION, questionClass: "what", kind: "label" },
  ...{ score: 1, atMs: 1_700_000_000_000 },
  ...change,
});

const countOf = (store: ProfileStore): number =>
  store.profiles().executors.reduce((sum, it) => sum + (it.provenance.count ?? 0), 0);

const labelsOf = (store: ProfileStore) =>
  store.profiles().workflows[0]?.configurations[0]?.byClass["what"];

describe("profile store", () => {
  test("what one scheduler learns the others know within seconds, once", async () => {
    const world = new World();
    const [a, b] = [world.store("a"), world.store("b")];
    await world.run(async () => {
      await a.start();
      await b.start();
    });
    for (let i = 0; i < 5; i += 1) a.observe(attempt());
    for (let i = 0; i < 7; i += 1) b.observe(attempt({ node: "n2" }));
    b.observeStart({ executor: "ocr", version: "1", nodeKind: "epyc", startMs: 420 });
    await world.pause(30_000);
    expect([countOf(a), countOf(b)]).toEqual([12, 12]);
    expect(a.profiles().executors[0]?.startMs).toBe(420);
    await world.pause(60_000);
    expect([countOf(a), countOf(b)]).toEqual([12, 12]);
    const late = world.store("late");
    await world.run(() => late.start());
    expect(late.profiles()).toEqual(a.profiles());
  });

  test("an outage loses nothing but time", async () => {
    const world = new World();
    const store = world.store("a");
    await world.run(() => store.start());
    world.broker.stop();
    for (let i = 0; i < 5; i += 1) store.observe(attempt());
    store.addScore(WORKFLOW, score());
    await world.pause(20_000);
    expect(countOf(store)).toBe(5);
    expect(labelsOf(store)).toEqual({ scoreSum: 1, count: 1 });
    await expect(world.run(() => store.storeScore(WORKFLOW, score()))).rejects.toMatchObject({
      kind: "retryable",
    });
    world.broker.start();
    await world.pause(10_000);
    const other = world.store("b");
    await world.run(() => other.start());
    expect(countOf(other)).toBe(5);
    expect(labelsOf(other)).toEqual({ scoreSum: 1, count: 1 });
  });

  test("starts without the store, and reads it when it is there", async () => {
    const world = new World();
    const first = world.store("a");
    await world.run(() => first.start());
    first.observe(attempt());
    await world.run(() => first.stop());
    world.broker.stop();
    const second = world.store("b");
    await world.run(() => second.start());
    expect(countOf(second)).toBe(0);
    world.broker.start();
    await world.pause(15_000);
    expect(countOf(second)).toBe(1);
  });

  test("two schedulers that score at the same moment both count; repeats do not", async () => {
    const world = new World();
    const [a, b] = [world.store("a"), world.store("b")];
    await world.run(async () => {
      await a.start();
      await b.start();
      await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          (i % 2 === 0 ? a : b).storeScore(WORKFLOW, score({ jobId: `j${i}` })),
        ),
      );
      expect(await b.storeScore(WORKFLOW, score({ jobId: "j0", score: 0.5 }))).toEqual({
        isReplaced: true,
      });
    });
    await world.pause(15_000);
    expect(labelsOf(a)).toEqual({ scoreSum: 5.5, count: 6 });
    expect(labelsOf(b)).toEqual({ scoreSum: 5.5, count: 6 });
  });

  test("drift and demotion are told once, by the one that saw it", async () => {
    const world = new World();
    const [a, b] = [world.store("a"), world.store("b")];
    await world.run(async () => {
      await a.start();
      await b.start();
    });
    for (let i = 0; i < 30; i += 1) a.observe(attempt());
    for (let i = 0; i < 30; i += 1) a.observe(attempt({ runMs: 300 }));
    expect(a.speedOf("n1")).toBeCloseTo(3, 0);
    await world.run(async () => {
      for (let i = 0; i < 20; i += 1) await a.storeScore(WORKFLOW, score({ jobId: `l${i}` }));
      for (let i = 0; i < 9; i += 1) {
        const bad = score({ jobId: `f${i}`, kind: "feedback", score: 0 });
        await a.storeScore(WORKFLOW, bad);
      }
    });
    await world.pause(30_000);
    expect(b.model(WORKFLOW).demotion(CONFIGURATION, "what")).not.toBeNull();
    expect(b.speedOf("n1")).toBeCloseTo(3, 0);
    expect(world.told).toEqual([
      { event: "node.drifted", about: "n1", by: "a" },
      { event: "configuration.demoted", about: WORKFLOW, by: "a" },
      { event: "configuration.demoted", about: WORKFLOW, by: "a" },
    ]);
  });

  test("imports are shared, replace shipped ones, and may be repeated", async () => {
    const world = new World();
    const line = (fixed: number) => ({ fixed, perUnit: 0, spread: 0.1 });
    const profile = (fixed: number): ExecutorProfile => ({
      ...{ executor: "ocr", version: "1", knobs: {}, nodeKind: "epyc" },
      ...{ runMs: line(fixed), cpuSec: line(1), outputSizes: {} },
      ...{ memoryBytesMax: null, startMs: null, provenance: { kind: "prior", note: "test" } },
    });
    const quality: ConfigurationQuality = {
      ...{ configuration: CONFIGURATION, byClass: { what: { scoreSum: 9, count: 10 } } },
      ...{ feedback: {}, provenance: { kind: "measured", note: "test" } },
    };
    const shipped = { executors: [profile(50)], workflows: [] };
    const a = world.store("a", { shipped });
    const b = world.store("b", { shipped });
    await world.run(async () => {
      await a.start();
      await b.start();
      const set = {
        executors: [profile(70)],
        workflows: [{ workflow: WORKFLOW, configurations: [quality] }],
      };
      await a.import(set);
      await a.import(set);
      await a.import(a.profiles());
    });
    await world.pause(15_000);
    for (const store of [a, b]) {
      expect(store.profiles().executors).toMatchObject([{ runMs: { fixed: 70 } }]);
      expect(labelsOf(store)).toEqual({ scoreSum: 9, count: 10 });
    }
  });

  test("an entry that can't be read is passed over", async () => {
    const world = new World();
    const { state } = world.broker.connect("vandal");
    const store = world.store("a");
    await world.run(async () => {
      const bucket = await state.openKeyValue("MK_PROFILES", { onMissing: "recreate" });
      await bucket.put("profile.x", new Uint8Array([0xc1, 1, 2]));
      await bucket.put("workflow.y", new TextEncoder().encode('{"value":{"configurations":3}}'));
      await store.start();
    });
    store.observe(attempt());
    await world.pause(15_000);
    expect(countOf(store)).toBe(1);
  });
});

test("pages hold everything once", () => {
  const profile = (i: number): ExecutorProfile => ({
    ...{ executor: `e${i}`, version: "1", knobs: {}, nodeKind: "k" },
    ...{ runMs: { fixed: 1, perUnit: 1, spread: 1 }, cpuSec: { fixed: 1, perUnit: 1, spread: 1 } },
    ...{ outputSizes: {}, memoryBytesMax: null, startMs: null },
    provenance: { kind: "prior", note: "x".repeat(2_000) },
  });
  const executors = Array.from({ length: 700 }, (_, i) => profile(i));
  const seen: string[] = [];
  let pages = 0;
  for (let after: number | null = 0; after !== null; pages += 1) {
    const page = pageOf({ executors, workflows: [] }, after);
    seen.push(...page.profiles.executors.map((it) => it.executor));
    after = page.next;
  }
  expect(seen).toEqual(executors.map((it) => it.executor));
  expect(pages).toBeGreaterThan(2);
});
