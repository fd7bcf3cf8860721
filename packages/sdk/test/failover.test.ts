/** A client whose scheduler is killed, is taken over, or comes back from an older store. */
import { OverloadedError } from "@murakkab/kit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Client, connect } from "../src/index.ts";
import { FakeScheduler, receiptOf } from "./fake-scheduler.ts";

const TASK = { description: "what is said?" };

let scheduler: FakeScheduler;
let client: Client;

beforeEach(async () => {
  scheduler = new FakeScheduler();
  client = await connect({ bus: scheduler.bus });
});

afterEach(() => scheduler.close());

describe("a submission", () => {
  test("that was killed with its scheduler is sent again under its id, and says nothing of it", async () => {
    scheduler.silentSubmitCount = 1;
    const job = await client.submit(TASK);
    expect(scheduler.submissions.map(({ jobId }) => jobId)).toEqual([job.jobId, job.jobId]);
    expect(job.notes).toEqual([]);
  });

  test("to a full cluster is repeated only when that was asked for", async () => {
    const full = new OverloadedError("full", { retryAfterMs: 5 });
    scheduler.refusals.push(full);
    await expect(client.submit(TASK)).rejects.toMatchObject({ code: "OVERLOADED" });
    expect(scheduler.submissions).toHaveLength(1);
    scheduler.refusals.push(full);
    await client.submit(TASK, { retryOverloaded: true });
    expect(scheduler.submissions).toHaveLength(3);
  });
});

describe("the end of a job", () => {
  test("is learned from its event though the wait was killed with its scheduler", async () => {
    scheduler.isWaitSilent = true;
    const job = await client.submit(TASK);
    const result = job.result();
    await scheduler.bus.messaging.flush();
    scheduler.receipts.set(job.jobId, receiptOf(job.jobId));
    scheduler.silentGetCount = 1; // And who is asked next is killed, too.
    const endedAtMs = performance.now();
    scheduler.append(job.jobId, "succeeded");
    expect((await result).state).toBe("succeeded");
    expect(performance.now() - endedAtMs).toBeLessThan(1_000);
  });

  test("is learned while another part of the program reads the events and stops", async () => {
    scheduler.isWaitSilent = true;
    const job = await client.submit(TASK);
    const result = job.result();
    scheduler.append(job.jobId, "accepted");
    for await (const event of job.events()) {
      expect(event.number).toBe(1);
      break;
    }
    scheduler.receipts.set(job.jobId, receiptOf(job.jobId));
    scheduler.append(job.jobId, "succeeded");
    expect((await result).state).toBe("succeeded");
  });

  test("is the receipt that its event told, when the store has lost the job since", async () => {
    scheduler.isWaitSilent = true;
    const job = await client.submit(TASK);
    const result = job.result();
    await scheduler.bus.messaging.flush();
    scheduler.forgotten.add(job.jobId);
    scheduler.append(job.jobId, "failed", {
      data: { receipt: receiptOf(job.jobId, { state: "failed" }) },
    });
    expect((await result).state).toBe("failed");
    expect(scheduler.submissions).toHaveLength(1);
  });
});

describe("H1: a job that the store has lost", () => {
  test("is submitted again with the same body, and its notes say so", async () => {
    const notes: string[] = [];
    const job = await client.submit(TASK, { onNote: (note) => notes.push(note) });
    scheduler.forgotten.add(job.jobId);
    const result = job.result();
    await expect.poll(() => scheduler.submissions.length).toBe(2);
    expect(scheduler.submissions[1]).toEqual(scheduler.submissions[0]);
    scheduler.receipts.set(job.jobId, receiptOf(job.jobId));
    scheduler.append(job.jobId, "succeeded");
    expect((await result).state).toBe("succeeded");
    expect(notes).toEqual([`job ${job.jobId} was not known any more and was submitted again`]);
    expect(job.notes).toEqual(notes);
  });

  test("is submitted again by whoever reads its events, too", async () => {
    const job = await client.submit(TASK);
    scheduler.forgotten.add(job.jobId);
    scheduler.append(job.jobId, "accepted", { isLive: false });
    scheduler.append(job.jobId, "succeeded", { isLive: false });
    const numbers: number[] = [];
    for await (const { number } of job.events()) numbers.push(number);
    expect(numbers).toEqual([1, 2]);
    expect(scheduler.submissions).toHaveLength(2);
  });

  test("stays lost after some times, and at once when it was cancelled", async () => {
    const keepForgetting = setInterval(() => {
      for (const { jobId } of scheduler.submissions) scheduler.forgotten.add(jobId ?? "");
    }, 5);
    try {
      const job = await client.submit(TASK);
      await expect(job.result()).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect(scheduler.submissions).toHaveLength(4);
      const other = await client.submit(TASK);
      await other.cancel();
      await expect(other.result()).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect(scheduler.submissions).toHaveLength(5);
    } finally {
      clearInterval(keepForgetting);
    }
  });

  test("is an error for one who did not submit it", async () => {
    const { jobId } = await client.submit(TASK);
    scheduler.forgotten.add(jobId);
    await expect(client.result(jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(scheduler.submissions).toHaveLength(1);
  });
});

describe("questions over a takeover", () => {
  test("events go on, numbers without a gap", async () => {
    const job = await client.submit(TASK);
    scheduler.append(job.jobId, "accepted");
    scheduler.append(job.jobId, "started");
    scheduler.silentEventsCount = 1;
    const numbers: number[] = [];
    for await (const { number } of job.events()) {
      numbers.push(number);
      if (number !== 2) continue;
      scheduler.append(job.jobId, "step-started", { isLive: false });
      scheduler.append(job.jobId, "succeeded");
    }
    expect(numbers).toEqual([1, 2, 3, 4]);
  });

  test("get and cancel are asked again", async () => {
    const job = await client.submit(TASK);
    scheduler.silentGetCount = 1;
    expect((await client.job(job.jobId)).state).toBe("running");
    await client.cancel(job.jobId);
    expect(scheduler.cancelled).toEqual([job.jobId]);
  });
});
