/** A job's plan as a drawing, or as a list where the terminal is too narrow for one. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { DrawnNode } from "./draw-graph.ts";
import { drawGraph } from "./draw-graph.ts";
import type { Paint } from "./paint.ts";
import { padEnd, printable, truncate, wrap } from "./text-width.ts";

export interface PlanOptions {
  readonly columns: number;
  readonly paint: Paint;
  /** Items of fanned-out steps, once they are known. */
  readonly itemCounts?: Readonly<Record<string, number>>;
}

/** Texts in a box are cut at this width first, then at narrower ones until the drawing fits. */
const BOX_TEXT_COLUMNS = [34, 26, 20, 15] as const;

export function renderPlan(plan: JobPlan, options: PlanOptions): string[] {
  const { columns, paint } = options;
  const count = `${plan.steps.length} step${plan.steps.length === 1 ? "" : "s"}`;
  const how = plan.planner === "named" ? "named workflow" : "planned from the description";
  return [
    `${paint.bold(`plan ${plan.workflow}`)} ${paint.dim(`${count}, ${how}`)}`,
    "",
    ...(drawPlan(plan, options) ?? listPlan(plan, options)),
    "",
    `output: ${sourceText(plan.output)} ${paint.dim(`(${plan.outputType})`)}`,
    ...plan.notes.flatMap((note) => noteLines(note, columns, paint)),
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
      lines: stepLines(step, options).map((line) => truncate(line, boxColumns)),
      hasBox: true,
    })),
  ];
}

function stepLines(step: PlannedStep, { itemCounts }: PlanOptions): string[] {
  const knobs = knobText(step);
  return [
    `${step.step}${fanOutText(step, itemCounts)}`,
    step.executor,
    ...(knobs === "" ? [] : [knobs]),
  ];
}

function listPlan(plan: JobPlan, { columns, paint, itemCounts }: PlanOptions): string[] {
  const nameColumns = Math.max(...plan.steps.map((step) => step.step.length));
  return plan.steps.flatMap((step) => {
    const from = Object.values(step.inputs).map(sourceText).join(", ");
    const title = `  ${padEnd(step.step, nameColumns)}${fanOutText(step, itemCounts)}`;
    const what = [step.executor, knobText(step)].filter((text) => text !== "").join(" ");
    return [
      truncate(title, columns),
      paint.dim(truncate(`    ← ${from}`, columns)),
      paint.dim(truncate(`    ${what}`, columns)),
    ];
  });
}

function fanOutText(
  step: PlannedStep,
  itemCounts: Readonly<Record<string, number>> | undefined,
): string {
  if (step.fanOut === undefined) return "";
  return ` ×${itemCounts?.[step.step] ?? "n"}`;
}

export function knobText({ knobs }: Pick<PlannedStep, "knobs">): string {
  return Object.entries(knobs)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

function sourceText(source: JobPlan["output"]): string {
  return source.kind === "input" ? source.input : `${source.step}.${source.output}`;
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
