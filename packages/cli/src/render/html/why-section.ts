/** What was turned down for each step: the most telling options, the others one click away. */
import type { JobPlan, PlanExplanation, RejectedOption } from "@murakkab/model";
import { optionText, tellingOptions } from "../plan-facts.ts";
import { escapeHtml } from "./escape.ts";

const TOLD_MAX = 3;

export function whySection(plan: JobPlan, { rejected }: PlanExplanation): string {
  const steps = [...new Set([...plan.steps, ...rejected].map(({ step }) => step))];
  const parts = steps.flatMap((step) => {
    const options = rejected.filter((option) => option.step === step);
    return options.length === 0 ? [] : [stepPart(step, plan, options)];
  });
  if (parts.length === 0) return "";
  const single = plan.steps
    .map(({ step }) => step)
    .filter((step) => !rejected.some((option) => option.step === step));
  const alone =
    single.length === 0
      ? ""
      : `<p class="soft">Without another option: ${escapeHtml(single.join(", "))}.</p>`;
  return ["<h2>Why these options</h2>", ...parts, alone].join("\n");
}

function stepPart(step: string, plan: JobPlan, options: readonly RejectedOption[]): string {
  const chosen = plan.steps.find((planned) => planned.step === step);
  const told = tellingOptions(options, TOLD_MAX);
  const others = options.filter((option) => !told.includes(option));
  const what =
    chosen === undefined
      ? '<span class="soft">left out</span>'
      : `<span class="option chosen-option">${escapeHtml(optionText(chosen))}</span>`;
  const rest =
    others.length === 0
      ? ""
      : `<details><summary>${others.length} more</summary>${optionTable(others)}</details>`;
  return `<h3>${escapeHtml(step)} ${what}</h3>\n${optionTable(told)}${rest}`;
}

function optionTable(options: readonly RejectedOption[]): string {
  const rows = options.map((option) => {
    const win = option.toWin === undefined ? "nothing would do" : option.toWin;
    return [
      `<tr><td><span class="option">${escapeHtml(optionText(option))}</span></td>`,
      `<td class="code">${escapeHtml(option.code)}</td>`,
      `<td>${escapeHtml(option.reason)}</td>`,
      `<td class="win" data-name="to win">${escapeHtml(win)}</td></tr>`,
    ].join("");
  });
  return `<table class="cards"><thead><tr><th>turned down</th><th>code</th><th>reason</th><th>to win</th></tr></thead><tbody>\n${rows.join("\n")}\n</tbody></table>`;
}
