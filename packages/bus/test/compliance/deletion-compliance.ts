/** Goal: a deleted store is told as such and made anew only where asked for (S7). */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bus } from "../../src/bus.ts";
import type { TestBus } from "./test-bus.ts";
import { bytes, codeOf, text } from "./test-bus.ts";

export function deletionCompliance(testBus: () => TestBus): void {
  let bus: Bus;
  beforeAll(async () => {
    bus = await testBus().connect();
  });
  afterAll(async () => {
    await bus.close();
  });

  test("every operation on a deleted bucket or log says STORE_MISSING until it is opened again", async () => {
    const store = await bus.state.openKeyValue("gone");
    const settings = { subjects: ["gone.>"], maxAgeMs: 0 };
    const log = await bus.state.openLog("gone-log", settings);
    await store.put("k", bytes("1"));
    await log.append("gone.a", bytes("1"));
    const before = await log.info();
    await testBus().deleteStore("bucket", "gone");
    await testBus().deleteStore("log", "gone-log");
    const attempts = [
      store.get("k"),
      store.put("k", bytes("2")),
      store.create("k", bytes("2")),
      store.update("k", bytes("2"), 1),
      store.delete("k"),
      store.keys(),
      store.recent(3),
      log.append("gone.a", bytes("2"), { expectedLastSequence: 1, messageId: "two" }),
      log.read("gone.>"),
      log.get(1),
      log.lastSequence("gone.a"),
      log.info(),
      log.purge("gone.a", { beforeSequence: 2 }),
    ];
    const codes = await Promise.all(attempts.map((attempt) => codeOf(attempt)));
    expect(codes).toEqual(attempts.map(() => "STORE_MISSING"));
    await expect(log.info()).rejects.toMatchObject({ kind: "retryable" });
    await expect(log.info()).rejects.toThrow(/gone-log/);
    await bus.state.openKeyValue("gone");
    await bus.state.openLog("gone-log", settings);
    // The handles that were open work on it again.
    expect(await store.get("k")).toBeNull();
    expect((await store.create("k", bytes("2"))).kind).toBe("written");
    const late = await log.append("gone.a", bytes("2"), { expectedLastSequence: 1 });
    expect(late).toEqual({ kind: "conflict", lastSequence: 0 });
    const after = await log.info();
    expect(after.incarnation).not.toBe(before.incarnation);
    expect(after.lastSequence).toBe(0);
  });

  test("a log that may be made anew is, once, and says so", async () => {
    let recreatedCount = 0;
    const log = await bus.state.openLog("anew-log", {
      subjects: ["anew.>"],
      maxAgeMs: 60_000,
      onMissing: "recreate",
      onRecreated: () => {
        recreatedCount += 1;
      },
    });
    const store = await bus.state.openKeyValue("anew", { onMissing: "recreate" });
    await log.append("anew.a", bytes("before"));
    await store.put("k", bytes("before"));
    const before = await log.info();
    await testBus().deleteStore("log", "anew-log");
    await testBus().deleteStore("bucket", "anew");
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        log.append(`anew.${index}`, bytes("after"), { expectedLastSequence: 0 }),
      ),
    );
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(
      Array.from({ length: 20 }, () => "appended"),
    );
    expect(recreatedCount).toBe(1);
    expect((await log.info()).incarnation).not.toBe(before.incarnation);
    expect((await log.read("anew.>")).length).toBe(20);
    expect(await store.get("k")).toBeNull();
    await store.put("k", bytes("after"));
    expect(text((await store.get("k"))?.value)).toBe("after");
  });
}
