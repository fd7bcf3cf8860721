/** Goal: what becomes of messages that cannot be handled: overflow, dead letters, supervision. */
import {
  ActorSystem,
  type ActorSystemOptions,
  type Behaviour,
  DEAD_LETTERS_KEPT,
  type DeadLetter,
} from "@murakkab/actor";
import { MemoryBroker } from "@murakkab/bus";
import { delay, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { VirtualClock } from "@murakkab/testkit";
import { beforeEach, describe, expect, test } from "vitest";
import { outcomeOf } from "./keyed-world.ts";

const ADDRESS = { type: "worker", key: "one" };
const ASK = { deadlineMs: 60_000 };

let clock: VirtualClock;
let broker: MemoryBroker;

beforeEach(() => {
  clock = new VirtualClock();
  broker = new MemoryBroker({ clock, random: seededRandom("bus") }, { latencyMsMax: 1 });
});

function makeSystem(options: ActorSystemOptions = {}): ActorSystem {
  const random = seededRandom(`system-${Math.floor(clock.monotonicMs())}`);
  const { messaging } = broker.connect("here");
  return new ActorSystem({ messaging, clock, random, log: SILENT_LOGGER }, options);
}

async function run<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  promise.then(settle, settle);
  await clock.runUntil(() => isSettled);
  return promise;
}

const slow =
  (handled: unknown[]): (() => Behaviour) =>
  () => ({
    handle: async (message) => {
      handled.push(message);
      await delay(clock, 100);
      return message;
    },
  });

describe("overflow", () => {
  test("drop-oldest answers the dropped one and handles the newest; priorities decide the order", async () => {
    const system = makeSystem();
    const handled: unknown[] = [];
    system.spawn(ADDRESS, slow(handled), { mailboxCapacity: 3, overflow: "drop-oldest" });
    const send = (name: string, priority?: "high" | "low") =>
      outcomeOf(
        system.ask(ADDRESS, name, { ...ASK, ...(priority === undefined ? {} : { priority }) }),
      );
    const first = send("first");
    await run(delay(clock, 10));
    const asks = [send("low", "low"), send("a"), send("b"), send("urgent", "high"), send("c")];
    const outcomes = await run(Promise.all([first, ...asks]));
    expect(outcomes.map((it) => it.code ?? it.value)).toEqual([
      "first",
      "MAILBOX_FULL",
      "MAILBOX_FULL",
      "b",
      "urgent",
      "c",
    ]);
    expect(handled).toEqual(["first", "urgent", "b", "c"]);
    expect(system.deadLetters().countByReason).toEqual({ dropped: 2 });
  });
});

describe("dead letters", () => {
  test("each reason is counted; contents are never kept; listeners are told", async () => {
    const letters: DeadLetter[] = [];
    const system = makeSystem({ onDeadLetter: (letter) => void letters.push(letter) });
    const handle = system.spawn(ADDRESS, slow([]), { mailboxCapacity: 2 });
    const first = outcomeOf(system.ask(ADDRESS, "busy", ASK));
    await run(delay(clock, 10));
    const late = outcomeOf(system.ask(ADDRESS, "secret-late", { deadlineMs: 20 }));
    const rest = ["secret-1", "secret-2"].map((it) => outcomeOf(system.ask(ADDRESS, it, ASK)));
    await run(delay(clock, 50));
    clock.after(60, () => void handle.stop({ graceMs: 1_000 }));
    await run(Promise.all([first, late, ...rest]));
    const report = system.deadLetters();
    expect(report.countByReason).toEqual({ "mailbox-full": 1, deadline: 1 });
    expect(report.totalCount).toBe(2);
    expect(letters).toEqual(report.recent);
    expect(JSON.stringify(report)).not.toContain("secret");
    const deadline = report.recent.find((it) => it.reason === "deadline");
    expect(deadline).toMatchObject({ address: ADDRESS, kind: "ask" });
    expect(deadline?.ageMs).toBeGreaterThan(50);
  });

  test("the ring keeps the last ones, oldest first", async () => {
    const system = makeSystem();
    for (let n = 0; n < DEAD_LETTERS_KEPT + 10; n += 1) {
      const keyed = { type: "nobody", key: "k", isKeyed: true };
      system.tell(keyed, n, { messageId: `m${n}` });
    }
    await run(delay(clock, 60_000));
    const { recent, totalCount, countByReason } = system.deadLetters();
    expect(totalCount).toBe(DEAD_LETTERS_KEPT + 10);
    expect(countByReason).toEqual({ undeliverable: DEAD_LETTERS_KEPT + 10 });
    expect(recent).toHaveLength(DEAD_LETTERS_KEPT);
    expect(new Set(recent.map((it) => it.messageId)).size).toBe(DEAD_LETTERS_KEPT);
  });
});

describe("supervision", () => {
  const crashing = (made: { count: number }): (() => Behaviour) => {
    return () => {
      made.count += 1;
      return {
        handle: async (message) => {
          if (message === "boom") throw new Error("a bug");
          return made.count;
        },
      };
    };
  };
  const crash = async (system: ActorSystem, times: number): Promise<void> => {
    for (let n = 0; n < times; n += 1) await run(outcomeOf(system.ask(ADDRESS, "boom", ASK)));
  };

  test("escalation asks the actor's supervisor, then the system's; restart begins a new window after a pause", async () => {
    const asked: string[] = [];
    const made = { count: 0 };
    const system = makeSystem({
      supervise: ({ address }) => {
        asked.push(`system ${address.key}`);
        return "restart";
      },
    });
    system.spawn(ADDRESS, crashing(made), {
      restartsMax: 1,
      supervise: () => {
        asked.push("own");
        return "escalate";
      },
    });
    await crash(system, 2);
    expect(asked).toEqual(["own", "system one"]);
    const startedMs = clock.monotonicMs();
    expect(await run(outcomeOf(system.ask(ADDRESS, "x", ASK)))).toEqual({ value: 3 });
    expect(clock.monotonicMs() - startedMs).toBeGreaterThan(900);
    await crash(system, 1);
    expect(asked).toHaveLength(4);
  });

  test("stop ends it quietly; a system's escalate reaches onEscalate", async () => {
    const escalated: unknown[] = [];
    const onEscalate = (error: unknown): void => void escalated.push(error);
    const system = makeSystem();
    const options = { restartsMax: 0, onEscalate };
    system.spawn(ADDRESS, crashing({ count: 0 }), { ...options, supervise: () => "stop" });
    await crash(system, 1);
    expect(escalated).toEqual([]);
    expect(await run(outcomeOf(system.ask(ADDRESS, "x", ASK)))).toEqual({ code: "NO_RESPONDERS" });
    system.spawn(ADDRESS, crashing({ count: 0 }), options);
    await crash(system, 1);
    expect(escalated).toHaveLength(1);
  });
});

test("a spawned actor keeps answers for repeats when told to, and only so many and so long", async () => {
  const system = makeSystem();
  const handled: unknown[] = [];
  system.spawn(ADDRESS, slow(handled), { answersKept: 2 });
  const send = (messageId: string) =>
    run(outcomeOf(system.ask(ADDRESS, messageId, { ...ASK, messageId })));
  for (const id of ["a", "a", "b", "a", "c", "d", "c", "a"]) await send(id);
  expect(handled).toEqual(["a", "b", "c", "d", "a"]); // "c" and "d" pushed "a" out
});
