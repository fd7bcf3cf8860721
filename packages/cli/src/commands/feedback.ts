/** `murakkab feedback JOB --score S`: tells how good an answer was. */
import {
  type CommonOptions,
  type Context,
  EXIT,
  printJson,
  UsageError,
  withClient,
} from "../context.ts";
import { printable } from "../render/text-width.ts";

export interface FeedbackFlags extends CommonOptions {
  readonly score: string;
  readonly tenant?: string;
  readonly labelled?: boolean;
}

export async function feedback(
  context: Context,
  jobId: string,
  flags: FeedbackFlags,
): Promise<number> {
  const score = flags.score.trim() === "" ? Number.NaN : Number(flags.score);
  if (!(score >= 0 && score <= 1)) {
    throw new UsageError(
      `--score is "${flags.score}", expected a number from 0 (wrong) to 1 (right)`,
      {
        field: "score",
      },
    );
  }
  const reply = await withClient(context, flags, (client) =>
    client.feedback(jobId, score, {
      ...(flags.tenant === undefined ? {} : { tenant: flags.tenant }),
      ...(flags.labelled === true ? { labelled: true } : {}),
    }),
  );
  const { stdout } = context;
  if (flags.json === true) printJson(stdout, reply);
  else {
    const again = reply.isReplaced ? ", in place of the earlier one" : "";
    stdout.write(
      `score ${score} counted for questions of class ${printable(reply.questionClass)}${again}\n  ${printable(reply.configuration)}\n`,
    );
  }
  return EXIT.ok;
}
