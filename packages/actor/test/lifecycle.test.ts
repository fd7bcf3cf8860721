/** Goal: every state and event of an activation's life is decided in one place, as stated. */
import { INITIAL_STATE, type LifecycleState, Mailbox, stepLifecycle } from "@murakkab/actor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const LIMITS = { restartsMax: 2, restartWindowMs: 1_000 };
const crash = { kind: "crashed", error: new Error("x") } as const;

describe("lifecycle", () => {
  test("starts, runs, drains, stops", () => {
    const running = stepLifecycle(INITIAL_STATE, { kind: "started" }, 0, LIMITS);
    expect(running.effects).toEqual([{ kind: "pump" }]);
    const stopping = stepLifecycle(running.state, { kind: "stop-requested" }, 1, LIMITS);
    expect(stopping.effects).toEqual([{ kind: "drain" }]);
    const stopped = stepLifecycle(stopping.state, { kind: "drained" }, 2, LIMITS);
    expect(stopped).toEqual({ state: { kind: "stopped" }, effects: [{ kind: "release" }] });
  });

  test("L2: one crash too many within the window escalates; a slow drip does not", () => {
    const crashAll = (timesMs: readonly number[]) => {
      let state: LifecycleState = INITIAL_STATE;
      let last: readonly { kind: string }[] = [];
      for (const nowMs of timesMs) {
        const stepped = stepLifecycle(state, crash, nowMs, LIMITS);
        state = stepped.state;
        last = stepped.effects;
      }
      return { kind: state.kind, effects: last.map((effect) => effect.kind) };
    };
    expect(crashAll([0, 10, 20])).toEqual({
      kind: "stopped",
      effects: ["abort-in-flight", "release", "escalate"],
    });
    expect(crashAll([0, 600, 1_200, 1_800])).toEqual({
      kind: "starting",
      effects: ["abort-in-flight", "start"],
    });
  });

  test("L3: nothing leaves stopped", () => {
    const events = fc.constantFrom(
      { kind: "started" } as const,
      crash,
      { kind: "stop-requested" } as const,
      { kind: "drained" } as const,
    );
    fc.assert(
      fc.property(events, fc.nat(), (event, nowMs) => {
        expect(stepLifecycle({ kind: "stopped" }, event, nowMs, LIMITS)).toEqual({
          state: { kind: "stopped" },
          effects: [],
        });
      }),
    );
  });
});

test("mailbox: order kept, never above its capacity (model-based)", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("offer" as const), value: fc.nat(9) }),
    fc.record({ kind: fc.constant("take" as const) }),
    fc.record({ kind: fc.constant("remove" as const), value: fc.nat(9) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(operation, { maxLength: 60 }),
      (capacity, operations) => {
        const mailbox = new Mailbox<number>(capacity);
        const model: number[] = [];
        for (const it of operations) {
          if (it.kind === "offer") {
            expect(mailbox.offer(it.value)).toBe(model.length < capacity);
            if (model.length < capacity) model.push(it.value);
          } else if (it.kind === "take") {
            expect(mailbox.take()).toBe(model.shift());
          } else {
            const index = model.indexOf(it.value);
            expect(mailbox.remove((value) => value === it.value)).toBe(
              index < 0 ? undefined : model.splice(index, 1)[0],
            );
          }
          expect(mailbox.count).toBe(model.length);
        }
        expect(mailbox.clear()).toEqual(model);
      },
    ),
  );
});
