/** A job's plan as a drawing, or as a list where the terminal is too narrow for one. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { DrawnNode } from "./draw-graph.ts";
import { drawGraph } from "./draw-graph.ts";
import type { Paint } from "./paint.ts";
import { batchText, fanOutText, knobText, sourceText, stageMarks } from "./plan-facts.ts";
import { renderFrontier } from "./render-frontier.ts";
import { renderPrediction } from "./render-prediction.ts";
import { renderWhy } from "./render-why.ts";
import { padEnd, printable, truncate, wrap } from "./text-width.ts";
import { formatDuration } from "./units.ts";

export interface PlanOptions {
  readonly columns: number;
  readonly paint: Paint;
  /** Items of fanned-out steps, once they are known. */
  readonly itemCounts?: Readonly<Record<string, number>>;
  /** All options that were turned down. Only for the plan with its reasons. */
  readonly isAll?: boolean;
}

/** Texts in a box are cut at this width first, then at narrower ones until the drawing fits. */
const BOX_TEXT_COLUMNS = [34, 26, 20, 15] as const;

/** The drawing, and what is expected of it where something is. */
export function renderPlan(plan: JobPlan, options: PlanOptions): string[] {
  return [
    ...planLines(plan, options),
    ...renderPrediction(plan, options),
    ...plan.notes.flatMap((note) => noteLines(note, options.columns, options.paint)),
  ];
}

/** The same with the frontier and the reasons, where the scheduler gives them. */
export function renderPlanWithReasons(plan: JobPlan, options: PlanOptions): string[] {
  const { explanation, notes } = plan;
  const frontier = explanation === undefined ? [] : renderFrontier(explanation, options);
  return [
    ...planLines(plan, options),
    ...renderPrediction(plan, options),
    ...(frontier.length === 0 ? [] : ["", ...frontier]),
    ...(explanation === undefined ? [] : ["", ...renderWhy(plan, explanation, options)]),
    ...(explanation === undefined || notes.length === 0 ? [] : [""]),
    ...notes.flatMap((note) => noteLines(note, options.columns, options.paint)),
  ];
}

function planLines(plan: JobPlan, options: PlanOptions): string[] {
  const { paint } = options;
  const count = `${plan.steps.length} step${plan.steps.length === 1 ? "" : "s"}`;
  const how = plan.planner === "named" ? "named workflow" : "planned from the description";
  return [
    `${paint.bold(`plan ${plan.workflow}`)} ${paint.dim(`${count}, ${how}`)}`,
    "",
    ...(drawPlan(plan, options) ?? listPlan(plan, options)),
    "",
    `output: ${sourceText(plan.output)} ${paint.dim(`(${plan.outputType})`)}`,
  ];
}

export function noteLines(note: string, columns: number, paint: Paint): string[] {
  return wrap(printable(note), Math.max(20, columns - 6)).map((line, index) =>
    index === 0 ? `${paint.yellow("note:")} ${line}` : `      ${line}`,
  );
}

function drawPlan(plan: JobPlan, options: PlanOptions): string[] | null {
  for (const boxColumns of BOX_TEXT_COLUMNS) {
    const drawing = drawGraph(planNodes(plan, boxColumns, options), options.columns - 2);
    if (drawing === null) continue;
    const { paint } = options;
    const painted = drawing.map((line) => line.replace(/[│─┌┐└┘├┤┬┴┼▼]+/gu, paint.dim));
    return painted.map((line) => `  ${line}`.trimEnd());
  }
  return null;
}

function planNodes(plan: JobPlan, boxColumns: number, options: PlanOptions): DrawnNode[] {
  const used = new Set(plan.steps.flatMap((step) => inputNames(step)));
  const inputs = Object.keys(plan.inputs).filter((name) => used.has(name));
  return [
    ...inputs.map((name) => ({
      id: `input.${name}`,
      sources: [],
      sinksToReader: true,
      lines: [truncate(name, boxColumns)],
      hasBox: false,
    })),
    ...plan.steps.map((step) => ({
      id: step.step,
      sources: sourceIds(step),
      sinksToReader: false,
      lines: stepLines(plan, step, { ...options, columns: boxColumns }),
      hasBox: true,
    })),
  ];
}

/** `columns` is that of the box's text here. */
function stepLines(plan: JobPlan, step: PlannedStep, options: PlanOptions): string[] {
  const { columns, itemCounts } = options;
  const { predicted } = step;
  const option = [knobText(step), batchText(step.batchItems)].filter((text) => text !== "");
  const time = predicted === undefined ? [] : [`≈ ${formatDuration(predicted.runMs.p50)}`];
  return [
    `${step.step}${fanOutText(step, itemCounts)}`,
    step.executor,
    ...option.flatMap((text) => wrap(text, columns)),
    ...time,
    ...stageMarks(plan, step).flatMap((mark) => wrap(mark, columns)),
  ].map((line) => truncate(line, columns));
}

function listPlan(plan: JobPlan, { columns, paint, itemCounts }: PlanOptions): string[] {
  const nameColumns = Math.max(...plan.steps.map((step) => step.step.length));
  return plan.steps.flatMap((step) => {
    const from = Object.values(step.inputs).map(sourceText).join(", ");
    const title = `  ${padEnd(step.step, nameColumns)}${fanOutText(step, itemCounts)}`;
    const what = [step.executor, knobText(step), batchText(step.batchItems)];
    return [
      truncate(title, columns),
      ...[`← ${from}`, what.filter((text) => text !== "").join(" "), ...stageMarks(plan, step)].map(
        (line) => paint.dim(truncate(`    ${line}`, columns)),
      ),
    ];
  });
}

function inputNames(step: PlannedStep): string[] {
  return Object.values(step.inputs).flatMap((from) => (from.kind === "input" ? [from.input] : []));
}

function sourceIds(step: PlannedStep): string[] {
  const ids = Object.values(step.inputs).map((from) =>
    from.kind === "input" ? `input.${from.input}` : from.step,
  );
  return [...new Set(ids)];
}
