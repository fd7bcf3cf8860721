// Goal: every executor file is sound, and its code exists. Method: the catalogue's own loader.
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadLibrary } from "../../src/catalogue/index.ts";
import { EXECUTOR_FUNCTIONS, OUTPUT_PARSERS } from "../../src/executor-functions.ts";

it("loads all video executors without a problem, each with known code", () => {
  const dir = fileURLToPath(new URL("../../catalogue/video-qa", import.meta.url));
  const { executors, problems } = loadLibrary([dir]);
  expect(problems).toEqual([]);
  expect(executors).toHaveLength(7);
  for (const { engine } of executors) {
    if (engine.kind === "function") expect(EXECUTOR_FUNCTIONS).toHaveProperty(engine.function);
    else if (engine.parse !== undefined) expect(OUTPUT_PARSERS).toHaveProperty(engine.parse);
  }
});
