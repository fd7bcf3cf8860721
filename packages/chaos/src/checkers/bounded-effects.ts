/** INV6: an effect happens at most once more often than its step reported a failure. */
import type { ChaosRecord, Checker, Effect } from "../observation.ts";
import { groupBy } from "./group-by.ts";

export interface RepeatedEffect {
  readonly jobId: string;
  readonly step: string;
  readonly item: number;
  readonly count: number;
  readonly allowedCount: number;
}

/**
 * Items whose effects outnumber 1 + reported failures; that a result was lost and its step runs
 * again is such a report. Jobs without a history are left out.
 */
export function repeatedEffects({
  jobs,
  effects,
}: Pick<ChaosRecord, "jobs" | "effects">): readonly RepeatedEffect[] {
  const histories = new Map(jobs.map(({ jobId, history }) => [jobId, history]));
  return [...effectsByItem(effects).values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { jobId, step, item } = first;
    const history = histories.get(jobId) ?? null;
    if (history === null) return [];
    const failures = history.filter(
      (note) =>
        note.step === step &&
        ((note.event === "attempt-failed" && note.item === item) ||
          (note.event === "step-rerun" && note.items?.includes(item) === true)),
    );
    const allowedCount = 1 + failures.length;
    if (group.length <= allowedCount) return [];
    return [{ jobId, step, item, count: group.length, allowedCount }];
  });
}

/** Lines of the file by the item that made them. A repeated token is one line read twice. */
export function effectsByItem(effects: readonly Effect[]): Map<string, Effect[]> {
  const unique = [...new Map(effects.map((effect) => [effect.token, effect])).values()];
  return groupBy(unique, ({ jobId, step, item }) => `${jobId} ${step} ${item}`);
}

export const checkBoundedEffects: Checker = (record) =>
  repeatedEffects(record).map(({ jobId, step, item, count, allowedCount }) => ({
    atMs: record.endedAtMs,
    detail: `step ${step} item ${item} of job ${jobId} took effect ${count} times, expected at most ${allowedCount} (1 and its ${allowedCount - 1} reported failures)`,
  }));
