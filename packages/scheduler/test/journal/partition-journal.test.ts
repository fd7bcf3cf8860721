/**
 * Goal: P1 to P4 hold whatever the store does. Method: a real in-memory log whose answers get
 * lost and whose tail disappears, under virtual time.
 */
import {
  contentHeaders,
  decode as decodeAny,
  encodeBatch,
  JOURNAL_VERSION,
  type JournalBatch,
  subjects,
} from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldPartition } from "../../src/journal/fold-partition.ts";
import { entryOf, eventOf, labelsOf, makeFixture, recordOf, SUBJECT } from "./lossy-log.ts";

function batchBy(owner: string, generation: number, entries: JournalBatch["entries"] = []) {
  const head = { v: JOURNAL_VERSION, partition: 3, incarnation: "x" };
  return encodeBatch({ ...head, owner, generation, entries: [{ kind: "owned" }, ...entries] });
}

describe("partition journal: group commit", () => {
  test("P1: what is appended in one turn shares a batch, in order, behind the owner's entry", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    const sequences = await fixture.run(() =>
      Promise.all([1, 2, 3].map((number) => journal.append([entryOf("a", number)]))),
    );
    expect(sequences).toEqual([1, 1, 1]);
    await fixture.run(() => journal.append([entryOf("a", 4)]));
    const batches = await fixture.batches();
    expect(batches.map((batch) => labelsOf(batch))).toEqual([
      ["owned", "a#1", "a#2", "a#3"],
      ["a#4"],
    ]);
  });

  test("P1: what comes while a batch is in flight waits for the next one", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    let late: Promise<number> | null = null;
    fixture.log.beforeAppend = async () => {
      late = journal.append([entryOf("a", 2)]);
    };
    expect(await fixture.run(() => journal.append([entryOf("a", 1)]))).toBe(1);
    expect(await fixture.run(async () => late)).toBe(2);
  });

  test("append([]) fences the partition the first time and costs nothing after it", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    expect(journal.isFencing).toBe(false);
    expect(await fixture.run(() => journal.append([]))).toBe(1);
    expect(journal.isFencing).toBe(true);
    expect(await fixture.run(() => journal.append([]))).toBe(1);
    expect(fixture.log.sent).toHaveLength(1);
  });

  test("append([]) resolves only after what was appended before it is stored", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([]));
    fixture.log.troubles.push("not-sent", "not-sent");
    const order: string[] = [];
    await fixture.run(() =>
      Promise.all([
        journal.append([entryOf("a", 1)]).then(() => order.push("stored")),
        journal.append([]).then(() => order.push("confirmed")),
      ]),
    );
    expect(order).toEqual(["stored", "confirmed"]);
  });

  test("idle resolves when nothing waits", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await journal.idle();
    const stored = journal.append([entryOf("a", 1)]);
    await fixture.run(() => journal.idle());
    expect(await stored).toBe(1);
  });
});

describe("partition journal: repeats", () => {
  test("P2: a lost answer is asked for again under the same id and stored once", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    fixture.log.troubles.push("answer-lost", "not-sent", "answer-lost");
    expect(await fixture.run(() => journal.append([entryOf("a", 1)]))).toBe(1);
    expect(new Set(fixture.log.sent.map((it) => `${it.messageId} ${it.expected}`)).size).toBe(1);
    expect(fixture.log.sent).toHaveLength(4);
    expect(await fixture.batches()).toHaveLength(1);
  });

  // The store forgets ids after two minutes: the repeat is a conflict with our own batch.
  test("P2: stored once also when the answer came back after the store forgot the id", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([entryOf("a", 1)]));
    fixture.log.troubles.push("answer-lost");
    const second = journal.append([entryOf("a", 2)]);
    let isDue = false;
    fixture.clock.after(1, () => undefined);
    await fixture.clock.runUntil(() => fixture.log.sent.length === 2);
    fixture.log.beforeAppend = async () => {
      fixture.clock.after(130_000, () => {
        isDue = true;
      });
      await fixture.clock.runUntil(() => isDue);
    };
    // The pause is taken inside of the repeat: this test drives the clock from there.
    expect(await fixture.run(() => second)).toBe(2);
    expect((await fixture.batches()).map((batch) => labelsOf(batch))).toEqual([
      ["owned", "a#1"],
      ["a#2"],
    ]);
    expect(fixture.told).toEqual([]);
  });
});

describe("partition journal: fence", () => {
  test("P3: after a newer owner's batch all that waits is rejected, and all that follows", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([entryOf("a", 1)]));
    const newer = fixture.make({ owner: "s2", generation: 2, lastSequence: 1, readUpTo: 1 });
    await fixture.run(() => newer.append([]));
    const waiting = [2, 3].map((number) => journal.append([entryOf("a", number)]));
    const outcomes = await fixture.run(() => Promise.allSettled(waiting));
    for (const it of outcomes) expect(it).toMatchObject({ reason: { code: "FENCED" } });
    await expect(journal.append([])).rejects.toMatchObject({ code: "FENCED" });
    await journal.idle();
    expect(fixture.told).toEqual(["fenced"]);
    expect(await fixture.batches()).toHaveLength(2);
  });

  test("P3: an owner that never wrote is fenced by one that wrote since it read", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make({ generation: 2 });
    // An older generation, but not ours: what it wrote was not read.
    await fixture.log.append(SUBJECT, batchBy("s0", 1), {});
    const stored = fixture.run(() => journal.append([entryOf("a", 1)]));
    await expect(stored).rejects.toMatchObject({ code: "FENCED" });
  });

  test("a batch of an unknown version is by somebody newer", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([]));
    const future = batchBy("s1", 1);
    await fixture.log.append(SUBJECT, encodeBatch({ ...decode(future), v: 99 }), {});
    const stored = fixture.run(() => journal.append([entryOf("a", 1)]));
    await expect(stored).rejects.toMatchObject({ code: "FENCED" });
  });

  test("close rejects what waits and tells nobody", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    fixture.log.troubles.push("not-sent", "not-sent", "not-sent");
    const stored = journal.append([entryOf("a", 1)]);
    journal.close();
    await expect(fixture.run(() => stored)).rejects.toMatchObject({ code: "FENCED" });
    expect(fixture.told).toEqual([]);
    expect(await fixture.batches()).toEqual([]);
  });
});

describe("partition journal: foreign bytes and lookups", () => {
  test("garbage on the subject stays, and what follows is written behind it", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([entryOf("a", 1)]));
    await fixture.log.append(SUBJECT, new Uint8Array([1, 2, 3]), {});
    expect(await fixture.run(() => journal.append([entryOf("a", 2)]))).toBe(3);
    const folded = foldPartition(await fixture.log.read(SUBJECT));
    expect(folded.corrupt.map((it) => it.sequence)).toEqual([2]);
    expect(folded.jobs.get("a")).toMatchObject({ broken: null });
  });

  // The last sequence was looked up again and again and never fitted: the partition was given up.
  test("garbage that came between the read and the first write is written behind, too", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.log.append(SUBJECT, new Uint8Array([1, 2, 3]), {});
    expect(await fixture.run(() => journal.append([entryOf("a", 1)]))).toBe(2);
    expect(fixture.told).toEqual([]);
  });

  test("a subject whose entries lie below what was read is looked up at the first write", async () => {
    const fixture = await makeFixture();
    await fixture.log.append(SUBJECT, batchBy("s0", 1), {});
    await fixture.log.append(subjects.journal(9), batchBy("s0", 1), {});
    const journal = fixture.make({ generation: 2, readUpTo: 2 });
    expect(await fixture.run(() => journal.append([entryOf("a", 1)]))).toBe(3);
    expect(fixture.log.sent.at(-1)?.expected).toBe(1);
  });

  test("entries that aged out are no loss", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    await fixture.run(() => journal.append([entryOf("a", 1)]));
    await fixture.log.append(subjects.journal(9), batchBy("s0", 1), {});
    await fixture.log.purge(SUBJECT, { beforeSequence: 2 });
    expect(await fixture.run(() => journal.append([entryOf("b", 1)]))).toBe(3);
    expect(fixture.told).toEqual([]);
  });
});

describe("partition journal: sizes", () => {
  test("an entry over the limit is refused by name; its neighbours are stored", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make({ payloadBytesMax: 2_000 });
    const outcomes = await fixture.run(() =>
      Promise.allSettled([
        journal.append([entryOf("a", 1)]),
        journal.append([entryOf("b", 2, { text: "x".repeat(3_000) })]),
        journal.append([entryOf("c", 1)]),
      ]),
    );
    expect(outcomes.map((it) => it.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "JOURNAL_ENTRY_TOO_LARGE" } });
    const stored = (await fixture.batches()).flatMap((batch) => labelsOf(batch));
    expect(stored.filter((label) => label !== "owned")).toEqual(["a#1", "c#1"]);
  });

  // All of a split batch was told the sequence of its last part: a job's first entry then lay
  // below the place from which its journal was read.
  test("of a batch that is split each append is told where its own entries are", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make({ payloadBytesMax: 2_000 });
    const text = "x".repeat(500);
    const sequences = await fixture.run(() =>
      Promise.all([1, 2, 3, 4, 5].map((it) => journal.append([entryOf("a", it, { text })]))),
    );
    for (const [index, sequence] of sequences.entries()) {
      const entry = await fixture.log.get(sequence);
      const batch = (await fixture.batches()).find((it) => it.sequence === entry?.sequence);
      expect(labelsOf(batch!)).toContain(`a#${index + 1}`);
    }
    expect(new Set(sequences).size).toBeGreaterThan(1);
  });
});

describe("partition journal: a store that lost its tail", () => {
  test("P4: the owner writes again what it knows, under a new incarnation, then goes on", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make();
    for (const number of [1, 2, 3]) await fixture.run(() => journal.append([entryOf("a", number)]));
    await fixture.log.truncate(1);
    fixture.lostEntries = [
      {
        kind: "carried",
        jobId: "a",
        record: recordOf("a"),
        events: [1, 2, 3].map((number) => ({ event: eventOf("a", number) })),
      },
    ];
    expect(await fixture.run(() => journal.append([entryOf("a", 4)]))).toBe(3);
    const batches = await fixture.batches();
    expect(batches.map((batch) => labelsOf(batch))).toEqual([
      ["owned", "a#1"],
      ["owned", "carried a"],
      ["a#4"],
    ]);
    expect(batches[0]?.incarnation).not.toBe(batches[1]?.incarnation);
    expect(fixture.told).toEqual(["lost behind 1", "rewritten 2-2"]);
    const job = foldPartition(await fixture.log.read(SUBJECT)).jobs.get("a");
    expect(job?.events.map((it) => it.event.number)).toEqual([1, 2, 3, 4]);
  });

  // What was written again in several batches was never reported, so the index pointed at nothing.
  test("P4: more than one batch holds is written again in several; one job's entries also", async () => {
    const fixture = await makeFixture();
    const journal = fixture.make({ payloadBytesMax: 2_000 });
    await fixture.run(() => journal.append([entryOf("a", 1)]));
    await fixture.log.truncate(0);
    const text = "x".repeat(400);
    const carried = (jobId: string) => ({
      kind: "carried" as const,
      jobId,
      record: recordOf(jobId),
      events: [1, 2, 3, 4, 5, 6].map((number) => ({ event: eventOf(jobId, number, { text }) })),
    });
    fixture.lostEntries = [carried("a"), carried("b")];
    const sequence = await fixture.run(() => journal.append([entryOf("a", 7)]));
    expect(fixture.told).toEqual(["lost behind 0", `rewritten 1-${sequence - 1}`]);
    const { jobs } = foldPartition(await fixture.log.read(SUBJECT));
    expect(jobs.get("a")?.events.map((it) => it.event.number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(jobs.get("b")?.events.map((it) => it.event.number)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const job of jobs.values()) expect(job.broken).toBeNull();
  });

  test("P2, P3, P4 under random trouble: what was acknowledged is in the journal, in order", async () => {
    const step = fc.constantFrom(
      "append",
      "append",
      "answer-lost",
      "not-sent",
      "lose-tail",
      "junk",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const fixture = await makeFixture();
        const journal = fixture.make();
        const known: number[] = [];
        let isLost = false;
        for (const it of steps) {
          if (it === "lose-tail") {
            const { lastSequence } = await fixture.log.info();
            await fixture.log.truncate(Math.floor(lastSequence / 2));
            isLost = true;
          } else if (it === "junk") {
            // Junk that refills a loss to the very sequence is not told apart by anyone.
            if (!isLost) await fixture.log.append(SUBJECT, new Uint8Array([9]), {});
          } else {
            isLost = false;
            if (it !== "append") fixture.log.troubles.push(it);
            const number = known.length + 1;
            const events = known.map((at) => ({ event: eventOf("a", at) }));
            fixture.lostEntries =
              known.length === 0
                ? []
                : [{ kind: "carried", jobId: "a", record: recordOf("a"), events }];
            await fixture.run(() => journal.append([entryOf("a", number)]));
            known.push(number);
            const { jobs } = foldPartition(await fixture.log.read(SUBJECT));
            expect(jobs.get("a")?.events.map((event) => event.event.number)).toEqual(known);
            expect(jobs.get("a")?.broken).toBeNull();
          }
        }
        expect(fixture.told).not.toContain("fenced");
      }),
      { numRuns: 60 },
    );
  });
});

function decode(data: Uint8Array): JournalBatch {
  return decodeAny(data, contentHeaders("json")).value as JournalBatch;
}
