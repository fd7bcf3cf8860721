/** Goal: the DAG walk's invariants J1 to J4 hold, also under random orders of answers. */
import type { JobPlan } from "@murakkab/model";
import { ATTEMPTS_MAX, type AttemptMeasure, type PassedValue } from "@murakkab/protocol";
import { type JobEffect, JobMachine } from "@murakkab/scheduler";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const MEASURE: AttemptMeasure = {
  runMs: 10,
  cpuSec: 0.01,
  memoryBytesMax: null,
  startedAtMs: 0,
  endedAtMs: 10,
};
const COST = { costUsd: 1, energyWh: 1 };
const PLACE = { instance: "i1", node: "n1" };

/** a -> b (fan-out over a's list) -> d, and c beside it. */
const PLAN: JobPlan = {
  workflow: "test",
  planner: "named",
  inputs: { in: "x" },
  outputType: "z",
  notes: [],
  output: { kind: "step", step: "d", output: "out" },
  steps: [
    {
      step: "a",
      capability: "a",
      executor: "a",
      knobs: {},
      inputs: { in: { kind: "input", input: "in" } },
      outputs: { out: "list<y>" },
    },
    {
      step: "b",
      capability: "b",
      executor: "b",
      knobs: {},
      inputs: { y: { kind: "step", step: "a", output: "out" } },
      fanOut: "y",
      outputs: { out: "list<y>" },
    },
    {
      step: "c",
      capability: "c",
      executor: "c",
      knobs: {},
      inputs: { in: { kind: "input", input: "in" } },
      outputs: { out: "w" },
    },
    {
      step: "d",
      capability: "d",
      executor: "d",
      knobs: {},
      inputs: {
        ys: { kind: "step", step: "b", output: "out" },
        w: { kind: "step", step: "c", output: "out" },
      },
      outputs: { out: "z" },
    },
  ],
};

type Dispatch = Extract<JobEffect, { kind: "dispatch" }>;
const dispatches = (effects: readonly JobEffect[]): Dispatch[] =>
  effects.filter((effect): effect is Dispatch => effect.kind === "dispatch");
const inline = (value: unknown) => ({ kind: "inline", value }) as const;

function outputFor(step: string, listLength: number) {
  return {
    out: inline(step === "a" ? Array.from({ length: listLength }, (_, index) => index) : step),
  };
}

describe("job machine", () => {
  test("independent steps start together, the rest after their sources", () => {
    const machine = new JobMachine(PLAN, { in: inline("x") });
    const first = dispatches(machine.step({ kind: "begin", nowMs: 0 }));
    expect(first.map((it) => it.id.step)).toEqual(["a", "c"]);
    const done = machine.step({
      kind: "attempt-finished",
      id: first[0]!.id,
      place: PLACE,
      outputs: outputFor("a", 3),
      measure: MEASURE,
      cost: COST,
      nowMs: 5,
    });
    expect(dispatches(done).map((it) => [it.id.step, it.id.item, it.inputs["y"]])).toEqual([
      ["b", 0, inline(0)],
      ["b", 1, inline(1)],
      ["b", 2, inline(2)],
    ]);
  });

  test("an empty list makes its successors ready at once", () => {
    const machine = new JobMachine(PLAN, { in: inline("x") });
    const [a, c] = dispatches(machine.step({ kind: "begin", nowMs: 0 }));
    machine.step({
      kind: "attempt-finished",
      id: c!.id,
      place: PLACE,
      outputs: outputFor("c", 0),
      measure: MEASURE,
      cost: COST,
      nowMs: 1,
    });
    const after = machine.step({
      kind: "attempt-finished",
      id: a!.id,
      place: PLACE,
      outputs: outputFor("a", 0),
      measure: MEASURE,
      cost: COST,
      nowMs: 2,
    });
    const [d] = dispatches(after);
    expect(d?.inputs["ys"]).toEqual(inline([]));
  });

  test("a retryable failure is repeated elsewhere, at most ATTEMPTS_MAX times; a terminal one ends the job", () => {
    const error = { code: "INSTANCE_LOST", message: "gone", retryable: true };
    const machine = new JobMachine(PLAN, { in: inline("x") });
    let next = dispatches(machine.step({ kind: "begin", nowMs: 0 })).find(
      (it) => it.id.step === "a",
    );
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      expect(next?.id.attempt).toBe(attempt);
      const effects = machine.step({
        kind: "attempt-failed",
        id: next!.id,
        place: PLACE,
        error,
        measure: null,
        cost: COST,
        nowMs: attempt,
      });
      next = dispatches(effects)[0];
      if (attempt < ATTEMPTS_MAX) expect(next?.avoidInstances).toContain("i1");
      else
        expect(effects.map((effect) => effect.kind)).toEqual(["emit", "abort-attempts", "finish"]);
    }
    expect(machine.finished).toBe(true);

    const other = new JobMachine(PLAN, { in: inline("x") });
    const [a] = dispatches(other.step({ kind: "begin", nowMs: 0 }));
    const effects = other.step({
      kind: "attempt-failed",
      id: a!.id,
      place: PLACE,
      error: { ...error, retryable: false },
      measure: null,
      cost: COST,
      nowMs: 1,
    });
    expect(effects.at(-1)).toMatchObject({
      kind: "finish",
      state: "failed",
      error: { step: "a", code: "INSTANCE_LOST" },
    });
  });

  test("J4: a late answer of a superseded attempt changes nothing but the bill", () => {
    const machine = new JobMachine(PLAN, { in: inline("x") });
    const [a] = dispatches(machine.step({ kind: "begin", nowMs: 0 }));
    machine.step({
      kind: "attempt-failed",
      id: a!.id,
      place: PLACE,
      error: { code: "X", message: "x", retryable: true },
      measure: null,
      cost: COST,
      nowMs: 1,
    });
    const late = machine.step({
      kind: "attempt-finished",
      id: a!.id,
      place: PLACE,
      outputs: outputFor("a", 2),
      measure: MEASURE,
      cost: COST,
      nowMs: 2,
    });
    expect(late).toEqual([]);
    expect(machine.steps.get("a")?.costUsd).toBe(2);
  });

  describe("batches", () => {
    const BATCHED: JobPlan = {
      ...PLAN,
      steps: PLAN.steps.map((step) => (step.step === "b" ? { ...step, batchItems: 2 } : step)),
    };
    /** `list`: what step a gives. */
    const started = (list: PassedValue) => {
      const machine = new JobMachine(BATCHED, { in: inline("x") });
      const [a] = dispatches(machine.step({ kind: "begin", nowMs: 0 }));
      const effects = answer(machine, a!, { out: list });
      return { machine, batches: dispatches(effects), effects };
    };
    const answer = (machine: JobMachine, { id }: Dispatch, outputs: Record<string, PassedValue>) =>
      machine.step({
        ...{ kind: "attempt-finished", id, place: PLACE, outputs, measure: MEASURE, cost: COST },
        nowMs: 100,
      });
    const artifact = (name: string) => ({ artifact: name, bytes: 1, mediaType: "x/y" });
    const events = (effects: readonly JobEffect[]) =>
      effects.flatMap((effect) => (effect.kind === "emit" ? [[effect.event, effect.data]] : []));

    test("attempts take consecutive items, the last one fewer; events count items", () => {
      const { machine, batches, effects } = started(inline([0, 1, 2, 3, 4]));
      expect(batches.map((it) => [it.id.item, it.batchItems, it.inputs["y"]])).toEqual([
        [0, 2, inline([0, 1])],
        [2, 2, inline([2, 3])],
        [4, 1, inline([4])],
      ]);
      expect(events(effects).at(-1)).toMatchObject(["step-started", { total: 5, batchItems: 2 }]);
      answer(machine, batches[2]!, { out: inline(["e"]) });
      const second = answer(machine, batches[0]!, { out: inline(["a", "b"]) });
      expect(events(second)[0]).toMatchObject([
        "attempt-finished",
        { item: 0, batchItems: 2, done: 3, total: 5 },
      ]);
      answer(machine, batches[1]!, { out: inline(["c", "d"]) });
      expect(machine.steps.get("b")).toMatchObject({ state: "done", doneCount: 5, total: 5 });
      expect(machine.steps.get("b")?.outputs?.["out"]).toEqual(inline(["a", "b", "c", "d", "e"]));
      expect(machine.steps.get("b")?.units).toHaveLength(3);
    });

    test("lists that lie elsewhere are sliced without being read", () => {
      const spilled = { kind: "spilled", artifact: artifact("s"), count: 3 } as const;
      const item = (index: number) =>
        ({ kind: "spilled", artifact: artifact("s"), index }) as const;
      expect(started(spilled).batches.map((it) => it.inputs["y"])).toEqual([
        { kind: "list", items: [item(0), item(1)] },
        { kind: "list", items: [item(2)] },
      ]);
      const items = [inline(0), item(7), inline(2)];
      expect(started({ kind: "list", items }).batches.map((it) => it.inputs["y"])).toEqual([
        { kind: "list", items: items.slice(0, 2) },
        { kind: "list", items: items.slice(2) },
      ]);
    });

    test("results are gathered in order, whether they are inline, lists or spilled", () => {
      const { machine, batches } = started(inline([0, 1, 2, 3, 4]));
      answer(machine, batches[0]!, { out: { kind: "list", items: [inline("a"), inline("b")] } });
      answer(machine, batches[1]!, {
        out: { kind: "spilled", artifact: artifact("s"), count: 2 },
      });
      answer(machine, batches[2]!, { out: inline(["e"]) });
      expect(machine.steps.get("b")?.outputs?.["out"]).toEqual({
        kind: "list",
        items: [
          inline("a"),
          inline("b"),
          { kind: "spilled", artifact: artifact("s"), index: 0 },
          { kind: "spilled", artifact: artifact("s"), index: 1 },
          inline("e"),
        ],
      });
    });

    test.each([
      ["too few", inline(["a"]), "1 values"],
      ["too many", inline(["a", "b", "c"]), "3 values"],
      ["no list", inline("a"), "no list"],
      ["nothing", undefined, "no list"],
    ])("an attempt that gives %s fails and says so, and is billed once", (_name, out, given) => {
      const { machine, batches } = started(inline([0, 1, 2]));
      const effects = answer(machine, batches[0]!, out === undefined ? {} : { out });
      expect(effects.at(-1)).toMatchObject({
        kind: "finish",
        error: { code: "BATCH_LENGTH", step: "b", message: expect.stringContaining(given) },
      });
      expect(machine.steps.get("b")?.costUsd).toBe(1);
    });
  });

  test("J1-J3 under random answers: sources first, one attempt per item, one finish", () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.nat(1_000)),
        fc.nat(4),
        fc.option(fc.nat(20)),
        (choices, listLength, endAt) => {
          const machine = new JobMachine(PLAN, { in: inline("x") });
          const inFlight: Dispatch[] = [];
          const doneSteps = new Set<string>();
          let finishes = 0;
          const take = (effects: readonly JobEffect[]): void => {
            for (const effect of effects) {
              if (effect.kind === "finish") finishes += 1;
              if (effect.kind === "emit" && effect.event === "step-finished")
                doneSteps.add(String(effect.data["step"]));
              if (effect.kind !== "dispatch") continue;
              expect(finishes).toBe(0);
              for (const source of Object.values(effect.planned.inputs)) {
                if (source.kind === "step") expect(doneSteps).toContain(source.step);
              }
              expect(
                inFlight.some(
                  (it) => it.id.step === effect.id.step && it.id.item === effect.id.item,
                ),
              ).toBe(false);
              expect(effect.id.attempt).toBeLessThanOrEqual(ATTEMPTS_MAX);
              inFlight.push(effect);
            }
          };
          take(machine.step({ kind: "begin", nowMs: 0 }));
          for (let turn = 0; inFlight.length > 0; turn += 1) {
            if (turn === endAt)
              take(
                machine.step({
                  kind: "end",
                  state: "cancelled",
                  error: { code: "CANCELLED", message: "x", retryable: false },
                }),
              );
            const choice = choices.next().value as number;
            const [picked] = inFlight.splice(choice % inFlight.length, 1);
            const { id } = picked!;
            const base = { id, place: PLACE, measure: MEASURE, cost: COST, nowMs: turn };
            const isBad = choice % 5 === 0;
            take(
              isBad
                ? machine.step({
                    kind: "attempt-failed",
                    ...base,
                    error: { code: "X", message: "x", retryable: choice % 2 === 0 },
                  })
                : machine.step({
                    kind: "attempt-finished",
                    ...base,
                    outputs: outputFor(id.step, listLength),
                  }),
            );
          }
          expect(finishes).toBe(1);
          expect(machine.finished).toBe(true);
        },
      ),
    );
  });
});
