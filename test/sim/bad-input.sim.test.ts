/**
 * Goal: bytes that can't be read, stores that go away, clocks that jump and messages that come a
 * hundred times hurt nobody but the job that they belong to. Method: virtual time, one seed each.
 */
import { call } from "@murakkab/bus";
import { delay, type Logger } from "@murakkab/kit";
import { encodeBatch, JOURNAL_VERSION, type JobEvent, subjects } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { JobPlay, jobIdOf } from "./job-play.ts";

const JOURNAL = { subjects: [subjects.allJournals], maxAgeMs: 7 * 24 * 3_600_000 };
const LONG = { workflow: "long", description: "x" } as const;
const CHAIN = { workflow: "chain", description: "x" } as const;

function capture(): { readonly log: Logger; readonly events: string[] } {
  const events: string[] = [];
  const note = (fields: Record<string, unknown>) => void events.push(String(fields["event"]));
  const log: Logger = {
    child: () => log,
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: note,
    error: note,
  };
  return { log, events };
}

describe("a journal that can't be read", () => {
  test("a corrupt entry is put away, its job fails by name, all others go on", async () => {
    const { log, events } = capture();
    const play = new JobPlay("corrupt", { schedulers: 1, slowMs: 3_000, log });
    const { fleet } = play;
    await fleet.start();
    await fleet.run(async () => {
      const ids = [0, 1, 2].map((index) => jobIdOf(index, 7));
      const [bad, ...good] = ids as [string, string, string];
      await Promise.all(ids.map((jobId) => play.submit({ ...LONG, jobId })));
      await delay(fleet.clock, 1_500);
      await fleet.killScheduler("scheduler-1");
      // The first job's second entry is lost: what holds it is overwritten with noise.
      const journal = await fleet.client.state.openLog("MK_JOURNAL", JOURNAL);
      const entries = await journal.read(">");
      fleet.broker.store.deleteLog("MK_JOURNAL");
      const anew = await fleet.client.state.openLog("MK_JOURNAL", JOURNAL);
      for (const { subject, data } of entries) await anew.append(subject, data);
      const event = { jobId: bad, at: "", sinceMs: 1, data: {} };
      const broken = {
        ...{ v: JOURNAL_VERSION, partition: 7, owner: "scheduler-1", incarnation: "x" },
        generation: 1,
        entries: [{ kind: "event", event: { ...event, number: 99, event: "planned" } } as const],
      };
      await anew.append(subjects.journal(7), new TextEncoder().encode("noise"));
      await anew.append(subjects.journal(7), encodeBatch(broken));
      await fleet.addScheduler().scheduler.start();
      const failed = await play.end(bad);
      expect(failed.error).toMatchObject({ code: "JOURNAL_CORRUPT" });
      expect(failed.error?.message).toMatch(/events \d+ to 98 are missing.*sequence/);
      for (const jobId of good) await play.check(await play.end(jobId));
      const quarantine = await fleet.client.state.openKeyValue("MK_QUARANTINE");
      const [key] = await quarantine.keys();
      expect(key).toMatch(/^7\.\d+$/);
      const kept = await quarantine.get(key ?? "none");
      expect(new TextDecoder().decode(kept?.value)).toBe("noise");
      expect(events).toContain("journal.corrupt");
      await play.check(await play.play({ ...CHAIN, jobId: jobIdOf(9, 7) }));
    }, 60_000);
  });

  test("a scheduler does not start on a journal of a version that it does not know", async () => {
    const play = new JobPlay("version", { schedulers: 1 });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const journal = await play.fleet.client.state.openLog("MK_JOURNAL", JOURNAL);
      const batch = { partition: 3, owner: "newer", incarnation: "x", generation: 9, entries: [] };
      await journal.append(subjects.journal(3), encodeBatch({ v: JOURNAL_VERSION + 1, ...batch }));
      await play.fleet.killScheduler("scheduler-1");
      await expect(play.fleet.addScheduler().scheduler.start()).rejects.toMatchObject({
        code: "UNSUPPORTED_VERSION",
        message: expect.stringContaining(`up to ${JOURNAL_VERSION}`),
      });
    }, 60_000);
  });
});

describe("stores that are deleted", () => {
  test.each([
    "MK_JOURNAL",
    "MK_JOB_INDEX",
    "MK_JOB_KEYS",
    "MK_JOB_MARKS",
    "MK_GENERATIONS",
    "MK_LEASES",
    "MK_NODES",
    "MK_QUARANTINE",
  ])("%s: running jobs end, new ones are taken, and a takeover finds them all", async (name) => {
    const play = new JobPlay(`deleted-${name}`, { slowMs: 6_000 });
    const { fleet } = play;
    await fleet.start();
    await fleet.run(async () => {
      const running = [0, 1, 2, 3].map((index) => jobIdOf(index));
      await Promise.all(running.map((jobId) => play.submit({ ...LONG, jobId })));
      const over = jobIdOf(5);
      await play.check(await play.play({ ...CHAIN, jobId: over }));
      await delay(fleet.clock, 1_000);
      fleet.broker.store.deleteLog(name);
      fleet.broker.store.deleteBucket(name);
      await delay(fleet.clock, 3_000);
      const late = jobIdOf(6);
      await play.check(await play.play({ ...CHAIN, jobId: late, idempotencyKey: "k" }));
      await fleet.killScheduler("scheduler-1");
      for (const jobId of running) await play.check(await play.end(jobId));
      await fleet.killScheduler("scheduler-2");
      await fleet.addScheduler().scheduler.start();
      for (const jobId of [...running, over, late]) await play.check(await play.end(jobId));
    }, 120_000);
  });
});

describe("clocks", () => {
  test.each([3_600_000, -3_600_000])(
    "a wall clock that jumps by %s ms moves no deadline",
    async (ms) => {
      const play = new JobPlay("wall", { slowMs: 4_000 });
      const { clock } = play.fleet;
      await play.fleet.start();
      await play.fleet.run(async () => {
        const jobId = await play.submit({ ...LONG, deadlineMs: 10_000 });
        await delay(clock, 1_000);
        clock.jumpWall(ms);
        const sinceMs = clock.monotonicMs();
        await play.fleet.killScheduler("scheduler-1");
        const receipt = await play.end(jobId);
        await play.check(receipt);
        expect(receipt.latencyMs).toBeGreaterThan(3_000);
        expect(receipt.latencyMs).toBeLessThan(10_000);
        expect(clock.monotonicMs() - sinceMs).toBeLessThan(10_000);
        await play.check(await play.play({ ...CHAIN, deadlineMs: 10_000 }));
      }, 60_000);
    },
  );
});

describe("what comes a hundred times", () => {
  test("the same submission makes one job", async () => {
    const play = new JobPlay("hundred");
    await play.fleet.start();
    await play.fleet.run(async () => {
      const job = { ...CHAIN, jobId: jobIdOf(1) };
      const ids = await Promise.all(
        Array.from({ length: 100 }, async (_it, index) => {
          await delay(play.fleet.clock, index * 7);
          return play.submit(job);
        }),
      );
      expect(new Set(ids)).toEqual(new Set([job.jobId]));
      await play.check(await play.end(job.jobId));
      await play.checkRuns([job.jobId]);
    }, 60_000);
  });

  test("the same attempt's result has one effect on the job", async () => {
    const play = new JobPlay("results", { slowMs: 5_000 });
    await play.fleet.start();
    await play.fleet.run(async () => {
      const { client, clock } = play.fleet;
      const jobId = await play.submit({ ...LONG, jobId: jobIdOf(1) });
      let started: JobEvent | undefined;
      while (started === undefined) {
        await delay(clock, 50);
        started = (await play.events(jobId)).find(
          (it) => it.event === "attempt-started" && it.data["step"] === "b",
        );
      }
      const { step, item, inputsHash } = started.data;
      const measure = { runMs: 5, cpuSec: 0.1, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 5 };
      const { instance, node, attempt } = started.data;
      const result = {
        ...{ jobId, step, item, attempt, instance, node },
        key: `${jobId}:${String(step)}:${String(item)}:${String(inputsHash)}`,
        reply: { outputs: { text: { kind: "inline", value: "spooled" } }, measure },
      };
      for (let count = 0; count < 100; count += 1) {
        const request = { subject: subjects.attemptResult, value: result };
        await call(client.messaging, request, { timeoutMs: 1_000 });
      }
      const receipt = await play.end(jobId);
      await play.check(receipt);
      expect(receipt.steps.find((it) => it.step === "b")).toMatchObject({ attempts: 1, runMs: 5 });
    }, 60_000);
  });
});

describe("a leader that starts late", () => {
  // Its generation was raised by the first agent: then it waited for the second one for ever.
  test("does not wait for a node that is gone when the agents remember a later generation", async () => {
    const play = new JobPlay("raised", { schedulers: 1, slowMs: 2_000 });
    const { fleet } = play;
    const { clock, broker } = fleet;
    await fleet.start();
    await fleet.run(async () => {
      for (let turn = 2; turn < 5; turn += 1) {
        await fleet.scheduler.stop();
        await fleet.killScheduler(`scheduler-${turn - 1}`);
        await fleet.addScheduler().scheduler.start();
        await delay(clock, 4_000);
      }
      const jobId = await play.submit(LONG);
      await delay(clock, 300);
      await fleet.killScheduler("scheduler-4");
      broker.store.deleteBucket("MK_GENERATIONS");
      broker.cut("agent-n2");
      for (const instance of [...(fleet.hosts[1]?.instances ?? [])])
        fleet.hosts[1]?.crash(instance);
      await delay(clock, 500);
      await fleet.addScheduler().scheduler.start();
      await play.check(await play.end(jobId));
    }, 120_000);
  });

  test("two schedulers with different libraries both go on, and that is told", async () => {
    const play = new JobPlay("config", { schedulers: 1 });
    const { fleet } = play;
    const told: string[] = [];
    await fleet.start();
    fleet.client.messaging.subscribe("mk.v1.ops.>", (message) => void told.push(message.subject));
    await fleet.run(async () => {
      await fleet.addScheduler({ config: "other" }).scheduler.start();
      for (let index = 0; index < 6; index += 1) {
        await play.check(await play.play({ ...CHAIN, jobId: jobIdOf(index) }));
      }
    }, 60_000);
    expect(told.filter((subject) => subject.includes("config-differs")).length).toBeGreaterThan(0);
  });
});

describe("node names", () => {
  test("a second live agent is refused by name; one that was killed and restarted is not", async () => {
    const play = new JobPlay("names");
    const { fleet } = play;
    await fleet.start();
    const same = { node: "n1", cpus: 2, memoryMib: 512, programs: [] };
    const second = fleet.makeHost({ ...same, process: "second" });
    await expect(fleet.run(() => second.agent.start())).rejects.toMatchObject({
      code: "NODE_NAME_TAKEN",
      message: expect.stringContaining('"n1"'),
    });
    const sinceMs = fleet.clock.monotonicMs();
    fleet.broker.cut("agent-n1");
    const third = fleet.makeHost({ ...same, process: "third" });
    await fleet.run(() => third.agent.start());
    expect(fleet.clock.monotonicMs() - sinceMs).toBeLessThan(2_000);
    await fleet.run(async () => play.check(await play.play(CHAIN)));
  });
});
