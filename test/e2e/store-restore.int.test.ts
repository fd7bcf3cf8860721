/**
 * Goal: a store that comes back from an older copy loses no job: not the one that runs, not the
 * one that has ended, not for the scheduler of today, and not for the next one.
 * Method: real processes, and a real server whose files are exchanged while it is down.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { call } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import type { JobReply, Receipt } from "@murakkab/model";
import { type JobEvent, subjects } from "@murakkab/protocol";
import { RealCluster, StoreCopies } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const ANSWER_MS = 2_000;
let cluster: RealCluster;
let copies: StoreCopies;

beforeAll(async () => {
  cluster = await RealCluster.start({
    agents: [{ node: "n1", cpus: 1 }],
    libraries: [join(import.meta.dirname, "library")],
  });
  copies = new StoreCopies(cluster.server);
}, 60_000);

afterAll(async () => {
  await cluster.stop();
  await copies.close();
});

/** As a client does: the same question again while nobody answers, or the bus is away. */
async function ask<T>(subject: string, value: unknown): Promise<T> {
  const endsAtMs = performance.now() + 40_000;
  for (;;) {
    try {
      const options = { timeoutMs: ANSWER_MS, encoding: "json" } as const;
      return await call<T>(cluster.bus.messaging, { subject, value }, options);
    } catch (error) {
      if (!isRuntimeError(error) || !error.isRetryable || performance.now() > endsAtMs) {
        throw new Error(
          `no answer on ${subject}; the scheduler said: ${cluster.scheduler.lines.join("\n")}`,
          {
            cause: error,
          },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function slowJob(jobId: string, delayMs: number) {
  const workflow = {
    name: "slow",
    inputs: { question: "question" },
    steps: [
      {
        id: "echo",
        capability: "slow-echoing",
        inputs: { question: { kind: "input", input: "question" } },
        knobs: { delayMs },
      },
    ],
    output: { kind: "step", step: "echo", output: "result" },
  };
  return { jobId, workflow, description: jobId };
}

async function receiptOf(jobId: string): Promise<Receipt> {
  for (;;) {
    const job = await ask<Receipt>(subjects.jobWait(jobId), { timeoutMs: 1_000 });
    if ("steps" in job) return job;
  }
}

async function eventsOf(jobId: string): Promise<readonly JobEvent[]> {
  const { events } = await ask<{ events: JobEvent[] }>(subjects.jobEvents(jobId), { after: 0 });
  return events;
}

test("jobs before, over and after the loss are whole, also at the next scheduler", async () => {
  const [before, ended, running] = [randomUUID(), randomUUID(), randomUUID()];
  await ask<JobReply>(subjects.jobSubmit, slowJob(before, 100));
  await receiptOf(before);
  const copy = await copies.take();

  await ask<JobReply>(subjects.jobSubmit, slowJob(ended, 100));
  const receipt = await receiptOf(ended);
  const events = await eventsOf(ended);
  await ask<JobReply>(subjects.jobSubmit, slowJob(running, 1_500));
  await copies.restore(copy, { isKill: true });

  expect((await receiptOf(running)).state).toBe("succeeded");
  const jobs = [before, ended, running];
  const receipts = await Promise.all(jobs.map((jobId) => receiptOf(jobId)));
  expect(receipts[1]).toEqual(receipt);

  await cluster.restartScheduler();
  expect(await Promise.all(jobs.map((jobId) => receiptOf(jobId)))).toEqual(receipts);
  expect(await eventsOf(ended)).toEqual(events);
  const told = await eventsOf(running);
  expect(told.map((event) => event.number)).toEqual(told.map((_event, index) => index + 1));
  expect(told.filter((event) => event.event === "succeeded")).toHaveLength(1);
}, 120_000);
