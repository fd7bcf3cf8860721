/**
 * Goal: what an engine gives becomes an answer that fits in a message.
 * Method: the behaviour with a fake agent, scratch and engine.
 */

import { SPILL_BYTES } from "@murakkab/protocol";
import { describe, expect, test } from "vitest";
import { failureIn, outputsIn, workerFixture } from "./worker-fixture.ts";

describe("outputs", () => {
  test("files become artifacts, each once, wherever they are named", async () => {
    const file = (scratchDir: string, name: string) => ({
      outputFile: `${scratchDir}/${name}`,
      mediaType: "image/png",
    });
    const { ask, agent } = workerFixture({
      entry: { outputs: { frames: { type: "list<frame>" } } },
      run: async ({ scratchDir }) => ({
        frames: [
          { atSec: 1, image: file(scratchDir, "1.png") },
          { atSec: 2, image: file(scratchDir, "2.png") },
          { atSec: 3, image: file(scratchDir, "1.png") },
        ],
      }),
    });
    const { frames } = outputsIn(await ask());
    expect(frames).toMatchObject({
      kind: "inline",
      value: [
        { image: { artifact: expect.stringMatching(/^artifact:/) } },
        { atSec: 2 },
        { atSec: 3 },
      ],
    });
    expect(agent.log.filter((line) => line.startsWith("ingest"))).toEqual([
      "ingest 1.png image/png",
      "ingest 2.png image/png",
    ]);
  });

  test("large values are spilled with their count, small ones stay", async () => {
    const { ask, agent } = workerFixture({
      entry: { outputs: { words: { type: "list<text>" }, note: { type: "text" } } },
      run: async () => ({ words: ["x".repeat(SPILL_BYTES), "y"], note: "ok" }),
    });
    const outputs = outputsIn(await ask());
    expect(outputs["words"]).toMatchObject({
      kind: "spilled",
      count: 2,
      artifact: { mediaType: "application/json" },
    });
    expect(outputs["note"]).toEqual({ kind: "inline", value: "ok" });
    expect(agent.log).toContain("ingest spilled.json application/json");
  });

  test("that are small each but large together are spilled until they fit", async () => {
    const { ask } = workerFixture({
      entry: { outputs: { a: { type: "text" }, b: { type: "text" } } },
      run: async () => ({ a: "x".repeat(0.6 * SPILL_BYTES), b: "x".repeat(0.7 * SPILL_BYTES) }),
    });
    const outputs = outputsIn(await ask());
    expect([outputs["a"]?.kind, outputs["b"]?.kind]).toEqual(["inline", "spilled"]);
  });

  test.each([
    ["missing", {}, 'gave no output "answer"'],
    ["undeclared", { answer: 1, extra: 2 }, 'gave the output "extra", expected only answer'],
    [
      "a file outside",
      { answer: { outputFile: "/etc/passwd", mediaType: "text/plain" } },
      'named the output file "passwd"',
    ],
  ])("%s is an engine failure", async (_what, outputs, says) => {
    const { ask } = workerFixture({ run: async () => outputs });
    const failure = failureIn(await ask());
    expect(failure).toMatchObject({ code: "ENGINE_FAILED", retryable: false });
    expect(failure.message).toContain(says);
  });

  test("that should be a list and are none are an engine failure", async () => {
    const { ask } = workerFixture({
      entry: { outputs: { all: { type: "list<text>" } } },
      run: async () => ({ all: "x" }),
    });
    expect(failureIn(await ask()).message).toContain("expected a list (list<text>)");
  });
});
