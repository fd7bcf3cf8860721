/**
 * Goal: J5, J6: a job that is cut anywhere in its history and resumed by a fresh machine ends with
 * the same output, and what its events show as done is not done again. Method: random DAGs.
 */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import {
  type JobEvent,
  type JournaledEvent,
  type PassedValue,
  RERUNS_MAX,
  TRANSIENT_FAILURES_MAX,
} from "@murakkab/protocol";
import { type JobEffect, type JobInput, JobMachine } from "@murakkab/scheduler";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

type Dispatch = Extract<JobEffect, { kind: "dispatch" }>;
const PLACE = { instance: "i1", node: "n1" };
const MEASURE = { runMs: 1, cpuSec: 0, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 1 };
const COST = { costUsd: 1, energyWh: 1 };
const inline = (value: unknown): PassedValue => ({ kind: "inline", value });

const FAN_OUTS = ["none", "alone", "batch of 1", "batch of 2", "batch of 3"] as const;

/**
 * Each step takes earlier steps (or the input); some give lists, and some fan out over one, item by
 * item or in batches.
 */
const anyPlan = fc
  .array(fc.tuple(fc.nat(9), fc.nat(9), fc.constantFrom(...FAN_OUTS)), {
    minLength: 1,
    maxLength: 6,
  })
  .map((shape): JobPlan => {
    const steps: PlannedStep[] = [];
    for (const [index, [a, b, fanOut]] of shape.entries()) {
      const batchItems = Number(/\d/.exec(fanOut)?.[0] ?? 0);
      const pick = (at: number) =>
        index === 0
          ? ({ kind: "input", input: "in" } as const)
          : ({ kind: "step", step: `s${at % index}`, output: "out" } as const);
      const inputs: PlannedStep["inputs"] =
        index === 0 ? { x: pick(0) } : { x: pick(a), y: pick(b) };
      const id = `s${index}`;
      steps.push({
        ...{ step: id, capability: id, executor: id, knobs: {}, inputs },
        outputs: { out: "list<y>" },
        ...(fanOut !== "none" && index > 0 ? { fanOut: "x" } : {}),
        ...(batchItems > 0 ? { batchItems } : {}),
      });
    }
    const last = `s${steps.length - 1}`;
    return {
      ...{
        workflow: "w",
        planner: "named",
        inputs: { in: "x" },
        outputType: "z",
        notes: [],
        steps,
      },
      output: { kind: "step", step: last, output: "out" },
    };
  });

/** A draft over the first steps, and the later ones deferred until it was not sure. */
const anyStagedPlan = fc
  .tuple(anyPlan, fc.nat(5), fc.boolean())
  .map(([plan, at, isSure]): JobPlan => {
    const draft = plan.steps[at % plan.steps.length]!;
    const deferred = plan.steps
      .slice((at % plan.steps.length) + 1)
      .filter((_, index) => index % 2 === 0)
      .map((step) => step.step);
    const steps = plan.steps.map((step) =>
      step === draft ? { ...step, outputs: { ...step.outputs, sure: "confidence" } } : step,
    );
    const stage = {
      ...{ draft: draft.step, output: "out", deferred, atLeast: isSure ? 0.3 : 0.8 },
      ...{ confidencePort: "sure", confidenceField: "confidence" },
    };
    return { ...plan, steps, stages: [stage] };
  });

/** The same inputs give the same value: a list of three, or what a fan-out's attempt gives. */
function work({ planned, inputs, batchItems }: Dispatch): Record<string, PassedValue> {
  const seen = JSON.stringify(inputs);
  let hash = 7;
  for (const char of seen) hash = (hash * 31 + char.charCodeAt(0)) % 65_521;
  const value = `${planned.step}:${hash}`;
  if (planned.fanOut === undefined) {
    const sure = inline({ confidence: 0.5 });
    return { out: inline(["a", "b", "c"].map((it) => value + it)), sure };
  }
  if (batchItems === undefined) return { out: inline(value) };
  return { out: inline(Array.from({ length: batchItems }, (_, index) => `${value}.${index}`)) };
}

class Player {
  readonly machine: JobMachine;
  readonly events: JournaledEvent[];
  readonly inFlight: Dispatch[] = [];
  readonly dispatched: string[] = [];
  readonly aborted: Dispatch[] = [];
  output: PassedValue | null = null;
  finishCount = 0;

  private readonly rechoose: ((machine: JobMachine) => JobPlan | null) | null;

  /** `rechoose`: asked at each boundary; null = as planned. */
  constructor(
    plan: JobPlan,
    past: readonly JournaledEvent[] = [],
    rechoose: ((machine: JobMachine) => JobPlan | null) | null = null,
  ) {
    this.rechoose = rechoose;
    const options = { asksFirst: rechoose !== null };
    this.machine = new JobMachine(plan, { in: inline([1, 2, 3]) }, options);
    this.machine.replay(past);
    this.events = [...past];
  }

  feed(input: JobInput): void {
    for (const effect of this.machine.step(input)) {
      if (effect.kind === "emit") {
        const event: JobEvent = {
          ...{ jobId: "j", number: this.events.length + 1, event: effect.event },
          ...{ at: "", sinceMs: 0, data: effect.data },
        };
        // As it is read back: nothing is shared with the machine that wrote it.
        const detail =
          effect.detail === undefined ? {} : { detail: structuredClone(effect.detail) };
        this.events.push({ event: structuredClone(event), ...detail });
      } else if (effect.kind === "dispatch") {
        this.inFlight.push(effect);
        this.dispatched.push(keyOf(effect));
      } else if (effect.kind === "abort-attempts" && effect.ids !== undefined) {
        const keys = new Set(effect.ids.map((id) => JSON.stringify(id)));
        const aborted = this.inFlight.filter((it) => keys.has(JSON.stringify(it.id)));
        for (const it of aborted) this.aborted.push(it);
      } else if (effect.kind === "boundary") {
        const next = effect.at === "replan" ? null : (this.rechoose?.(this.machine) ?? null);
        if (next !== null) this.feed({ kind: "replan", plan: next, reason: "other knobs" });
        else this.feed({ kind: "proceed", hold: new Set(), nowMs: 0 });
      } else if (effect.kind === "finish") {
        this.finishCount += 1;
        this.output = effect.output;
      }
    }
  }

  play(choices: Iterator<number>, failShare: number): void {
    while (this.inFlight.length > 0) {
      const choice = choices.next().value as number;
      const [picked] = this.inFlight.splice(choice % this.inFlight.length, 1);
      this.answer(picked!, choice % 100 < failShare);
    }
  }

  answer(dispatch: Dispatch, isBad = false): void {
    const { id } = dispatch;
    const base = { id, place: PLACE, measure: MEASURE, cost: COST, nowMs: 0 };
    if (dispatch.resumeAt === null) {
      this.feed({ kind: "attempt-started", id, place: PLACE, nowMs: 0 });
    }
    const error = { code: "UNAVAILABLE", message: "x", retryable: true };
    if (isBad) this.feed({ kind: "attempt-failed", ...base, error });
    else this.feed({ kind: "attempt-finished", ...base, outputs: work(dispatch) });
  }

  lose(dispatch: Dispatch, artifact: string): void {
    const error = { code: "ARTIFACT_LOST", message: "x", retryable: true, context: { artifact } };
    const base = { place: PLACE, measure: null, cost: COST, nowMs: 0 };
    this.feed({ kind: "attempt-failed", id: dispatch.id, ...base, error });
  }
}

const keyOf = ({ id, inputsHash }: Dispatch): string => `${id.step}:${id.item}:${inputsHash}`;

describe("resuming a job", () => {
  test("J6: cut anywhere, it ends with the same output, and finished items are not sent again", () => {
    fc.assert(
      fc.property(
        anyPlan,
        fc.infiniteStream(fc.nat(10_000)),
        fc.nat(1_000),
        fc.constantFrom(0, 20),
        (plan, choices, cut, failShare) => {
          const whole = new Player(plan);
          whole.feed({ kind: "begin", nowMs: 0 });
          whole.play(choices, failShare);
          expect(whole.finishCount).toBe(1);
          if (whole.output === null) return; // too many failures
          const past = whole.events.slice(0, cut % (whole.events.length + 1));
          const done = new Set(
            past
              .filter(({ event }) => event.event === "attempt-finished")
              .map(
                ({ event: { data } }) => `${data["step"]}:${data["item"]}:${data["inputsHash"]}`,
              ),
          );
          const resumed = new Player(plan, past);
          resumed.feed({ kind: "resume", nowMs: 0 });
          resumed.play(choices, 0);
          expect(resumed.finishCount).toBe(1);
          expect(resumed.output).toEqual(whole.output);
          for (const key of resumed.dispatched) expect(done).not.toContain(key);
          // And once more, from what the second machine added.
          const third = new Player(plan, resumed.events);
          third.feed({ kind: "resume", nowMs: 0 });
          expect(third.dispatched).toEqual([]);
          expect(third.output).toEqual(whole.output);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("J6, J7: cut anywhere around a draft, it ends with the same output and runs nothing needless", () => {
    let sureCount = 0;
    fc.assert(
      fc.property(
        anyStagedPlan,
        fc.infiniteStream(fc.nat(10_000)),
        fc.nat(1_000),
        (plan, choices, cut) => {
          const whole = new Player(plan);
          whole.feed({ kind: "begin", nowMs: 0 });
          whole.play(choices, 0);
          expect(whole.finishCount).toBe(1);
          const past = whole.events.slice(0, cut % (whole.events.length + 1));
          const resumed = new Player(plan, past);
          resumed.feed({ kind: "resume", nowMs: 0 });
          resumed.play(choices, 0);
          expect(resumed.finishCount).toBe(1);
          expect(resumed.output).toEqual(whole.output);
          for (const player of [whole, resumed]) {
            const names = player.events.map(({ event }) => event);
            const at = names.findIndex(({ event }) => event === "stage-settled");
            const settled = names[at]?.data;
            const { deferred = [] } = plan.stages?.[0] ?? {};
            const startedAt = names.findIndex(
              ({ event, data }) =>
                event === "step-started" && deferred.includes(String(data["step"])),
            );
            if (startedAt >= 0) expect(startedAt).toBeGreaterThan(at);
            if (settled?.["isSure"] !== true) continue;
            sureCount += 1;
            expect(startedAt).toBe(-1);
            expect(names.slice(at).some(({ event }) => event === "step-started")).toBe(false);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(sureCount).toBeGreaterThan(20);
  });
});

/** Other knobs for waiting steps, and the last one without its optional input, by choice. */
function rechooseBy(choices: Iterator<number>): (machine: JobMachine) => JobPlan | null {
  return (machine) => {
    const choice = choices.next().value as number;
    if (choice % 3 === 0) return null;
    const waiting = (step: string): boolean => machine.steps.get(step)?.state === "waiting";
    const steps = machine.plan.steps.map((step, index) => {
      if (!waiting(step.step) || (choice + index) % 2 === 0) return step;
      const { y: _left, ...inputs } = step.inputs;
      return { ...step, knobs: { level: choice % 5 }, ...(choice % 7 === 0 ? { inputs } : {}) };
    });
    const used = new Set([
      ...steps.flatMap((step) =>
        Object.values(step.inputs).flatMap((it) => (it.kind === "step" ? [it.step] : [])),
      ),
      ...(machine.plan.output.kind === "step" ? [machine.plan.output.step] : []),
    ]);
    return { ...machine.plan, steps: steps.filter((it) => used.has(it.step) || !waiting(it.step)) };
  };
}

describe("choosing again", () => {
  test("J6, J8: cut anywhere, a job with replans ends with the same output without asking anew", () => {
    let replanCount = 0;
    let removedCount = 0;
    fc.assert(
      fc.property(
        anyPlan,
        fc.infiniteStream(fc.nat(10_000)),
        fc.infiniteStream(fc.nat(10_000)),
        fc.nat(1_000),
        (plan, choices, answers, cut) => {
          const whole = new Player(plan, [], rechooseBy(choices));
          whole.feed({ kind: "begin", nowMs: 0 });
          whole.play(answers, 0);
          expect(whole.finishCount).toBe(1);
          replanCount += whole.machine.replans.length;
          removedCount += plan.steps.length - whole.machine.plan.steps.length;
          // Cut after its last choice: from there on both do the same.
          const names = whole.events.map(({ event }) => event.event);
          const from = names.lastIndexOf("replanned") + 1;
          const past = whole.events.slice(0, from + (cut % (names.length - from + 1)));
          const resumed = new Player(plan, past, () => null);
          resumed.feed({ kind: "resume", nowMs: 0 });
          resumed.play(answers, 0);
          expect(resumed.finishCount).toBe(1);
          expect(resumed.output).toEqual(whole.output);
          expect(resumed.machine.plan).toEqual(whole.machine.plan);
          expect(resumed.machine.replans).toEqual(whole.machine.replans);
        },
      ),
      { numRuns: 200 },
    );
    expect(replanCount).toBeGreaterThan(50);
    expect(removedCount).toBeGreaterThan(5);
  });

  test("J8: what has started stays as it is, and nothing hangs in the air", () => {
    const machine = new JobMachine(LISTS, { in: inline("x") });
    machine.step({ kind: "begin", nowMs: 0 });
    const [list, each, join] = LISTS.steps as [PlannedStep, PlannedStep, PlannedStep];
    const problem = (steps: PlannedStep[]) => machine.replanProblem({ ...LISTS, steps });
    expect(problem([list, each, { ...join, executor: "other" }])).toBeNull();
    expect(problem([{ ...list, executor: "other" }, each, join])).toContain("has started");
    expect(problem([each, join])).toContain("has started");
    expect(problem([list, join])).toContain("which is not there before it");
    expect(problem([list, each])).toContain("its output");
    expect(problem([list, each, join, { ...join, step: "new" }])).toContain("is new");
    const plan = { ...LISTS, steps: [each, join] };
    expect(() => machine.step({ kind: "replan", plan, reason: "x" })).toThrow("J8");
  });
});

/** list -> each (fan-out) -> join. */
const LISTS: JobPlan = {
  ...{ workflow: "w", planner: "named", inputs: { in: "x" }, outputType: "z", notes: [] },
  output: { kind: "step", step: "join", output: "out" },
  steps: [
    {
      ...{ step: "list", capability: "c", executor: "e", knobs: {}, outputs: { out: "list<y>" } },
      inputs: { in: { kind: "input", input: "in" } },
    },
    {
      ...{ step: "each", capability: "c", executor: "e", knobs: {}, outputs: { out: "list<y>" } },
      inputs: { y: { kind: "step", step: "list", output: "out" } },
      fanOut: "y",
    },
    {
      ...{ step: "join", capability: "c", executor: "e", knobs: {}, outputs: { out: "z" } },
      inputs: { ys: { kind: "step", step: "each", output: "out" } },
    },
  ],
};
const ref = (name: string): string => `artifact://sha256/${name.repeat(64).slice(0, 64)}`;
const file = (name: string) => ({ artifact: ref(name), bytes: 1, mediaType: "x/y" });

describe("results that get lost", () => {
  const answer = (player: Player, dispatch: Dispatch, value: unknown): void => {
    player.inFlight.splice(player.inFlight.indexOf(dispatch), 1);
    const { id } = dispatch;
    const base = { id, place: PLACE, measure: MEASURE, cost: COST, nowMs: 0 };
    if (dispatch.resumeAt === null) player.feed({ kind: "attempt-started", ...base });
    player.feed({ kind: "attempt-finished", ...base, outputs: { out: inline(value) } });
  };
  const at = (player: Player, step: string, item = 0): Dispatch => {
    const found = player.inFlight.find((it) => it.id.step === step && it.id.item === item);
    expect(found, `${step}:${item} is in flight`).toBeDefined();
    return found!;
  };
  const started = (): Player => {
    const player = new Player(LISTS);
    player.feed({ kind: "begin", nowMs: 0 });
    return player;
  };
  const lose = (player: Player, dispatch: Dispatch, artifact: string): void => {
    player.inFlight.splice(player.inFlight.indexOf(dispatch), 1);
    player.lose(dispatch, artifact);
  };

  test("J5: the producer runs again, and of what was made of it only what changed", () => {
    const player = started();
    answer(player, at(player, "list"), [file("a"), file("b")]);
    answer(player, at(player, "each", 0), "A");
    const before = player.dispatched.length;
    lose(player, at(player, "each", 1), ref("b"));
    expect(player.dispatched.slice(before).map((key) => key.split(":").slice(0, 2))).toEqual([
      ["list", "0"],
    ]);
    answer(player, at(player, "list"), [file("a"), file("c")]);
    // Item 0 was made of the same file: it stays.
    expect(player.inFlight.map((it) => `${it.id.step}:${it.id.item}`)).toEqual(["each:1"]);
    answer(player, at(player, "each", 1), "C");
    expect(at(player, "join").inputs["ys"]).toEqual(inline(["A", "C"]));
    answer(player, at(player, "join"), "end");
    expect(player.output).toEqual(inline("end"));
  });

  // The fan-out kept its old number of items: results were missing, or were of no item at all.
  test.each([
    ["longer", [file("x"), file("y"), file("z")], ["0", "1", "2"]],
    ["shorter", [file("x")], ["0"]],
    ["empty", [], []],
  ])("J5: a list that comes back %s is fanned out anew", (_name, list, items) => {
    for (const isResumed of [false, true]) {
      let player = started();
      answer(player, at(player, "list"), [file("a"), file("b")]);
      answer(player, at(player, "each", 0), "old0");
      lose(player, at(player, "each", 1), ref("b"));
      answer(player, at(player, "list"), list);
      if (isResumed) {
        player = new Player(LISTS, player.events);
        player.feed({ kind: "resume", nowMs: 0 });
      }
      expect(
        player.inFlight.filter((it) => it.id.step === "each").map((it) => String(it.id.item)),
      ).toEqual(items);
      for (const item of items) answer(player, at(player, "each", Number(item)), `new${item}`);
      expect(at(player, "join").inputs["ys"]).toEqual(inline(items.map((item) => `new${item}`)));
      answer(player, at(player, "join"), "end");
      expect(player.output).toEqual(inline("end"));
    }
  });

  test("J4: an answer for an item of the former list changes nothing", () => {
    const player = started();
    answer(player, at(player, "list"), [file("a"), file("b")]);
    const old = at(player, "each", 0);
    lose(player, at(player, "each", 1), ref("b"));
    answer(player, at(player, "list"), [file("x"), file("y"), file("z")]);
    player.inFlight.splice(player.inFlight.indexOf(old), 1);
    player.answer(old);
    for (const item of [0, 1, 2]) answer(player, at(player, "each", item), `new${item}`);
    expect(at(player, "join").inputs["ys"]).toEqual(inline(["new0", "new1", "new2"]));
  });

  // The machine threw in the middle of an answer, and the job waited for its deadline.
  test("a step over what is no list ends the job and says so", () => {
    const player = started();
    answer(player, at(player, "list"), "no list");
    expect(player.finishCount).toBe(1);
    expect(player.output).toBeNull();
  });

  test("RERUNS_MAX: results that are lost for ever end the job", () => {
    const player = started();
    answer(player, at(player, "list"), [file("a")]);
    let turns = 0;
    for (; player.finishCount === 0; turns += 1) {
      lose(player, at(player, "each"), ref("a"));
      if (player.finishCount === 0) answer(player, at(player, "list"), [file("a")]);
      expect(turns).toBeLessThanOrEqual(RERUNS_MAX);
    }
    expect(turns).toBeGreaterThan(10);
  });

  test("TRANSIENT_FAILURES_MAX: failures that say nothing about the work have a bound of their own", () => {
    const player = started();
    let count = 0;
    for (; player.finishCount === 0; count += 1) {
      const dispatch = at(player, "list");
      player.inFlight.splice(0);
      player.answer(dispatch, true);
    }
    expect(count).toBe(TRANSIENT_FAILURES_MAX);
  });
});
