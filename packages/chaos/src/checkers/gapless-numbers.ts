/** INV7: a job's events count from 1 without a gap, and what was told stays true. */
import type { Checker, EventNote, Finding, JobObservation } from "../observation.ts";

export const checkGaplessNumbers: Checker = ({ jobs, endedAtMs }) =>
  jobs.flatMap((job) => {
    if (job.history === null || job.acceptedAtMs === null) return [];
    return [...gaps(job.jobId, job.history, endedAtMs), ...rewritten(job, job.history)];
  });

function gaps(jobId: string, history: readonly EventNote[], atMs: number): readonly Finding[] {
  const at = history.findIndex(({ number }, index) => number !== index + 1);
  if (at < 0) {
    return history.length > 0
      ? []
      : [{ atMs, detail: `job ${jobId} was accepted but has no events` }];
  }
  const found = history[at];
  const detail = `event ${at + 1} of job ${jobId} has the number ${found?.number} (${found?.event}), expected ${at + 1}`;
  return [{ atMs, detail }];
}

/** A reader of the live events and a reader of the history must see the same. */
function rewritten({ jobId, live }: JobObservation, history: readonly EventNote[]): Finding[] {
  const kept = new Map(history.map((note) => [note.number, describe(note)]));
  const findings: Finding[] = [];
  for (const note of live) {
    const entry = kept.get(note.number);
    const told = describe(note);
    if (entry === told) continue;
    const instead = entry === undefined ? "nothing" : `"${entry}"`;
    const detail = `event ${note.number} of job ${jobId} was told as "${told}", but its history has ${instead}`;
    findings.push({ atMs: note.atMs, detail });
    break; // The rest of the job's events differs for the same reason.
  }
  return findings;
}

function describe({ event, step, item, attempt }: EventNote): string {
  return [event, step, item, attempt].filter((part) => part !== undefined).join(" ");
}
