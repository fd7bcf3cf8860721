/** Goal: each checker passes a clean record and finds each violation that is planted in it. */
import { describe, expect, test } from "vitest";
import { repeatedEffects } from "../src/checkers/bounded-effects.ts";
import { checkAll, INVARIANTS } from "../src/checkers/check-all.ts";
import {
  type AgentTable,
  type ChaosRecord,
  EMPTY_RECORD,
  type EventNote,
  type JobObservation,
  type JournalBatch,
} from "../src/observation.ts";

const JOB = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a00";
const HISTORY: readonly EventNote[] = [
  { number: 1, event: "accepted" },
  { number: 2, event: "attempt-started", step: "mark", item: 0, attempt: 1 },
  { number: 3, event: "attempt-finished", step: "mark", item: 0, attempt: 1 },
  { number: 4, event: "succeeded" },
];

function job(changes: Partial<JobObservation> = {}): JobObservation {
  return {
    ...{ jobId: JOB, acceptedAtMs: 10, history: HISTORY },
    live: HISTORY.map((note, index) => ({ ...note, atMs: 20 + index })),
    receipts: [{ atMs: 30, state: "succeeded" }],
    ...changes,
  };
}

function record(changes: Partial<ChaosRecord> = {}): ChaosRecord {
  return { ...EMPTY_RECORD, jobs: [job()], endedAtMs: 1_000, ...changes };
}

/** The planted violation must be found by its own checker and by no other one. */
function invariantsOf(changes: Partial<ChaosRecord>): readonly string[] {
  return [...new Set(checkAll(record(changes)).map(({ invariant }) => invariant))];
}

const batch = (sequence: number, changes: Partial<JournalBatch>): JournalBatch => ({
  ...{ atMs: sequence, sequence, partition: 7, generation: 1 },
  ...{ owner: "a", isTakeover: false },
  ...changes,
});

const table = (atMs: number, node: string, incarnation: string | null): AgentTable => ({
  ...{ atMs, node, incarnation },
  instances: [{ instance: "i1", process: "41:900" }],
});

test("a clean record has no violation", () => {
  expect(
    checkAll(
      record({
        scans: [{ atMs: 5, workers: [{ pid: 41, startTicks: 900, instance: "i1" }] }],
        tables: [table(1, "n1", null), table(2, "n1", "x"), table(3, "n1", "y")],
        obeyed: [3, 3, 4].map((generation, atMs) => ({ atMs, node: "n1", generation })),
        batches: [
          batch(1, { isTakeover: true }),
          batch(2, {}),
          batch(3, { isTakeover: true, generation: 2, owner: "b" }),
          batch(4, { generation: 1, partition: 8 }),
        ],
        activations: [
          { atMs: 1, address: "counter.c", generation: 1, process: "a" },
          { atMs: 2, address: "counter.c", generation: 2, process: "b" },
        ],
        effects: [{ jobId: JOB, step: "mark", item: 0, token: "t1" }],
      }),
    ),
  ).toEqual([]);
  expect(Object.keys(INVARIANTS)).toHaveLength(8);
});

describe("INV1: one live activation per address", () => {
  test("two processes of one instance at the same time", () => {
    const workers = [41, 42].map((pid) => ({ pid, startTicks: pid, instance: "i1" }));
    expect(invariantsOf({ scans: [{ atMs: 5, workers }] })).toEqual(["INV1"]);
  });

  test("one actor in two processes within a generation", () => {
    const activations = ["a", "b"].map((process, atMs) => ({
      ...{ atMs, address: "counter.c", generation: 3, process },
    }));
    expect(invariantsOf({ activations })).toEqual(["INV1"]);
  });
});

test("INV2: an accepted job that has not ended is lost; a job nobody accepted is not", () => {
  const unended = { history: HISTORY.slice(0, 3), live: [], receipts: [] };
  expect(invariantsOf({ jobs: [job(unended)] })).toEqual(["INV2"]);
  expect(invariantsOf({ jobs: [job({ ...unended, acceptedAtMs: null })] })).toEqual([]);
  expect(invariantsOf({ jobs: [job({ history: null, live: [], receipts: [] })] })).toEqual([
    "INV2",
  ]);
});

describe("INV3: exactly one terminal state", () => {
  test("two terminal events in the history", () => {
    const history = [...HISTORY, { number: 5, event: "failed" }];
    expect(invariantsOf({ jobs: [job({ history })] })).toEqual(["INV3"]);
  });

  test("a live terminal event that the history does not have", () => {
    const live = [{ atMs: 40, number: 5, event: "failed" }];
    expect(invariantsOf({ jobs: [job({ live })] })).toContain("INV3");
  });

  test("a receipt of another state than the job's end", () => {
    const receipts = [{ atMs: 30, state: "failed" }];
    expect(invariantsOf({ jobs: [job({ receipts })] })).toEqual(["INV3"]);
  });

  test("the same live event twice is one end", () => {
    const live = [1, 2].map((atMs) => ({ atMs, number: 4, event: "succeeded" }));
    expect(invariantsOf({ jobs: [job({ live })] })).toEqual([]);
  });
});

describe("INV4: no stale write takes effect", () => {
  test("a batch of an older generation is stored after a takeover", () => {
    const batches = [
      batch(1, { isTakeover: true, generation: 2, owner: "b" }),
      batch(2, { generation: 1 }),
    ];
    expect(invariantsOf({ batches })).toEqual(["INV4"]);
    expect(invariantsOf({ batches: batches.toReversed() })).toEqual(["INV4"]);
  });

  test("an agent obeys less than before", () => {
    const obeyed = [4, 3].map((generation, atMs) => ({ atMs, node: "n1", generation }));
    expect(invariantsOf({ obeyed })).toEqual(["INV4"]);
  });
});

describe("INV5: no result of changed inputs is used", () => {
  test("the two ways of the same marks differ", () => {
    const used = { viaFile: ["j mark 0 t1"], direct: ["j mark 0 t2"] };
    expect(invariantsOf({ jobs: [job({ used })] })).toEqual(["INV5"]);
    expect(invariantsOf({ jobs: [job({ used: { viaFile: ["x"], direct: ["x"] } })] })).toEqual([]);
  });

  test("the result that stands was made from other inputs than the last start", () => {
    const history = HISTORY.map((note) =>
      note.step === undefined
        ? note
        : { ...note, inputsHash: note.event === "attempt-started" ? "h2" : "h1" },
    );
    expect(invariantsOf({ jobs: [job({ history })] })).toEqual(["INV5"]);
    const failed = history.with(-1, { number: 4, event: "failed" });
    const receipts = [{ atMs: 30, state: "failed" }];
    expect(invariantsOf({ jobs: [job({ history: failed, live: [], receipts })] })).toEqual([]);
  });
});

describe("INV6: effects are bounded by reported failures", () => {
  const effects = ["t1", "t2"].map((token) => ({ jobId: JOB, step: "mark", item: 0, token }));

  test("two effects without a failure", () => {
    expect(invariantsOf({ effects })).toEqual(["INV6"]);
    expect(repeatedEffects(record({ effects }))).toEqual([
      { jobId: JOB, step: "mark", item: 0, count: 2, allowedCount: 1 },
    ]);
  });

  test("two effects with one failure are allowed, on the failed item only", () => {
    const failed = { number: 3, event: "attempt-failed", step: "mark", attempt: 1 };
    const rest = [
      { number: 4, event: "attempt-started", step: "mark", item: 0, attempt: 2 },
      { number: 5, event: "attempt-finished", step: "mark", item: 0, attempt: 2 },
      { number: 6, event: "succeeded" },
    ];
    const withFailure = (item: number) =>
      job({ history: [...HISTORY.slice(0, 2), { ...failed, item }, ...rest], live: [] });
    expect(invariantsOf({ effects, jobs: [withFailure(0)] })).toEqual([]);
    expect(invariantsOf({ effects, jobs: [withFailure(1)] })).toEqual(["INV6"]);
  });
});

test("INV6: a step that runs again because its result was lost has reported it", () => {
  const effects = ["t1", "t2"].map((token) => ({ jobId: JOB, step: "mark", item: 0, token }));
  const rerun = (items: readonly number[]) => {
    const note = { number: 4, event: "step-rerun", step: "mark", items };
    const history = [...HISTORY.slice(0, 3), note, { number: 5, event: "succeeded" }];
    return [job({ history, live: [] })];
  };
  expect(invariantsOf({ effects, jobs: rerun([0]) })).toEqual([]);
  expect(invariantsOf({ effects, jobs: rerun([1]) })).toEqual(["INV6"]);
});

describe("INV7: numbers count from 1 without a gap", () => {
  test.each([
    ["a gap", [HISTORY[0]!, HISTORY[2]!, HISTORY[3]!]],
    ["not from 1", HISTORY.slice(1)],
    ["a number twice", [HISTORY[0]!, HISTORY[0]!, ...HISTORY.slice(1)]],
    ["no event at all", []],
  ])("%s", (_what, history) => {
    expect(invariantsOf({ jobs: [job({ history, live: [] })] })).toEqual(["INV7"]);
  });

  test("what was told live is not in the history", () => {
    const live = [{ atMs: 25, number: 3, event: "attempt-failed", step: "mark", item: 0 }];
    expect(invariantsOf({ jobs: [job({ live })] })).toEqual(["INV7"]);
  });
});

describe("INV8: no two agents hold one process", () => {
  test("another node names it", () => {
    expect(invariantsOf({ tables: [table(1, "n1", null), table(2, "n2", null)] })).toEqual([
      "INV8",
    ]);
  });

  test("an earlier incarnation still holds it after a later one", () => {
    const tables = ["x", "y", "x"].map((incarnation, atMs) => table(atMs, "n1", incarnation));
    expect(invariantsOf({ tables })).toEqual(["INV8"]);
  });
});
