/**
 * Goal: after things settle every partition has exactly one owner that can write, and no entry
 * that was acknowledged is missed by who owns it. Method: members on an in-memory bus, virtual time.
 */
import { publishValue } from "@murakkab/bus";
import { encodeBatch, JOURNAL_VERSION, type SchedulerBeat, subjects } from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entryOf } from "./journal/lossy-log.ts";
import { Cluster } from "./member-fixture.ts";

const COUNT = 16;
const SETTLE_MS = 8_000;

function expectOneOwnerEach(cluster: Cluster): void {
  expect(cluster.owners(COUNT).map((owners) => owners.length)).toEqual(Array(COUNT).fill(1));
}

async function expectWritable(cluster: Cluster): Promise<void> {
  for (const member of cluster.members.filter((it) => !it.isGone)) {
    for (const owned of member.ownership.all()) {
      await cluster.run(() => owned.journal.append([entryOf(`j${owned.partition}`, 1)]));
    }
  }
  expectOneOwnerEach(cluster);
}

describe("ownership", () => {
  test("one member has all; a second one gets its part in order; one that leaves gives all back", async () => {
    const cluster = new Cluster("join");
    const first = await cluster.add();
    await first.start();
    expect(first.ownership.ownedCount).toBe(COUNT);
    const second = await cluster.add();
    await second.start();
    await cluster.pass(1_000);
    expectOneOwnerEach(cluster);
    expect(second.ownership.ownedCount).toBeGreaterThan(2);
    await second.leave();
    await cluster.pass(500);
    expect(first.ownership.ownedCount).toBe(COUNT);
    await expectWritable(cluster);
  });

  test("W3: what a dead member had is taken within a beat, not after its silence", async () => {
    const cluster = new Cluster("kill");
    const [first, second] = [await cluster.add(), await cluster.add()];
    await first.start();
    await second.start();
    await cluster.pass(1_000);
    await second.kill();
    await cluster.pass(450);
    expect(first.ownership.ownedCount).toBe(COUNT);
    await expectWritable(cluster);
  });

  test("W2: each taking has a generation above all before it, also when the bucket was lost", async () => {
    const cluster = new Cluster("generation");
    const first = await cluster.add();
    await first.start();
    await expectWritable(cluster);
    const before = first.ownership.get(1)?.journal.generation ?? 0;
    await first.kill();
    cluster.broker.store.deleteBucket("MK_GENERATIONS");
    const second = await cluster.add();
    await second.start();
    expect(second.ownership.get(1)?.journal.generation).toBeGreaterThan(before);
    await expectWritable(cluster);
  });

  test("W1, W4 under random joins, ends, pauses and cuts: one owner each, and it can write", async () => {
    const step = fc.constantFrom("join", "leave", "kill", "pause", "cut", "outage");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, fc.nat(9), fc.nat(1_500)), { minLength: 1, maxLength: 8 }),
        fc.string({ maxLength: 4 }),
        async (steps, seed) => {
          const cluster = new Cluster(seed);
          await (await cluster.add()).start();
          for (const [what, pick, pauseMs] of steps) {
            const live = cluster.members.filter((it) => !it.isGone);
            const member = live[pick % live.length]!;
            if (what === "join" && live.length < 5) await (await cluster.add()).start();
            else if (what === "leave" && live.length > 1) await member.leave();
            else if (what === "kill" && live.length > 1) await member.kill();
            else if (what === "pause") {
              member.clock.isPaused = true;
              cluster.clock.after(2_500, () => member.clock.resume());
            } else if (what === "cut") {
              cluster.broker.cut(member.id);
              cluster.clock.after(2_500, () => cluster.broker.heal(member.id));
            } else if (what === "outage") {
              cluster.broker.stop();
              cluster.clock.after(1_000, () => cluster.broker.start());
              await cluster.pass(1_100); // a member can't be started without a bus
            }
            await cluster.pass(pauseMs);
          }
          await cluster.pass(SETTLE_MS);
          expectOneOwnerEach(cluster);
          await expectWritable(cluster);
        },
      ),
      { numRuns: 25 },
    );
  });

  // An owner that was taken for lost could go on accepting jobs that nobody would ever run.
  test("what an owner that was cut off accepts after it lost its partitions is refused", async () => {
    const cluster = new Cluster("zombie");
    const [first, second] = [await cluster.add(), await cluster.add()];
    await first.start();
    await second.start();
    await cluster.pass(1_000);
    const zombies = [...first.taken.values()];
    expect(zombies.length).toBeGreaterThan(2);
    cluster.broker.cut(first.id);
    await cluster.pass(4_000);
    expect(second.ownership.ownedCount).toBe(COUNT);
    // Before a beat of the other one reaches it.
    cluster.broker.heal(first.id);
    const outcomes = await cluster.run(() =>
      Promise.allSettled(zombies.map((it) => it.journal.append([entryOf("late", 1)]))),
    );
    await cluster.pass(SETTLE_MS);
    expectOneOwnerEach(cluster);
    const accepted = outcomes.filter((it) => it.status === "fulfilled");
    const found = cluster.members.flatMap((it) => it.foundJobs);
    expect(found.filter((jobId) => jobId === "late").length).toBeGreaterThanOrEqual(
      accepted.length,
    );
    expect(accepted).toHaveLength(0);
  });

  test("a member that loses a race at its start goes on trying", async () => {
    const cluster = new Cluster("race");
    let hasLost = false;
    const member = await cluster.add({
      onTaken: async (owned) => {
        if (hasLost) return;
        hasLost = true;
        const rival = { v: JOURNAL_VERSION, owner: "s9", generation: 99, incarnation: "r" };
        const data = encodeBatch({ ...rival, partition: owned.partition, entries: [] });
        const log = await member.bus.state.openLog("MK_JOURNAL", {
          subjects: [subjects.allJournals],
          maxAgeMs: 3_600_000,
        });
        await log.append(subjects.journal(owned.partition), data);
        await owned.journal.append([]);
      },
    });
    await member.start();
    await cluster.pass(3_000);
    expect(member.ownership.ownedCount).toBe(COUNT);
    expect(member.ownership.get(0)?.journal.generation).toBeGreaterThan(99);
    await expectWritable(cluster);
  });

  test("a start on a journal of an unknown version ends with a sentence that names both", async () => {
    const cluster = new Cluster("version");
    const member = await cluster.add();
    const log = await cluster.run(() =>
      member.bus.state.openLog("MK_JOURNAL", {
        subjects: [subjects.allJournals],
        maxAgeMs: 3_600_000,
      }),
    );
    const future = { v: JOURNAL_VERSION + 1, owner: "s0", generation: 1, incarnation: "x" };
    const data = encodeBatch({ ...future, partition: 2, entries: [] });
    await cluster.run(() => log.append(subjects.journal(2), data));
    await expect(member.start()).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      message: expect.stringMatching(/version 2.*version.*1/),
    });
  });

  test("two members with different settings: told once, and both go on", async () => {
    const cluster = new Cluster("config");
    const warnings: unknown[] = [];
    const silent = () => undefined;
    const log = {
      child: () => log,
      trace: silent,
      debug: silent,
      info: silent,
      error: silent,
      warn: (fields: unknown) => void warnings.push(fields),
    };
    const first = await cluster.add({ log });
    await first.start();
    await (await cluster.add({ config: "other" })).start();
    await cluster.pass(2_000);
    expect(warnings).toEqual([
      expect.objectContaining({ event: "scheduler.config-differs", config: "other", own: "same" }),
    ]);
    await expectWritable(cluster);
  });

  test("a beat that is no beat is refused, and nothing else happens", async () => {
    const cluster = new Cluster("beat");
    const first = await cluster.add();
    await first.start();
    const beat: Partial<SchedulerBeat> = { scheduler: "s9", owned: "ffff" };
    publishValue(first.bus.messaging, subjects.schedulerBeat, beat);
    await cluster.pass(1_000);
    expect(first.ownership.listMembers()).toEqual([]);
    await expectWritable(cluster);
  });
});

describe("marks", () => {
  async function lossOf(cluster: Cluster, lose: () => Promise<void>): Promise<void> {
    const first = await cluster.add();
    await first.start();
    const quiet = first.ownership.get(5)!;
    // A long history: its marks are high.
    for (let round = 0; round < 60; round += 1) {
      const sequence = await cluster.run(() => quiet.journal.append([entryOf(`old${round}`, 1)]));
      first.ownership.sawSequence(sequence);
    }
    await cluster.pass(2_500);
    await lose();
    await cluster.pass(2_500);
    // A new history grows over where the marks of the old one pointed.
    const sequence = await cluster.run(() => quiet.journal.append([entryOf("new", 1)]));
    quiet.unindexed.set("new", sequence);
    for (const partition of [1, 2, 3, 4, 6, 7]) {
      for (let round = 0; round < 12; round += 1) {
        const { journal } = first.ownership.get(partition)!;
        const at = await cluster.run(() => journal.append([entryOf("other", 1)]));
        first.ownership.sawSequence(at);
      }
    }
    await first.kill();
    const second = await cluster.add();
    await second.start();
    expect(second.foundJobs).toContain("new");
  }

  test("X2: after the journal was deleted no mark of the old one hides a job of the new one", async () => {
    const cluster = new Cluster("marks-deleted");
    await lossOf(cluster, async () => cluster.broker.store.deleteLog("MK_JOURNAL"));
  });

  test("a dead owner's marks do not outlive the journal either", async () => {
    const cluster = new Cluster("marks-dead");
    const dead = await cluster.add();
    await dead.start();
    const journal = dead.ownership.get(5)!.journal;
    for (let round = 0; round < 40; round += 1) {
      dead.ownership.sawSequence(await cluster.run(() => journal.append([entryOf("x", 1)])));
    }
    await cluster.pass(2_500);
    await dead.kill();
    await lossOf(cluster, async () => cluster.broker.store.deleteLog("MK_JOURNAL"));
  });

  test("a quiet partition writes again what it knows soon after the loss", async () => {
    const cluster = new Cluster("quiet");
    const first = await cluster.add();
    await first.start();
    const quiet = first.ownership.get(5)!;
    await cluster.run(() => quiet.journal.append([entryOf("a", 1)]));
    quiet.rewrite = () => [entryOf("a", 1)];
    quiet.unindexed.set("a", 1);
    await cluster.pass(2_500);
    cluster.broker.store.deleteLog("MK_JOURNAL");
    await cluster.pass(4_500);
    await first.kill();
    const second = await cluster.add();
    await second.start();
    expect(second.foundJobs).toEqual(["a"]);
  });
});
