/**
 * Goal: one attempt that takes many items of a fan-out gives each its own value, or fails clearly.
 * Method: the behaviour with a fake agent, scratch and engine.
 */

import type { ExecutorEntry } from "@murakkab/model";
import type { AttemptRequest } from "@murakkab/protocol";
import { attemptRequestSchema } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import type { EngineCall } from "../src/engine.ts";
import { artifactRef } from "./entries.ts";
import { attemptRequest, failureIn, outputsIn, workerFixture } from "./worker-fixture.ts";

const ENTRY: Partial<ExecutorEntry> = {
  inputs: { frame: { type: "frame" }, words: { type: "list<text>", isOptional: true } },
  outputs: { text: { type: "text" }, lines: { type: "list<text>" } },
  batchMax: 4,
};

const FRAMES: AttemptRequest["inputs"] = {
  frame: { kind: "list", items: [1, 2, 3].map((value) => ({ kind: "inline", value })) },
};

function batchFixture(run: (call: EngineCall) => Promise<Record<string, unknown>>, entry = ENTRY) {
  return workerFixture({ entry, run });
}

describe("a batch", () => {
  test("goes to the engine as a list, and comes back as lists in the same order", async () => {
    const calls: EngineCall[] = [];
    const { ask } = batchFixture(async (call) => {
      calls.push(call);
      const frames = call.inputs["frame"] as number[];
      return { text: frames.map((it) => `t${it}`), lines: frames.map((it) => [`l${it}`]) };
    });
    const reply = await ask({ inputs: FRAMES, batchItems: 3 });
    expect(outputsIn(reply)).toEqual({
      text: { kind: "inline", value: ["t1", "t2", "t3"] },
      lines: { kind: "inline", value: [["l1"], ["l2"], ["l3"]] },
    });
    expect(calls[0]).toMatchObject({ inputs: { frame: [1, 2, 3] }, isBatch: true });
  });

  test("of one is still a list; without the mark the same entry takes an item alone", async () => {
    const seen: unknown[] = [];
    const { ask } = batchFixture(async ({ inputs, isBatch }) => {
      seen.push([inputs["frame"], isBatch]);
      return isBatch === true ? { text: ["a"], lines: [[]] } : { text: "a", lines: [] };
    });
    const one: AttemptRequest["inputs"] = { frame: { kind: "inline", value: [7] } };
    expect(outputsIn(await ask({ inputs: one, batchItems: 1, key: "k1" }))).toHaveProperty("text");
    const alone: AttemptRequest["inputs"] = { frame: { kind: "inline", value: 7 } };
    expect(outputsIn(await ask({ inputs: alone, key: "k2" }))).toHaveProperty("text");
    expect(seen).toEqual([
      [[7], true],
      [7, false],
    ]);
  });

  test("reads a spilled list once for all of its items, and fetches their files first", async () => {
    const frames = [0, 1, 2].map((index) => ({ index, image: artifactRef(`a${index}`) }));
    const { ask, agent } = workerFixture({
      entry: ENTRY,
      files: { "/store/01": JSON.stringify(frames) },
      run: async ({ inputs }) => {
        const given = inputs["frame"] as { index: number }[];
        return { text: given.map((it) => `${it.index}`), lines: given.map(() => []) };
      },
    });
    const items = [0, 2].map((index) => ({
      kind: "spilled" as const,
      artifact: artifactRef("01"),
      index,
    }));
    const reply = await ask({ inputs: { frame: { kind: "list", items } }, batchItems: 2 });
    expect(outputsIn(reply)["text"]).toEqual({ kind: "inline", value: ["0", "2"] });
    const opened = agent.log.filter((line) => line.startsWith("open"));
    expect(opened).toEqual(["open 01", "open a0", "open a2"]);
  });

  test.each([
    ["too few", { text: ["a", "b"], lines: [[], [], []] }, 'output "text" of executor "echo" is a'],
    [
      "no list",
      { text: "a", lines: [[], [], []] },
      "is a string for a batch, expected a list of 3",
    ],
    ["a hole", { text: ["a", null, "c"], lines: [[], [], []] }, 'no output "text" for item 1'],
    ["no list in it", { text: ["a", "b", "c"], lines: [[], "x", []] }, "item 1 of the batch"],
    ["nothing", { text: ["a", "b", "c"] }, 'gave no output "lines"'],
  ])("whose outputs are %s is an engine failure", async (_what, outputs, says) => {
    const { ask } = batchFixture(async () => outputs);
    const failure = failureIn(await ask({ inputs: FRAMES, batchItems: 3 }));
    expect(failure).toMatchObject({ code: "ENGINE_FAILED", retryable: false });
    expect(failure.message).toContain(says);
  });

  test.each([
    ["another length", ENTRY, 2, "no input of executor"],
    ["more than it takes", { ...ENTRY, batchMax: 2 }, 3, "expected at most 2"],
    ["any, of one that takes none", { inputs: ENTRY.inputs ?? {} }, 3, "it takes no batches"],
  ])("with %s is refused before the engine runs", async (_what, entry, batchItems, says) => {
    const { ask } = batchFixture(() => expect.fail("the engine ran"), entry);
    const failure = failureIn(await ask({ inputs: FRAMES, batchItems }));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(failure.message).toContain(says);
  });

  test("is a whole number of items on the wire", () => {
    const withItems = (batchItems: number) => ({ ...attemptRequest(), batchItems });
    expect(attemptRequestSchema.safeParse(withItems(3)).success).toBe(true);
    expect(attemptRequestSchema.safeParse(withItems(0)).success).toBe(false);
    expect(attemptRequestSchema.safeParse(withItems(1.5)).success).toBe(false);
  });
});
