/** Goal: both adapters keep S1 to S4. Method: two connections to one store, as two processes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus.ts";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text, until } from "./test-bus.ts";

export function stateCompliance(testBus: () => TestBus): void {
  let bus: Bus;
  let other: Bus;
  beforeAll(async () => {
    bus = await testBus().connect();
    other = await testBus().connect();
  });
  afterAll(async () => {
    await bus.close();
    await other.close();
  });

  describe("key-value (S1)", () => {
    test("puts, gets, lists and deletes", async () => {
      const store = await bus.state.openKeyValue("kv-basic");
      expect(await store.get("a")).toBeNull();
      expect(await store.keys()).toEqual([]);
      const first = await store.put("a", bytes("1"));
      const second = await store.put("a", bytes("2"));
      expect(second).toBeGreaterThan(first);
      const seen = await (await other.state.openKeyValue("kv-basic")).get("a");
      expect([seen?.key, text(seen?.value), seen?.revision]).toEqual(["a", "2", second]);
      await store.put("jobs.j1", bytes(""));
      await store.put("jobs.j2.x", bytes("x"));
      await store.put("jobs2.j3", bytes("x"));
      expect((await store.keys()).sort()).toEqual(["a", "jobs.j1", "jobs.j2.x", "jobs2.j3"]);
      expect((await store.keys("jobs")).sort()).toEqual(["jobs.j1", "jobs.j2.x"]);
      expect(await store.keys("jobs.j1")).toEqual(["jobs.j1"]);
      expect((await store.get("jobs.j1"))?.value.length).toBe(0);
      await store.delete("a");
      await store.delete("never-there");
      expect(await store.get("a")).toBeNull();
      expect(await store.keys("a")).toEqual([]);
    });

    test("create and update win once", async () => {
      const store = await bus.state.openKeyValue("kv-cas");
      const rival = await other.state.openKeyValue("kv-cas");
      const created = await store.create("k", bytes("mine"));
      if (created.kind !== "written") throw new Error("expected to win");
      expect(await rival.create("k", bytes("theirs"))).toEqual({ kind: "conflict" });
      const updated = await rival.update("k", bytes("2"), created.revision);
      expect(updated.kind).toBe("written");
      const late = await store.update("k", bytes("3"), created.revision);
      expect(late).toEqual({ kind: "conflict" });
      expect(text((await store.get("k"))?.value)).toBe("2");
      await store.delete("k");
      expect((await store.create("k", bytes("4"))).kind).toBe("written");
      const missing = await store.update("not-there", bytes("5"), 7);
      expect(missing).toEqual({ kind: "conflict" });
    });

    test("of many rivals one wins", async () => {
      const store = await bus.state.openKeyValue("kv-race");
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => store.create("lease", bytes(String(index)))),
      );
      expect(outcomes.filter((outcome) => outcome.kind === "written").length).toBe(1);
    });

    test("entries age, and another age is an error that names both", async () => {
      const store = await bus.state.openKeyValue("kv-ttl", { ttlMs: 300 });
      await store.put("beat", bytes("x"));
      expect(await store.get("beat")).not.toBeNull();
      await until("the entry is gone", async () => (await store.get("beat")) === null);
      expect((await store.create("beat", bytes("y"))).kind).toBe("written");
      await expect(bus.state.openKeyValue("kv-ttl", { ttlMs: 5_000 })).rejects.toThrow(/300.*5000/);
    });

    test("bad names and over-size values are refused", async () => {
      const store = await bus.state.openKeyValue("kv-names");
      expect(await codeOf(store.put("a b", bytes("x")))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(store.get("a.>"))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(bus.state.openKeyValue("a.b"))).toBe("INVALID_ARGUMENT");
      const large = new Uint8Array(bus.messaging.maxPayloadBytes + 1);
      expect(await codeOf(store.put("large", large))).toBe("INVALID_ARGUMENT");
    });
  });

  describe("logs (S2, S3)", () => {
    test("append, read back by filter and from a sequence", async () => {
      const log = await bus.state.openLog("log-basic", { subjects: ["lb.>"], maxAgeMs: 0 });
      expect(await log.read("lb.>")).toEqual([]);
      const count = 2_300; // more than one batch of the NATS adapter
      for (let index = 0; index < count; index += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, offset) =>
            log.append(`lb.${(index + offset) % 2}`, bytes(String(index + offset))),
          ),
        );
      }
      const all = await log.read("lb.>");
      expect(all.length).toBe(count);
      expect(all.map((entry) => entry.sequence)).toEqual(all.map((_, index) => index + 1));
      const odd = await log.read("lb.1");
      expect(odd.length).toBe(count / 2);
      expect(odd.every((entry) => Number(text(entry.data)) % 2 === 1)).toBe(true);
      expect((await log.read("lb.>", { fromSequence: count })).length).toBe(1);
      expect(await log.read("lb.>", { fromSequence: count + 1 })).toEqual([]);
      expect(await log.read("lb.none")).toEqual([]);
      expect(await log.read("elsewhere.>")).toEqual([]);
    });

    test("a message id stores once", async () => {
      const log = await bus.state.openLog("log-dedup", { subjects: ["ld.>"], maxAgeMs: 0 });
      const options = { messageId: "m-1" };
      const first = await log.append("ld.a", bytes("x"), options);
      expect(first).toEqual({ kind: "appended", sequence: 1, isDuplicate: false });
      const again = await log.append("ld.a", bytes("x"), options);
      expect(again).toEqual({ kind: "appended", sequence: 1, isDuplicate: true });
      expect((await log.read("ld.>")).length).toBe(1);
    });

    test("the expected sequence is the subject's", async () => {
      const log = await bus.state.openLog("log-cas", { subjects: ["lc.>"], maxAgeMs: 0 });
      const append = (subject: string, expectedLastSequence: number, messageId?: string) =>
        log.append(subject, bytes("x"), {
          expectedLastSequence,
          ...(messageId === undefined ? {} : { messageId }),
        });
      expect(await append("lc.a", 0)).toMatchObject({ sequence: 1 });
      expect(await append("lc.b", 0)).toMatchObject({ sequence: 2 });
      expect(await append("lc.a", 0)).toEqual({ kind: "conflict", lastSequence: 1 });
      expect(await append("lc.a", 1, "id-3")).toMatchObject({ sequence: 3 });
      // A repeat after a lost answer: the id counts before the sequence.
      expect(await append("lc.a", 1, "id-3")).toMatchObject({ sequence: 3, isDuplicate: true });
      expect(await append("lc.a", 1)).toEqual({ kind: "conflict", lastSequence: 3 });
    });

    test("is a publish as well, and takes publishes", async () => {
      const log = await bus.state.openLog("log-both", { subjects: ["lp.>"], maxAgeMs: 0 });
      const got: (string | null)[] = [];
      other.messaging.subscribe("lp.*", ({ data, headers }) =>
        got.push(`${text(data)} ${headers["X-Kind"]}`),
      );
      await other.messaging.flush();
      await log.append("lp.a", bytes("appended"), { headers: { "X-Kind": "k" } });
      bus.messaging.publish("lp.b", bytes("published"), { headers: { "X-Kind": "k" } });
      await until("both seen", () => got.length === 2);
      await until("both stored", async () => (await log.read("lp.>")).length === 2);
      expect(got).toEqual(["appended k", "published k"]);
      const stored = await log.read("lp.>");
      expect(stored.map((entry) => `${entry.subject} ${text(entry.data)}`)).toEqual([
        "lp.a appended",
        "lp.b published",
      ]);
    });

    test("other subjects and other settings are refused", async () => {
      const log = await bus.state.openLog("log-set", { subjects: ["ls.>"], maxAgeMs: 60_000 });
      expect(await codeOf(log.append("other.x", bytes("")))).toBe("INVALID_ARGUMENT");
      const same = bus.state.openLog("log-set", { subjects: ["ls.>"], maxAgeMs: 60_000 });
      expect(await codeOf(same)).toBe("resolved");
      const older = bus.state.openLog("log-set", { subjects: ["ls.>"], maxAgeMs: 61_000 });
      await expect(older).rejects.toThrow(/60000.*61000|61000.*60000/);
      const large = new Uint8Array(bus.messaging.maxPayloadBytes + 1);
      expect(await codeOf(log.append("ls.a", large))).toBe("INVALID_ARGUMENT");
    });
  });

  test("objects are put, replaced, fetched and deleted", async () => {
    const objects = await bus.state.openObjects("objects");
    expect(await objects.get("none")).toBeNull();
    const large = new Uint8Array(3 * 1024 * 1024).map((_, index) => index % 251);
    await objects.put("dir/large file", large);
    const there = await other.state.openObjects("objects");
    expect(Buffer.compare((await there.get("dir/large file")) ?? bytes(""), large)).toBe(0);
    await objects.put("dir/large file", bytes("small"));
    expect(text(await there.get("dir/large file"))).toBe("small");
    await objects.put("empty", new Uint8Array(0));
    expect((await there.get("empty"))?.length).toBe(0);
    await objects.delete("dir/large file");
    await objects.delete("dir/large file");
    expect(await there.get("dir/large file")).toBeNull();
  });
}
