/** Goal: the grid changes one thing at a time, or exactly what was asked for, and nothing unknown. */
import type { ExecutorView } from "@murakkab/sdk";
import { buildExecutor, videoExecutors } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { parseRange } from "../../src/commands/profile.ts";
import { workflowTo } from "../../src/profiler/executor-workflow.ts";
import { buildGrid, combine, constraintsOf, type GridRequest } from "../../src/profiler/grid.ts";

const knob = (values: readonly (string | number | boolean)[]) => ({
  ...{ description: "any", values },
  default: values[0] ?? "",
});
const ports = { inputs: { frame: "frame" }, outputs: { text: "screen-text" } };
const view = (id: string, knobs: Record<string, ReturnType<typeof knob>>): ExecutorView => ({
  ...buildExecutor(id, "text-detection", ports, { knobs }),
  unavailable: null,
});
const ocr = view("ocr", { width: knob([640, 320]), mode: knob(["fast", "slow", "off"]) });
const other = view("other", {});
const gone = { ...view("gone", {}), unavailable: "no node has it" };

const request = (change: Partial<GridRequest> = {}): GridRequest => ({
  ...{ capabilities: ["text-detection"], executors: [gone, ocr, other], fixed: {}, knobs: [] },
  ...change,
});

describe("grid", () => {
  test("changes one thing at a time: each other value, each other executor that can run", () => {
    const grid = buildGrid(request());
    expect(grid.settings.map((it) => it.name)).toEqual([
      "base",
      "ocr.width=320",
      "ocr.mode=slow",
      "ocr.mode=off",
      "text-detection=other",
    ]);
    const constraints = grid.settings.map((it) => constraintsOf(grid, it, [ocr, other]));
    expect(constraints[1]).toEqual({
      executors: { "text-detection": "ocr" },
      knobs: { ocr: { width: 320, mode: "fast" } },
    });
    expect(constraints[4]).toEqual({ executors: { "text-detection": "other" }, knobs: {} });
  });

  test("with named values has all their combinations and nothing else", () => {
    const knobs = [parseRange("ocr.width=640,320"), parseRange("ocr.mode=slow,off")];
    const { settings } = buildGrid(request({ knobs }));
    expect(settings.map((it) => it.name)).toEqual([
      "ocr.width=640 ocr.mode=slow",
      "ocr.width=640 ocr.mode=off",
      "ocr.width=320 ocr.mode=slow",
      "ocr.width=320 ocr.mode=off",
    ]);
  });

  test.each([
    ["orc.width=320", /names the executor "orc", expected one of gone, ocr, other/],
    ["ocr.height=320", /"ocr\.height", expected one of the knobs width, mode/],
    ["ocr.width=641", /has the value 641, expected some of 640, 320/],
  ])("--knob %s is refused", (text, message) => {
    expect(() => buildGrid(request({ knobs: [parseRange(text)] }))).toThrow(message);
  });

  test("a fixed executor is the base, an unknown one is refused", () => {
    const { base } = buildGrid(request({ fixed: { "text-detection": "other" } }));
    expect(base.get("text-detection")?.id).toBe("other");
    const wrong = request({ fixed: { "text-detection": "orc" } });
    expect(() => buildGrid(wrong)).toThrow(/text-detection=orc is not known, expected one of/);
  });

  test("changes of different places go together, changes of one place do not", () => {
    const { settings } = buildGrid(request());
    const [, width, slow, off] = settings;
    expect(combine([width, slow] as never)?.name).toBe("ocr.width=320 ocr.mode=slow");
    expect(combine([slow, off] as never)).toBeNull();
    expect(combine([width] as never)).toBeNull();
  });
});

describe("workflow to an executor", () => {
  const executors = videoExecutors();
  const entryOf = (id: string) => executors.find((it) => it.id === id) as never;
  const video = new Map([["video", "video"]]);

  test("is the shortest chain to it, fanned out where its input is a list's item", () => {
    const workflow = workflowTo(entryOf("text"), executors, video);
    expect(workflow.steps.map((it) => it.capability).at(-1)).toBe("text-detection");
    expect(workflow.inputs).toEqual({ video: "video" });
    const audio = workflowTo(entryOf("audio"), executors, video);
    expect(audio.steps.map((it) => it.capability)).toEqual(["audio-extraction"]);
  });

  test("without a way to it the answer says what is missing", () => {
    const none = new Map([["image", "image"]]);
    expect(() => workflowTo(entryOf("text"), executors, none)).toThrow(
      /no way from image to executor text: no executor in the library produces/,
    );
  });
});
