/** Goal: what a journal relies on (S3 to S6). Method: purges, ages, ranges, on both adapters. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bus } from "../../src/bus.ts";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text, until } from "./test-bus.ts";

export function journalCompliance(testBus: () => TestBus): void {
  let bus: Bus;
  beforeAll(async () => {
    bus = await testBus().connect();
  });
  afterAll(async () => {
    await bus.close();
  });

  const append = async (
    log: Awaited<ReturnType<Bus["state"]["openLog"]>>,
    subject: string,
    expectedLastSequence: number,
  ): Promise<number> => {
    const outcome = await log.append(subject, bytes(subject), { expectedLastSequence });
    if (outcome.kind !== "appended") throw new Error(`conflict at ${outcome.lastSequence}`);
    return outcome.sequence;
  };

  test("a range of one subject among many is read as it is, and ends", async () => {
    const log = await bus.state.openLog("log-range", { subjects: ["lr.>"], maxAgeMs: 0 });
    // Every tenth entry is ours, from 1 to 2,991; others lie between and behind.
    for (let index = 0; index < 3_000; index += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, offset) => {
          const isOurs = (index + offset) % 10 === 0;
          return log.append(isOurs ? "lr.ours" : `lr.other.${offset}`, bytes("x"));
        }),
      );
    }
    const all = (await log.read("lr.ours")).map((entry) => entry.sequence);
    expect(all.length).toBe(300);
    const inside = (from: number, to: number): number[] =>
      all.filter((sequence) => sequence >= from && sequence <= to);
    for (const [from, to] of [
      [1, 1],
      [500, 1_500],
      [900, 905],
      [2_995, 9_999],
      [1, 3_000],
      [700, 699],
    ] as const) {
      const read = await log.read("lr.ours", { fromSequence: from, toSequence: to });
      expect(read.map((entry) => entry.sequence)).toEqual(inside(from, to));
    }
    expect((await log.read("lr.ours", { toSequence: 600 })).length).toBe(inside(1, 600).length);
    expect(await log.read("lr.none", { toSequence: 600 })).toEqual([]);
    const wide = await log.read("lr.>", { fromSequence: 1_001, toSequence: 2_400 });
    expect([wide.length, wide[0]?.sequence, wide.at(-1)?.sequence]).toEqual([1_400, 1_001, 2_400]);
  });

  test("single entries are found by their sequence", async () => {
    const log = await bus.state.openLog("log-get", { subjects: ["lg.>"], maxAgeMs: 0 });
    await append(log, "lg.a", 0);
    await append(log, "lg.b", 0);
    expect(await log.get(2)).toEqual({ subject: "lg.b", sequence: 2, data: bytes("lg.b") });
    expect(await log.get(0)).toBeNull();
    expect(await log.get(3)).toBeNull();
    await log.purge("lg.b", { beforeSequence: 3 });
    expect(await log.get(2)).toBeNull();
  });

  test("purge drops one subject's entries below a sequence, and nothing else", async () => {
    const log = await bus.state.openLog("log-purge", { subjects: ["lu.>"], maxAgeMs: 0 });
    expect(await log.info()).toMatchObject({ firstSequence: 1, lastSequence: 0 });
    for (let index = 0; index < 5; index += 1) {
      await append(log, "lu.a", await log.lastSequence("lu.a"));
      await append(log, "lu.b", await log.lastSequence("lu.b"));
    }
    const sequences = async (filter: string): Promise<number[]> =>
      (await log.read(filter)).map((entry) => entry.sequence);
    await log.purge("lu.a", { beforeSequence: 1 });
    await log.purge("lu.none", { beforeSequence: 9 });
    expect(await sequences("lu.a")).toEqual([1, 3, 5, 7, 9]);
    await log.purge("lu.a", { beforeSequence: 5 });
    expect(await sequences("lu.a")).toEqual([5, 7, 9]);
    expect(await sequences("lu.b")).toEqual([2, 4, 6, 8, 10]);
    expect(await log.lastSequence("lu.a")).toBe(9);
    expect(await log.info()).toMatchObject({ firstSequence: 2, lastSequence: 10 });
    // The bound is of the stream, not of the subject: far above all is all.
    await log.purge("lu.a", { beforeSequence: 1_000 });
    expect(await sequences("lu.>")).toEqual([2, 4, 6, 8, 10]);
    expect(await log.lastSequence("lu.a")).toBe(0);
    expect(await codeOf(log.purge("lu.*", { beforeSequence: 3 }))).toBe("INVALID_ARGUMENT");
  });

  test("a subject of which all was purged is expected at 0 again (S5), its ids are known (S6)", async () => {
    const log = await bus.state.openLog("log-purged", { subjects: ["lz.>"], maxAgeMs: 0 });
    await log.append("lz.a", bytes("x"), { messageId: "one", expectedLastSequence: 0 });
    await append(log, "lz.b", 0);
    await log.purge("lz.a", { beforeSequence: 2 });
    const late = await log.append("lz.a", bytes("x"), { expectedLastSequence: 1 });
    expect(late).toEqual({ kind: "conflict", lastSequence: 0 });
    const again = { messageId: "one", expectedLastSequence: 0 };
    expect(await log.append("lz.a", bytes("x"), again)).toEqual({
      kind: "appended",
      sequence: 1,
      isDuplicate: true,
    });
    expect(await append(log, "lz.a", 0)).toBe(3); // sequences are not used twice
    await log.purge("lz.a", { beforeSequence: 9 });
    await log.purge("lz.b", { beforeSequence: 9 });
    expect(await log.info()).toMatchObject({ firstSequence: 4, lastSequence: 3 });
    expect(await append(log, "lz.b", 0)).toBe(4);
  });

  test("what aged out is gone from the subject, not from the numbering", async () => {
    const log = await bus.state.openLog("log-aged", { subjects: ["la.>"], maxAgeMs: 300 });
    await append(log, "la.a", 0);
    await append(log, "la.b", 0);
    await until("all aged out", async () => (await log.lastSequence("la.a")) === 0);
    await until("b, too", async () => (await log.lastSequence("la.b")) === 0);
    expect(await log.read("la.>")).toEqual([]);
    expect(await log.info()).toMatchObject({ firstSequence: 3, lastSequence: 2 });
    const late = await log.append("la.a", bytes("x"), { expectedLastSequence: 1 });
    expect(late).toEqual({ kind: "conflict", lastSequence: 0 });
    expect(await append(log, "la.a", 0)).toBe(3);
  });

  test("the recent entries of a bucket, without those overwritten and deleted", async () => {
    const store = await bus.state.openKeyValue("kv-recent");
    expect(await store.recent(5)).toEqual([]);
    for (let index = 0; index < 30; index += 1) {
      await store.put(`jobs.${index}`, bytes(String(index)));
    }
    for (let index = 0; index < 200; index += 1) await store.put("busy", bytes(String(index)));
    await store.put("jobs.3", bytes("3 again"));
    await store.delete("jobs.29");
    const recent = async (limit: number): Promise<(string | null)[][]> =>
      (await store.recent(limit)).map((entry) => [entry.key, text(entry.value)]);
    expect(await recent(4)).toEqual([
      ["jobs.3", "3 again"],
      ["busy", "199"],
      ["jobs.28", "28"],
      ["jobs.27", "27"],
    ]);
    const all = await store.recent(1_000);
    expect(all.length).toBe(30);
    expect(all.map((entry) => entry.revision)).toEqual(
      all.map((entry) => entry.revision).sort((a, b) => b - a),
    );
    expect(await store.recent(0)).toEqual([]);
  });

  test("a delete of another revision is a conflict", async () => {
    const store = await bus.state.openKeyValue("kv-release");
    const first = await store.put("lease", bytes("a"));
    const second = await store.put("lease", bytes("b"));
    expect(await store.delete("lease", { expectedRevision: first })).toEqual({ kind: "conflict" });
    expect(text((await store.get("lease"))?.value)).toBe("b");
    expect(await store.delete("lease", { expectedRevision: second })).toEqual({ kind: "deleted" });
    expect(await store.get("lease")).toBeNull();
    expect((await store.create("lease", bytes("c"))).kind).toBe("written");
  });

  test("settings are changed only where that is permitted, and only some of them", async () => {
    const subjects = ["lx.>"];
    await bus.state.openLog("log-update", { subjects, maxAgeMs: 60_000 });
    const longer = { subjects, maxAgeMs: 600_000 };
    await expect(bus.state.openLog("log-update", longer)).rejects.toThrow(/60000.*600000/);
    await bus.state.openLog("log-update", { ...longer, mayUpdate: true });
    expect(await codeOf(bus.state.openLog("log-update", longer))).toBe("resolved");
    const other = { subjects: ["ly.>"], maxAgeMs: 600_000, mayUpdate: true };
    await expect(bus.state.openLog("log-update", other)).rejects.toThrow(/lx\.>.*ly\.>/);
    await bus.state.openKeyValue("kv-update", { ttlMs: 60_000 });
    expect(await codeOf(bus.state.openKeyValue("kv-update", { ttlMs: 30_000 }))).toBe(
      "INVALID_ARGUMENT",
    );
    await bus.state.openKeyValue("kv-update", { ttlMs: 30_000, mayUpdate: true });
    expect(await codeOf(bus.state.openKeyValue("kv-update", { ttlMs: 30_000 }))).toBe("resolved");
  });
}
