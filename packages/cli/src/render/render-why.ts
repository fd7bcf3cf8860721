/** Why a plan is this one: what was turned down for each step, for which reason, and what would win. */
import type { JobPlan, PlanExplanation, RejectedOption } from "@murakkab/model";
import type { Paint } from "./paint.ts";
import { optionText, searchText, tellingOptions } from "./plan-facts.ts";
import { printable, truncate, wrap } from "./text-width.ts";

export interface WhyOptions {
  readonly columns: number;
  readonly paint: Paint;
  /** Every option that was turned down, not only those that tell most. */
  readonly isAll?: boolean;
}

const TOLD_MAX = 3;

export function renderWhy(
  plan: JobPlan,
  explanation: PlanExplanation,
  options: WhyOptions,
): string[] {
  const { columns, paint } = options;
  const { objective, questionClass } = explanation;
  const asked = questionClass === null ? "" : `, questions of class ${printable(questionClass)}`;
  const how = `why: objective ${objective}${asked}; ${searchText(explanation)}`;
  const withOthers = new Set(explanation.rejected.map(({ step }) => step));
  const planned = plan.steps.flatMap(({ step }) => (withOthers.has(step) ? [step] : []));
  // Steps that were left out of the plan are explained too.
  const steps = [...new Set([...planned, ...withOthers])];
  return [
    ...wrap(how, columns - 5).map((line, index) =>
      index === 0 ? paint.bold("why:") + paint.dim(line.slice(4)) : paint.dim(`     ${line}`),
    ),
    ...steps.flatMap((step) => stepLines(step, { plan, explanation, options })),
    ...aloneLines(plan, explanation, options),
  ];
}

/** Steps with one option have nothing to explain: one line for all of them. */
function aloneLines(
  plan: JobPlan,
  { rejected }: PlanExplanation,
  { columns, paint }: WhyOptions,
): string[] {
  const alone = plan.steps
    .map(({ step }) => step)
    .filter((step) => !rejected.some((r) => r.step === step));
  if (alone.length === 0) return [];
  const text = `without another option: ${printable(alone.join(", "))}`;
  return [
    "",
    ...wrap(text, columns - 2).map((line) => paint.dim(`  ${truncate(line, columns - 2)}`)),
  ];
}

interface StepScope {
  readonly plan: JobPlan;
  readonly explanation: PlanExplanation;
  readonly options: WhyOptions;
}

function stepLines(step: string, { plan, explanation, options }: StepScope): string[] {
  const { columns, paint, isAll } = options;
  const chosen = plan.steps.find((planned) => planned.step === step);
  const rejected = explanation.rejected.filter((option) => option.step === step);
  const told = isAll === true ? rejected : tellingOptions(rejected, TOLD_MAX);
  const left = rejected.length - told.length;
  const what = chosen === undefined ? "left out" : optionText(chosen);
  const name = printable(step);
  const text = truncate(printable(what), Math.max(8, columns - name.length - 6));
  return [
    "",
    `  ${paint.bold(name)}  ${paint.green(text)}`,
    ...told.flatMap((option) => optionLines(option, options)),
    ...(left > 0 ? [paint.dim(`    and ${left} more (--all shows them)`)] : []),
  ];
}

function optionLines(option: RejectedOption, { columns, paint }: WhyOptions): string[] {
  const code = `  ${option.code}`;
  const what = truncate(printable(optionText(option)), Math.max(8, columns - 6 - code.length));
  const reason =
    option.toWin === undefined ? option.reason : `${option.reason}; to win: ${option.toWin}`;
  return [
    `    ${paint.red("✗")} ${what}${paint.yellow(code)}`,
    ...wrap(printable(reason).replace(/\s+/g, " "), columns - 6).map((line) =>
      paint.dim(`      ${truncate(line, columns - 6)}`),
    ),
  ];
}
