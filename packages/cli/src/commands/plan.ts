/** `murakkab plan`: what a job would get, why, and what it would cost. Nothing runs. */
import type { PlannedJob } from "@murakkab/sdk";
import type { Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { noteLines, renderPlanWithReasons } from "../render/render-plan.ts";
import { renderRefusal } from "../render/render-refusal.ts";
import type { JobFlags } from "./job-options.ts";
import { toJobRequest } from "./job-options.ts";
import { checkPictureFiles, type PictureFlags, writePictures } from "./pictures.ts";
import { uploadProgress } from "./upload-progress.ts";

export interface PlanFlags extends JobFlags, PictureFlags {
  /** Every option that was turned down. */
  readonly all?: boolean;
}

export async function plan(
  context: Context,
  description: string | undefined,
  flags: PlanFlags,
): Promise<number> {
  const request = await toJobRequest(description, flags, context.cwd);
  await checkPictureFiles(context, flags); // Told before anything is asked.
  const isJson = flags.json === true;
  const planned = await withClient(context, flags, (client) => {
    const onUpload = uploadProgress(isJson ? null : context.stderr);
    return client.plan(request, { onUpload, signal: context.signal });
  });
  if (isJson) printJson(context.stdout, planned);
  else printLines(context.stdout, planLines(context, planned, flags));
  if (planned.decision !== "accepted") return EXIT.notAccepted;
  const title = description ?? planned.plan.workflow;
  await writePictures(context, flags, { title, plan: planned.plan, explained: null });
  return EXIT.ok;
}

function planLines({ stdout, paint }: Context, planned: PlannedJob, flags: PlanFlags): string[] {
  const columns = columnsOf(stdout);
  const { notes } = planned;
  if (planned.decision === "accepted") {
    const isAll = flags.all === true;
    return renderPlanWithReasons({ ...planned.plan, notes }, { columns, paint, isAll });
  }
  const offers = planned.decision === "counter-offer" ? planned.offers : [];
  const binding = planned.decision === "rejected" ? planned.binding : null;
  const refusal = { message: planned.message, offers, binding };
  return [
    ...renderRefusal(refusal, { columns, paint, canAccept: false }),
    ...notes.flatMap((note) => noteLines(note, columns, paint)),
  ];
}
