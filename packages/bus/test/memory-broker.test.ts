/** Goal: what the in-memory bus promises beyond the port. Method: virtual time, seeds. */
import { seededRandom } from "@murakkab/kit";
import { expect, test } from "vitest";
import { MemoryBroker } from "../src/index.ts";
import { SubjectTrie } from "../src/memory/subject-trie.ts";
import { subjectMatches } from "../src/subject.ts";
import { bytes, codeOf, text } from "./compliance/test-bus.ts";
import { VirtualClock } from "./virtual-clock.ts";

const NO_DATA = new Uint8Array(0);

/** Who got what when, for one seed. */
async function transcript(seed: string): Promise<string[]> {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, random: seededRandom(seed) }, { latencyMsMax: 20 });
  const lines: string[] = [];
  const [a, b] = [broker.connect("a"), broker.connect("b")];
  for (const [name, bus] of [
    ["a", a],
    ["b", b],
  ] as const) {
    bus.messaging.subscribe(
      "t.>",
      ({ subject }) => lines.push(`${clock.monotonicMs()} ${name} ${subject}`),
      { queueGroup: "g" },
    );
  }
  for (let index = 0; index < 20; index += 1) {
    (index % 3 === 0 ? a : b).messaging.publish(`t.${index}`, NO_DATA);
    await clock.advance(3);
  }
  await clock.advance(100);
  return lines;
}

test("the same seed gives the same deliveries, another seed others (K2)", async () => {
  const first = await transcript("one");
  expect(first.length).toBe(20);
  expect(await transcript("one")).toEqual(first);
  expect(await transcript("two")).not.toEqual(first);
  // B3: in the order of publishing, whatever the latencies.
  const order = first.map((line) => Number(line.split("t.")[1]));
  expect(order).toEqual([...order].sort((x, y) => x - y));
});

test("nothing is delivered inside of publish (K1), and the sender's bytes may change", async () => {
  const clock = new VirtualClock();
  const bus = new MemoryBroker({ clock }).connect();
  const got: (string | null)[] = [];
  bus.messaging.subscribe("k.x", ({ data }) => got.push(text(data)));
  const data = bytes("sent");
  bus.messaging.publish("k.x", data);
  data.fill(0);
  expect(got).toEqual([]);
  await clock.advance(0);
  expect(got).toEqual(["sent"]);
});

test("a cut connection is silent both ways until it is healed (K3)", async () => {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  const [a, b] = [broker.connect("a"), broker.connect("b")];
  const got: (string | null)[] = [];
  const states: string[] = [];
  b.messaging.subscribe("c.x", ({ data }) => got.push(text(data)));
  b.messaging.onStatus((status) => states.push(status));
  broker.cut("b");
  a.messaging.publish("c.x", bytes("lost"));
  const request = b.messaging.request("c.x", NO_DATA, { timeoutMs: 10 });
  expect(await codeOf(request)).toBe("UNAVAILABLE");
  broker.heal("b");
  a.messaging.publish("c.x", bytes("seen"));
  await clock.advance(0);
  expect(got).toEqual(["seen"]);
  expect(states).toEqual(["disconnected", "connected"]);
});

test("time-outs follow the clock, and no timer is left behind", async () => {
  const clock = new VirtualClock();
  const bus = new MemoryBroker({ clock }).connect();
  bus.messaging.subscribe("t.x", () => undefined);
  const early = codeOf(bus.messaging.request("t.x", NO_DATA, { timeoutMs: 1_000 }));
  const late = codeOf(bus.messaging.request("t.x", NO_DATA, { timeoutMs: 60_000 }));
  await clock.advance(1_000);
  expect(await early).toBe("TIMEOUT");
  expect(clock.timerCount).toBe(1);
  await clock.advance(59_000);
  expect(await late).toBe("TIMEOUT");
  expect(clock.timerCount).toBe(0);
});

test("a stream lasts as long as no silence is too long", async () => {
  const clock = new VirtualClock();
  const bus = new MemoryBroker({ clock }).connect();
  bus.messaging.subscribe("s.slow", ({ reply = "" }) => {
    for (const delayMs of [80, 160, 240]) {
      clock.after(delayMs, () => {
        bus.messaging.publish(reply, bytes(String(delayMs)));
      });
    }
  });
  const got: (string | null)[] = [];
  const reading = (async () => {
    const options = { idleTimeoutMs: 100 };
    for await (const item of bus.messaging.requestStream("s.slow", NO_DATA, options)) {
      got.push(text(item.data));
    }
  })();
  const ended = codeOf(reading);
  await clock.advance(339);
  expect(got).toEqual(["80", "160", "240"]);
  expect(clock.timerCount).toBe(1);
  await clock.advance(1);
  expect(await ended).toBe("TIMEOUT");
});

test("logs drop what is too old or too much", async () => {
  const clock = new VirtualClock();
  const { state } = new MemoryBroker({ clock }).connect();
  const log = await state.openLog("l", { subjects: ["l.>"], maxAgeMs: 1_000, maxBytes: 10 });
  for (const item of ["12345", "67890", "abcde"]) await log.append("l.a", bytes(item));
  expect((await log.read("l.>")).map((entry) => text(entry.data))).toEqual(["67890", "abcde"]);
  await clock.advance(1_000);
  expect(await log.read("l.>")).toEqual([]);
  const first = await log.append("l.a", bytes("x"), { expectedLastSequence: 0 });
  expect(first).toMatchObject({ kind: "appended", sequence: 4 });
});

test("the trie finds exactly what matches", () => {
  const tokens = ["a", "b", "*", ">"];
  const filters = tokens.flatMap((x) =>
    x === ">"
      ? [x]
      : [x, ...tokens.flatMap((y) => [`${x}.${y}`, ...(y === ">" ? [] : [`${x}.${y}.a`])])],
  );
  const subjects = ["a", "b", "a.a", "a.b", "b.a", "a.b.a", "b.b.a", "a.a.b", "c", "a.c.a"];
  const trie = new SubjectTrie<string>();
  for (const filter of filters) trie.add(filter, filter);
  for (const subject of subjects) {
    const expected = filters.filter((filter) => subjectMatches(filter, subject)).sort();
    expect(trie.matches(subject).sort(), subject).toEqual(expected);
  }
  for (const filter of filters) trie.delete(filter, filter);
  for (const subject of subjects) expect(trie.matches(subject)).toEqual([]);
});
