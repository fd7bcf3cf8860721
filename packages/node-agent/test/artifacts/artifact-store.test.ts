/** The store's promises over an in-memory disk: caps, pins, eviction, full disks. Virtual time. */
import { UPLOAD_PIN_MS } from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../testkit/src/virtual-clock.ts";
import { ArtifactStore } from "../../src/artifacts/artifact-store.ts";
import { hashOf, MemoryBlobs, streamOf } from "../fakes/memory-blobs.ts";

async function storeOf(limitBytes: number, blobs = new MemoryBlobs()) {
  const clock = new VirtualClock();
  const store = new ArtifactStore({ clock, blobs }, { limitBytes });
  await store.open();
  const put = (content: string, jobId = "job", holdMs = 1_000) =>
    store.put(streamOf(content), {
      jobId,
      holdMs,
      mediaType: "text/plain",
      name: "x.txt",
      what: "x.txt",
    });
  const pass = async (ms: number): Promise<void> => {
    let isOver = false;
    clock.after(ms, () => {
      isOver = true;
    });
    await clock.runUntil(() => isOver);
  };
  return { clock, store, blobs, put, pass };
}

describe("artifact store", () => {
  it("addresses by content: the same bytes are stored once", async () => {
    const { store, put } = await storeOf(100);
    const first = await put("hello");
    const second = await put("hello", "other");
    expect(second).toEqual(first);
    expect(first).toEqual({
      artifact: `artifact://sha256/${hashOf("hello")}`,
      bytes: 5,
      mediaType: "text/plain",
      name: "x.txt",
    });
    expect(store.storedBytes).toBe(5);
  });

  it("evicts the least recently used that nobody pins, and nothing else", async () => {
    const { store, blobs, put, pass } = await storeOf(30);
    await put("a".repeat(10));
    await put("b".repeat(10));
    await put("c".repeat(10), "keeper", 60_000);
    await pass(2_000); // a and b are no longer pinned
    await store.read(hashOf("a".repeat(10))); // used: b is now the oldest
    await put("d".repeat(10));
    expect([...blobs.blobs.keys()].sort()).toEqual(
      ["a", "c", "d"].map((letter) => hashOf(letter.repeat(10))).sort(),
    );
  });

  it("answers STORE_FULL with sums when all is pinned, evicts nothing and leaves nothing", async () => {
    const { store, blobs, put } = await storeOf(20);
    await put("a".repeat(12));
    await expect(put("b".repeat(12))).rejects.toMatchObject({
      code: "STORE_FULL",
      kind: "retryable",
      context: { pinnedBytes: 12, reservedBytes: 0, limitBytes: 20, neededBytes: 12 },
    });
    expect(blobs.blobs.size).toBe(1);
    expect(store.storedBytes).toBe(12);
    store.release("job");
    await put("b".repeat(12));
    expect([...blobs.blobs.keys()]).toEqual([hashOf("b".repeat(12))]);
  });

  it("calls a full disk STORE_FULL too, frees what nobody needs, and takes the repeat", async () => {
    const { blobs, put, pass } = await storeOf(1_000);
    await put("old");
    await pass(2_000);
    blobs.diskFreeBytes = 2;
    await expect(put("too much")).rejects.toMatchObject({ code: "STORE_FULL", kind: "retryable" });
    expect(blobs.blobs.size).toBe(0);
    blobs.diskFreeBytes = 100;
    await put("too much");
  });

  it("refuses for good what alone is over the limit, and an empty file", async () => {
    const { put } = await storeOf(10);
    await expect(put("x".repeat(11))).rejects.toMatchObject({
      code: "ARTIFACT_TOO_LARGE",
      kind: "terminal",
    });
    await expect(put("")).rejects.toMatchObject({ message: "file x.txt is empty" });
  });

  it("refuses content with another hash than expected", async () => {
    const { store, blobs } = await storeOf(10);
    const options = { jobId: "j", holdMs: 1, mediaType: "a/b", what: "it" };
    const put = store.put(streamOf("evil"), { ...options, expectedHash: hashOf("good") });
    await expect(put).rejects.toMatchObject({ code: "HASH_MISMATCH", kind: "retryable" });
    expect(blobs.stagedCount).toBe(0);
    expect(store.count).toBe(0);
  });

  it("keeps an upload for its time and no longer; another upload does not renew it", async () => {
    const { store, put, pass } = await storeOf(100);
    await put("first", "upload", UPLOAD_PIN_MS);
    await pass(UPLOAD_PIN_MS - 1_000);
    await put("second", "upload", UPLOAD_PIN_MS);
    expect(store.isPinned(hashOf("first"))).toBe(true);
    await pass(2_000);
    expect(store.isPinned(hashOf("first"))).toBe(false);
    expect(store.isPinned(hashOf("second"))).toBe(true);
  });

  it("renews all pins of a job with one message and tells what it does not hold", async () => {
    const { store, put, pass } = await storeOf(100);
    await put("mine");
    await pass(900);
    expect(store.pin("job", [hashOf("elsewhere")], 60_000)).toEqual([hashOf("elsewhere")]);
    await pass(30_000);
    expect(store.isPinned(hashOf("mine"))).toBe(true);
    store.release("job");
    expect(store.isPinned(hashOf("mine"))).toBe(false);
  });

  it("checks what it finds at a start before the first use and drops what was damaged", async () => {
    const before = await storeOf(100);
    await before.put("good");
    await before.put("bad");
    const bad = before.blobs.blobs.get(hashOf("bad"));
    if (bad !== undefined) bad.bytes = Buffer.from("BAD");
    const { store } = await storeOf(100, before.blobs);
    expect(store.storedBytes).toBe(7);
    expect(store.isPinned(hashOf("good"))).toBe(true);
    expect(await store.read(hashOf("good"))).toMatchObject({ ref: { name: "x.txt" } });
    expect(await store.read(hashOf("bad"))).toBeNull();
    expect(store.storedBytes).toBe(4);
  });

  it("never passes its limit and never loses what is pinned, whatever happens", async () => {
    const put = fc.record({
      kind: fc.constant("put" as const),
      size: fc.integer({ min: 1, max: 40 }),
      job: fc.integer({ min: 0, max: 3 }),
      holdMs: fc.integer({ min: 1, max: 500 }),
    });
    const release = fc.record({
      kind: fc.constant("release" as const),
      job: fc.integer({ min: 0, max: 3 }),
    });
    const wait = fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.integer({ min: 1, max: 300 }),
    });
    const property = fc.asyncProperty(
      fc.array(fc.oneof(put, release, wait), { maxLength: 30 }),
      async (operations) => {
        const at = await storeOf(100);
        const batch: Promise<unknown>[] = [];
        for (const [index, op] of operations.entries()) {
          if (op.kind === "put") {
            const content = `${index}`.padEnd(op.size, "x");
            batch.push(at.put(content, `j${op.job}`, op.holdMs).catch(() => undefined));
          } else if (op.kind === "release") at.store.release(`j${op.job}`);
          else await at.pass(op.ms);
          if (index % 3 === 0) await Promise.all(batch); // some writes overlap
          expect(at.store.storedBytes).toBeLessThanOrEqual(100);
        }
        await Promise.all(batch);
        const stored = [...at.blobs.blobs.values()];
        expect(stored.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(at.store.storedBytes);
        expect(at.store.storedBytes).toBeLessThanOrEqual(100);
        expect(at.blobs.stagedCount).toBe(0);
        const pinned = stored.map(({ bytes }) => hashOf(bytes)).filter((h) => at.store.isPinned(h));
        await at.put("z".repeat(99)).catch(() => undefined);
        for (const hash of pinned) expect(at.blobs.blobs.has(hash)).toBe(true);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });
});
