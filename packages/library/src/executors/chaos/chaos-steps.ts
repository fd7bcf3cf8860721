/**
 * The steps of the jobs that `murakkab chaos` and the recovery bench load a cluster with: little
 * work, effects that can be counted, and values that show by which way they came.
 *
 * A mark is `<jobId> <step> <item> <token>`: one line of the effects file, with a token that no
 * other execution of the step draws. The executors' files are written by packages/chaos.
 */
import { randomUUID } from "node:crypto";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { InvalidArgumentError } from "@murakkab/kit";
import { isArtifactRef } from "@murakkab/model";
import type { ExecutorFunction } from "../../function-executor.ts";

/** Items that one job fans out over. */
const ITEM_COUNT = 3;
/** Large enough that the file has to be fetched by an agent that lacks it. */
const FILE_BYTES = 100_000;

/** One text to three, each naming its item: `<jobId>` to `<jobId> mark <item>`. Pure. */
export const chaosSplit: ExecutorFunction = async ({ inputs }) => {
  const text = textOf(inputs["question"], "question");
  const items = Array.from({ length: ITEM_COUNT }, (_, item) => `${text} mark ${item}`);
  return { items };
};

/** A file of FILE_BYTES that holds the marks. Pure. */
export const chaosMake: ExecutorFunction = async ({ inputs, scratchDir }) => {
  const text = JSON.stringify(marksOf(inputs["marks"]));
  await writeFile(join(scratchDir, "marks.txt"), text.padEnd(FILE_BYTES));
  return { file: { outputFile: "marks.txt", mediaType: "text/plain" } };
};

/**
 * The marks as the file has them and as the step that made them gave them: two ways from one
 * source, so that a result that was made from other inputs shows. Pure.
 */
export const chaosUse: ExecutorFunction = async (call) => {
  const { file, marks } = call.inputs;
  if (!isArtifactRef(file)) {
    throw new InvalidArgumentError("input file is not valid: expected an artifact reference");
  }
  const viaFile: unknown = JSON.parse(await readFile(await call.openArtifact(file), "utf8"));
  return { used: { viaFile, direct: marksOf(marks) } };
};

/** Waits without using a core and leaves one mark, before or after the wait. */
export const chaosTask: ExecutorFunction = async ({ inputs, knobs, signal }) => {
  const mark = `${textOf(inputs["question"], "question")} ${randomUUID()}`;
  const effect = (): Promise<void> => appendFile(String(knobs["effectsFile"]), `${mark}\n`);
  const isBefore = knobs["effect"] === "before";
  if (isBefore) await effect();
  await pause(Number(knobs["waitMs"]), undefined, { signal });
  if (!isBefore) await effect();
  return { mark };
};

function textOf(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw new InvalidArgumentError(`input ${name} is a ${typeof value}, expected a text`);
}

function marksOf(value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((it): it is string => typeof it === "string")) {
    return value;
  }
  throw new InvalidArgumentError("input marks is not valid: expected a list of texts");
}
