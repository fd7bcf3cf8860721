/**
 * One chaos run: load, faults, quiet, verdict.
 *
 * Owns:      the order of these, the run's result.
 * Does not:  start or end the cluster, print, or know how a process is killed (the Breakable port).
 */
import { setMaxListeners } from "node:events";
import type { Bus } from "@murakkab/bus";
import { type AbortSignalLike, type Clock, delay, seededRandom } from "@murakkab/kit";
import type { Breakable } from "./breakable.ts";
import { repeatedEffects } from "./checkers/bounded-effects.ts";
import { checkAll } from "./checkers/check-all.ts";
import { lostJobs, terminalEvents } from "./checkers/job-ends.ts";
import { FaultInjector, type FaultLine } from "./fault-injector.ts";
import { type FaultKind, planFaults } from "./fault-plan.ts";
import { LeaderFinder } from "./find-leader.ts";
import { Load } from "./load.ts";
import { drawJob } from "./load-jobs.ts";
import { MomentFeed } from "./moment-feed.ts";
import type { ChaosRecord, Violation } from "./observation.ts";
import { Observer } from "./observer.ts";
import { readEffects } from "./read-effects.ts";

export interface ChaosComponents {
  readonly cluster: Breakable;
  readonly clock: Clock;
  /** Connections of their own: a slow observer must not slow the clients down. */
  readonly clientBus: Bus;
  readonly observerBus: Bus;
}

export interface ChaosOptions {
  readonly seed: number;
  readonly forMs: number;
  readonly kinds: readonly FaultKind[];
  readonly jobsInFlight: number;
  readonly effectsFile: string;
  readonly signal: AbortSignalLike;
  readonly tell: (line: TimelineLine) => void;
}

export type TimelineLine = { readonly atMs: number } & (
  | ({ readonly what: "fault" } & FaultLine)
  | { readonly what: "phase"; readonly text: string }
);

/** The last line of `murakkab chaos --json`. */
export interface ChaosResult {
  readonly seed: number;
  readonly forSec: number;
  readonly faults: number;
  readonly byKind: Readonly<Partial<Record<FaultKind, number>>>;
  readonly jobs: number;
  readonly lost: number;
  readonly duplicatedTerminal: number;
  readonly duplicatedEffects: number;
  readonly violations: readonly Violation[];
}

export interface ChaosOutcome {
  readonly result: ChaosResult;
  readonly record: ChaosRecord;
  /** Accepted jobs by the state in which they ended, failed ones by `failed (CODE)`. */
  readonly byState: Readonly<Record<string, number>>;
  /** Sentences of refusals for good, each once: none is expected. */
  readonly refusals: readonly string[];
}

/** After the last fault was mended, accepted jobs must end within this time, ms. */
const QUIET_MS_MAX = 60_000;
/** A submission or a wait that nobody answered is sent again after this time, ms. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Errors: the signal's reason; what kept a killed process from starting again. */
export async function runChaos(
  components: ChaosComponents,
  options: ChaosOptions,
): Promise<ChaosOutcome> {
  const { clock } = components;
  const { seed, forMs, jobsInFlight, signal } = options;
  const { observer, injector, load, ending } = makeParts(components, options);
  const say = (text: string): void => options.tell({ atMs: observer.nowMs, what: "phase", text });
  const interrupt = ownSignal();
  const giveUp = ownSignal();
  const onAbort = (): void => {
    interrupt.abort(signal.reason);
    giveUp.abort(signal.reason);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  observer.start();
  try {
    say(`${jobsInFlight} jobs in flight, faults for ${forMs / 1_000} s from seed ${seed}`);
    const loading = load.run(giveUp.signal);
    loading.catch(() => undefined); // Awaited below, unless the faults end in an error first.
    const [injected] = await Promise.allSettled([
      injector.run(planFaults(options), interrupt.signal),
      delay(clock, forMs, interrupt.signal).finally(() => {
        ending.hasBegun = true;
      }),
    ]);
    throwIfAborted(signal);
    if (injected.status === "rejected") throw injected.reason;
    say(`every process runs again, waiting at most ${QUIET_MS_MAX / 1_000} s for the last jobs`);
    const quiet = delay(clock, QUIET_MS_MAX, giveUp.signal).catch(() => undefined);
    await Promise.race([loading, quiet]);
    giveUp.abort(new Error("the quiet time is over"));
    await loading;
    throwIfAborted(signal);
    const effects = await readEffects(options.effectsFile);
    const record = await observer.record(load.jobs.values(), effects);
    return judge(record, load, { seed, forMs, byKind: injector.byKind });
  } finally {
    signal.removeEventListener("abort", onAbort);
    giveUp.abort(new Error("the run is over"));
    observer.stop();
  }
}

/** `ending.hasBegun`: no further job is begun. */
function makeParts(
  { cluster, clock, clientBus, observerBus }: ChaosComponents,
  { seed, jobsInFlight, tell }: ChaosOptions,
) {
  const { messaging } = observerBus;
  const moments = new MomentFeed();
  const observer = new Observer({ messaging, clock, cluster, moments });
  const leaders = new LeaderFinder({ messaging, clock, cluster });
  const injector = new FaultInjector({
    ...{ clock, cluster, moments },
    findLeader: () => leaders.find(),
    tell: (line) => tell({ atMs: observer.nowMs, what: "fault", ...line }),
  });
  const jobs = seededRandom(seed).stream("jobs");
  const ending = { hasBegun: false };
  const load = new Load(
    { messaging: clientBus.messaging, clock, moments },
    {
      nextJob: () => drawJob(jobs),
      wantsMore: () => !ending.hasBegun,
      inFlightCount: jobsInFlight,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
    },
  );
  return { observer, injector, load, ending };
}

/** Listened to by each request in flight and each fault: Node warns of more than ten. */
function ownSignal(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function throwIfAborted(signal: AbortSignalLike): void {
  if (signal.aborted) throw signal.reason;
}

function judge(
  record: ChaosRecord,
  load: Load,
  run: Pick<ChaosResult, "seed" | "byKind"> & { readonly forMs: number },
): ChaosOutcome {
  const clients = [...load.jobs.values()];
  const accepted = record.jobs.filter(({ acceptedAtMs }) => acceptedAtMs !== null);
  const repeated = repeatedEffects(record);
  const byState: Record<string, number> = {};
  for (const { state, errorCode } of clients) {
    if (state === null) continue;
    const key = errorCode === null ? state : `${state} (${errorCode})`;
    byState[key] = (byState[key] ?? 0) + 1;
  }
  return {
    record,
    byState,
    refusals: [...new Set(clients.flatMap(({ refusal }) => (refusal === null ? [] : [refusal])))],
    result: {
      seed: run.seed,
      forSec: run.forMs / 1_000,
      faults: Object.values(run.byKind).reduce((sum, count) => sum + count, 0),
      byKind: run.byKind,
      jobs: accepted.length,
      lost: lostJobs(record.jobs).length,
      duplicatedTerminal: record.jobs.filter((job) => terminalEvents(job).length > 1).length,
      duplicatedEffects: repeated.reduce((sum, it) => sum + it.count - it.allowedCount, 0),
      violations: checkAll(record),
    },
  };
}
