/**
 * A plan, and what became of it, as one page that asks for nothing from anywhere.
 *
 * Invariants:
 *   E1 (see escape.ts).
 *   P1. The page loads nothing and runs one script only, whose hash its policy names: a job's text
 *       could not run even if it got through.
 */
import { createHash } from "node:crypto";
import type { JobPlan, PlanExplanation } from "@murakkab/model";
import type { JobExplanation } from "@murakkab/sdk";
import {
  figuresOrigin,
  frontierAxis,
  qualityText,
  type SloLine,
  searchText,
  sloLines,
  totalLines,
} from "../plan-facts.ts";
import { formatDuration, formatUsd, formatWh } from "../units.ts";
import { dagSvg } from "./dag-svg.ts";
import { escapeHtml } from "./escape.ts";
import { Footnotes } from "./footnotes.ts";
import { frontierSvg, pointFigures } from "./frontier-svg.ts";
import { outcomeSection, stepsSection } from "./steps-section.ts";
import { PAGE_SCRIPT, PAGE_STYLE } from "./style.ts";
import { whySection } from "./why-section.ts";

const WIDE = { width: 860, height: 430 } as const;
const NARROW = { width: 360, height: 340 } as const;

export interface PlanPage {
  readonly title: string;
  readonly plan: JobPlan;
  readonly explained: JobExplanation | null;
}

export function planPage({ title, plan, explained }: PlanPage): string {
  const notes = new Footnotes();
  const { explanation } = plan;
  const body = [
    header(title, plan, explained),
    totals(plan, explained, notes),
    explanation === undefined ? "" : frontierSection(explanation),
    `<h2>Steps</h2>\n<div class="scroll">${dagSvg(plan)}</div>`,
    stepsSection({ plan, explained, notes }),
    explained === null ? "" : outcomeSection(explained),
    explanation === undefined ? "" : whySection(plan, explanation),
    notesSection(plan),
    notes.section(),
  ];
  const hash = createHash("sha256").update(PAGE_SCRIPT).digest("base64");
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">`,
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>${escapeHtml(title)}</title>`,
    `<style>${PAGE_STYLE}</style></head>`,
    "<body><main>",
    ...body.filter((part) => part !== ""),
    '</main><div id="tip" role="status"></div>',
    `<script>${PAGE_SCRIPT}</script></body></html>`,
    "",
  ].join("\n");
}

function header(title: string, plan: JobPlan, explained: JobExplanation | null): string {
  const { explanation } = plan;
  const facts = [
    `workflow ${plan.workflow}`,
    `${plan.steps.length} steps`,
    ...(explanation === undefined
      ? []
      : [
          `objective ${explanation.objective}`,
          ...(explanation.questionClass === null
            ? []
            : [`questions of class ${explanation.questionClass}`]),
          searchText(explanation),
        ]),
  ];
  const state =
    explained === null
      ? ""
      : `<p class="sub">job ${escapeHtml(explained.jobId)} ${escapeHtml(explained.state)}</p>`;
  return `<h1>${escapeHtml(title)}</h1>\n<p class="sub">${escapeHtml(facts.join(" · "))}</p>${state}`;
}

function totals(plan: JobPlan, explained: JobExplanation | null, notes: Footnotes): string {
  const { predicted, explanation } = plan;
  if (predicted === undefined) return "";
  const slo = new Map(
    (explanation === undefined ? [] : sloLines(explanation.slo, predicted)).map((line) => [
      line.axis,
      line,
    ]),
  );
  const from = figuresOrigin(plan);
  const modelled = `modelled from the figures of the steps${from === null ? "" : `: ${from}`}`;
  const cards = totalLines(predicted).map(({ axis, origin, note }) => {
    const figures = cardFigures(axis, predicted);
    const what = (origin === "modelled" ? modelled : origin) + note;
    return [
      `<div><dt>${axis}</dt>`,
      `<dd class="big">${escapeHtml(figures.big)}</dd>`,
      `<dd>${escapeHtml(figures.small)}</dd>`,
      `<dd>${escapeHtml(origin)}${notes.mark(what)}</dd>`,
      tookLine(axis, explained),
      boundLine(slo.get(axis)),
      "</div>",
    ].join("");
  });
  return `<dl class="figures">${cards.join("\n")}</dl>`;
}

function cardFigures(
  axis: SloLine["axis"],
  { latencyMs, costUsd, energyWh, quality }: NonNullable<JobPlan["predicted"]>,
): { big: string; small: string } {
  switch (axis) {
    case "latency":
      return { big: formatDuration(latencyMs.p50), small: `p95 ${formatDuration(latencyMs.p95)}` };
    case "cost":
      return { big: formatUsd(costUsd.p50), small: `p95 ${formatUsd(costUsd.p95)}` };
    case "energy":
      return { big: formatWh(energyWh.p50), small: `p95 ${formatWh(energyWh.p95)}` };
    case "quality": {
      const [mean = "", interval = ""] = qualityText(quality).split(" (");
      return { big: mean, small: interval.replace(")", "") };
    }
  }
}

function tookLine(axis: SloLine["axis"], explained: JobExplanation | null): string {
  const receipt = explained?.receipt ?? null;
  if (receipt === null || axis === "quality") return "";
  const took =
    axis === "latency"
      ? formatDuration(receipt.latencyMs)
      : axis === "cost"
        ? formatUsd(receipt.costUsd)
        : formatWh(receipt.energyWh);
  return `<dd>took <strong>${escapeHtml(took)}</strong></dd>`;
}

function boundLine(line: SloLine | undefined): string {
  if (line === undefined) return "";
  const { bound, margin, isKept } = line;
  const className = isKept === null ? "open" : isKept ? "kept" : "broken";
  const verdict = margin === "" ? "not known" : margin;
  return `<dd>${escapeHtml(bound)}: <span class="${className}">${escapeHtml(verdict)}</span></dd>`;
}

function frontierSection(explanation: PlanExplanation): string {
  const { frontier } = explanation;
  if (frontier.length === 0) return "";
  const axis = frontierAxis(explanation);
  const bounds = [
    explanation.slo.latencyMsMax === undefined ? [] : ["latency"],
    axis.bound === undefined ? [] : [axis.name],
  ].flat();
  const chosen = frontier.find(({ isChosen }) => isChosen);
  const about = [
    `${frontier.length} configuration${frontier.length === 1 ? "" : "s"} that no other beats on every axis; stronger and larger dots promise more quality, the ring is the chosen one.`,
    ...(bounds.length === 0
      ? []
      : [`Dashed: the bound${bounds.length === 1 ? "" : "s"} on ${bounds.join(" and ")}.`]),
    "Figures are modelled, and averaged over both courses where a draft decides what runs; the cards show the likelier course.",
    ...(chosen === undefined ? [] : [`${pointFigures(chosen)}.`]),
  ];
  return [
    "<h2>Frontier</h2>",
    "<figure>",
    frontierSvg(explanation, WIDE, "wide"),
    frontierSvg(explanation, NARROW, "narrow"),
    `<figcaption>${escapeHtml(about.join(" "))}</figcaption>`,
    "</figure>",
  ].join("\n");
}

function notesSection({ notes }: JobPlan): string {
  if (notes.length === 0) return "";
  const items = notes.map((note) => `<li>${escapeHtml(note)}</li>`);
  return `<h2>Notes of the planner</h2>\n<ul class="notes">${items.join("")}</ul>`;
}
