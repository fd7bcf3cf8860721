/** INV2, INV3: what was accepted ends, and ends once. */
import { isTerminalState } from "@murakkab/model";
import type { Checker, EventNote, JobObservation } from "../observation.ts";

export function isTerminalEvent(note: Pick<EventNote, "event">): boolean {
  return isTerminalState(note.event as never);
}

/** Accepted jobs of which neither the history nor a receipt says that they ended. */
export function lostJobs(jobs: readonly JobObservation[]): readonly JobObservation[] {
  return jobs.filter(
    ({ acceptedAtMs, history, receipts }) =>
      acceptedAtMs !== null && receipts.length === 0 && history?.some(isTerminalEvent) !== true,
  );
}

/** INV2. */
export const checkNoLostJob: Checker = ({ jobs, endedAtMs }) =>
  lostJobs(jobs).map(({ jobId, acceptedAtMs, history }) => ({
    atMs: endedAtMs,
    detail: `job ${jobId} was accepted at ${acceptedAtMs} ms and has not ended, its last event is ${lastEvent(history)}`,
  }));

function lastEvent(history: readonly EventNote[] | null): string {
  const last = history?.at(-1);
  return last === undefined ? "unknown" : `${last.number} ${last.event}`;
}

/**
 * Terminal events of a job, each once: a live message that is repeated under the same number is
 * one event, and so are the live message and its entry in the history.
 */
export function terminalEvents({ history, live }: JobObservation): readonly string[] {
  const all = [...(history ?? []), ...live].filter(isTerminalEvent);
  return [...new Set(all.map(({ number, event }) => `${event} (number ${number})`))];
}

/** INV3. A job without any is INV2's. */
export const checkOneTerminalState: Checker = ({ jobs, endedAtMs }) =>
  jobs.flatMap((job) => {
    const events = terminalEvents(job);
    if (events.length > 1) {
      const atMs = job.live.findLast(isTerminalEvent)?.atMs ?? endedAtMs;
      return [
        { atMs, detail: `job ${job.jobId} ended as ${events.join(" and ")}, expected one end` },
      ];
    }
    const [event] = events;
    const other = job.receipts.find(
      ({ state }) => event !== undefined && !event.startsWith(`${state} `),
    );
    if (other === undefined) return [];
    const detail = `job ${job.jobId} ended as ${event}, but a client was told ${other.state}`;
    return [{ atMs: other.atMs, detail }];
  });
