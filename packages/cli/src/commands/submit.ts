/** `murakkab submit`. */
import { randomUUID } from "node:crypto";
import type { Receipt } from "@murakkab/sdk";
import { JobNotAcceptedError } from "@murakkab/sdk";
import type { Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { parseAxis } from "../parse-options.ts";
import { noteLines } from "../render/render-plan.ts";
import { renderReceipt } from "../render/render-receipt.ts";
import { renderRefusal } from "../render/render-refusal.ts";
import type { JobFlags } from "./job-options.ts";
import { toJobRequest } from "./job-options.ts";
import { uploadProgress } from "./upload-progress.ts";
import { watchJob } from "./watch-job.ts";

export interface SubmitFlags extends JobFlags {
  readonly watch?: boolean;
  /** False with `--no-wait`. */
  readonly wait?: boolean;
  /** The axis of a counter-offer to take at once. */
  readonly acceptOffer?: string;
}

export async function submit(
  context: Context,
  description: string | undefined,
  flags: SubmitFlags,
): Promise<number> {
  const { stdout, stderr, paint, paintErr } = context;
  const request = await toJobRequest(description, flags, context.cwd);
  const acceptOffer =
    flags.acceptOffer === undefined
      ? {}
      : { acceptOffer: parseAxis("accept-offer", flags.acceptOffer) };
  const jobId = request.jobId ?? randomUUID();
  const isJson = flags.json === true;
  let wasAccepted = false;
  const work = withClient(context, flags, async (client) => {
    const onUpload = uploadProgress(isJson ? null : stderr);
    const options = { onUpload, signal: context.signal, ...acceptOffer };
    const job = await client.submit({ ...request, jobId }, options);
    wasAccepted = true;
    if (flags.wait === false) {
      if (isJson) printJson(stdout, { jobId: job.jobId, plan: job.plan, notes: job.notes });
      else stdout.write(`${job.jobId}\n`);
      return EXIT.ok;
    }
    if (!isJson) {
      stderr.write(
        `job ${job.jobId} accepted, ${job.plan.steps.length} steps (${job.plan.workflow})\n`,
      );
      printLines(
        stderr,
        [...new Set(job.notes)].flatMap((note) => noteLines(note, columnsOf(stderr), paintErr)),
      );
    }
    if (flags.watch === true) {
      // The view is not the result: with --json it goes to stderr.
      const output = isJson ? stderr : stdout;
      const viewPaint = isJson ? paintErr : paint;
      const { signal } = context;
      await watchJob(job.events(), { output, paint: viewPaint, plan: job.plan, signal });
    }
    return finish(context, await job.result({ signal: context.signal }), isJson);
  });
  return work.catch((error: unknown) => {
    if (error instanceof JobNotAcceptedError) return refused(context, error, isJson);
    if (context.signal.aborted && wasAccepted) {
      stderr.write(
        `job ${jobId} goes on; see murakkab job ${jobId}, end it with murakkab cancel ${jobId}\n`,
      );
    }
    throw error;
  });
}

export function finish({ stdout, paint }: Context, receipt: Receipt, isJson: boolean): number {
  if (isJson) printJson(stdout, receipt);
  else printLines(stdout, renderReceipt(receipt, { columns: columnsOf(stdout), paint }));
  return receipt.state === "succeeded" ? EXIT.ok : EXIT.failed;
}

function refused(
  { stdout, stderr, paintErr }: Context,
  error: JobNotAcceptedError,
  isJson: boolean,
): number {
  const { decision, message, offers, binding, notes, context } = error;
  if (isJson) {
    const what = decision === "counter-offer" ? { offers } : { binding };
    printJson(stdout, { jobId: context["jobId"], decision, message, ...what, notes });
    return EXIT.notAccepted;
  }
  const columns = columnsOf(stderr);
  const lines = renderRefusal(
    { message, offers, binding },
    { columns, paint: paintErr, canAccept: true },
  );
  printLines(stderr, [...lines, ...notes.flatMap((note) => noteLines(note, columns, paintErr))]);
  return EXIT.notAccepted;
}
