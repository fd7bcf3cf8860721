/** Goal: the steps of the chaos load leave countable effects and show by which way values came. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  chaosMake,
  chaosSplit,
  chaosTask,
  chaosUse,
} from "../../src/executors/chaos/chaos-steps.ts";
import { parseJson } from "../../src/executors/parse-json.ts";
import { fakeCall, refTo } from "../video-qa/fake-call.ts";

describe("chaos steps", () => {
  test("one text becomes three items", async () => {
    const { items } = await chaosSplit(fakeCall({ question: "job" }, {}));
    expect(items).toEqual(["job mark 0", "job mark 1", "job mark 2"]);
  });

  test("the marks come back by way of the file and directly", async () => {
    const call = fakeCall({ marks: ["a", "b"] }, {});
    await chaosMake(call);
    const path = join(call.scratchDir, "marks.txt");
    expect(readFileSync(path)).toHaveLength(100_000);
    const use = fakeCall({ file: refTo(path, "text/plain"), marks: ["a", "c"] }, {});
    expect(await chaosUse(use)).toEqual({ used: { viaFile: ["a", "b"], direct: ["a", "c"] } });
  });

  test.each(["before", "after"])("a task leaves its line %s the wait", async (effect) => {
    const effectsFile = join(mkdtempSync(join(tmpdir(), "chaos-")), "effects.txt");
    const call = fakeCall({ question: "job task 0" }, { effectsFile, effect, waitMs: 1 });
    const { mark } = await chaosTask(call);
    expect(mark).toMatch(/^job task 0 \S+$/);
    expect(readFileSync(effectsFile, "utf8")).toBe(`${String(mark)}\n`);
  });
});

describe("output that is JSON", () => {
  const parse = (stdout: string) => parseJson({ stdout, stderr: "", knobs: {} });

  test("its keys are the output ports", () => {
    expect(parse('{"mark":"a"}\n')).toEqual({ mark: "a" });
  });

  test.each(["", "mark", "[1]", "null"])("%j is refused", (stdout) => {
    expect(() => parse(stdout)).toThrow(/JSON/);
  });
});
