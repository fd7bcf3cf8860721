/** The effects file: `<jobId> <step> <item> <token>` per line. */
import { readFile } from "node:fs/promises";
import type { Effect } from "./observation.ts";

/** A file that is not there yet has no lines. */
export async function readEffects(file: string): Promise<readonly Effect[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    const [jobId, step, item, token] = line.split(" ");
    if (jobId === undefined || step === undefined || token === undefined) return [];
    return [{ jobId, step, item: Number(item), token }];
  });
}
