/** Goal: M1 to M3 of the mailbox with priorities, against a model and under random arrivals. */
import { Mailbox, PRIORITY_STEP_MS } from "@murakkab/actor";
import { PRIORITIES, type Priority } from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

interface Sent {
  readonly n: number;
  readonly priority: Priority;
  readonly atMs: number;
}

const rank = (priority: Priority): number => PRIORITIES.indexOf(priority);
const arrivals = fc.array(
  fc.record({ priority: fc.constantFrom(...PRIORITIES), gapMs: fc.nat(700) }),
  { minLength: 1, maxLength: 60 },
);

function sent(list: readonly { priority: Priority; gapMs: number }[]): Sent[] {
  let atMs = 0;
  return list.map(({ priority, gapMs }, n) => ({ n, priority, atMs: (atMs += gapMs) }));
}

describe("priorities", () => {
  test("M2: one priority keeps its order; M3: overtaken only within the steps between", () => {
    fc.assert(
      fc.property(arrivals, (list) => {
        const messages = sent(list);
        const mailbox = new Mailbox<Sent>(100);
        for (const it of messages) mailbox.offer(it, { priority: it.priority, nowMs: it.atMs });
        const out = mailbox.clear();
        expect(out).toHaveLength(messages.length);
        for (const [index, early] of out.entries()) {
          for (const late of out.slice(index + 1)) {
            if (early.n < late.n) continue; // arrived first, left first
            const steps = rank(late.priority) - rank(early.priority);
            expect(steps).toBeGreaterThan(0);
            expect(early.atMs - late.atMs).toBeLessThanOrEqual(steps * PRIORITY_STEP_MS);
          }
        }
      }),
    );
  });

  test("M3: under an endless stream of urgent messages a low one still leaves", () => {
    const mailbox = new Mailbox<string>(10);
    mailbox.offer("low", { priority: "low", nowMs: 0 });
    let leftAtMs: number | null = null;
    for (let nowMs = 0; nowMs < 10_000 && leftAtMs === null; nowMs += 10) {
      mailbox.offer("high", { priority: "high", nowMs });
      if (mailbox.take() === "low") leftAtMs = nowMs;
    }
    expect(leftAtMs).toBeLessThanOrEqual(2 * PRIORITY_STEP_MS + 10);
  });

  test("an urgent message passes what waits", () => {
    const mailbox = new Mailbox<string>(10);
    for (const name of ["n1", "n2"]) mailbox.offer(name, { nowMs: 0 });
    mailbox.offer("l1", { priority: "low", nowMs: 0 });
    mailbox.offer("h1", { priority: "high", nowMs: 5 });
    expect(mailbox.clear()).toEqual(["h1", "n1", "n2", "l1"]);
  });
});

test("evict takes the oldest of the least urgent, never one more urgent than the newcomer", () => {
  const mailbox = new Mailbox<string>(4);
  mailbox.offer("h1", { priority: "high" });
  mailbox.offer("n1");
  mailbox.offer("n2");
  expect(mailbox.evict("low")).toBeUndefined();
  expect(mailbox.evict("normal")).toBe("n1");
  expect(mailbox.evict("high")).toBe("n2");
  expect(mailbox.evict("high")).toBe("h1");
  expect(mailbox.count).toBe(0);
});
