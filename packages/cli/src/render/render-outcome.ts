/** What a plan said against what happened, and what else was out of the ordinary. */
import type { Estimate, Receipt, StepReceipt } from "@murakkab/model";
import type { Comparison, JobComparison } from "@murakkab/sdk";
import type { Paint } from "./paint.ts";
import { dropToFit, renderTable } from "./table.ts";
import { printable, wrap } from "./text-width.ts";
import { formatDuration, formatUsd, formatWh } from "./units.ts";

export interface OutcomeOptions {
  readonly columns: number;
  readonly paint: Paint;
}

type Format = (value: number) => string;

function figures(what: string, compared: Comparison, format: Format): string[] {
  const { expected, actual, ratio, isWithin } = compared;
  return [
    what,
    format(expected.p50),
    format(expected.p95),
    format(actual),
    ratioText(ratio),
    isWithin ? "within" : "over p95",
  ];
}

/** `0.92×`: measured over expected. */
function ratioText(ratio: number | null): string {
  return ratio === null ? "–" : `${ratio >= 100 ? Math.round(ratio) : ratio.toFixed(2)}×`;
}

/** The last column says itself what it is. */
const VERDICT = "";
const COLUMNS = [
  { title: "said p50", align: "right" },
  { title: "p95", align: "right", dropOrder: 1 },
  { title: "took", align: "right" },
  { title: "ratio", align: "right" },
  { title: VERDICT, dropOrder: 2 },
] as const;

/** Totals, then the engine time of each step. */
export function renderComparison(
  comparison: JobComparison,
  { columns, paint }: OutcomeOptions,
): string[] {
  const { latencyMs, costUsd, energyWh, steps } = comparison;
  const totals = [
    figures("latency", latencyMs, formatDuration),
    figures("cost", costUsd, formatUsd),
    figures("energy", energyWh, formatWh),
  ];
  const rows = [
    ...totals,
    ...steps.map(({ step, runMs }) => figures(printable(step), runMs, formatDuration)),
  ];
  const all = [{ title: "said and done", columnsMin: 8 }, ...COLUMNS];
  const { columns: shown, rows: cells } = dropToFit(all, rows, columns);
  const paintCell = (text: string, row: number, column: number): string => {
    if (column === 0 && row < totals.length) return paint.bold(text);
    if (shown[column]?.title !== VERDICT) return text;
    return text.startsWith("within") ? paint.green(text) : paint.yellow(text);
  };
  const options = { columns, paintTitle: paint.dim, paintCell };
  return renderTable(shown, cells, options);
}

/** `said p50 5.14 s, p95 7.42 s: 1.14×`, for the totals of a receipt. */
export function saidText(
  { p50, p95 }: Estimate,
  actual: number,
  format: (value: number) => string,
): string {
  const ratio = p50 > 0 ? `: ${ratioText(actual / p50)}` : "";
  return `said p50 ${format(p50)}, p95 ${format(p95)}${ratio}`;
}

/** Shared results, steps that never ran, choices made again on the way, and overruns. */
export function renderAsides(
  receipt: Receipt,
  { columns, paint, notRun }: OutcomeOptions & { readonly notRun?: readonly string[] },
): string[] {
  const lines = [
    ...receipt.steps.flatMap(sharedLine),
    ...notRunLine(
      notRun ??
        receipt.steps.flatMap((s) => (s.attempts === 0 && s.shared === undefined ? [s.step] : [])),
    ),
    ...(receipt.replans ?? []).map((replan) => ["re-choice", printable(replan)] as const),
    ...overrunLine(receipt),
  ];
  return lines.flatMap(([label, text]) =>
    wrap(text, Math.max(24, columns - 11)).map(
      (line, index) => `${index === 0 ? paint.yellow(label.padEnd(9)) : " ".repeat(9)}  ${line}`,
    ),
  );
}

function sharedLine({ step, shared, items }: StepReceipt): (readonly [string, string])[] {
  if (shared === undefined || shared.items === 0) return [];
  const jobs = shared.fromJobs.length === 0 ? "an equal step" : `job ${shared.fromJobs.join(", ")}`;
  const share = items > 1 ? `${shared.items} of ${items} items ` : "";
  return [["shared", printable(`${step}: ${share}from ${jobs}, booked there`)]];
}

function notRunLine(steps: readonly string[]): (readonly [string, string])[] {
  return steps.length === 0
    ? []
    : [["not run", `${printable(steps.join(", "))}: not needed, or not reached`]];
}

function overrunLine({ overrun }: Receipt): (readonly [string, string])[] {
  if (overrun === undefined || (overrun.costUsd === 0 && overrun.energyWh === 0)) return [];
  const { costUsd, energyWh } = overrun;
  return [["overrun", `${formatUsd(costUsd)} and ${formatWh(energyWh)} above what was reserved`]];
}
