/**
 * Which faults happen when: everything that a seed decides.
 *
 * Owns:      kinds, moments, choice of targets as numbers, lengths of outages.
 * Does not:  know processes: `pick` is made into a target by whoever injects the fault.
 *
 * Invariants:
 *   F1. Same options, same plan. What real processes make of it still varies: their timing is
 *       their own.
 *   F2. Every wanted kind comes before any kind comes for the second time round.
 */
import { assert, type Random, seededRandom, shuffle } from "@murakkab/kit";

export const FAULT_KINDS = ["worker", "agent", "scheduler", "nats", "pause", "disk"] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Steps of the protocols in the middle of which a fault can be put. */
export const MOMENTS = [
  "submit-sent",
  "accepted",
  "attempt-started",
  "attempt-finished",
  "step-finished",
  "succeeded",
  "instance-starting",
] as const;
export type Moment = (typeof MOMENTS)[number];

export interface PlannedFault {
  /** From 1, in order of `atMs`. */
  readonly number: number;
  readonly kind: FaultKind;
  /** From the start of the load. A fault with a trigger is armed then. */
  readonly atMs: number;
  /** Fires when this moment is seen for the n-th time from then on; at `latestMs` in any case. */
  readonly trigger: { readonly moment: Moment; readonly nth: number } | null;
  readonly latestMs: number;
  /** [0, 1): place of the target among those that are there. */
  readonly pick: number;
  /** Among schedulers: the leader. Otherwise any other, where there is one. */
  readonly isLeaderPreferred: boolean;
  /** For `pause`: which kind of process. */
  readonly paused: "scheduler" | "agent" | "worker";
  /** Time until the process runs again, ms. */
  readonly outageMs: number;
}

export interface FaultPlanOptions {
  readonly seed: number;
  readonly forMs: number;
  readonly kinds: readonly FaultKind[];
}

/** Mean time between faults: long enough that a fault meets a system at work, not a ruin. */
const FAULT_INTERVAL_MS = 2_000;
/** The first fault waits until jobs run. */
const FIRST_FAULT_MS = 500;
/** How often a kind comes per round: what fails most in a fleet fails most here. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  worker: 3,
  agent: 2,
  scheduler: 2,
  nats: 1,
  pause: 1,
  disk: 1,
};
/** Share of the faults that wait for a step of a protocol. */
const TRIGGERED_SHARE = 0.5;
/** At the load's rate, the n-th of a moment comes within a second or two. */
const NTH_MAX = 8;
/** A moment that does not come within this time is not waited for, ms: the bus may be down. */
const TRIGGER_WAIT_MS = 4_000;
/** Longer than any lease of the runtime: the paused one wakes up in a world that moved on. */
export const PAUSE_MS = 10_000;
const OUTAGE_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  worker: [0, 0],
  agent: [200, 3_000],
  scheduler: [200, 3_000],
  nats: [200, 3_000],
  pause: [PAUSE_MS, PAUSE_MS],
  disk: [0, 0],
};

export function planFaults({ seed, forMs, kinds }: FaultPlanOptions): readonly PlannedFault[] {
  assert(kinds.length > 0 && forMs > 0, "a plan has at least one kind of fault and some time");
  const root = seededRandom(seed).stream("faults");
  const count = Math.max(kinds.length, Math.round(forMs / FAULT_INTERVAL_MS));
  const order = dealKinds(kinds, count, root.stream("kinds"));
  const startMs = Math.min(FIRST_FAULT_MS, forMs / 2);
  const slotMs = (forMs - startMs) / count;
  return order.map((kind, index) => {
    // A stream per fault: a draw for one shifts nothing in the others.
    const random = root.stream(`fault-${index + 1}`);
    const [shortestMs, longestMs] = OUTAGE_MS[kind];
    const atMs = Math.round(startMs + (index + random.next()) * slotMs);
    return {
      ...{ number: index + 1, kind, atMs },
      latestMs: Math.max(atMs, Math.min(atMs + TRIGGER_WAIT_MS, forMs)),
      trigger: drawTrigger(random.stream("trigger")),
      pick: random.next(),
      isLeaderPreferred: random.next() < 0.7,
      paused: drawPaused(random.stream("paused")),
      outageMs: Math.round(shortestMs + random.next() * (longestMs - shortestMs)),
    };
  });
}

/** F2: rounds, each a shuffle of the weighted kinds that begins with one of each. */
function dealKinds(kinds: readonly FaultKind[], count: number, random: Random): FaultKind[] {
  const order: FaultKind[] = [];
  while (order.length < count) {
    const more = kinds.flatMap((kind) => Array.from({ length: WEIGHTS[kind] - 1 }, () => kind));
    order.push(...shuffle(kinds, random), ...shuffle(more, random));
  }
  return order.slice(0, count);
}

function drawTrigger(random: Random): PlannedFault["trigger"] {
  if (random.next() >= TRIGGERED_SHARE) return null;
  const moment = MOMENTS[random.index(MOMENTS.length)] ?? "attempt-started";
  return { moment, nth: 1 + random.index(NTH_MAX) };
}

/** The scheduler's leader is the one whose waking up is dangerous. */
function drawPaused(random: Random): PlannedFault["paused"] {
  const draw = random.next();
  return draw < 0.6 ? "scheduler" : draw < 0.8 ? "agent" : "worker";
}
