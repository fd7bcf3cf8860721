/** `murakkab events [JOB]`: one job's events, or everything on the ops stream but samples. */
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, withClient } from "../context.ts";
import { printable, truncate } from "../render/text-width.ts";
import { watchJob } from "./watch-job.ts";

export async function events(
  context: Context,
  jobId: string | undefined,
  flags: CommonOptions,
): Promise<number> {
  const { stdout, paint, signal } = context;
  return withClient(context, flags, async (client) => {
    if (jobId === undefined) {
      for await (const event of client.opsEvents()) {
        if (flags.json === true) printJson(stdout, event);
        else if (!event.subject.includes(".node.sampled.")) {
          stdout.write(`${opsLine(event.subject, event.data, columns(context))}\n`);
        }
      }
      return EXIT.ok;
    }
    const { plan } = await client.job(jobId); // An unknown job is told at once.
    const feed = client.events(jobId);
    if (flags.json !== true) {
      await watchJob(feed, { output: stdout, paint, plan, isDetailed: true, signal });
      return EXIT.ok;
    }
    for await (const event of feed) printJson(stdout, event);
    return EXIT.ok;
  });
}

function columns({ stdout }: Context): number {
  return stdout.isTTY === true ? columnsOf(stdout) : Number.POSITIVE_INFINITY;
}

function opsLine(subject: string, data: unknown, columnsMax: number): string {
  const at = new Date().toISOString().slice(11, 19);
  const name = subject.replace(/^mk\.v1\.ops\./, "");
  return truncate(printable(`${at}  ${name}  ${JSON.stringify(data)}`), columnsMax);
}
