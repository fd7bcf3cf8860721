/** Goal: J7: a sure draft ends the job with its answer, an unsure one unlocks the rest. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { type JobEffect, type JobInput, JobMachine } from "@murakkab/scheduler";
import { describe, expect, test } from "vitest";

const MEASURE = { runMs: 10, cpuSec: 0.01, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 10 };
const COST = { costUsd: 1, energyWh: 1 };
const PLACE = { instance: "i1", node: "n1" };
const inline = (value: unknown): PassedValue => ({ kind: "inline", value });

const step = (id: string, inputs: Record<string, string>, port = "out"): PlannedStep => ({
  ...{ step: id, capability: id, executor: id, knobs: {}, outputs: { [port]: "x" } },
  inputs: Object.fromEntries(
    Object.entries(inputs).map(([name, from]) => [
      name,
      from === "in"
        ? ({ kind: "input", input: "in" } as const)
        : ({ kind: "step", step: from, output: from === "draft" ? "answer" : "out" } as const),
    ]),
  ),
});

/** text -> draft; pictures beside; speech and the final answer only when the draft is unsure. */
const PLAN: JobPlan = {
  ...{ workflow: "w", planner: "named", inputs: { in: "x" }, outputType: "answer", notes: [] },
  output: { kind: "step", step: "answer", output: "answer" },
  steps: [
    step("text", { a: "in" }),
    step("pictures", { a: "in" }),
    step("draft", { text: "text" }, "answer"),
    step("speech", { a: "in" }),
    step("answer", { text: "text", speech: "speech", pictures: "pictures" }, "answer"),
  ],
  stages: [
    {
      ...{ draft: "draft", output: "answer", atLeast: 0.7, deferred: ["speech", "answer"] },
      ...{ confidencePort: "answer", confidenceField: "confidence" },
    },
  ],
};

type Dispatch = Extract<JobEffect, { kind: "dispatch" }>;

class Play {
  readonly machine = new JobMachine(PLAN, { in: inline("x") });
  readonly effects: JobEffect[] = [];

  constructor() {
    this.feed({ kind: "begin", nowMs: 0 });
  }

  feed(input: JobInput): void {
    this.effects.push(...this.machine.step(input));
  }

  sent(name: string): Dispatch | undefined {
    return this.effects.find(
      (effect): effect is Dispatch => effect.kind === "dispatch" && effect.id.step === name,
    );
  }

  answer(name: string, outputs: Record<string, PassedValue>): void {
    const { id } = this.sent(name)!;
    const base = { id, place: PLACE, measure: MEASURE, cost: COST, nowMs: 1 };
    this.feed({ kind: "attempt-finished", ...base, outputs });
  }

  get settled(): Readonly<Record<string, unknown>> | undefined {
    const found = this.effects.find(
      (effect) => effect.kind === "emit" && effect.event === "stage-settled",
    );
    return found?.kind === "emit" ? found.data : undefined;
  }

  get end(): JobEffect | undefined {
    return this.effects.find((effect) => effect.kind === "finish");
  }

  draft(value: PassedValue): void {
    this.answer("text", { out: inline("t") });
    this.answer("draft", { answer: value });
  }
}

describe("stages", () => {
  test("sure: the draft's output is the job's, what runs is stopped and its bill waited for", () => {
    const play = new Play();
    const sure = inline({ text: "yes", confidence: 0.83 });
    play.draft(sure);
    expect(play.settled).toEqual({
      ...{ draft: "draft", isSure: true, confidence: 0.83, atLeast: 0.7 },
      skipped: ["pictures", "speech", "answer"],
    });
    expect(play.effects.at(-1)).toMatchObject({
      kind: "abort-attempts",
      ids: [{ step: "pictures", item: 0, attempt: 1 }],
    });
    expect(play.end).toBeUndefined();
    const { id } = play.sent("pictures")!;
    const error = { code: "CANCELLED", message: "x", retryable: true };
    const base = { id, place: PLACE, measure: MEASURE, cost: COST, nowMs: 2 };
    play.feed({ kind: "attempt-failed", ...base, error });
    expect(play.end).toEqual({ kind: "finish", state: "succeeded", output: sure, error: null });
    expect(play.machine.steps.get("pictures")?.costUsd).toBe(1);
    expect(play.sent("speech") ?? play.sent("answer")).toBeUndefined();
  });

  test("sure with nothing else running: the job ends at once", () => {
    const play = new Play();
    play.answer("pictures", { out: inline("p") });
    play.draft(inline({ confidence: 0.7 }));
    expect(play.end).toMatchObject({ state: "succeeded" });
  });

  test.each([
    ["below the threshold", inline({ confidence: 0.69 }), 0.69],
    ["without a number", inline({ confidence: "high" }), null],
    ["NaN", inline({ confidence: Number.NaN }), null],
    ["null", inline(null), null],
    [
      "spilled",
      { kind: "spilled", artifact: { artifact: "a", bytes: 1, mediaType: "x/y" } } as const,
      null,
    ],
  ])(
    "unsure (%s): the deferred steps start, and the whole DAG gives the output",
    (_name, value, confidence) => {
      const play = new Play();
      play.draft(value);
      expect(play.settled).toMatchObject({ isSure: false, confidence, skipped: [] });
      expect(play.sent("speech")).toBeDefined();
      expect(play.sent("answer")).toBeUndefined(); // its sources are not done
      play.answer("speech", { out: inline("s") });
      play.answer("pictures", { out: inline("p") });
      play.answer("answer", { answer: inline("whole") });
      expect(play.end).toMatchObject({ state: "succeeded", output: inline("whole") });
    },
  );

  test("only what can start is wanted before the draft is done", () => {
    const play = new Play();
    expect(play.machine.wanted.map((it) => it.step)).toEqual(["draft"]);
    play.draft(inline({ confidence: 0 }));
    expect(play.machine.wanted.map((it) => it.step)).toEqual(["answer"]);
  });
});
