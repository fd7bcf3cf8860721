/**
 * Goal: an application does not notice that schedulers are killed or replaced under it. Real
 * processes, small jobs from the SDK without a pause. What the client saw is printed, not asserted.
 */
import { fileURLToPath } from "node:url";
import { type JobEvent, subjects } from "@murakkab/protocol";
import { type Client, connect, isTerminalEvent } from "@murakkab/sdk";
import { RealCluster, type RealProcess, waitFor } from "@murakkab/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobLoad } from "./job-load.ts";

const LIBRARY = fileURLToPath(new URL("../../bench/library", import.meta.url));
const IN_FLIGHT_COUNT = 8;
/** Jobs that must end between two changes: then the load is known to flow again. */
const FLOWING_COUNT = 40;
/** Enough that the scheduler that is killed has some of them. */
const WATCHED_COUNT = 8;

let cluster: RealCluster;
let client: Client;

beforeEach(async () => {
  cluster = await RealCluster.start({
    agents: [{ node: "n1", cpus: 1 }],
    libraries: [LIBRARY],
  });
  await cluster.startScheduler().ready("scheduler.ready");
  client = await connect({ nats: cluster.server.url, name: "application" });
});

afterEach(async () => {
  await client.close();
  await cluster.stop();
});

async function flow(load: JobLoad): Promise<void> {
  const before = load.done.length;
  await waitFor(() => load.done.length >= before + FLOWING_COUNT || load.failures.length > 0, {
    what: `${FLOWING_COUNT} more jobs`,
    timeoutMs: 30_000,
  });
}

async function replace(old: RealProcess, signal: NodeJS.Signals): Promise<void> {
  old.kill(signal);
  await old.ended();
  await cluster.startScheduler().ready("scheduler.ready");
}

/** By the journal; live events are sent at most once, so that they may only say less. */
async function expectAllEnded(load: JobLoad): Promise<void> {
  expect(load.failures).toEqual([]);
  for (const { jobId } of load.done) {
    const subject = subjects.jobEvents(jobId);
    const { events } = await client.ask<{ events: JobEvent[] }>(subject, { after: 0 });
    expect(events.map(({ number }) => number)).toEqual(events.map((_, index) => index + 1));
    const ends = events.filter((event) => isTerminalEvent(event)).map(({ number }) => number);
    expect([jobId, ends]).toEqual([jobId, [events.length]]);
    const heard = [...(load.ends.get(jobId) ?? ends)];
    expect([jobId, heard]).toEqual([jobId, ends]);
  }
}

describe("two schedulers", () => {
  test("kill -9 of each in turn: every job ends, and none ends twice", async () => {
    const load = new JobLoad({ client, bus: cluster.bus }, IN_FLIGHT_COUNT);
    await flow(load);
    for (const scheduler of [...cluster.schedulers]) {
      await replace(scheduler, "SIGKILL");
      await flow(load);
    }
    await load.finish();
    process.stdout.write(`kill -9 of each scheduler in turn: ${load.describe()}\n`);
    await expectAllEnded(load);
  });

  test("a rolling restart shows no error to the client", async () => {
    const load = new JobLoad({ client, bus: cluster.bus }, IN_FLIGHT_COUNT);
    await flow(load);
    for (const scheduler of [...cluster.schedulers]) {
      await replace(scheduler, "SIGTERM");
      await flow(load);
    }
    await load.finish();
    process.stdout.write(`rolling restart: ${load.describe()}\n`);
    await expectAllEnded(load);
  });

  test("events of jobs go on over a takeover, numbers without a gap", async () => {
    const [first] = cluster.schedulers as [RealProcess];
    const task = { workflow: "bench-dag", description: "watched", fresh: true };
    const jobs = await Promise.all([...Array(WATCHED_COUNT)].map(() => client.submit(task)));
    first.kill("SIGKILL");
    const seen = jobs.map(async (job) => {
      const numbers: number[] = [];
      for await (const { number } of job.events()) numbers.push(number);
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
      expect((await job.result()).state).toBe("succeeded");
    });
    await Promise.all(seen);
  });
});
