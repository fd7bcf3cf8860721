/** E1 to E4: whatever happens to live events, a reader sees 1, 2, 3, … up to the terminal one. */

import type { JobEvent } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { JobEventFeed } from "../src/job-events.ts";
import { FakeScheduler, receiptOf } from "./fake-scheduler.ts";

const JOB = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a01";

async function collect(events: AsyncIterable<JobEvent>): Promise<number[]> {
  const numbers: number[] = [];
  for await (const event of events) numbers.push(event.number);
  return numbers;
}

describe("job events", () => {
  test("what happened before the reader came is read from the journal", async () => {
    const scheduler = new FakeScheduler();
    for (const name of ["accepted", "planned", "started", "succeeded"] as const) {
      scheduler.append(JOB, name);
    }
    const feed = new JobEventFeed(scheduler.bus.messaging, JOB);
    expect(await collect(feed.read())).toEqual([1, 2, 3, 4]);
  });

  test("lost, doubled and reordered live events neither gap nor repeat", async () => {
    const scheduler = new FakeScheduler();
    scheduler.append(JOB, "accepted");
    const feed = new JobEventFeed(scheduler.bus.messaging, JOB);
    const numbers = collect(feed.read());
    await scheduler.bus.messaging.flush();
    const lost = scheduler.append(JOB, "planned", { isLive: false });
    const late = scheduler.append(JOB, "started", { isLive: false });
    const early = scheduler.append(JOB, "step-started", { isLive: false });
    scheduler.publish(early); // Before `late`, and `lost` never comes.
    scheduler.publish(early);
    scheduler.publish(late);
    expect(lost.number).toBe(2);
    scheduler.append(JOB, "succeeded");
    expect(await numbers).toEqual([1, 2, 3, 4, 5]);
  });

  test("a lost terminal event is found by comparing with the journal in silence", async () => {
    const scheduler = new FakeScheduler();
    scheduler.append(JOB, "accepted");
    const events = new JobEventFeed(scheduler.bus.messaging, JOB).read();
    expect((await events.next()).value?.number).toBe(1);
    const second = events.next(); // The journal has nothing more: it listens.
    await scheduler.bus.messaging.flush();
    scheduler.append(JOB, "failed", { isLive: false });
    expect((await second).value?.number).toBe(2);
    expect((await events.next()).done).toBe(true);
  });

  test("a journal that answers in parts is read to its end", async () => {
    const scheduler = new FakeScheduler();
    scheduler.eventsPerAnswer = 2;
    for (let i = 0; i < 6; i += 1) scheduler.append(JOB, "attempt-started");
    scheduler.append(JOB, "succeeded");
    const feed = new JobEventFeed(scheduler.bus.messaging, JOB);
    expect(await collect(feed.read())).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("reading after the last event of an ended job ends at once", async () => {
    const scheduler = new FakeScheduler();
    scheduler.append(JOB, "accepted");
    scheduler.append(JOB, "succeeded");
    scheduler.receipts.set(JOB, receiptOf(JOB));
    const feed = new JobEventFeed(scheduler.bus.messaging, JOB);
    expect(await collect(feed.read(2))).toEqual([]);
  });

  test("an unknown job is an error, not an endless wait", async () => {
    const scheduler = new FakeScheduler();
    const feed = new JobEventFeed(scheduler.bus.messaging, JOB);
    await expect(collect(feed.read())).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
