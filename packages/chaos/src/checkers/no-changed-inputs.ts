/** INV5: a result counts only for the inputs that it was made from. */
import type { Checker, Finding, JobObservation, UsedMarks } from "../observation.ts";

export const checkNoChangedInputs: Checker = ({ jobs, endedAtMs }) =>
  jobs.flatMap((job) => [...differentMarks(job, endedAtMs), ...differentHashes(job, endedAtMs)]);

/** The load's own proof: the same marks came by two ways, so both must be from one execution. */
function differentMarks({ jobId, used }: JobObservation, atMs: number): readonly Finding[] {
  if (used === undefined || isSame(used)) return [];
  const detail = `job ${jobId} used the marks ${used.viaFile.join(", ")} by way of the file and ${used.direct.join(", ")} directly`;
  return [{ atMs, detail }];
}

function isSame({ viaFile, direct }: UsedMarks): boolean {
  return viaFile.length === direct.length && viaFile.every((mark, at) => mark === direct[at]);
}

/**
 * The result that stands must carry the hash of the inputs that its item was last started with. Of
 * a job that did not succeed no result is used: its last attempts may never have finished.
 */
function differentHashes({ jobId, history }: JobObservation, atMs: number): readonly Finding[] {
  if (history?.at(-1)?.event !== "succeeded") return [];
  const started = new Map<string, string>();
  const finished = new Map<string, string>();
  for (const { event, step, item, inputsHash } of history ?? []) {
    if (step === undefined || inputsHash === undefined) continue;
    const key = `${step} item ${item ?? 0}`;
    if (event === "attempt-started") started.set(key, inputsHash);
    if (event === "attempt-finished") finished.set(key, inputsHash);
  }
  return [...finished].flatMap(([key, hash]) => {
    const wanted = started.get(key) ?? hash;
    if (wanted === hash) return [];
    const detail = `job ${jobId} uses a result of step ${key} made from inputs ${hash}, expected ${wanted}`;
    return [{ atMs, detail }];
  });
}
