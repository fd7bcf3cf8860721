/** Goal: the files that the load brings are library files without a problem. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatProblem, loadLibrary } from "@murakkab/library";
import { EXECUTOR_FUNCTIONS, OUTPUT_PARSERS } from "@murakkab/library/functions";
import { afterAll, expect, test } from "vitest";
import { writeLoadLibrary } from "../src/load-library.ts";
import { readEffects } from "../src/read-effects.ts";

const directory = mkdtempSync(join(tmpdir(), "chaos-library-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the load's executors load without a problem and name what exists", () => {
  const effectsFile = join(directory, "effects.txt");
  writeLoadLibrary({ directory: join(directory, "library"), effectsFile });
  const { executors, problems } = loadLibrary([join(directory, "library")], {
    functions: Object.keys(EXECUTOR_FUNCTIONS),
    parsers: Object.keys(OUTPUT_PARSERS),
  });
  expect(problems.map(formatProblem)).toEqual([]);
  expect(executors.filter(({ isPure }) => !isPure).map(({ id }) => id)).toEqual([
    "chaos-mark",
    "chaos-task",
  ]);
  expect(readFileSync(join(directory, "library", "chaos-mark.yaml"), "utf8")).toContain(
    effectsFile,
  );
});

test("a file of effects that nobody wrote yet is empty", async () => {
  expect(await readEffects(join(directory, "none.txt"))).toEqual([]);
});
