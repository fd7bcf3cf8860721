/** Who shares the jobs of a cluster, learned by listening: schedulers tell of themselves. */
import type { Messaging } from "@murakkab/bus";
import { call } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import {
  decode,
  SCHEDULER_BEAT_MS,
  type SchedulerBeat,
  schedulerBeatSchema,
  subjects,
  validate,
} from "@murakkab/protocol";

export interface SchedulerView {
  readonly scheduler: string;
  readonly version: string;
  readonly isLeader: boolean;
  /** Highest generation under which it took partitions. */
  readonly generation: number;
  readonly ownedPartitionCount: number;
  /** It hands its partitions over and ends. */
  readonly isLeaving: boolean;
}

export interface SchedulersView {
  readonly schedulers: readonly SchedulerView[];
  /** `null` while there is none: nodes cannot register, and no instance is started. */
  readonly leader: string | null;
}

/** Why one beat and a half: on a busy host a beat is late; one that misses two is told as lost. */
const LISTEN_MS = SCHEDULER_BEAT_MS * 1.5;
const PING_TIMEOUT_MS = 2_000;
const UNNAMED = "an unnamed scheduler";

/** Errors: `NO_RESPONDERS`, `TIMEOUT` when no scheduler is heard. */
export async function listenForSchedulers(messaging: Messaging): Promise<SchedulersView> {
  const beats = new Map<string, SchedulerBeat>();
  const subscription = messaging.subscribe(subjects.schedulerBeat, ({ data, headers }) => {
    try {
      const value = decode(data, headers).value;
      const beat = validate(schedulerBeatSchema, value, "scheduler beat");
      beats.set(beat.scheduler, beat);
    } catch {
      // Of a later version, or no beat at all: it cannot be shown.
    }
  });
  try {
    const listened = new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
    const [ping] = await Promise.all([askForLeader(messaging), listened]);
    if (ping.error !== null && beats.size === 0) throw ping.error;
    const views = [...beats.values()].map((beat) => viewOf(beat));
    // While leadership changes hands two may believe in it: the later one is right.
    const [last] = [...beats.values()]
      .filter(({ leads }) => leads > 0)
      .toSorted((a, b) => b.leads - a.leads);
    const leader = last?.scheduler ?? ping.leader;
    const schedulers = views
      .map((view) => ({ ...view, isLeader: view.scheduler === leader }))
      .toSorted((a, b) => (a.scheduler < b.scheduler ? -1 : 1));
    return { schedulers, leader };
  } finally {
    subscription.unsubscribe();
  }
}

async function askForLeader(
  messaging: Messaging,
): Promise<{ readonly leader: string | null; readonly error: Error | null }> {
  try {
    const request = { subject: subjects.schedulerPing, value: {} };
    const answer = await call<{ readonly leader?: unknown }>(messaging, request, {
      timeoutMs: PING_TIMEOUT_MS,
    });
    // One of the former version is the only one, and tells no names.
    const { leader = UNNAMED } = answer;
    return { leader: typeof leader === "string" ? leader : null, error: null };
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    return { leader: null, error };
  }
}

function viewOf({ scheduler, version, generation, owned, isLeaving }: SchedulerBeat) {
  const ownedPartitionCount = [...owned].reduce((sum, digit) => sum + bitsIn(digit), 0);
  return { scheduler, version, generation, ownedPartitionCount, isLeaving };
}

function bitsIn(digit: string): number {
  return [...Number.parseInt(digit, 16).toString(2)].filter((bit) => bit === "1").length;
}
