/** `murakkab jobs`, `job`, `cancel`. */
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { parseCount } from "../parse-options.ts";
import { startProgress } from "../render/job-progress.ts";
import { renderPlan } from "../render/render-plan.ts";
import { renderReceipt } from "../render/render-receipt.ts";
import { renderTable } from "../render/table.ts";
import { printable } from "../render/text-width.ts";
import { formatDuration, formatUsd } from "../render/units.ts";

/** The protocol's own bound. */
const LIST_MAX = 1_000;

export async function jobs(
  context: Context,
  flags: CommonOptions & { readonly limit?: string },
): Promise<number> {
  const { stdout, paint } = context;
  const limit = parseCount("limit", flags.limit ?? "20", LIST_MAX);
  const list = await withClient(context, flags, (client) => client.jobs(limit));
  if (flags.json === true) {
    printJson(stdout, { jobs: list });
    return EXIT.ok;
  }
  if (list.length === 0) {
    stdout.write("no jobs yet\n");
    return EXIT.ok;
  }
  const rows = list.map((job) => [
    job.jobId,
    job.state,
    new Date(job.acceptedAtMs).toLocaleTimeString("en-GB"),
    job.latencyMs === null ? doneText(job.stepStates) : formatDuration(job.latencyMs),
    job.costUsd === null ? "" : formatUsd(job.costUsd),
    printable(job.description ?? job.workflow ?? ""),
    printable(job.answer ?? "").replace(/\s+/g, " "),
  ]);
  const columns = [
    { title: "job" },
    { title: "state" },
    { title: "since" },
    { title: "took", align: "right" },
    { title: "cost", align: "right" },
    { title: "description", columnsMin: 12 },
    { title: "answer", columnsMin: 6 },
  ] as const;
  const paintCell = (text: string, row: number, column: number): string => {
    if (column !== 1) return text;
    const state = list[row]?.state;
    return state === "succeeded"
      ? paint.green(text)
      : state === "failed" || state === "rejected"
        ? paint.red(text)
        : text;
  };
  const options = { columns: columnsOf(stdout), paintTitle: paint.dim, paintCell };
  printLines(stdout, renderTable(columns, rows, options));
  return EXIT.ok;
}

function doneText(steps: Readonly<Record<string, { done: number; total: number }>>): string {
  const all = Object.values(steps);
  const doneCount = all.filter(({ done, total }) => total > 0 && done >= total).length;
  return `${doneCount}/${all.length} steps`;
}

export async function job(context: Context, jobId: string, flags: CommonOptions): Promise<number> {
  const { stdout, paint } = context;
  const status = await withClient(context, flags, (client) => client.job(jobId));
  if (flags.json === true) {
    printJson(stdout, status.receipt ?? status);
    return EXIT.ok;
  }
  const columns = columnsOf(stdout);
  if (status.receipt !== undefined) {
    printLines(stdout, renderReceipt(status.receipt, { columns, paint }));
    return EXIT.ok;
  }
  stdout.write(`job ${status.jobId} ${status.state}, ${doneText(status.stepStates)} done\n`);
  if (status.plan !== null) {
    const counts = startProgress(status.plan).steps.flatMap(({ step, isFannedOut }) => {
      const total = status.stepStates[step]?.total ?? 0;
      return isFannedOut && total > 0 ? [[step, total] as const] : [];
    });
    const options = { columns, paint, itemCounts: Object.fromEntries(counts) };
    printLines(stdout, renderPlan(status.plan, options));
  }
  return EXIT.ok;
}

export async function cancel(
  context: Context,
  jobId: string,
  flags: CommonOptions & { readonly reason?: string },
): Promise<number> {
  const { stdout } = context;
  const status = await withClient(context, flags, async (client) => {
    await client.cancel(jobId, flags.reason);
    return client.job(jobId);
  });
  if (flags.json === true) printJson(stdout, { jobId, state: status.state });
  else stdout.write(`job ${jobId} is ${status.state}\n`);
  return EXIT.ok;
}

/** `murakkab get ARTIFACT --out FILE`: a job's file as a local one. */
export async function get(
  context: Context,
  artifact: string,
  flags: CommonOptions & { readonly out: string },
): Promise<number> {
  const ref = await withClient(context, flags, (client) => client.download(artifact, flags.out));
  if (flags.json === true) printJson(context.stdout, { ...ref, path: flags.out });
  else context.stdout.write(`${flags.out}: ${ref.bytes} bytes, ${ref.mediaType}\n`);
  return EXIT.ok;
}
