/** What a plan says will happen: per step, in total, and against the bounds. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { Paint } from "./paint.ts";
import { fanOutText, figuresOrigin, isDeferred, sloLines, totalLines } from "./plan-facts.ts";
import type { Column } from "./table.ts";
import { dropToFit, renderTable } from "./table.ts";
import { padEnd, printable, truncate, wrap } from "./text-width.ts";
import { formatDuration, formatRatio, formatUsd, formatWh } from "./units.ts";

export interface PredictionOptions {
  readonly columns: number;
  readonly paint: Paint;
}

/** Nothing where nothing was predicted. */
export function renderPrediction(plan: JobPlan, options: PredictionOptions): string[] {
  return [...stepTable(plan, options), ...totals(plan, options), ...bounds(plan, options)];
}

interface StepColumn extends Column {
  readonly cell: (step: PlannedStep) => string;
}

function stepColumns(plan: JobPlan): StepColumn[] {
  const said =
    (read: (step: NonNullable<PlannedStep["predicted"]>) => string) => (s: PlannedStep) =>
      s.predicted === undefined ? "–" : read(s.predicted);
  const hasChance = plan.steps.some(({ predicted }) => (predicted?.probability ?? 1) < 1);
  const chance: StepColumn = {
    ...{ title: "chance", align: "right", dropOrder: 5 },
    cell: said(({ probability }) => formatRatio(probability)),
  };
  return [
    {
      title: "step",
      columnsMin: 8,
      cell: (step) => `${step.step}${fanOutText(step, undefined)}`,
    },
    { title: "time p50", align: "right", cell: said(({ runMs }) => formatDuration(runMs.p50)) },
    {
      ...{ title: "p95", align: "right", dropOrder: 3 },
      cell: said(({ runMs }) => formatDuration(runMs.p95)),
    },
    {
      ...{ title: "cost", align: "right", dropOrder: 2 },
      cell: said(({ costUsd }) => formatUsd(costUsd.p50)),
    },
    {
      ...{ title: "energy", align: "right", dropOrder: 4 },
      cell: said(({ energyWh }) => formatWh(energyWh.p50)),
    },
    ...(hasChance ? [chance] : []),
    { title: "from", dropOrder: 1, cell: said(({ provenance }) => provenance.kind) },
    {
      ...{ title: NOTE_TITLE, columnsMin: 24, dropOrder: 6 },
      cell: said(({ provenance }) => printable(provenance.note)),
    },
  ];
}

/** What the kind of origin rests on; it needs no title of its own. */
const NOTE_TITLE = "";

function stepTable(plan: JobPlan, { columns, paint }: PredictionOptions): string[] {
  if (plan.steps.every(({ predicted }) => predicted === undefined)) return [];
  const all = stepColumns(plan);
  const cells = plan.steps.map((step) => all.map(({ cell }) => cell(step)));
  const { columns: shown, rows } = dropToFit(all, cells, columns);
  const table = renderTable(shown, rows, {
    columns,
    paintTitle: paint.dim,
    paintCell: (text, row, column) => {
      const step = plan.steps[row];
      const isAside = step !== undefined && isDeferred(plan, step.step);
      const title = shown[column]?.title;
      return isAside || title === "from" || title === NOTE_TITLE ? paint.dim(text) : text;
    },
  });
  return ["", ...table];
}

function totals(plan: JobPlan, { columns, paint }: PredictionOptions): string[] {
  if (plan.predicted === undefined) return [];
  const lines = totalLines(plan.predicted);
  const amountColumns = Math.max(...lines.map(({ text }) => text.length));
  const origin = figuresOrigin(plan);
  const facts = lines.flatMap(({ axis, text, origin: word, note }) => {
    const head = `${padEnd(axis, 9)}${padEnd(text, amountColumns)}  `;
    const aside = `(${word}${printable(note)})`;
    const room = columns - head.length;
    const texts = wrap(aside, room < 24 ? columns - 2 : room).map(paint.dim);
    // No room beside the amount: the origin goes below it.
    if (room < 24) return [head.trimEnd(), ...texts.map((line) => `  ${line}`)];
    return texts.map((line, index) => (index === 0 ? head : " ".repeat(head.length)) + line);
  });
  const from =
    origin === null ? [] : wrap(`modelled: from the figures of the steps, ${origin}`, columns - 9);
  return ["", ...facts, ...from.map((line) => paint.dim(`         ${line}`))];
}

function bounds(plan: JobPlan, { columns, paint }: PredictionOptions): string[] {
  const { explanation, predicted } = plan;
  if (explanation === undefined || predicted === undefined) return [];
  return sloLines(explanation.slo, predicted).flatMap((line) => {
    const { axis, bound, promised, margin, isKept } = line;
    const colour = isKept === null ? paint.yellow : isKept ? paint.green : paint.red;
    const head = `slo      ${padEnd(axis, 8)} `;
    const verdict = margin === "" ? "" : `, ${margin}`;
    const isOneLine = head.length + bound.length + promised.length + verdict.length + 2 <= columns;
    if (isOneLine) {
      return [`${head}${bound}: ${promised}${margin === "" ? "" : `, ${colour(margin)}`}`];
    }
    const indent = " ".repeat(head.length);
    const room = Math.max(8, columns - head.length);
    return [head + truncate(bound, room), indent + colour(truncate(`${promised}${verdict}`, room))];
  });
}
