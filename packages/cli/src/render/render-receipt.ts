/** A receipt for people: the answer and its evidence first, then what it took and what it cost. */

import type { Receipt, Slo, SloOutcome, StepReceipt } from "@murakkab/model";
import type { Paint } from "./paint.ts";
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
    ...sloLines(receipt, options.paint),
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
  { title: "run", align: "right", cell: (step) => formatDuration(step.runMs) },
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
  const shown = STEP_COLUMNS.filter(({ shownFromColumns = 0 }) => columns >= shownFromColumns);
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
  const { costProvenance } = receipt;
  const facts = [
    ["latency", formatDuration(receipt.latencyMs), "measured: from acceptance to the last step"],
    ["cost", formatUsd(receipt.costUsd), `${costProvenance.kind}: ${costProvenance.note}`],
    ["energy", formatWh(receipt.energyWh), `${receipt.energyProvenance}: ${receipt.energyMethod}`],
  ] as const;
  const amountColumns = Math.max(...facts.map(([, amount]) => amount.length));
  return facts.flatMap(([name, amount, origin]) => {
    const head = `${padEnd(name, 8)}${padEnd(amount, amountColumns)}  `;
    return wrap(`(${printable(origin)})`, Math.max(20, columns - head.length)).map((line, index) =>
      index === 0 ? head + paint.dim(line) : " ".repeat(head.length) + paint.dim(line),
    );
  });
}

const BOUNDS: readonly {
  readonly axis: keyof SloOutcome;
  readonly bound: (slo: Slo) => string | null;
  readonly actual: (receipt: Receipt) => string;
}[] = [
  {
    axis: "latency",
    bound: ({ latencyMsMax }) =>
      latencyMsMax === undefined ? null : `at most ${formatDuration(latencyMsMax)}`,
    actual: ({ latencyMs }) => formatDuration(latencyMs),
  },
  {
    axis: "cost",
    bound: ({ costUsdMax }) =>
      costUsdMax === undefined ? null : `at most ${formatUsd(costUsdMax)}`,
    actual: ({ costUsd }) => formatUsd(costUsd),
  },
  {
    axis: "energy",
    bound: ({ energyWhMax }) =>
      energyWhMax === undefined ? null : `at most ${formatWh(energyWhMax)}`,
    actual: ({ energyWh }) => formatWh(energyWh),
  },
  {
    axis: "quality",
    bound: ({ qualityMin }) => (qualityMin === undefined ? null : `at least ${qualityMin}`),
    actual: () => "not measured",
  },
];

function sloLines(receipt: Receipt, paint: Paint): string[] {
  return BOUNDS.flatMap(({ axis, bound, actual }) => {
    const limit = bound(receipt.slo);
    if (limit === null) return [];
    const outcome = receipt.sloMet[axis];
    const verdict =
      outcome === true
        ? paint.green("met")
        : outcome === false
          ? paint.red("missed")
          : paint.yellow("not known");
    return [`slo     ${padEnd(axis, 8)} ${limit}: ${verdict} (${actual(receipt)})`];
  });
}
