/** A receipt for people: the answer and its evidence first, then what it took and what it cost. */

import type { Receipt, StepReceipt } from "@murakkab/model";
import type { Paint } from "./paint.ts";
import { formatShare, qualityText, sloBounds } from "./plan-facts.ts";
import { renderAsides, saidText } from "./render-outcome.ts";
import { outputLines } from "./render-output.ts";
import { noteLines } from "./render-plan.ts";
import type { Column } from "./table.ts";
import { renderTable } from "./table.ts";
import { padEnd, padStart, printable, truncate, wrap } from "./text-width.ts";
import { formatCpuSec, formatDuration, formatTimecode, formatUsd, formatWh } from "./units.ts";

export interface ReceiptOptions {
  readonly columns: number;
  readonly paint: Paint;
}

/** Evidence lines that are shown; the rest is in `--json`. */
const EVIDENCE_SHOWN_MAX = 8;

export function renderReceipt(receipt: Receipt, options: ReceiptOptions): string[] {
  return [
    ...headline(receipt, options),
    ...evidenceLines(receipt, options),
    ...(receipt.steps.length === 0 ? [] : ["", ...stepTable(receipt.steps, options)]),
    "",
    ...totals(receipt, options),
    ...sloLines(receipt, options),
    ...renderAsides(receipt, options),
    ...receipt.notes.flatMap((note) => noteLines(note, options.columns, options.paint)),
  ];
}

function headline(receipt: Receipt, { columns, paint }: ReceiptOptions): string[] {
  const took = formatDuration(receipt.latencyMs);
  if (receipt.state !== "succeeded") {
    const { error } = receipt;
    const step = error?.step === undefined ? "" : ` at step ${error.step}`;
    const mark = receipt.state === "cancelled" ? paint.yellow("■") : paint.red("✘");
    return [
      `${mark} job ${receipt.jobId} ${receipt.state}${step} after ${took}`,
      ...(error === undefined
        ? []
        : wrap(`${printable(error.message)} (${error.code})`, columns - 2).map(
            (line) => `  ${line}`,
          )),
      ...detailLines(error?.detail, paint),
    ];
  }
  const title = `${paint.green("✔")} job ${receipt.jobId} succeeded in ${took}`;
  if (receipt.answer !== null) {
    return [title, "", ...labelled("answer", wrap(printable(receipt.answer), columns - 10), paint)];
  }
  const output = outputLines(receipt.output);
  if (output === null) return [title];
  const lines = output.flatMap((line) => wrap(printable(line), columns - 10));
  return [title, "", ...labelled("output", lines, paint)];
}

function labelled(label: string, lines: readonly string[], paint: Paint): string[] {
  return lines.map((line, index) => `  ${index === 0 ? label : "      "}  ${paint.bold(line)}`);
}

function detailLines(detail: string | undefined, paint: Paint): string[] {
  if (detail === undefined) return [];
  const lines = printable(detail).trimEnd().split("\n").slice(-10);
  return lines.map((line) => paint.dim(`  | ${line}`));
}

function evidenceLines(receipt: Receipt, { columns, paint }: ReceiptOptions): string[] {
  const shown = receipt.evidence.slice(0, EVIDENCE_SHOWN_MAX);
  const left = receipt.evidence.length - shown.length;
  const sourceColumns = Math.max(0, ...shown.map((item) => item.source.length));
  const times = shown.map(({ atSec }) => (atSec === null ? "–" : formatTimecode(atSec)));
  const timeColumns = Math.max(0, ...times.map((time) => time.length));
  const lines = shown.map(({ source, text }, index) => {
    const at = padStart(times[index] ?? "", timeColumns);
    const head = `${index === 0 ? "evidence" : "        "}  ${at}  ${padEnd(source, sourceColumns)}  `;
    const body = truncate(printable(text).replace(/\s+/g, " "), columns - head.length);
    return `${paint.dim(head)}${body}`;
  });
  return left > 0 ? [...lines, paint.dim(`          and ${left} more`)] : lines;
}

interface StepColumn extends Column {
  readonly cell: (step: StepReceipt) => string;
  /** Left out on terminals with fewer columns than this; the totals and `--json` have it. */
  readonly shownFromColumns?: number;
  /** Shown only when some step has something in it. */
  readonly isShown?: (steps: readonly StepReceipt[]) => boolean;
}

const STEP_COLUMNS: readonly StepColumn[] = [
  { title: "step", columnsMin: 8, cell: (step) => step.step },
  { title: "executor", columnsMin: 8, cell: (step) => step.executor },
  {
    title: "node",
    columnsMin: 6,
    cell: (step) => (step.nodes.length === 0 ? (step.node ?? "–") : step.nodes.join(",")),
  },
  { title: "items", align: "right", cell: (step) => String(step.items) },
  { title: "tries", align: "right", cell: (step) => String(step.attempts) },
  {
    title: "queue",
    align: "right",
    shownFromColumns: 96,
    cell: (step) => formatDuration(step.queueMs),
  },
  {
    title: "said",
    align: "right",
    shownFromColumns: 72,
    isShown: (steps) => steps.some(({ predicted }) => predicted !== undefined),
    cell: ({ predicted }) => (predicted === undefined ? "–" : formatDuration(predicted.runMs.p50)),
  },
  {
    title: "run",
    align: "right",
    cell: ({ runMs, attempts }) => (attempts === 0 ? "not run" : formatDuration(runMs)),
  },
  { title: "cpu s", align: "right", cell: (step) => formatCpuSec(step.cpuSec) },
  { title: "cost", align: "right", shownFromColumns: 80, cell: (step) => formatUsd(step.costUsd) },
  {
    title: "energy",
    align: "right",
    shownFromColumns: 112,
    cell: (step) => formatWh(step.energyWh),
  },
];

function stepTable(steps: readonly StepReceipt[], { columns, paint }: ReceiptOptions): string[] {
  const shown = STEP_COLUMNS.filter(
    ({ shownFromColumns = 0, isShown }) =>
      columns >= shownFromColumns && isShown?.(steps) !== false,
  );
  const rows = steps.map((step) => shown.map(({ cell }) => cell(step)));
  return renderTable(shown, rows, {
    columns,
    paintTitle: paint.dim,
    paintCell: (text, row, column) =>
      shown[column]?.title === "tries" && (steps[row]?.attempts ?? 1) > 1
        ? paint.yellow(text)
        : text,
  });
}

function totals(receipt: Receipt, { columns, paint }: ReceiptOptions): string[] {
  const { costProvenance, predicted, latencyMs, costUsd, energyWh } = receipt;
  const facts = [
    {
      name: "latency",
      amount: formatDuration(latencyMs),
      said: predicted && saidText(predicted.latencyMs, latencyMs, formatDuration),
      origin: "(measured: from acceptance to the last step)",
    },
    {
      name: "cost",
      amount: formatUsd(costUsd),
      said: predicted && saidText(predicted.costUsd, costUsd, formatUsd),
      origin: `(${costProvenance.kind}: ${costProvenance.note})`,
    },
    {
      name: "energy",
      amount: formatWh(energyWh),
      said: predicted && saidText(predicted.energyWh, energyWh, formatWh),
      origin: `(${receipt.energyProvenance}: ${receipt.energyMethod})`,
    },
    ...qualityFact(receipt),
  ];
  const amountColumns = Math.max(...facts.map(({ amount }) => amount.length));
  return facts.flatMap(({ name, amount, said, origin }) => {
    const head = `${padEnd(name, 8)}${padEnd(amount, amountColumns)}  `;
    const room = Math.max(20, columns - head.length);
    const texts = said === undefined ? [] : wrap(said, room);
    return [...texts, ...wrap(printable(origin), room).map(paint.dim)].map((line, index) =>
      index === 0 ? head + line : " ".repeat(head.length) + line,
    );
  });
}

/** A single job has no labels to measure its quality by: what was promised is told. */
function qualityFact({ predicted }: Receipt) {
  const quality = predicted?.quality ?? null;
  if (quality === null) return [];
  const origin = `(said, not measured in this job; ${quality.provenance.kind}: ${quality.provenance.note})`;
  return [{ name: "quality", amount: qualityText(quality), said: undefined, origin }];
}

function sloLines(receipt: Receipt, { columns, paint }: ReceiptOptions): string[] {
  return sloBounds(receipt.slo).flatMap(({ axis, bound }) => {
    const outcome = receipt.sloMet[axis];
    const [verdict, colour] =
      outcome === true
        ? (["met", paint.green] as const)
        : outcome === false
          ? (["missed", paint.red] as const)
          : (["not known", paint.yellow] as const);
    const head = `slo     ${padEnd(axis, 8)} `;
    const actual = actualText(receipt, axis);
    const text = `${bound}: ${verdict} (${actual})`;
    if (head.length + text.length <= columns) {
      return [`${head}${bound}: ${colour(verdict)} (${actual})`];
    }
    return wrap(text, Math.max(20, columns - head.length)).map((line, index) =>
      index === 0 ? head + line : " ".repeat(head.length) + line,
    );
  });
}

function actualText(receipt: Receipt, axis: "latency" | "cost" | "energy" | "quality"): string {
  switch (axis) {
    case "latency":
      return formatDuration(receipt.latencyMs);
    case "cost":
      return formatUsd(receipt.costUsd);
    case "energy":
      return formatWh(receipt.energyWh);
    case "quality": {
      const low = receipt.predicted?.quality?.low;
      return low === undefined ? "not measured" : `promised ${formatShare(low)}, not measured`;
    }
  }
}
