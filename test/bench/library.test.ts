/** Goal: the benches' own library loads without a problem, with the functions that workers have. */
import { fileURLToPath } from "node:url";
import { loadLibrary } from "@murakkab/library";
import { EXECUTOR_FUNCTIONS } from "@murakkab/library/functions";
import { expect, test } from "vitest";
import { BENCH_WORKFLOW } from "../../bench/src/dag-work.ts";

test("has the five-step workflow", () => {
  const directory = fileURLToPath(new URL("../../bench/library", import.meta.url));
  const library = loadLibrary([directory], { functions: Object.keys(EXECUTOR_FUNCTIONS) });
  expect(library.problems).toEqual([]);
  expect(library.workflows.map(({ name, steps }) => [name, steps.length])).toEqual([
    [BENCH_WORKFLOW, 5],
  ]);
});
