/** Goal: at most one candidate leads, under a generation that only grows. Method: virtual time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Candidate, Cluster } from "./member-fixture.ts";

async function pair(seed: string): Promise<[Cluster, Candidate, Candidate]> {
  const cluster = new Cluster(seed);
  const [a, b] = [new Candidate(cluster, "a"), new Candidate(cluster, "b")];
  await cluster.run(() => a.leadership.start());
  await cluster.run(() => b.leadership.start());
  return [cluster, a, b];
}

const leaders = (...all: readonly Candidate[]) =>
  all.filter((it) => it.leadership.generation > 0).map((it) => it.id);

describe("leadership", () => {
  test("the first one leads and goes on leading", async () => {
    const [cluster, a, b] = await pair("two");
    await cluster.pass(20_000);
    expect([a.told, b.told]).toEqual([["gained 1"], []]);
  });

  test("L3: a holder whose process has ended is followed at the next try", async () => {
    const [cluster, a, b] = await pair("killed");
    cluster.broker.cut("a");
    await cluster.pass(400);
    expect(b.told).toEqual(["gained 2"]);
    // Cut off, it stops by its own clock.
    await cluster.pass(1_400);
    expect(a.leadership.generation).toBe(0);
    expect(a.told.at(-1)).toMatch(/^lost: its lease ran out/);
    cluster.broker.heal("a");
    await cluster.pass(5_000);
    expect(leaders(a, b)).toEqual(["b"]);
  });

  test("L1: a paused holder leads no more when its time is over, though nobody told it", async () => {
    const [cluster, a, b] = await pair("paused");
    a.clock.isPaused = true;
    await cluster.pass(1_300);
    expect(leaders(a, b)).toEqual(["a"]);
    await cluster.pass(800);
    expect(leaders(a, b)).toEqual(["b"]);
    a.clock.resume();
    await cluster.pass(3_000);
    expect(leaders(a, b)).toEqual(["b"]);
    expect(a.told).toEqual(["gained 1", expect.stringMatching(/^lost/)]);
  });

  test("one that leaves in order gives the lease back, and takes no other one's", async () => {
    const [cluster, a, b] = await pair("leave");
    await cluster.run(() => a.leadership.stop());
    await cluster.pass(400);
    expect(b.told).toEqual(["gained 2"]);
    await cluster.pass(4_000);
    expect(b.told).toEqual(["gained 2"]);
  });

  // The lease was deleted whoever had it: the new leader lost it and led again under another one.
  test("a former leader that ends late leaves the new one's lease alone", async () => {
    const [cluster, a, b] = await pair("late");
    a.clock.isPaused = true;
    await cluster.pass(300);
    cluster.broker.cut("a"); // b takes the lease while a still believes in its own
    await cluster.pass(40);
    cluster.broker.store.bucket("MK_LEASES", { ttlMs: 1_500 }).delete("leader", {
      expectedRevision: undefined,
      nowMs: cluster.clock.monotonicMs(),
    });
    await cluster.run(() => b.leadership.tryNow());
    expect(b.told).toEqual(["gained 2"]);
    cluster.broker.heal("a");
    expect(a.leadership.generation).toBe(1);
    await cluster.run(() => a.leadership.stop());
    await cluster.pass(4_000);
    expect(b.told).toEqual(["gained 2"]);
  });

  test("L2: the generation goes above what agents obeyed, also for two reports at once", async () => {
    const [cluster, a] = await pair("raise");
    await cluster.run(() => Promise.all([9, 4, 30, 12].map((seen) => a.leadership.raise(seen))));
    expect(a.leadership.generation).toBeGreaterThan(30);
    const { generation } = a.leadership;
    await cluster.run(() => a.leadership.raise(3));
    expect(a.leadership.generation).toBe(generation);
  });

  test("the buckets are deleted: somebody leads again soon", async () => {
    const [cluster, a, b] = await pair("deleted");
    cluster.broker.store.deleteBucket("MK_LEASES");
    cluster.broker.store.deleteBucket("MK_GENERATIONS");
    await cluster.pass(3_000);
    expect(leaders(a, b)).toHaveLength(1);
  });

  test("L2 under random trouble: nobody leads twice under one generation; then exactly one leads", async () => {
    const step = fc.tuple(fc.constantFrom("cut", "pause", "outage"), fc.nat(2), fc.nat(2_500));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const cluster = new Cluster("random");
        const all = ["a", "b", "c"].map((id) => new Candidate(cluster, id));
        for (const it of all) await cluster.run(() => it.leadership.start());
        for (const [what, pick, ms] of steps) {
          const it = all[pick]!;
          if (what === "cut") {
            cluster.broker.cut(it.id);
            cluster.clock.after(ms, () => cluster.broker.heal(it.id));
          } else if (what === "pause") {
            it.clock.isPaused = true;
            cluster.clock.after(ms, () => it.clock.resume());
          } else {
            cluster.broker.stop();
            cluster.clock.after(ms, () => cluster.broker.start());
          }
          await cluster.pass(ms / 2);
        }
        await cluster.pass(6_000);
        expect(leaders(...all)).toHaveLength(1);
        const gained = all.flatMap((it) => it.told.filter((line) => line.startsWith("gained")));
        expect(new Set(gained).size).toBe(gained.length);
      }),
      { numRuns: 25 },
    );
  });
});
