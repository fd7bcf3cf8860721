/**
 * Goal: whatever happens to schedulers, bus and workers at the same time, every job that was
 * accepted has one end, and what is journaled is not done again. Method: virtual time, seeds.
 */
import { delay } from "@murakkab/kit";
import { describe, expect, test } from "vitest";
import { hashOf, type Job, JobPlay, jobIdOf, type PlayOptions } from "./job-play.ts";

const SEEDS = Number(process.env["MURAKKAB_SIM_SEEDS"] ?? 6);
const seeds = (name: string) => Array.from({ length: SEEDS }, (_, index) => `${name}-${index}`);

async function playAll(
  seed: string,
  options: PlayOptions & { readonly count?: number },
  disturb: (play: JobPlay, atMs: number) => unknown,
): Promise<JobPlay> {
  const play = new JobPlay(seed, options);
  await play.fleet.start();
  const disturbed = disturb(play, 100 + (hashOf(seed) % 900));
  const ids = Array.from({ length: options.count ?? 10 }, (_, index) => jobIdOf(index));
  await play.fleet.run(async () => {
    const receipts = await Promise.all(
      ids.map(async (jobId, index) => {
        await delay(play.fleet.clock, index * 60);
        return play.play({ jobId, workflow: "chain", description: `job ${index}` });
      }),
    );
    for (const receipt of receipts) await play.check(receipt);
    await play.checkRuns(ids);
    await disturbed;
  }, 300_000);
  return play;
}

describe("several disturbances", () => {
  test.each(seeds("both"))(
    "%s: both are killed one after the other, two new ones come",
    async (seed) => {
      await playAll(seed, {}, ({ fleet }, atMs) => {
        const { clock } = fleet;
        clock.after(atMs, () => void fleet.killScheduler("scheduler-1"));
        clock.after(atMs + (hashOf(seed) % 400), () => void fleet.killScheduler("scheduler-2"));
        clock.after(atMs + 700, () => {
          void fleet.addScheduler().scheduler.start();
          void fleet.addScheduler().scheduler.start();
        });
      });
    },
  );

  test.each(seeds("outage"))("%s: the bus goes away during a takeover", async (seed) => {
    await playAll(seed, {}, ({ fleet }, atMs) => {
      const { clock } = fleet;
      const victim = `scheduler-${1 + (hashOf(seed) % 2)}`;
      clock.after(atMs, () => void fleet.killScheduler(victim));
      clock.after(atMs + (hashOf(seed) % 300), () => fleet.broker.stop());
      clock.after(atMs + 2_500, () => fleet.broker.start());
    });
  });

  test.each(seeds("worker"))("%s: workers die with their scheduler", async (seed) => {
    await playAll(seed, {}, ({ fleet }, atMs) => {
      fleet.clock.after(atMs, () => {
        void fleet.killScheduler(`scheduler-${1 + (hashOf(seed) % 2)}`);
        const host = fleet.hosts[hashOf(seed) % 2];
        for (const instance of [...(host?.instances ?? [])]) host?.crash(instance);
      });
    });
  });

  test("a scheduler joins and leaves twenty times under load", async () => {
    const play = await playAll(
      "churn",
      { schedulers: 1, count: 60, runMs: 300 },
      ({ fleet }, atMs) => {
        const { clock } = fleet;
        const churn = async (): Promise<void> => {
          for (let turn = 0; turn < 20; turn += 1) {
            const { scheduler } = fleet.addScheduler();
            await scheduler.start();
            await delay(clock, 60);
            await scheduler.stop();
          }
        };
        return delay(clock, atMs).then(churn);
      },
    );
    expect(play.fleet.schedulers).toHaveLength(21);
  });

  test.each(seeds("cold"))(
    "%s: two schedulers start at once on the jobs of a dead one",
    async (seed) => {
      await playAll(seed, { schedulers: 1 }, ({ fleet }, atMs) => {
        fleet.clock.after(atMs, () => {
          void fleet.killScheduler("scheduler-1");
          void fleet.addScheduler().scheduler.start();
          void fleet.addScheduler().scheduler.start();
        });
      });
    },
  );
});

describe("what a client asks for across a takeover", () => {
  const killAt = (play: JobPlay, atMs: number, victim: string): void =>
    void play.fleet.clock.after(atMs, () => void play.fleet.killScheduler(victim));

  test.each(seeds("cancel"))("%s: a cancel while the job changes hands is obeyed", async (seed) => {
    const play = new JobPlay(seed, { slowMs: 20_000 });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const ids = [0, 1, 2, 3, 4, 5].map((index) => jobIdOf(index));
      await Promise.all(
        ids.map((jobId) => play.submit({ jobId, workflow: "long", description: jobId })),
      );
      await delay(play.fleet.clock, 1_000);
      const { scheduler } = play.fleet.addScheduler();
      void scheduler.start();
      killAt(play, hashOf(seed) % 700, "scheduler-1");
      await Promise.all(
        ids.map(async (jobId, index) => {
          await delay(play.fleet.clock, index * 100);
          await play.ask(`mk.v1.job.cancel.${jobId}`, {}, 5_000);
          await play.check(await play.end(jobId), "cancelled");
        }),
      );
    }, 60_000);
  });

  test.each(seeds("deadline"))("%s: a deadline holds across a takeover", async (seed) => {
    const play = new JobPlay(seed, { slowMs: 60_000 });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const job: Job = { workflow: "long", description: "x", deadlineMs: 6_000 };
      const ids = await Promise.all(
        [0, 1, 2, 3].map((it) => play.submit({ ...job, jobId: jobIdOf(it) })),
      );
      const sinceMs = play.fleet.clock.monotonicMs();
      killAt(play, hashOf(seed) % 3_000, `scheduler-${1 + (hashOf(seed) % 2)}`);
      for (const jobId of ids) {
        const receipt = await play.end(jobId);
        expect(receipt.error?.code).toBe("DEADLINE_EXCEEDED");
        await play.check(receipt, "failed");
      }
      // Time in which nobody had the job is not counted, and that is short.
      expect(play.fleet.clock.monotonicMs() - sinceMs).toBeLessThan(14_000);
    }, 60_000);
  });

  // Requests in flight to the former owner were answered NOT_FOUND, or not at all.
  test.each(seeds("hand-over"))(
    "%s: questions during a hand-over are answered soon and rightly",
    async (seed) => {
      const play = new JobPlay(seed, { schedulers: 1, slowMs: 6_000 });
      await play.fleet.start();
      await play.fleet.run(async () => {
        const { clock } = play.fleet;
        const ids = Array.from({ length: 24 }, (_, index) => jobIdOf(index));
        await Promise.all(
          ids.map((jobId) => play.submit({ jobId, workflow: "long", description: jobId })),
        );
        const churn = (async () => {
          for (let turn = 0; turn < 3; turn += 1) {
            const { scheduler } = play.fleet.addScheduler();
            await scheduler.start();
            await delay(clock, 20 + (hashOf(seed) % 50));
            await scheduler.stop();
          }
        })();
        await Promise.all(
          ids.map(async (jobId, index) => {
            for (let turn = 0; turn < 150; turn += 1) {
              await delay(clock, 1 + (index % 5));
              const startedAtMs = clock.monotonicMs();
              const { state } = await play.ask<{ state: string }>(
                `mk.v1.job.get.${jobId}`,
                {},
                60_000,
              );
              expect(state).toBe("running");
              const events = await play.events(jobId);
              expect(events.length).toBeGreaterThan(0);
              expect(clock.monotonicMs() - startedAtMs).toBeLessThan(2_500);
            }
          }),
        );
        await Promise.all(
          ids.map(async (jobId, index) => {
            await delay(clock, index * 10);
            const answer = await play.ask(`mk.v1.job.cancel.${jobId}`, {}, 60_000);
            expect(answer).toMatchObject({ state: "cancelled" });
            await play.check(await play.end(jobId), "cancelled");
          }),
        );
        await churn;
      }, 60_000);
    },
  );

  // A forwarded question waited for the dead owner's answer until its own time was over.
  test("long waits that the survivor took are answered at the jobs' ends", async () => {
    const play = new JobPlay("long-wait", { slowMs: 4_000 });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const { clock } = play.fleet;
      const ids = Array.from({ length: 16 }, (_, index) => jobIdOf(index));
      await Promise.all(
        ids.map((jobId) => play.submit({ jobId, workflow: "long", description: jobId })),
      );
      let answeredCount = 0;
      for (const jobId of ids) {
        void play
          .ask(`mk.v1.job.wait.${jobId}`, { timeoutMs: 60_000 }, 61_000)
          .then(() => (answeredCount += 1));
      }
      await delay(clock, 500);
      killAt(play, 1, "scheduler-2");
      for (const jobId of ids) await play.check(await play.end(jobId));
      await delay(clock, 100);
      // Every second one was the dead one's to answer.
      expect(answeredCount).toBe(ids.length / 2);
    }, 60_000);
  });

  test.each(seeds("same"))(
    "%s: one key and one id at both schedulers while one dies",
    async (seed) => {
      const play = new JobPlay(seed);
      await play.fleet.start();
      await play.fleet.run(async () => {
        killAt(play, hashOf(seed) % 60, `scheduler-${1 + (hashOf(seed) % 2)}`);
        const keyed: Job = { workflow: "chain", description: "keyed", idempotencyKey: "k" };
        const named: Job = { workflow: "chain", description: "named", jobId: jobIdOf(1) };
        const twelve = Array.from({ length: 12 });
        const [keyedIds, namedIds] = await Promise.all([
          Promise.all(
            twelve.map(async (_it, index) => {
              await delay(play.fleet.clock, index * 6);
              return play.submit(keyed);
            }),
          ),
          Promise.all(twelve.map(() => play.submit(named))),
        ]);
        expect(new Set(namedIds).size).toBe(1);
        expect(new Set(keyedIds).size).toBe(1);
        const ids = [...new Set([...keyedIds, ...namedIds])];
        for (const jobId of ids) await play.check(await play.end(jobId));
        await play.checkRuns(ids);
        // Also once it is over.
        expect(await play.submit(keyed)).toBe(keyedIds[0]);
        expect(await play.submit(named)).toBe(namedIds[0]);
      }, 60_000);
    },
  );
});
