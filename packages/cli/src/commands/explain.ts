/** `murakkab explain JOB`: why a job got its plan, and what became of what was said. */
import type { JobExplanation } from "@murakkab/sdk";
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { renderExplanation } from "../render/render-explanation.ts";
import { checkPictureFiles, type PictureFlags, writePictures } from "./pictures.ts";

export interface ExplainFlags extends CommonOptions, PictureFlags {
  readonly all?: boolean;
}

export async function explain(
  context: Context,
  jobId: string,
  flags: ExplainFlags,
): Promise<number> {
  await checkPictureFiles(context, flags);
  const explained: JobExplanation = await withClient(context, flags, (client) =>
    client.explain(jobId),
  );
  const { stdout, paint } = context;
  if (flags.json === true) printJson(stdout, explained);
  else {
    const options = { columns: columnsOf(stdout), paint, isAll: flags.all === true };
    printLines(stdout, renderExplanation(explained, options));
  }
  const { plan } = explained;
  const title = plan === null ? jobId : `${plan.workflow}, job ${jobId}`;
  await writePictures(context, flags, { title, plan, explained });
  return EXIT.ok;
}
