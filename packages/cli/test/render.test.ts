/** What a user sees, as golden text, and that nothing is ever wider than the terminal. */
import { describe, expect, test } from "vitest";
import { applyEvent, itemCounts, startProgress } from "../src/render/job-progress.ts";
import { LiveBlock } from "../src/render/live-block.ts";
import { makePaint, PLAIN, wantsColour } from "../src/render/paint.ts";
import { renderPlan } from "../src/render/render-plan.ts";
import { eventLine, renderProgress } from "../src/render/render-progress.ts";
import { renderReceipt } from "../src/render/render-receipt.ts";
import { printable, textWidth, truncate } from "../src/render/text-width.ts";
import { formatDuration, formatTimecode, formatUsd, formatWh } from "../src/render/units.ts";
import { jobEvent, PLAN, RECEIPT, stepReceipt } from "./fixtures.ts";

const RUNNING = [
  jobEvent("accepted", 0),
  jobEvent("planned", 1, { plan: PLAN }),
  jobEvent("step-started", 5, { step: "scenes", executor: "ffmpeg-scenes", total: 1 }),
  jobEvent("attempt-started", 6, { step: "scenes", item: 0, attempt: 1, node: "node-1" }),
  jobEvent("attempt-finished", 400, { step: "scenes", item: 0, node: "node-1" }),
  jobEvent("step-finished", 400, { step: "scenes", done: 1, total: 1 }),
  jobEvent("step-started", 410, { step: "text", executor: "tesseract", total: 14 }),
  jobEvent("attempt-started", 411, { step: "text", item: 0, node: "node-2" }),
  jobEvent("attempt-failed", 700, {
    step: "text",
    item: 0,
    node: "node-2",
    error: "x",
    willRetry: true,
  }),
  jobEvent("attempt-finished", 800, { step: "text", item: 1, node: "node-1" }),
];
const progress = RUNNING.reduce(applyEvent, startProgress(PLAN));

describe("plan", () => {
  test("is a drawing whose branches and fan-outs can be followed", () => {
    const lines = renderPlan(PLAN, { columns: 80, paint: PLAIN, itemCounts: { text: 14 } });
    expect(`\n${lines.join("\n")}\n`).toMatchSnapshot();
  });

  test("is a list where a drawing does not fit", () => {
    const lines = renderPlan(PLAN, { columns: 40, paint: PLAIN });
    expect(lines.join("\n")).toContain("scenes");
    expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(40);
  });

  test.each([40, 50, 60, 80, 120])("fits into %i columns", (columns) => {
    const lines = renderPlan(PLAN, { columns, paint: makePaint(true) });
    expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(columns);
  });
});

describe("receipt", () => {
  test("shows answer, evidence with time, steps, totals with provenance, SLOs, notes", () => {
    expect(
      `\n${renderReceipt(RECEIPT, { columns: 100, paint: PLAIN }).join("\n")}\n`,
    ).toMatchSnapshot();
  });

  test("of a failed job shows the step, the reason and the program's last lines", () => {
    const error = {
      code: "ENGINE_FAILED",
      message: "ffmpeg: exit code 1",
      step: "frames",
      detail: "no\u001b[2J space\n",
    };
    const failed = { ...RECEIPT, state: "failed" as const, answer: null, evidence: [], error };
    const text = renderReceipt(failed, { columns: 80, paint: PLAIN }).join("\n");
    expect(text).toContain(`✘ job ${RECEIPT.jobId} failed at step frames after 6.42 s`);
    expect(text).toContain("ffmpeg: exit code 1 (ENGINE_FAILED)");
    expect(text).toContain("  | no[2J space");
  });

  test.each([60, 80, 100])("the table fits into %i columns", (columns) => {
    const long = stepReceipt({
      step: "a-step-with-a-long-name",
      executor: "an-executor-with-a-long-name",
      nodes: ["node-1", "node-2", "node-3"],
    });
    const [, ...lines] = renderReceipt({ ...RECEIPT, steps: [long] }, { columns, paint: PLAIN });
    expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(columns);
  });
});

describe("progress", () => {
  test("the block shows state, executor, bar, time and nodes", () => {
    const options = { columns: 80, paint: PLAIN, nowMs: 1_000, frame: 0 };
    expect(`\n${renderProgress(progress, options).join("\n")}\n`).toMatchSnapshot();
    expect(itemCounts(progress)).toEqual({ text: 14 });
  });

  test.each([40, 60, 200])("the block fits into %i columns", (columns) => {
    const lines = renderProgress(progress, { columns, paint: makePaint(true), nowMs: 1, frame: 3 });
    expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(columns);
  });

  test("plain lines tell state changes and leave attempts out", () => {
    let state = startProgress(PLAN);
    const lines = RUNNING.map((event) => {
      state = applyEvent(state, event);
      return eventLine(event, state, { columns: 100 });
    });
    expect(lines.filter((line) => line !== null).join("\n")).toMatchSnapshot();
  });

  test("a job that failed leaves no step running", () => {
    const failed = applyEvent(progress, jobEvent("failed", 900));
    expect(failed.steps.find(({ step }) => step === "text")?.state).toBe("failed");
  });

  test("a job that succeeded without a step says that it was not needed", () => {
    const succeeded = applyEvent(progress, jobEvent("succeeded", 900));
    expect(succeeded.steps.find(({ step }) => step === "answer")?.state).toBe("skipped");
    const lines = renderProgress(succeeded, { columns: 80, paint: PLAIN, nowMs: 900, frame: 0 });
    expect(lines.find((line) => line.includes("answer"))).toMatch(/– answer .* not needed$/);
    expect(lines.at(-1)).toContain("not needed, 900 ms");
  });

  test("a choice made again on the way shows the new executor of steps that had not begun", () => {
    const steps = PLAN.steps.map((step) => ({ ...step, executor: `new-${step.executor}` }));
    const planned = jobEvent("replanned", 850, { reason: "latency was at risk", ...PLAN, steps });
    const again = applyEvent(progress, planned);
    expect(again.state).toBe("running");
    expect(again.steps.find(({ step }) => step === "answer")?.executor).toBe("new-evidence-answer");
    expect(again.steps.find(({ step }) => step === "scenes")).toMatchObject({
      ...{ state: "done", executor: "ffmpeg-scenes" },
    });
    expect(eventLine(planned, again, { columns: 80 })).toContain("chosen again");
  });

  test("the live block redraws over itself and gives the cursor back", () => {
    let text = "";
    const block = new LiveBlock({ write: (piece) => (text += piece), rows: 4 });
    block.draw(["one", "two"]);
    block.draw(["three", "four", "five", "six"]);
    block.end();
    expect(text.startsWith("\u001b[?25l")).toBe(true);
    expect(text).toContain("\u001b[2A\r");
    expect(text).not.toContain("three"); // Four lines do not fit above the prompt of four rows.
    expect(text.endsWith("\u001b[?25h")).toBe(true);
  });
});

describe("texts and numbers", () => {
  test("widths count columns, not characters", () => {
    expect(textWidth("\u001b[31mab\u001b[39m")).toBe(2);
    expect(textWidth("日本")).toBe(4);
    expect(truncate("日本語", 4)).toBe("日…");
    expect(truncate("abc", 3)).toBe("abc");
    expect(printable("a\u0007b\u001b]0;x\u0007")).toBe("ab]0;x");
  });

  test.each([
    [formatDuration(0.2), "0 ms"],
    [formatDuration(999.7), "1.00 s"],
    [formatDuration(59_960), "1 min 00 s"],
    [formatDuration(3_725_000), "1 h 02 min"],
    [formatUsd(0), "$0.00"],
    [formatUsd(0.000123456), "$0.000123"],
    [formatUsd(12.5), "$12.50"],
    [formatWh(0.0214), "0.0214 Wh"],
    [formatTimecode(67.9), "01:07"],
    [formatTimecode(3_671), "1:01:11"],
  ])("%s", (text, expected) => {
    expect(text).toBe(expected);
  });

  test("NO_COLOR, FORCE_COLOR and dumb terminals are honoured", () => {
    expect(wantsColour({}, true)).toBe(true);
    expect(wantsColour({}, false)).toBe(false);
    expect(wantsColour({ NO_COLOR: "1", FORCE_COLOR: "1" }, true)).toBe(false);
    expect(wantsColour({ NO_COLOR: "" }, true)).toBe(true);
    expect(wantsColour({ FORCE_COLOR: "1" }, false)).toBe(true);
    expect(wantsColour({ TERM: "dumb" }, true)).toBe(false);
  });
});
