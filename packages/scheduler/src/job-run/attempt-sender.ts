/**
 * The attempts of a job that are out: what they carry, and what they are told.
 *
 * Owns:      requests, back-off before repeats, the bill of each answer.
 * Does not:  decide what is sent (job-machine.ts) or where it runs (dispatcher.ts).
 *
 * Invariants:
 *   E1. Of every attempt that is sent the machine is told one end, unless the job is detached.
 */
import { attemptCost, type Rates } from "@murakkab/core";
import {
  backoffMs,
  type Cancel,
  type Clock,
  canonicalJson,
  type Deadline,
  type Random,
  type WireError,
} from "@murakkab/kit";
import type { AttemptObservation, ExecutorEntry, JobPlan } from "@murakkab/model";
import {
  type AttemptMeasure,
  type AttemptReply,
  type AttemptRequest,
  encode,
  type JobRecord,
  type PassedValue,
  SPILL_BYTES,
} from "@murakkab/protocol";
import type { AttemptHandle, Dispatcher } from "../dispatcher.ts";
import type { Fleet } from "../fleet.ts";
import { attemptKey } from "../job-machine/machine-types.ts";
import type { AttemptId, AttemptPlace, JobEffect, JobInput } from "../job-machine.ts";
import { artifactsIn } from "../passed-value.ts";
import type { ArtifactUplink } from "../ports.ts";
import {
  type Claim,
  holdersOf,
  type ShareableWork,
  type SharedResult,
  SharedResults,
} from "../shared-results.ts";
import type { ArtifactHolds } from "./artifact-holds.ts";
import type { JobBudget } from "./job-budget.ts";
import type { EntrySink } from "./job-log.ts";
import { type ObservedAttempt, observationOf } from "./observation.ts";
import { whereabouts } from "./whereabouts.ts";

export type Dispatch = Extract<JobEffect, { kind: "dispatch" }>;

export interface SenderComponents {
  readonly fleet: Fleet;
  readonly dispatcher: Dispatcher;
  readonly uplink: ArtifactUplink;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: (id: string) => ExecutorEntry | undefined;
  /** Told of each attempt that really ran and finished. Must not throw. Default: nobody learns. */
  readonly observe?: (observation: AttemptObservation) => void;
  /** Default: every attempt runs. */
  readonly shared?: SharedResults;
}

export interface SenderSettings {
  readonly record: JobRecord;
  readonly sink: EntrySink;
  readonly rates: Rates;
  readonly deadline: Deadline;
  readonly dueAtMs: number;
  readonly holds: ArtifactHolds;
  readonly plan: () => JobPlan;
  readonly budget: JobBudget | null;
  /** An attempt does not fit into the budget, and no other one is out that could leave more. */
  readonly onStarved: (effect: Dispatch) => void;
  readonly nowMs: () => number;
  readonly feed: (input: JobInput) => void;
}

/** An attempt that is out, waiting for its turn included. */
interface Outgoing {
  readonly effect: Dispatch;
  /** See attemptKey. */
  readonly id: string;
  readonly key: string;
  readonly executor: ExecutorEntry;
  /** Null while it waits for its repeat, its budget, or for an equal attempt. */
  handle: AttemptHandle | null;
  cancelRepeat: Cancel;
  place: AttemptPlace | null;
  startedAtMs: number;
  /** Its upper bound is taken out of the job's budget. */
  isReserved: boolean;
  /** Null where nobody may share it. */
  work: ShareableWork | null;
  claim: Claim | null;
}

const RETRY_BACKOFF = { baseMs: 50, maxMs: 2_000 };
/**
 * An attempt that nobody needs any more has this long to tell what it cost, ms: a program gets
 * 500 ms between SIGTERM and SIGKILL. Then it is billed for the time until now.
 */
const STOP_PATIENCE_MS = 750;
const FREE = { costUsd: 0, energyWh: 0 };

export class AttemptSender {
  private readonly parts: SenderComponents;
  private readonly settings: SenderSettings;
  private readonly out = new Map<string, Outgoing>();
  private readonly timers: Cancel[] = [];

  constructor(components: SenderComponents, settings: SenderSettings) {
    this.parts = components;
    this.settings = settings;
  }

  send(effect: Dispatch): void {
    const executor = this.parts.executor(effect.planned.executor);
    if (executor === undefined) {
      this.tellFailed(effect, null, {
        code: "EXECUTOR_UNKNOWN",
        message: `executor ${effect.planned.executor} is no longer in the library`,
        retryable: false,
      });
      return;
    }
    const { jobId } = this.settings.record.submission;
    const { step, item } = effect.id;
    const outgoing: Outgoing = {
      effect,
      id: attemptKey(effect.id),
      key: `${jobId}:${step}:${item}:${effect.inputsHash}`,
      executor,
      handle: null,
      cancelRepeat: () => undefined,
      place: null,
      startedAtMs: 0,
      isReserved: false,
      work: null,
      claim: null,
    };
    this.out.set(outgoing.id, outgoing);
    this.sendWithin(outgoing);
  }

  /** Sends it, or lets it wait until those that are out have left enough of the budget. */
  private sendWithin(outgoing: Outgoing): void {
    const { budget, onStarved } = this.settings;
    const { effect } = outgoing;
    outgoing.isReserved = budget !== null && budget.reserve(effect).kind === "ok";
    if (budget !== null && !outgoing.isReserved) {
      if (![...this.out.values()].some((it) => it.isReserved)) onStarved(effect);
      return;
    }
    if (effect.repeat === 0) {
      this.shareOrSubmit(outgoing);
      return;
    }
    const waitMs = backoffMs(effect.repeat, RETRY_BACKOFF, this.parts.random);
    outgoing.cancelRepeat = this.parts.clock.after(waitMs, () => this.shareOrSubmit(outgoing));
  }

  /** One that a former owner sent runs already: it is asked for, and nobody waits for it. */
  private shareOrSubmit(outgoing: Outgoing): void {
    const { shared } = this.parts;
    outgoing.work = this.shareableWork(outgoing);
    if (shared === undefined || outgoing.work === null || outgoing.effect.resumeAt !== null) {
      this.submit(outgoing);
      return;
    }
    outgoing.claim = shared.claim(outgoing.work, {
      onResult: (result) => this.onShared(outgoing, result),
      onLead: () => this.submit(outgoing),
    });
  }

  private shareableWork({ effect, executor }: Outgoing): ShareableWork | null {
    if (this.parts.shared === undefined || !SharedResults.isShareable(executor)) return null;
    const { jobId, tenant, constraints, fresh } = this.settings.record.submission;
    if (fresh === true) return null;
    const { inputs, inputsHash, batchItems } = effect;
    const { labels = {}, staysOnHost = false } = constraints;
    const hasLabels = Object.keys(labels).length > 0;
    // What must stay on a host is shared within its job only: another one's inputs lie elsewhere.
    const where = `${hasLabels ? canonicalJson(labels) : ""}${staysOnHost ? jobId : ""}`;
    const isBatch = batchItems !== undefined;
    return { jobId, tenant, executor, inputs, inputsHash, isBatch, where };
  }

  private onShared(outgoing: Outgoing, result: SharedResult): void {
    if (!this.forgetOne(outgoing)) return;
    const { holds, feed, nowMs, budget } = this.settings;
    const { effect } = outgoing;
    for (const [artifact, nodes] of result.holders) {
      for (const node of nodes) holds.hold(artifact, node);
    }
    // Its own job may have released them, and end at any moment.
    if (result.holders.size > 0) holds.pin();
    const atMs = this.parts.clock.wallMs();
    const measure = {
      ...{ runMs: 0, cpuSec: 0, memoryBytesMax: null },
      ...{ startedAtMs: atMs, endedAtMs: atMs },
    };
    budget?.settle(effect.id, FREE);
    const { outputs, place } = result;
    const shared = { jobId: result.jobId };
    feed({
      ...{ kind: "attempt-finished", id: effect.id, place, outputs, measure, cost: FREE, shared },
      nowMs: nowMs(),
    });
    this.sendStarved();
  }

  /** Tells those that wait for the same, and those that will ask. */
  private offer(
    outgoing: Outgoing,
    outputs: Readonly<Record<string, PassedValue>>,
    place: AttemptPlace,
  ): void {
    const { work, claim } = outgoing;
    if (work === null) return;
    const { holds } = this.settings;
    const holders = holdersOf(outputs, (artifact) => holds.nodesOf(artifact));
    const result = { jobId: work.jobId, outputs, place, holders };
    this.parts.shared?.finish(claim, work, result);
  }

  /** Others need not wait for this one. */
  private dropClaim({ claim }: Outgoing): void {
    if (claim !== null) this.parts.shared?.drop(claim);
  }

  private submit(outgoing: Outgoing): void {
    const { effect, executor } = outgoing;
    const { record, deadline, dueAtMs, holds } = this.settings;
    outgoing.handle = this.parts.dispatcher.submit({
      tenant: record.submission.tenant,
      resumeAt: effect.resumeAt,
      executor,
      where: whereabouts(record, effect.planned, this.parts.fleet),
      avoidInstances: effect.avoidInstances,
      localBytes: holds.localBytes(effect.inputs),
      deadline,
      dueAtMs,
      makeRequest: (place) => this.makeRequest(outgoing, place),
      onStarted: (place) => this.onStarted(outgoing, place),
      onFinished: (place, outputs, measure) =>
        this.onFinished(outgoing, { place, outputs, measure }),
      onFailed: (place, error, measure) => this.onFailed(outgoing, place, error, measure),
    });
  }

  /** Work with effects starts only once the journal says so: whoever resumes will ask for it. */
  private async onStarted(outgoing: Outgoing, place: AttemptPlace): Promise<void> {
    const { feed, nowMs, sink } = this.settings;
    outgoing.place = place;
    outgoing.startedAtMs = nowMs();
    feed({ kind: "attempt-started", id: outgoing.effect.id, place, nowMs: nowMs() });
    if (outgoing.executor.isPure) return;
    await Promise.resolve(); // what feeds are fed inside of others is journaled by then
    await sink.append([]);
  }

  private async makeRequest(
    { effect, key }: Outgoing,
    place: AttemptPlace,
  ): Promise<Omit<AttemptRequest, "remainingMs">> {
    const inputs: Record<string, PassedValue> = {};
    for (const [name, value] of Object.entries(effect.inputs)) {
      inputs[name] = await this.pack(value, place);
    }
    const refs = Object.values(effect.inputs).flatMap((value) => artifactsIn(value));
    const packed = Object.values(inputs).flatMap((value) => artifactsIn(value));
    const unique = new Map([...refs, ...packed].map((ref) => [ref.artifact, ref]));
    return {
      jobId: this.settings.record.submission.jobId,
      ...effect.id,
      key,
      inputs,
      knobs: effect.planned.knobs,
      ...(effect.batchItems === undefined ? {} : { batchItems: effect.batchItems }),
      artifacts: [...unique.values()].map((ref) => ({
        ...ref,
        holders: this.settings.holds.holdersOf(ref.artifact),
      })),
    };
  }

  /** A value that is too large for a message travels as an artifact on the node that needs it. */
  private async pack(value: PassedValue, place: AttemptPlace): Promise<PassedValue> {
    if (value.kind === "spilled" || value.kind === "packed") return value;
    const data = encode(value, "json");
    if (data.length <= SPILL_BYTES) return value;
    const url = this.parts.fleet.node(place.node)?.registration.artifactUrl ?? "";
    const artifact = await this.parts.uplink.put(
      { node: place.node, url },
      { jobId: this.settings.record.submission.jobId, data, mediaType: "application/json" },
    );
    this.settings.holds.hold(artifact.artifact, place.node);
    return { kind: "packed", artifact };
  }

  private onFinished(
    outgoing: Outgoing,
    result: {
      readonly place: AttemptPlace;
      readonly outputs: Readonly<Record<string, PassedValue>>;
      readonly measure: AttemptMeasure;
    },
  ): void {
    if (!this.forgetOne(outgoing)) return;
    const { effect, executor } = outgoing;
    const { holds, rates, feed, nowMs } = this.settings;
    holds.holdAll(Object.values(result.outputs), result.place.node);
    holds.holdAll(Object.values(effect.inputs), result.place.node);
    const cost = attemptCost(executor, result.measure, rates);
    this.observe(outgoing, result);
    this.settings.budget?.settle(effect.id, cost);
    this.offer(outgoing, result.outputs, result.place);
    const { place, outputs, measure } = result;
    const { id } = effect;
    feed({ kind: "attempt-finished", id, place, outputs, measure, cost, nowMs: nowMs() });
    this.sendStarved();
  }

  private observe(
    { effect, executor: entry }: Outgoing,
    result: Omit<ObservedAttempt, "effect" | "entry">,
  ): void {
    const { observe, executor, fleet, clock } = this.parts;
    if (observe === undefined) return;
    const { inputSizes } = this.settings.record;
    const context = { plan: this.settings.plan(), inputSizes, executor, fleet };
    const observation = observationOf(
      { effect, entry, ...result },
      { ...context, wallMs: clock.wallMs() },
    );
    if (observation !== null) observe(observation);
  }

  private onFailed(
    outgoing: Outgoing,
    place: AttemptPlace | null,
    error: WireError,
    measure: AttemptMeasure | null,
  ): void {
    if (!this.forgetOne(outgoing)) return;
    this.dropClaim(outgoing);
    const { effect, executor } = outgoing;
    const cost = measure === null ? FREE : attemptCost(executor, measure, this.settings.rates);
    if (outgoing.isReserved) this.settings.budget?.settle(effect.id, cost);
    this.tellFailed(effect, place, error, { measure, cost });
    this.sendStarved();
  }

  /** One that is over may have taken less than was reserved for it. */
  private sendStarved(): void {
    if (this.settings.budget === null) return;
    for (const outgoing of [...this.out.values()]) {
      if (!outgoing.isReserved) this.sendWithin(outgoing);
    }
  }

  private tellFailed(
    { id }: Dispatch,
    place: AttemptPlace | null,
    error: WireError,
    bill: { measure: AttemptMeasure | null; cost: typeof FREE } = { measure: null, cost: FREE },
  ): void {
    const { feed, nowMs } = this.settings;
    feed({ kind: "attempt-failed", id, place, error, ...bill, nowMs: nowMs() });
  }

  /** False: it was told before (E1). */
  private forgetOne({ id }: Outgoing): boolean {
    return this.out.delete(id);
  }

  /** A result that came another way than as the answer to our ask. False: nobody waits for it. */
  deliver(key: string, reply: AttemptReply): boolean {
    const outgoing = [...this.out.values()].find((it) => it.key === key);
    return outgoing?.handle?.deliver(reply) ?? false;
  }

  /** Stops all of them. The job is over: what they still tell is not waited for. */
  abortAll(error: WireError): void {
    const all = [...this.out.values()];
    this.out.clear();
    for (const outgoing of all) {
      outgoing.cancelRepeat();
      this.dropClaim(outgoing);
      outgoing.handle?.abort(error);
    }
  }

  /** Stops these, and tells of each what it cost. */
  abort(ids: readonly AttemptId[], error: WireError): void {
    const awaited = ids.flatMap((id) => this.out.get(attemptKey(id)) ?? []);
    for (const outgoing of awaited) {
      outgoing.cancelRepeat();
      this.dropClaim(outgoing);
      if (outgoing.handle === null) this.onFailed(outgoing, null, error, null);
      else outgoing.handle.abort(error);
    }
    this.timers.push(
      this.parts.clock.after(STOP_PATIENCE_MS, () => {
        for (const outgoing of awaited) this.giveUp(outgoing, error);
      }),
    );
  }

  /** It did not answer: billed for its reserved cores until now, as if they had been busy. */
  private giveUp(outgoing: Outgoing, error: WireError): void {
    if (!this.out.has(outgoing.id)) return;
    const runMs = Math.max(0, this.settings.nowMs() - outgoing.startedAtMs);
    const endedAtMs = this.parts.clock.wallMs();
    const measure = {
      ...{ runMs, cpuSec: null, memoryBytesMax: null },
      ...{ startedAtMs: endedAtMs - runMs, endedAtMs },
    };
    outgoing.handle?.forget();
    this.onFailed(outgoing, outgoing.place, error, measure);
  }

  /** Attempts are left to their workers; nothing more is told. */
  detach(): void {
    this.stop();
    const all = [...this.out.values()];
    this.out.clear();
    for (const outgoing of all) {
      this.dropClaim(outgoing);
      outgoing.handle?.forget();
    }
  }

  /** The job is over. */
  stop(): void {
    for (const cancel of this.timers.splice(0)) cancel();
    for (const { cancelRepeat } of this.out.values()) cancelRepeat();
  }
}
