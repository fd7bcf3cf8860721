/**
 * What is known of executors and workflows, shared by all schedulers through one bucket.
 *
 * Owns:      the bucket MK_PROFILES; when it is read and written; telling drift and demotion.
 * Does not:  learn or judge (core does), or decide what is observed (job runs do).
 *
 * Keys: `profile.<hash>` samples of one setting on one kind of node · `prior.<hash>` imported
 * profiles of one executor · `workflow.<signature>` counts of quality · `nodes` their speeds ·
 * `starts` times of cold starts.
 *
 * Invariants:
 *   P1. Every write is a compare-and-set of this process's view merged with what is stored. Merging
 *       is idempotent (samples and scores carry ids), so a write that may or may not have happened
 *       is repeated.
 *   P2. Without the store everything works on what this process knows; what could not be written
 *       stays dirty and is written later.
 *   P3. A score that was answered is stored.
 */
import type { KeyValue, KeyValueEntry, State } from "@murakkab/bus";
import {
  addScore,
  checkQualityPolicy,
  EMPTY_QUALITY_RECORD,
  hasScore,
  importQuality,
  type JobScore,
  type LearnerEvent,
  PROFILES_MAX,
  ProfileLearner,
  profileKeyText,
  QUALITY_POLICY,
  type QualityEvent,
  type QualityModel,
  type QualityPolicy,
  type QualityRecord,
  type StartObservation,
} from "@murakkab/core";
import {
  type Cancel,
  type Clock,
  every,
  hashText64,
  isRuntimeError,
  type Logger,
  UnavailableError,
} from "@murakkab/kit";
import type { AttemptObservation, ExecutorProfile, ProfileSet } from "@murakkab/model";
import { encode } from "@murakkab/protocol";
import {
  mergePriors,
  mergeSpeeds,
  type NodeSpeeds,
  readNodeSpeeds,
  readPriors,
  readProfileRecord,
  readQualityRecord,
  readStarts,
} from "./stored-profiles.ts";
import { WorkflowBeliefs } from "./workflow-beliefs.ts";

export interface ProfileStoreComponents {
  readonly state: State;
  readonly clock: Clock;
  readonly log: Logger;
  /** Drift and demotion, once per crossing; names and data as in docs/events.md. */
  readonly onEvent: (
    event: ProfileEventName,
    /** Executor, node or workflow: an id that fits into a subject. */
    about: string,
    data: Readonly<Record<string, unknown>>,
  ) => void;
}

export interface ProfileStoreSettings {
  /** Profiles that came with the product. */
  readonly shipped?: ProfileSet;
  readonly policy?: QualityPolicy;
}

export type ProfileEventName =
  | "profile.drifted"
  | "node.drifted"
  | "configuration.demoted"
  | "configuration.recovered";

/** What this process learnt is written this often, ms: others learn it within seconds. */
const FLUSH_INTERVAL_MS = 3_000;
/** What others wrote is read this often, ms. */
const REFRESH_INTERVAL_MS = 10_000;
/** Entries that one refresh reads; more changes than this wait for the next one. */
const REFRESH_COUNT = 256;
/** Entries that are read at the start: all there can be, with room for other schedulers' own. */
const LOAD_COUNT = 2 * PROFILES_MAX;
/** Keys that one flush writes, so that a busy fleet does not flood the store. */
const FLUSH_KEYS_MAX = 64;
/** Losing a compare-and-set so often in a row means that something else is wrong. */
const WRITE_TRIES = 8;
/** Scores that wait for the store; beyond that the oldest are dropped. */
const WAITING_SCORES_MAX = 10_000;
const NODES_KEY = "nodes";
const STARTS_KEY = "starts";

export class ProfileStore {
  readonly learner = new ProfileLearner();
  readonly policy: QualityPolicy;
  private readonly parts: ProfileStoreComponents;
  private readonly beliefs: WorkflowBeliefs;
  private readonly priors = new Map<string, readonly ExecutorProfile[]>();
  private readonly revisions = new Map<string, number>();
  private readonly dirtyProfiles = new Set<string>();
  private waitingScores: { readonly workflow: string; readonly score: JobScore }[] = [];
  private areNodesDirty = false;
  private areStartsDirty = false;
  private store: KeyValue | null = null;
  private isLoaded = false;
  private isFlushing = false;
  private isFailing = false;
  private readonly timers: Cancel[] = [];

  constructor(components: ProfileStoreComponents, settings: ProfileStoreSettings = {}) {
    this.parts = components;
    this.policy = settings.policy ?? QUALITY_POLICY;
    checkQualityPolicy(this.policy);
    const { executors = [], workflows = [] } = settings.shipped ?? {};
    this.learner.setPriors(executors);
    this.beliefs = new WorkflowBeliefs(workflows, this.policy, (workflow) => {
      this.revisions.delete(workflowKey(workflow)); // read again when it is written again
    });
  }

  /** Reads what is stored. A store that is away is read when it is back (P2). */
  async start(): Promise<void> {
    const { clock } = this.parts;
    this.timers.push(
      every(clock, FLUSH_INTERVAL_MS, () => void this.flush()),
      every(clock, REFRESH_INTERVAL_MS, () => void this.refresh()),
    );
    await this.refresh();
  }

  /** Writes what is left; the store's absence does not hold it up. */
  async stop(): Promise<void> {
    this.halt();
    await this.flush();
  }

  halt(): void {
    for (const cancel of this.timers.splice(0)) cancel();
  }

  // ---- what is known -------------------------------------------------------------------------

  /** Factor on the times of the profiles: 1 = as profiled. */
  speedOf(node: string): number {
    return this.learner.speedOf(node);
  }

  /** Beliefs about one workflow, by its signature. Kept until a score changes them. */
  model(workflow: string): QualityModel {
    return this.beliefs.model(workflow);
  }

  /** Everything, for export. */
  profiles(): ProfileSet {
    return { executors: this.learner.profiles(), workflows: this.beliefs.profiles() };
  }

  // ---- what is learnt ------------------------------------------------------------------------

  observe(observation: AttemptObservation): void {
    const speed = this.learner.speedOf(observation.node);
    for (const event of this.learner.observe(observation)) this.tell(event);
    if (this.learner.speedOf(observation.node) !== speed) this.areNodesDirty = true;
  }

  observeStart(observation: StartObservation): void {
    this.learner.observeStart(observation);
    this.areStartsDirty = true;
  }

  /**
   * Whether a job's draft was sure, and the like: stored with the next flush. Beliefs follow then,
   * because there may be one per job and making them anew takes some milliseconds.
   */
  addScore(workflow: string, score: JobScore): void {
    this.beliefs.count(workflow, score);
    this.waitingScores.push({ workflow, score });
    if (this.waitingScores.length > WAITING_SCORES_MAX) this.waitingScores.shift();
  }

  /**
   * A user's or a profiler's score (P3). Tells whether it took the place of an earlier one.
   *
   * Errors: `UNAVAILABLE` when the store does not answer; the score may be given again.
   */
  async storeScore(workflow: string, score: JobScore): Promise<{ readonly isReplaced: boolean }> {
    let isReplaced = false;
    await this.changeWorkflow(workflow, (record) => {
      isReplaced = hasScore(record, score.jobId, score.kind);
      return addScore(record, score);
    });
    return { isReplaced };
  }

  /** Stores an import. Requires: validated. Errors: `UNAVAILABLE`; it may be repeated. */
  async import(profiles: ProfileSet): Promise<void> {
    const byExecutor = new Map<string, ExecutorProfile[]>();
    for (const profile of profiles.executors) {
      const group = byExecutor.get(profile.executor);
      if (group === undefined) byExecutor.set(profile.executor, [profile]);
      else group.push(profile);
    }
    for (const [executor, group] of byExecutor) {
      await this.change(priorKey(executor), (stored) => {
        const merged = mergePriors(stored === null ? [] : readPriors(stored), group);
        return { value: merged, onWritten: () => this.takePriors(executor, merged) };
      });
    }
    for (const profile of profiles.workflows) {
      await this.changeWorkflow(profile.workflow, (record) => importQuality(record, profile));
    }
  }

  private tell(event: LearnerEvent | QualityEvent): void {
    const name = EVENT_NAMES[event.kind];
    const { about, data } = describeEvent(event);
    this.parts.log.warn({ event: name, ...data }, "what was known no longer holds");
    this.parts.onEvent(name, about, data);
  }

  // ---- writing -------------------------------------------------------------------------------

  /** Writes what changed since the last time. Never throws (P2). */
  async flush(): Promise<void> {
    if (this.isFlushing) return;
    this.isFlushing = true;
    try {
      for (const key of this.learner.takeChanged()) this.dirtyProfiles.add(key);
      await this.flushScores();
      for (const key of [...this.dirtyProfiles].slice(0, FLUSH_KEYS_MAX)) {
        await this.flushProfile(key);
      }
      if (this.areNodesDirty) await this.flushNodes();
      if (this.areStartsDirty) await this.flushStarts();
      this.isFailing = false;
    } catch (error) {
      this.failed(error);
    } finally {
      this.isFlushing = false;
    }
  }

  private async flushProfile(key: string): Promise<void> {
    await this.change(profileKey(key), (stored) => {
      const theirs = stored === null ? null : readProfileRecord(stored);
      if (theirs !== null && profileKeyText(theirs) === key) this.learner.mergeRecord(theirs);
      const value = this.learner.recordOf(key);
      return value === null ? null : { value };
    });
    this.dirtyProfiles.delete(key);
  }

  private async flushScores(): Promise<void> {
    while (this.waitingScores.length > 0) {
      const workflow = this.waitingScores[0]?.workflow ?? "";
      const scores = this.waitingScores.filter((it) => it.workflow === workflow);
      await this.changeWorkflow(workflow, (record) =>
        scores.reduce((changed, { score }) => addScore(changed, score), record),
      );
      const written = new Set(scores);
      this.waitingScores = this.waitingScores.filter((it) => !written.has(it));
    }
  }

  private async flushNodes(): Promise<void> {
    this.areNodesDirty = false;
    try {
      await this.change(NODES_KEY, (stored) => {
        const mine: NodeSpeeds = Object.fromEntries(this.learner.nodeSpeeds());
        return { value: mergeSpeeds(stored === null ? {} : readNodeSpeeds(stored), mine) };
      });
    } catch (error) {
      this.areNodesDirty = true;
      throw error;
    }
  }

  private async flushStarts(): Promise<void> {
    this.areStartsDirty = false;
    try {
      await this.change(STARTS_KEY, (stored) => {
        if (stored !== null) this.learner.mergeStarts(readStarts(stored));
        return { value: Object.fromEntries(this.learner.starts()) };
      });
    } catch (error) {
      this.areStartsDirty = true;
      throw error;
    }
  }

  private changeWorkflow(
    workflow: string,
    change: (record: QualityRecord) => QualityRecord,
  ): Promise<void> {
    return this.change(workflowKey(workflow), (stored) => {
      const value = change(stored === null ? EMPTY_QUALITY_RECORD : readQualityRecord(stored));
      return {
        value,
        onWritten: () => this.setRecord(workflow, this.withWaiting(workflow, value)),
      };
    });
  }

  /** P1. `make` gets what is stored and gives what is to be; null leaves it. */
  private async change(
    key: string,
    make: (stored: Uint8Array | null) => Change | null,
  ): Promise<void> {
    const store = await this.open();
    for (let tries = 0; tries < WRITE_TRIES; tries += 1) {
      const entry = await store.get(key);
      const change = make(entry?.value ?? null);
      if (change === null) return;
      const data = encode({ v: 1, value: change.value }, "msgpack");
      const outcome =
        entry === null
          ? await store.create(key, data)
          : await store.update(key, data, entry.revision);
      if (outcome.kind === "conflict") continue;
      this.revisions.set(key, outcome.revision);
      change.onWritten?.();
      return;
    }
    throw new UnavailableError(`profile entry ${key} changes too often to be written, try again`, {
      retryAfterMs: 500,
    });
  }

  private async open(): Promise<KeyValue> {
    this.store ??= await this.parts.state.openKeyValue("MK_PROFILES", {
      onMissing: "recreate",
      onRecreated: () => this.writeAllAgain(),
    });
    return this.store;
  }

  /** The bucket is empty again: what this process knows goes back into it. */
  private writeAllAgain(): void {
    this.revisions.clear();
    for (const profile of this.learner.profiles()) this.dirtyProfiles.add(profileKeyText(profile));
    this.areNodesDirty = true;
    this.areStartsDirty = true;
    const executors = [...this.priors.values()].flat();
    const records = this.beliefs.records();
    const put = async (): Promise<void> => {
      await this.import({ executors, workflows: [] });
      for (const [workflow, record] of records) {
        await this.change(workflowKey(workflow), (stored) =>
          stored === null ? { value: record } : null,
        );
      }
    };
    put().catch((error: unknown) => this.failed(error));
  }

  // ---- reading -------------------------------------------------------------------------------

  /** Takes in what others wrote. Never throws (P2). */
  async refresh(): Promise<void> {
    try {
      const store = await this.open();
      const entries = await store.recent(this.isLoaded ? REFRESH_COUNT : LOAD_COUNT);
      for (const entry of entries) {
        if (this.revisions.get(entry.key) === entry.revision) continue;
        this.takeEntry(entry);
        this.revisions.set(entry.key, entry.revision);
      }
      if (!this.isLoaded) await this.dropOldest(store, entries);
      this.isLoaded = true;
    } catch (error) {
      this.failed(error);
    }
  }

  private takeEntry({ key, value }: KeyValueEntry): void {
    const [family, rest = ""] = key.split(/\.(.*)/s);
    try {
      if (family === "profile") this.learner.mergeRecord(readProfileRecord(value));
      else if (family === "prior") this.takePriors(null, readPriors(value));
      else if (family === "workflow") {
        // What others wrote they told.
        this.beliefs.put(rest, this.withWaiting(rest, readQualityRecord(value)));
      } else if (family === STARTS_KEY) this.learner.mergeStarts(readStarts(value));
      else if (family === NODES_KEY) {
        const speeds = Object.entries(readNodeSpeeds(value));
        this.learner.setNodeSpeeds(new Map(speeds.map(([node, it]) => [node, it.lnSpeed])));
      }
    } catch (error) {
      this.parts.log.error(
        { event: "profile.unreadable", key, err: error },
        "a stored profile can't be read and is passed over",
      );
    }
  }

  /** The bucket is bounded as the learner is: profiles that nobody has seen for longest go. */
  private async dropOldest(store: KeyValue, entries: readonly KeyValueEntry[]): Promise<void> {
    const profiles = entries.filter((it) => it.key.startsWith("profile."));
    for (const { key, revision } of profiles.slice(PROFILES_MAX)) {
      await store.delete(key, { expectedRevision: revision });
      this.revisions.delete(key);
    }
  }

  /** On the crossing: an outage is told once. */
  private failed(error: unknown): void {
    const { log } = this.parts;
    if (this.isFailing) return;
    this.isFailing = true;
    const code = isRuntimeError(error) ? error.code : "INTERNAL";
    log.warn({ event: "profile.not-stored", code, err: error }, "profiles wait for the store");
  }

  // ---- memory --------------------------------------------------------------------------------

  private takePriors(executor: string | null, profiles: readonly ExecutorProfile[]): void {
    const name = executor ?? profiles[0]?.executor;
    if (name === undefined) return;
    this.priors.set(name, profiles);
    this.learner.setPriors(profiles);
  }

  /** Scores that are not stored yet count on top of what is. */
  private withWaiting(workflow: string, record: QualityRecord): QualityRecord {
    const waiting = this.waitingScores.filter((it) => it.workflow === workflow);
    return waiting.reduce((changed, { score }) => addScore(changed, score), record);
  }

  private setRecord(workflow: string, record: QualityRecord): void {
    for (const event of this.beliefs.put(workflow, record)) this.tell(event);
  }
}

function describeEvent(event: LearnerEvent | QualityEvent) {
  if (event.kind === "profile-drifted") {
    const { profile, ratio, count, nodes } = event;
    return { about: profile.executor, data: { ...profile, ratio, count, nodes } };
  }
  const { kind: _kind, ...data } = event;
  return { about: event.kind === "node-drifted" ? event.node : event.workflow, data };
}

interface Change {
  readonly value: unknown;
  readonly onWritten?: () => void;
}

const EVENT_NAMES: Readonly<Record<(LearnerEvent | QualityEvent)["kind"], ProfileEventName>> = {
  "profile-drifted": "profile.drifted",
  "node-drifted": "node.drifted",
  "configuration-demoted": "configuration.demoted",
  "configuration-recovered": "configuration.recovered",
};

function profileKey(text: string): string {
  return `profile.${hashText64(text)}`;
}

function priorKey(executor: string): string {
  return `prior.${hashText64(executor)}`;
}

function workflowKey(workflow: string): string {
  return `workflow.${workflow}`;
}
