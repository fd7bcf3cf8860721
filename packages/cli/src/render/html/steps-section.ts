/** The steps of a plan with what is expected of each and, of an ended job, what each took. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { JobExplanation, StepComparison } from "@murakkab/sdk";
import { PLAIN } from "../paint.ts";
import { fanOutText, isDeferred, optionText } from "../plan-facts.ts";
import { renderAsides } from "../render-outcome.ts";
import { formatDuration, formatRatio, formatUsd, formatWh } from "../units.ts";
import { escapeHtml } from "./escape.ts";
import type { Footnotes } from "./footnotes.ts";

export interface StepsScope {
  readonly plan: JobPlan;
  readonly explained: JobExplanation | null;
  readonly notes: Footnotes;
}

interface Cell {
  readonly name: string;
  readonly isNumber?: boolean;
  /** HTML already. */
  readonly html: (step: PlannedStep) => string;
}

export function stepsSection({ plan, explained, notes }: StepsScope): string {
  const cells = cellsOf({ plan, explained, notes });
  const head = cells
    .map(({ name, isNumber }) => `<th${isNumber === true ? ' class="number"' : ""}>${name}</th>`)
    .join("");
  const rows = plan.steps.map((step) => {
    const texts = cells.map(({ name, isNumber, html }) => {
      const className = isNumber === true ? ' class="number"' : "";
      return `<td${className} data-name="${name}">${html(step)}</td>`;
    });
    const aside = isDeferred(plan, step.step) ? ' class="aside"' : "";
    return `<tr${aside}>${texts.join("")}</tr>`;
  });
  return `<table class="cards"><thead><tr>${head}</tr></thead><tbody>\n${rows.join("\n")}\n</tbody></table>`;
}

function cellsOf({ plan, explained, notes }: StepsScope): Cell[] {
  const said =
    (read: (predicted: NonNullable<PlannedStep["predicted"]>) => string) => (step: PlannedStep) =>
      step.predicted === undefined ? "–" : escapeHtml(read(step.predicted));
  const hasFigures = plan.steps.some(({ predicted }) => predicted !== undefined);
  const hasChance = plan.steps.some(({ predicted }) => (predicted?.probability ?? 1) < 1);
  const option: Cell[] = [
    {
      name: "step",
      html: (step) =>
        `<strong class="name">${escapeHtml(step.step + fanOutText(step, undefined))}</strong>`,
    },
    {
      name: "option",
      html: (step) => `<span class="option">${escapeHtml(optionText(step))}</span>`,
    },
  ];
  if (!hasFigures) return option;
  return [
    ...option,
    { name: "p50", isNumber: true, html: said(({ runMs }) => formatDuration(runMs.p50)) },
    { name: "p95", isNumber: true, html: said(({ runMs }) => formatDuration(runMs.p95)) },
    ...tookCells(explained),
    { name: "cost", isNumber: true, html: said(({ costUsd }) => formatUsd(costUsd.p50)) },
    { name: "energy", isNumber: true, html: said(({ energyWh }) => formatWh(energyWh.p50)) },
    ...(hasChance
      ? [
          {
            name: "chance",
            isNumber: true,
            html: said(({ probability }) => formatRatio(probability)),
          },
        ]
      : []),
    {
      name: "from",
      html: ({ predicted }) =>
        predicted === undefined
          ? "–"
          : escapeHtml(predicted.provenance.kind) +
            notes.mark(`${predicted.provenance.kind}: ${predicted.provenance.note}`),
    },
  ];
}

function tookCells(explained: JobExplanation | null): Cell[] {
  const comparison = explained?.comparison ?? null;
  if (comparison === null) return [];
  const byStep = new Map(comparison.steps.map((step) => [step.step, step]));
  return [
    {
      name: "took",
      isNumber: true,
      html: ({ step }) => {
        const compared = byStep.get(step);
        if (compared !== undefined) return tookHtml(compared);
        return comparison.notRun.includes(step) ? "not run" : "–";
      },
    },
  ];
}

function tookHtml({ runMs }: StepComparison): string {
  const className = runMs.isWithin ? "kept" : "open";
  const ratio =
    runMs.ratio === null ? "" : ` <span class="${className}">${runMs.ratio.toFixed(2)}×</span>`;
  return escapeHtml(formatDuration(runMs.actual)) + ratio;
}

/** Wide enough that no line is broken: the page does that. */
const NO_BREAK = { columns: 100_000, paint: PLAIN } as const;

export function outcomeSection({ receipt, comparison }: JobExplanation): string {
  if (receipt === null) return "";
  const notRun = comparison === null ? {} : { notRun: comparison.notRun };
  const lines = renderAsides(receipt, { ...NO_BREAK, ...notRun });
  if (lines.length === 0) return "";
  const items = lines.map((line) => `<li>${escapeHtml(line.replace(/\s+/g, " "))}</li>`);
  return `<h2>On the way</h2>\n<ul class="notes">${items.join("")}</ul>`;
}
