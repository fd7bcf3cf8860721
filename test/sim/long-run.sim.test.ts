/**
 * Goal: what shows only over time or under load: fairness among tenants, jobs that outlast
 * thousands of others, jobs that are not durable, and the end of retention.
 */
import { delay } from "@murakkab/kit";
import { contentHeaders, decode, subjects } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { JobPlay, jobIdOf } from "./job-play.ts";

const CHAIN = { workflow: "chain", description: "x" } as const;
/** More entries than after which a job is written again. */
const PASSING_COUNT = 9_000;

describe("tenants", () => {
  test("a tenant that floods does not starve another one", async () => {
    const play = new JobPlay("flood", { runMs: 1_500 });
    const { clock } = play.fleet;
    await play.fleet.start();
    await play.fleet.run(async () => {
      let floodDoneCount = 0;
      const flood = Promise.all(
        Array.from({ length: 150 }, async (_it, index) => {
          await play.play({ ...CHAIN, description: `flood ${index}`, tenant: "flood" });
          floodDoneCount += 1;
        }),
      );
      await delay(clock, 800);
      const receipt = await play.play({ ...CHAIN, description: "small", tenant: "small" });
      expect(receipt.state).toBe("succeeded");
      // Three steps of its own, and a turn to wait for at each.
      expect(receipt.latencyMs).toBeLessThan(13_000);
      expect(floodDoneCount).toBeLessThan(100);
      await flood;
    }, 600_000);
  });

  test("above its share a tenant is refused with a time, and another one is let in", async () => {
    const play = new JobPlay("share", {
      schedulers: 1,
      runMs: 5_000,
      fleet: { activeJobsMax: 10 },
    });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const submit = (tenant: string) =>
        play.submit({ ...CHAIN, tenant }).then(
          () => "accepted",
          (error: { code: string }) => error.code,
        );
      // `submit` asks again when it is told to: what is refused is let in once others are done.
      const flood = Promise.all(Array.from({ length: 9 }, () => submit("flood")));
      await delay(play.fleet.clock, 500);
      const sinceMs = play.fleet.clock.monotonicMs();
      expect(await submit("small")).toBe("accepted");
      expect(play.fleet.clock.monotonicMs() - sinceMs).toBeLessThan(100);
      expect(await flood).toEqual(Array(9).fill("accepted"));
    }, 600_000);
  });
});

describe("a job of half an hour", () => {
  test("is written again while thousands of entries pass by, and a takeover goes on with it", async () => {
    const play = new JobPlay("carry", { slowMs: 25 * 60_000 });
    const { fleet } = play;
    const { clock, client, broker } = fleet;
    await fleet.start();
    await fleet.run(async () => {
      const jobId = jobIdOf(1);
      await play.submit({ workflow: "long", description: "x", jobId });
      await delay(clock, 2_000);
      const before = await play.events(jobId);
      const log = broker.store.findLog("MK_JOURNAL");
      for (let count = 0; count < PASSING_COUNT; count += 1) {
        log?.append(subjects.journal(300), new Uint8Array(1), { nowMs: clock.monotonicMs() });
      }
      // Its end tells its scheduler how far the journal is.
      for (let index = 0; index < 8; index += 1)
        await play.play({ ...CHAIN, description: `by ${index}`, jobId: jobIdOf(index + 2) });
      await delay(clock, 35_000);
      const journal = await client.state.openLog("MK_JOURNAL", {
        subjects: [subjects.allJournals],
        maxAgeMs: 7 * 24 * 3_600_000,
      });
      // What lies before is not needed any more: it could as well be gone.
      await journal.purge(subjects.journal(37), { beforeSequence: PASSING_COUNT });
      expect((await journal.read(subjects.journal(37))).length).toBeGreaterThan(0);
      await fleet.killScheduler("scheduler-1");
      await delay(clock, 10_000);
      expect((await play.events(jobId)).slice(0, before.length)).toEqual(before);
      await fleet.killScheduler("scheduler-2");
      await fleet.addScheduler().scheduler.start();
      const receipt = await play.end(jobId);
      await play.check(receipt);
      await play.checkRuns([jobId]);
      expect(receipt.latencyMs).toBeGreaterThan(24 * 60_000);
    }, 40 * 60_000);
  });
});

describe("jobs that are not durable", () => {
  test("run without entries, are known while they are remembered, and end with their scheduler", async () => {
    const play = new JobPlay("volatile", { schedulers: 1, slowMs: 20_000 });
    const { fleet } = play;
    await fleet.start();
    await fleet.run(async () => {
      const log = fleet.broker.store.findLog("MK_JOURNAL");
      const countNow = () => log?.info(fleet.clock.monotonicMs()).lastSequence;
      await delay(fleet.clock, 500);
      const before = countNow();
      const job = { ...CHAIN, jobId: jobIdOf(1), durable: false };
      const receipt = await play.play(job);
      expect(receipt.state).toBe("succeeded");
      expect(countNow()).toBe(before);
      // Its id is taken, also now that it is over.
      const runsBefore = play.order.length;
      expect(await play.submit(job)).toBe(job.jobId);
      await delay(fleet.clock, 1_000);
      expect(play.order).toHaveLength(runsBefore);
      // One that still runs is told to be over when its scheduler gives its partition away.
      const long = {
        workflow: "long",
        description: "x",
        jobId: jobIdOf(2),
        durable: false,
      } as const;
      await play.submit(long);
      const end = play.end(long.jobId);
      await delay(fleet.clock, 1_000);
      await fleet.addScheduler().scheduler.start();
      await delay(fleet.clock, 1_000);
      await fleet.scheduler.stop();
      const ended = await end.catch((error: { code: string }) => error);
      expect(ended).toMatchObject(
        "steps" in ended
          ? { state: "failed", error: { code: "OWNER_CHANGED" } }
          : { code: "NOT_FOUND" },
      );
    }, 60_000);
  });

  test("hold no marks back: what is over is not read again at a takeover", async () => {
    const play = new JobPlay("volatile-marks", { schedulers: 1, slowMs: 30_000 });
    const { fleet } = play;
    await fleet.start();
    await fleet.run(async () => {
      await play.submit({
        workflow: "long",
        description: "x",
        jobId: jobIdOf(1, 9),
        durable: false,
      });
      await play.play({ ...CHAIN, jobId: jobIdOf(2, 9) });
      await delay(fleet.clock, 3_000);
      const marks = fleet.broker.store.findBucket("MK_JOB_MARKS");
      const entry = marks?.get("scheduler-1", fleet.clock.monotonicMs());
      expect(markIn(entry?.value ?? new Uint8Array(0), 9)).toBeGreaterThan(5);
    }, 60_000);
  });
});

describe("retention", () => {
  test("a job is found until its time is over, and then told to be expired", async () => {
    const play = new JobPlay("retention", { schedulers: 1, fleet: { retentionMs: 60_000 } });
    const { fleet } = play;
    await fleet.start();
    await fleet.run(async () => {
      const jobId = jobIdOf(1);
      await play.check(await play.play({ ...CHAIN, jobId }));
      await fleet.killScheduler("scheduler-1");
      await fleet.addScheduler().scheduler.start();
      await play.check(await play.end(jobId));
      await delay(fleet.clock, 65_000);
      await fleet.killScheduler("scheduler-2");
      await fleet.addScheduler().scheduler.start();
      await expect(play.get(jobId)).rejects.toMatchObject({ code: "EXPIRED" });
      // The partition's entries are all gone: it can be written to all the same.
      await play.check(await play.play({ ...CHAIN, jobId: jobIdOf(200, 37) }));
    }, 300_000);
  });
});

function markIn(data: Uint8Array, partition: number): number {
  const { marks } = decode(data, contentHeaders("msgpack")).value as {
    readonly marks: readonly (readonly [number, number])[];
  };
  return new Map(marks).get(partition) ?? 0;
}
