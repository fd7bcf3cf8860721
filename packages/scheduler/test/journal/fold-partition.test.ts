/** Goal: F1 to F3: what a journal says, also when a part of it is missing or not readable. */
import type { LogEntry } from "@murakkab/bus";
import { encodeBatch, JOURNAL_VERSION, type JournalEntry } from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldPartition } from "../../src/journal/fold-partition.ts";
import { entryOf, eventOf, recordOf, SUBJECT } from "./lossy-log.ts";

function batch(sequence: number, entries: readonly JournalEntry[], v = JOURNAL_VERSION): LogEntry {
  const data = encodeBatch({
    ...{ v, partition: 3, owner: "s1", incarnation: "x", entries },
    generation: sequence,
  });
  return { subject: SUBJECT, sequence, data };
}

const junk = (sequence: number): LogEntry => ({
  subject: SUBJECT,
  sequence,
  data: new Uint8Array([1, 2, 3]),
});

const carriedOf = (jobId: string, numbers: readonly number[]): JournalEntry => ({
  kind: "carried",
  jobId,
  record: recordOf(jobId),
  events: numbers.map((number) => ({ event: eventOf(jobId, number) })),
});

const numbersOf = (entries: readonly LogEntry[], jobId: string) =>
  foldPartition(entries)
    .jobs.get(jobId)
    ?.events.map((it) => it.event.number);

describe("fold of a partition", () => {
  test("jobs with their events, their place, the highest generation and the last sequence", () => {
    const folded = foldPartition([
      batch(2, [{ kind: "owned" }, entryOf("a", 1), entryOf("b", 1)]),
      batch(5, [entryOf("a", 2)]),
    ]);
    expect(folded).toMatchObject({ generation: 5, lastSequence: 5, corrupt: [] });
    expect(folded.jobs.get("a")).toMatchObject({ firstSequence: 2, lastSequence: 5, broken: null });
    expect(folded.jobs.get("b")).toMatchObject({ firstSequence: 2, lastSequence: 2, broken: null });
  });

  test("F1: a gap breaks its job, says which events are missing, and touches no other job", () => {
    const { jobs } = foldPartition([
      batch(1, [entryOf("a", 1), entryOf("b", 1)]),
      batch(2, [entryOf("a", 4), entryOf("b", 2)]),
    ]);
    expect(jobs.get("a")?.broken).toBe("its events 2 to 3 are missing");
    expect(jobs.get("b")?.broken).toBeNull();
  });

  test("F2: a batch that can't be read is named with its bytes, also in the broken job's reason", () => {
    const folded = foldPartition([
      batch(1, [entryOf("a", 1), entryOf("b", 1)]),
      junk(2),
      batch(3, [entryOf("a", 3), entryOf("b", 2)]),
    ]);
    expect(folded.corrupt.map((it) => [it.sequence, ...it.data])).toEqual([[2, 1, 2, 3]]);
    expect(folded.jobs.get("a")?.broken).toContain("sequence 2");
    expect(folded.jobs.get("b")?.broken).toBeNull();
    expect(folded.lastSequence).toBe(3);
  });

  test("a job whose first entry is not readable has no record and is broken", () => {
    const { jobs } = foldPartition([junk(1), batch(2, [entryOf("a", 2)])]);
    expect(jobs.get("a")).toMatchObject({ record: null });
    expect(jobs.get("a")?.broken).toContain("1");
  });

  test("F3: a batch of an unknown version refuses all, naming both versions", () => {
    const entries = [batch(1, [entryOf("a", 1)]), batch(2, [], JOURNAL_VERSION + 1)];
    expect(() => foldPartition(entries)).toThrow(
      `version ${JOURNAL_VERSION + 1}, and this program reads versions up to ${JOURNAL_VERSION}`,
    );
  });

  test("an event that is stored twice counts once", () => {
    expect(
      numbersOf(
        [
          batch(1, [entryOf("a", 1)]),
          batch(2, [entryOf("a", 1), entryOf("a", 2)]),
          batch(3, [entryOf("a", 2)]),
        ],
        "a",
      ),
    ).toEqual([1, 2]);
  });

  test("a carried job replaces what is older, mends a gap, and gives way to what is newer", () => {
    const carried = batch(4, [carriedOf("a", [1, 2, 3])]);
    expect(numbersOf([carried, batch(5, [entryOf("a", 4)])], "a")).toEqual([1, 2, 3, 4]);
    const broken = [batch(1, [entryOf("a", 1)]), batch(2, [entryOf("a", 3)]), carried];
    expect(foldPartition(broken).jobs.get("a")).toMatchObject({ broken: null, firstSequence: 4 });
    const newer = [
      batch(
        1,
        [1, 2, 3, 4].map((number) => entryOf("a", number)),
      ),
      carried,
    ];
    expect(numbersOf(newer, "a")).toEqual([1, 2, 3, 4]);
  });

  test("any cut of a history that begins at a carried or first entry folds to its last state", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("event", "carry", "repeat"), { maxLength: 30 }),
        (kinds) => {
          const entries: LogEntry[] = [batch(1, [entryOf("a", 1)])];
          const starts = [1];
          let count = 1;
          for (const [index, kind] of kinds.entries()) {
            const sequence = index + 2;
            const numbers = Array.from({ length: count }, (_, at) => at + 1);
            if (kind === "event") entries.push(batch(sequence, [entryOf("a", (count += 1))]));
            else if (kind === "repeat") entries.push(batch(sequence, [entryOf("a", count)]));
            else {
              entries.push(batch(sequence, [carriedOf("a", numbers)]));
              starts.push(sequence);
            }
          }
          for (const start of starts) {
            const { jobs } = foldPartition(entries.filter((it) => it.sequence >= start));
            const job = jobs.get("a");
            expect(job?.broken).toBeNull();
            expect(job?.events.map((it) => it.event.number)).toEqual(
              Array.from({ length: count }, (_, at) => at + 1),
            );
          }
        },
      ),
    );
  });
});
