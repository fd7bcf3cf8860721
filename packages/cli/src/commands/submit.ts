/** `murakkab submit` and `murakkab plan`. */
import { randomUUID } from "node:crypto";
import type { Client, Receipt } from "@murakkab/sdk";
import type { Context, Output } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { noteLines, renderPlan } from "../render/render-plan.ts";
import { renderReceipt } from "../render/render-receipt.ts";
import { formatBytes, formatRatio } from "../render/units.ts";
import type { JobFlags } from "./job-options.ts";
import { toJobRequest } from "./job-options.ts";
import { watchJob } from "./watch-job.ts";

export interface SubmitFlags extends JobFlags {
  readonly watch?: boolean;
  /** False with `--no-wait`. */
  readonly wait?: boolean;
}

export async function submit(
  context: Context,
  description: string | undefined,
  flags: SubmitFlags,
): Promise<number> {
  const { stdout, stderr, paint, paintErr } = context;
  const request = await toJobRequest(description, flags, context.cwd);
  const jobId = request.jobId ?? randomUUID();
  const isJson = flags.json === true;
  let wasAccepted = false;
  const work = withClient(context, flags, async (client) => {
    const onUpload = uploadProgress(isJson ? null : stderr);
    const job = await client.submit({ ...request, jobId }, { onUpload, signal: context.signal });
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

export async function plan(
  context: Context,
  description: string | undefined,
  flags: JobFlags,
): Promise<number> {
  const { stdout, paint } = context;
  const request = await toJobRequest(description, flags, context.cwd);
  return withClient(context, flags, async (client: Client) => {
    const onUpload = uploadProgress(flags.json === true ? null : context.stderr);
    const planned = await client.plan(request, { onUpload, signal: context.signal });
    if (flags.json === true) printJson(stdout, planned);
    else {
      const { notes } = planned;
      printLines(
        stdout,
        renderPlan({ ...planned.plan, notes }, { columns: columnsOf(stdout), paint }),
      );
    }
    return EXIT.ok;
  });
}

/** Files below this size are up before a line about them could be read, bytes. */
const SHOWN_UPLOAD_BYTES_MIN = 8 * 1024 ** 2;

/** One line per file and tenth, for large files. */
function uploadProgress(
  output: Output | null,
): (path: string, sentBytes: number, totalBytes: number) => void {
  const shown = new Map<string, number>();
  return (path, sentBytes, totalBytes) => {
    if (output === null || totalBytes < SHOWN_UPLOAD_BYTES_MIN) return;
    const tenth = Math.floor((10 * sentBytes) / totalBytes);
    if (tenth <= (shown.get(path) ?? 0)) return;
    shown.set(path, tenth);
    output.write(`upload ${path} ${formatRatio(tenth / 10)} of ${formatBytes(totalBytes)}\n`);
  };
}
