/** A submitted job: its plan with the reasons and, once it has ended, what became of it. */
import type { JobExplanation } from "@murakkab/sdk";
import { renderAsides, renderComparison } from "./render-outcome.ts";
import type { PlanOptions } from "./render-plan.ts";
import { renderPlanWithReasons } from "./render-plan.ts";

export function renderExplanation(explained: JobExplanation, options: PlanOptions): string[] {
  const { plan } = explained;
  return [
    `job ${explained.jobId} ${explained.state}`,
    "",
    ...(plan === null ? ["its plan is not known any more"] : renderPlanWithReasons(plan, options)),
    ...outcomeLines(explained, options),
  ];
}

function outcomeLines({ receipt, comparison }: JobExplanation, options: PlanOptions): string[] {
  const { paint } = options;
  if (receipt === null)
    return ["", paint.dim("the job has not ended: ask again for what happened")];
  const notRun = comparison === null ? {} : { notRun: comparison.notRun };
  const asides = renderAsides(receipt, { ...options, ...notRun });
  return [
    "",
    ...(comparison === null
      ? [paint.dim("nothing was predicted for this job, so that there is nothing to compare")]
      : renderComparison(comparison, options)),
    ...(asides.length === 0 ? [] : ["", ...asides]),
  ];
}
