/** `--html FILE` and `--svg FILE`: the plan as a page, its frontier as a picture. */
import { stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { describeError, NotFoundError } from "@murakkab/kit";
import type { JobPlan } from "@murakkab/model";
import type { JobExplanation } from "@murakkab/sdk";
import type { Context } from "../context.ts";
import { UsageError } from "../context.ts";
import { frontierPicture } from "../render/html/frontier-svg.ts";
import { planPage } from "../render/html/plan-page.ts";

export interface PictureFlags {
  readonly html?: string;
  readonly svg?: string;
}

export interface Pictured {
  readonly title: string;
  readonly plan: JobPlan | null;
  /** Of a submitted job: what became of it. */
  readonly explained: JobExplanation | null;
}

/** Errors: UsageError when a file's directory is not there. */
export async function checkPictureFiles({ cwd }: Context, flags: PictureFlags): Promise<void> {
  for (const [option, file] of Object.entries({ html: flags.html, svg: flags.svg })) {
    if (file === undefined) continue;
    const dir = dirname(resolve(cwd, file));
    const isThere = await stat(dir).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isThere) continue;
    throw new UsageError(`--${option} is "${file}", but there is no directory ${dir}`, {
      field: option,
    });
  }
}

/** Errors: `NOT_FOUND` where there is nothing to draw. */
export async function writePictures(
  context: Context,
  flags: PictureFlags,
  { title, plan, explained }: Pictured,
): Promise<void> {
  if (flags.html === undefined && flags.svg === undefined) return;
  if (plan === null) {
    throw new NotFoundError("nothing can be drawn: the job's plan is not known any more");
  }
  if (flags.html !== undefined) {
    await writeText(context, flags.html, planPage({ title, plan, explained }));
  }
  if (flags.svg === undefined) return;
  const { explanation } = plan;
  if (explanation === undefined || explanation.frontier.length === 0) {
    throw new NotFoundError("no frontier can be drawn: the scheduler gave none with this plan");
  }
  await writeText(context, flags.svg, frontierPicture(explanation));
}

async function writeText({ cwd, stderr }: Context, file: string, text: string): Promise<void> {
  try {
    await writeFile(resolve(cwd, file), text);
  } catch (error) {
    throw new UsageError(`${file} cannot be written: ${describeError(error)}`);
  }
  stderr.write(`wrote ${file}\n`);
}
