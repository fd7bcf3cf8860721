/**
 * Goal: ask, tell, stream and cancel between processes, bounds, deadlines and supervision, over the
 * in-memory bus under virtual time.
 */
import { ActorSystem, type Behaviour, type MessageContext } from "@murakkab/actor";
import { MemoryBroker } from "@murakkab/bus";
import {
  delay,
  InvalidArgumentError,
  isRuntimeError,
  SILENT_LOGGER,
  seededRandom,
} from "@murakkab/kit";
import { VirtualClock } from "@murakkab/testkit";
import { beforeEach, describe, expect, test } from "vitest";

const ADDRESS = { type: "worker", key: "one" };

let clock: VirtualClock;
let here: ActorSystem;
let there: ActorSystem;

beforeEach(() => {
  clock = new VirtualClock();
  const random = seededRandom("actors");
  const broker = new MemoryBroker({ clock, random }, { latencyMsMax: 1 });
  const make = (name: string) =>
    new ActorSystem({
      messaging: broker.connect(name).messaging,
      clock,
      random: random.stream(name),
      log: SILENT_LOGGER,
    });
  here = make("here");
  there = make("there");
});

/** Drives the clock until the promise settles; its outcome as data. */
async function outcome<T>(promise: Promise<T>): Promise<{ value?: T; code?: string }> {
  let result: { value?: T; code?: string } | null = null;
  promise.then(
    (value) => (result = { value }),
    (error: unknown) => (result = { code: isRuntimeError(error) ? error.code : String(error) }),
  );
  await clock.runUntil(() => result !== null);
  return result ?? {};
}

function behaviour(handle: Behaviour["handle"]): () => Behaviour {
  return () => ({ handle });
}

describe("ask", () => {
  test("answers; an error keeps its code; nobody there is told at once", async () => {
    there.spawn(
      ADDRESS,
      behaviour(async (message) => {
        if (message === "bad") throw new InvalidArgumentError("bad is not good");
        return { echo: message };
      }),
    );
    expect(await outcome(here.ask(ADDRESS, "hi", { deadlineMs: 100 }))).toEqual({
      value: { echo: "hi" },
    });
    expect(await outcome(here.ask(ADDRESS, "bad", { deadlineMs: 100 }))).toEqual({
      code: "INVALID_ARGUMENT",
    });
    const startedMs = clock.monotonicMs();
    expect(
      await outcome(here.ask({ type: "worker", key: "nobody" }, "hi", { deadlineMs: 60_000 })),
    ).toEqual({ code: "NO_RESPONDERS" });
    expect(clock.monotonicMs() - startedMs).toBeLessThan(10);
  });

  test("a deadline ends the work and tells the sender; a waiting message past it is not handled", async () => {
    const handled: unknown[] = [];
    there.spawn(
      ADDRESS,
      behaviour(async (message, context: MessageContext) => {
        handled.push(message);
        await delay(clock, 1_000, context.signal);
      }),
    );
    const first = outcome(here.ask(ADDRESS, "slow", { deadlineMs: 200 }));
    const second = outcome(here.ask(ADDRESS, "waits", { deadlineMs: 100 }));
    expect(await second).toEqual({ code: "DEADLINE_EXCEEDED" });
    expect(await first).toEqual({ code: "DEADLINE_EXCEEDED" });
    expect(handled).toEqual(["slow"]);
  });

  test("cancel reaches the handler, and a waiting message is taken out", async () => {
    const reasons: unknown[] = [];
    there.spawn(
      ADDRESS,
      behaviour(async (_message, context) => {
        try {
          await delay(clock, 10_000, context.signal);
        } catch (error) {
          reasons.push(isRuntimeError(error) ? error.code : error);
          throw error;
        }
      }),
    );
    const controllers = [new AbortController(), new AbortController()];
    clock.after(50, () => controllers[1]?.abort());
    clock.after(60, () => controllers[0]?.abort());
    const asks = controllers.map(({ signal }) =>
      outcome(here.ask(ADDRESS, "x", { deadlineMs: 60_000, signal })),
    );
    expect(await Promise.all(asks)).toEqual([{ code: "CANCELLED" }, { code: "CANCELLED" }]);
    expect(reasons).toEqual(["CANCELLED"]);
    expect(clock.monotonicMs()).toBeLessThan(100);
  });

  test("a full mailbox is an error to the sender, never silence", async () => {
    there.spawn(
      ADDRESS,
      behaviour(async (message) => {
        await delay(clock, 100);
        return message;
      }),
      { mailboxCapacity: 2 },
    );
    const asks = [1, 2, 3, 4, 5].map((n) => outcome(here.ask(ADDRESS, n, { deadlineMs: 5_000 })));
    const results = await Promise.all(asks);
    expect(results.filter((it) => it.code === "MAILBOX_FULL")).toHaveLength(2);
    expect(results.flatMap((it) => (it.code === undefined ? [it.value] : []))).toEqual([1, 2, 3]);
  });
});

test("tell is handled in order of sending", async () => {
  const seen: unknown[] = [];
  there.spawn(
    ADDRESS,
    behaviour(async (message) => void seen.push(message)),
  );
  for (let n = 0; n < 20; n += 1) here.tell(ADDRESS, n);
  await clock.runUntil(() => seen.length === 20);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
});

describe("stream", () => {
  const counting =
    (total: number, sent: number[]): (() => Behaviour) =>
    () => ({
      handle: async () => null,
      async *stream() {
        for (let n = 0; n < total; n += 1) {
          sent.push(n);
          yield n;
        }
      },
    });

  test("delivers all items in order, also more than the credit", async () => {
    there.spawn(ADDRESS, counting(500, []));
    const read = async () => {
      const items: unknown[] = [];
      for await (const item of here.stream(ADDRESS, null, { deadlineMs: 10_000 })) items.push(item);
      return items;
    };
    expect((await outcome(read())).value).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("a reader that stops reading stops the sender within its credit", async () => {
    const sent: number[] = [];
    there.spawn(ADDRESS, counting(100_000, sent));
    let next: (() => void) | null = null;
    const read = async () => {
      for await (const item of here.stream(ADDRESS, null, { deadlineMs: 10_000 })) {
        if (item === 10) await new Promise<void>((resolve) => (next = resolve));
        if (item === 10) break;
      }
    };
    const reading = read();
    clock.after(1_000, () => next?.());
    await outcome(reading);
    expect(sent.length).toBeLessThan(200);
    expect(sent.length).toBeGreaterThan(10);
  });

  test("an error in mid-stream reaches the reader behind the items before it", async () => {
    there.spawn(ADDRESS, () => ({
      handle: async () => null,
      async *stream() {
        yield 1;
        yield 2;
        throw new InvalidArgumentError("three is missing");
      },
    }));
    const items: unknown[] = [];
    const read = async () => {
      for await (const item of here.stream(ADDRESS, null, { deadlineMs: 1_000 })) items.push(item);
    };
    expect(await outcome(read())).toEqual({ code: "INVALID_ARGUMENT" });
    expect(items).toEqual([1, 2]);
  });
});

describe("supervision", () => {
  test("a defect restarts the actor with fresh state; the sender gets INTERNAL; too many escalate", async () => {
    let made = 0;
    let escalated: unknown = null;
    there.spawn(
      ADDRESS,
      () => {
        made += 1;
        let count = 0;
        return {
          handle: async (message) => {
            if (message === "boom") throw new Error("a bug");
            count += 1;
            return count;
          },
        };
      },
      { restartsMax: 2, restartWindowMs: 10_000, onEscalate: (error) => (escalated = error) },
    );
    expect(await outcome(here.ask(ADDRESS, "x", { deadlineMs: 100 }))).toEqual({ value: 1 });
    expect(await outcome(here.ask(ADDRESS, "boom", { deadlineMs: 100 }))).toEqual({
      code: "INTERNAL",
    });
    expect(await outcome(here.ask(ADDRESS, "x", { deadlineMs: 100 }))).toEqual({ value: 1 });
    expect(made).toBe(2);
    await outcome(here.ask(ADDRESS, "boom", { deadlineMs: 100 }));
    await outcome(here.ask(ADDRESS, "boom", { deadlineMs: 100 }));
    expect(escalated).toMatchObject({ message: "a bug" });
    expect(await outcome(here.ask(ADDRESS, "x", { deadlineMs: 100 }))).toEqual({
      code: "NO_RESPONDERS",
    });
  });

  test("stop finishes what is in flight within the grace, refuses the rest, frees the address", async () => {
    const handle = there.spawn(
      ADDRESS,
      behaviour(async (message) => {
        await delay(clock, 100);
        return message;
      }),
    );
    const asks = [1, 2].map((n) => outcome(here.ask(ADDRESS, n, { deadlineMs: 5_000 })));
    clock.after(50, () => void handle.stop({ graceMs: 1_000 }));
    const results = await Promise.all(asks);
    expect(results).toEqual([{ value: 1 }, { code: "UNAVAILABLE" }]);
    expect(await outcome(here.ask(ADDRESS, 3, { deadlineMs: 100 }))).toEqual({
      code: "NO_RESPONDERS",
    });
    there.spawn(
      ADDRESS,
      behaviour(async () => "again"),
    );
    expect(await outcome(here.ask(ADDRESS, 3, { deadlineMs: 100 }))).toEqual({ value: "again" });
  });
});
