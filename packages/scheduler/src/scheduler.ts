/**
 * The scheduler's protocol logic: what it listens to, and its timers.
 *
 * Owns:      the subjects it serves and the life of nodes and instances as told by events.
 * Does not:  read the environment, the disk or time (main.ts and the adapters do).
 *
 * Invariants:
 *   K1. Every request is answered, with a value or with an error.
 *   K2. A lost node or instance fails its attempts at once.
 */
import { ActorDirectory, type ActorSystemPort } from "@murakkab/actor";
import {
  type Bus,
  call,
  type KeyValue,
  type Messaging,
  publishValue,
  type Schema,
  type Subscription,
  serve,
} from "@murakkab/bus";
import type { Rates } from "@murakkab/core";
import {
  configurationKey,
  findAvailability,
  NO_CLASS,
  type QualityPolicy,
  signatureOfPlan,
} from "@murakkab/core";
import {
  type Cancel,
  type Clock,
  every,
  fromWireError,
  isRuntimeError,
  type Logger,
  NotFoundError,
  type Random,
  TerminalError,
} from "@murakkab/kit";
import {
  ANY_NODE_KIND,
  type AttemptObservation,
  artifactHash,
  type NodeRegistration,
  type ProfileSet,
} from "@murakkab/model";
import {
  contentHeaders,
  decode,
  downloadRequestSchema,
  encode,
  instanceExitedSchema,
  instanceReadySchema,
  instanceWantSchema,
  type JobEvent,
  NODE_LOST_AFTER_MS,
  nodeHeartbeatSchema,
  nodeRegistrationSchema,
  nodeSampleSchema,
  subjects,
  TICKET_MS,
  uploadRequestSchema,
  validate,
} from "@murakkab/protocol";
import { z } from "zod";
import { Admission } from "./admission.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Fleet, type FleetInstance } from "./fleet.ts";
import { InputCopier } from "./input-copier.ts";
import { InstancePool } from "./instance-pool.ts";
import { FleetStarter } from "./instance-starter.ts";
import { Intake, type IntakeLibrary } from "./intake.ts";
import { InputResolver, noNodes } from "./job-inputs.ts";
import { JobRouter } from "./job-router.ts";
import type { JobRun } from "./job-run.ts";
import { JobService } from "./job-service.ts";
import { JobIndex } from "./journal/job-index.ts";
import { Leadership } from "./leadership.ts";
import { Ownership } from "./ownership.ts";
import { JobPlanner } from "./planning/job-planner.ts";
import { profileSource } from "./planning/profile-source.ts";
import type { AddressProbe, ArtifactUplink, Rechooser, TicketIssuer } from "./ports.ts";
import { ProfileService } from "./profiles/profile-service.ts";
import { ProfileStore } from "./profiles/profile-store.ts";
import { SharedResults } from "./shared-results.ts";

export interface SchedulerComponents {
  readonly bus: Bus;
  /** A connection of their own for clients' requests. Default: that of `bus`. */
  readonly intake?: Messaging;
  readonly actors: ActorSystemPort;
  readonly uplink: ArtifactUplink;
  readonly tickets: TicketIssuer;
  readonly addressProbe: AddressProbe;
  /** Chooses remaining steps of running jobs again. Default: as planned. */
  readonly rechooser?: Rechooser;
  /** Told of each attempt that really ran and finished. Must not throw. Default: nobody learns. */
  readonly observe?: (observation: AttemptObservation) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface SchedulerSettings {
  /** Unique among all schedulers that ever ran on this bus. */
  readonly id: string;
  readonly library: IntakeLibrary;
  /** Profiles that came with the product. */
  readonly profiles?: ProfileSet;
  /** What is promised of quality, and what share of jobs explores. Default: `QUALITY_POLICY`. */
  readonly qualityPolicy?: QualityPolicy;
  readonly rates: Rates;
  /** One sentence on how energy is modelled, for receipts. */
  readonly energyMethod: string;
  readonly version: string;
  /** Hash of what all schedulers of a cluster should agree on. */
  readonly config: string;
  readonly idleStopMs: number;
  readonly startLimitMs: number;
  readonly partitionCount: number;
  /** How long the journal, and so every job, is kept, ms. */
  readonly retentionMs: number;
  readonly leaseMs: number;
  readonly activeJobsMax: number;
  /** Jobs of one tenant may use results that another one's made. Default false. */
  readonly shareAcrossTenants?: boolean;
}

const QUEUE_GROUP = "scheduler";
const SWEEP_INTERVAL_MS = 250;
const IDLE_SWEEP_INTERVAL_MS = 5_000;
const CARRY_INTERVAL_MS = 2_000;
const PROBE_TIMEOUT_MS = 500;
const VIEW_TIMEOUT_MS = 1_000;
const LEARN_AGAIN_MS = 100;
const DIRECTORY_RETRY_MS = 500;
/** A node whose agent's process has ended keeps its workers for this long without an agent, ms. */
const AGENT_AWAY_MAX_MS = 30_000;
const anything = z.unknown();

interface Parts {
  readonly jobs: JobService;
  readonly ownership: Ownership;
  readonly router: JobRouter;
}

export class Scheduler {
  private readonly parts: SchedulerComponents;
  private readonly settings: SchedulerSettings;
  private readonly fleet: Fleet;
  private readonly dispatcher: Dispatcher;
  private readonly starter: FleetStarter;
  private readonly pool: InstancePool;
  private readonly leadership: Leadership;
  private readonly wantedPrograms: readonly string[];
  private readonly profiles: ProfileStore;
  private readonly profileService: ProfileService;
  private live: Parts | null = null;
  /** Gives keyed actors a place; of the leader only. */
  private directory: ActorDirectory | null = null;
  private isConnected = true;
  private isStopping: Promise<void> | null = null;
  /** The fleet is as the agents tell it, or those that did not tell had time to. */
  private isFleetKnown = false;
  /** Counts the times that this process began to lead: its generation may be raised meanwhile. */
  private term = 0;
  private readonly missing = new Set<string>();
  private readonly probing = new Set<string>();
  private isFetchingView = false;
  private readonly fleetWaiters: (() => void)[] = [];
  private cancelLearn: Cancel = () => undefined;
  private nodeNames: KeyValue | null = null;
  private readonly leaderSubscriptions: Subscription[] = [];
  private readonly subscriptions: Subscription[] = [];
  private readonly timers: Cancel[] = [];

  constructor(components: SchedulerComponents, settings: SchedulerSettings) {
    this.parts = components;
    this.settings = settings;
    this.fleet = new Fleet(components.clock);
    const { executors } = settings.library;
    const { messaging } = components.bus;
    this.wantedPrograms = [...new Set(executors.flatMap((entry) => entry.programs))].sort();
    this.profiles = new ProfileStore(
      {
        ...{ ...components, state: components.bus.state },
        onEvent: (event, about, data) =>
          this.publishOps(`mk.v1.${event}.${about}`, {
            ...{ event, ...data },
            at: new Date(components.clock.wallMs()).toISOString(),
          }),
      },
      {
        ...(settings.profiles === undefined ? {} : { shipped: settings.profiles }),
        ...(settings.qualityPolicy === undefined ? {} : { policy: settings.qualityPolicy }),
      },
    );
    this.profileService = new ProfileService({
      ...components,
      store: this.profiles,
      messaging: components.intake ?? messaging,
    });
    this.leadership = new Leadership(components, {
      scheduler: settings.id,
      leaseMs: settings.leaseMs,
      mayTrustSilence: () => this.live?.ownership.mayTrustSilence ?? true,
      onGained: (generation) => this.lead(generation),
      onLost: () => this.follow(),
    });
    this.pool = new InstancePool(
      { ...components, fleet: this.fleet, messaging },
      {
        ...settings,
        isConnected: () => this.isConnected,
        onChanged: () => this.pump(),
        onStarted: ({ executor: { id, version }, node }, startMs) =>
          this.profiles.observeStart({
            ...{ executor: id, version, startMs },
            nodeKind: this.fleet.node(node)?.registration.host.kind ?? ANY_NODE_KIND,
          }),
        onNodeGone: (node) => void this.checkNode(node),
        generation: () => this.leadership.generation,
        onStale: (highest) => {
          this.leadership.raise(highest).catch((error: unknown) => {
            components.log.warn({ event: "leader.not-raised", err: error }, "tried again later");
          });
        },
        onGaveUp: (executor, error) => this.dispatcher.failExecutor(executor, error),
      },
    );
    this.starter = new FleetStarter(
      { fleet: this.fleet, pool: this.pool, messaging },
      {
        isLeader: () => this.leadership.generation > 0,
        mayDecide: () => this.isFleetKnown && this.isConnected,
      },
    );
    this.dispatcher = new Dispatcher({ ...components, fleet: this.fleet, starter: this.starter });
  }

  /** Opens the store, takes a share of the jobs, then answers. */
  async start(): Promise<void> {
    const { bus, clock, random, log } = this.parts;
    const { state, messaging } = bus;
    const { library, retentionMs, partitionCount, id } = this.settings;
    const journal = await state.openLog("MK_JOURNAL", {
      subjects: [subjects.allJournals],
      maxAgeMs: retentionMs,
      onMissing: "recreate",
      onRecreated: () => void this.live?.ownership.checkStore(),
    });
    const onMissing = "recreate";
    this.nodeNames = await state.openKeyValue("MK_NODES", { ttlMs: retentionMs, onMissing });
    const quarantine = await state.openKeyValue("MK_QUARANTINE", { onMissing });
    const storeParts = { clock, random: random.stream("journal"), logger: log };
    const index = await JobIndex.open(state, storeParts, { retentionMs });
    const resolver = new InputResolver({ fleet: this.fleet, messaging });
    const copier = new InputCopier({ fleet: this.fleet, messaging, log });
    const planner = new JobPlanner(
      {
        fleet: this.fleet,
        profiles: profileSource(this.profiles),
        activeJobs: () => this.live?.jobs.activeJobs() ?? [],
      },
      { library, rates: this.settings.rates },
    );
    const intake = new Intake({ fleet: this.fleet, resolver, copier, clock, planner }, { library });
    const admission = new Admission(clock, { activeMax: this.settings.activeJobsMax });
    const executors = new Map(library.executors.map((entry) => [entry.id, entry]));
    const shared = new SharedResults(
      { clock, fleet: this.fleet, log },
      { acrossTenants: this.settings.shareAcrossTenants ?? false },
    );
    const jobs = new JobService(
      {
        ...this.parts,
        ...{ journal, index, intake, admission, planner, shared },
        rechooser: this.parts.rechooser ?? planner,
        onSucceeded: (run) => this.learnDrafts(run),
        observe: (observation) => {
          this.profiles.observe(observation);
          this.parts.observe?.(observation);
        },
        fleet: this.fleet,
        dispatcher: this.dispatcher,
        executor: (executor) => executors.get(executor),
        publishEvent: (event, text) => this.publishEvent(event, text),
        locate: async (artifact) => (await resolver.locate(artifact, artifact)).holders,
        quarantine: async (key, data) => void (await quarantine.put(key, data)),
      },
      this.settings,
    );
    const ownership = new Ownership(
      { bus, journal, index, clock, random: random.stream("ownership"), log },
      {
        scheduler: id,
        version: this.settings.version,
        config: this.settings.config,
        partitionCount,
        leads: () => this.leadership.generation,
        onTaken: async (owned, folded) => {
          await jobs.onTaken(owned, folded);
          this.live?.router.open(owned);
        },
        onDropped: (owned) => {
          this.live?.router.close(owned);
          jobs.onDropped(owned);
        },
        onConfigDiffers: (other) =>
          this.publishOps(`mk.v1.scheduler.config-differs.${other}`, {
            event: "scheduler.config-differs",
            scheduler: id,
            other,
            at: new Date(clock.wallMs()).toISOString(),
          }),
        onReadAgain: (owned, folded) => jobs.onReadAgain(owned, folded),
        onMembersChanged: () => {
          void this.leadership.tryNow();
          this.live?.router.askAgain();
        },
      },
    );
    jobs.useOwnership(ownership);
    const router = new JobRouter(
      {
        ...{ bus, jobs, ownership, admission, index, clock, log, profiles: this.profileService },
        intake: this.parts.intake ?? messaging,
      },
      { scheduler: id, partitionCount },
    );
    this.live = { jobs, ownership, router };
    this.serveFleet();
    await this.profiles.start();
    await ownership.start();
    await this.leadership.start();
    await this.learnFleet();
    await this.untilFleetKnown();
    router.start();
    this.profileService.start();
    this.serveViews(jobs, resolver);
    this.startTimers();
    messaging
      .flush()
      .catch((error: unknown) =>
        log.warn({ event: "bus.flush-failed", err: error }, "flush failed"),
      );
  }

  /** Whether drafts were sure is part of what a staged path is expected to take. */
  private learnDrafts({ jobId, outcome: { plan, stages } }: JobRun): void {
    const atMs = this.parts.clock.wallMs();
    for (const { isSure } of stages) {
      this.profiles.addScore(signatureOfPlan(plan), {
        ...{ jobId, atMs, kind: "sure", score: isSure ? 1 : 0 },
        configuration: configurationKey(plan),
        questionClass: plan.questionClass ?? NO_CLASS,
      });
    }
  }

  /** Without the fleet a submission would be refused for want of nodes that are there. */
  private untilFleetKnown(): Promise<void> {
    if (this.isFleetKnown) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.parts.clock.after(NODE_LOST_AFTER_MS, resolve);
      this.fleetWaiters.push(() => {
        cancel();
        resolve();
      });
    });
  }

  private startTimers(): void {
    const { clock } = this.parts;
    this.subscriptions.push(
      this.parts.bus.messaging.onStatus((status) => {
        const wasConnected = this.isConnected;
        this.isConnected = status === "connected";
        if (this.isConnected === wasConnected) return;
        if (this.isConnected) this.fleet.forgiveSilence();
        this.dispatcher.onBus(this.isConnected);
        const event = this.isConnected ? "bus.connected" : "bus.disconnected";
        this.parts.log.warn({ event }, "bus connection changed");
      }),
    );
    this.timers.push(
      every(clock, SWEEP_INTERVAL_MS, () => this.sweepLost()),
      every(clock, IDLE_SWEEP_INTERVAL_MS, () => {
        if (this.leadership.generation > 0) this.pool.sweepIdle();
      }),
      every(clock, CARRY_INTERVAL_MS, () => this.live?.jobs.carryOld()),
    );
  }

  private pump(): void {
    this.starter.pump();
    this.dispatcher.pump();
  }

  // ---- leading and following -----------------------------------------------------------------

  /** This process decides for the fleet, once the agents have told what runs. */
  private lead(generation: number): void {
    this.term += 1;
    const { term } = this;
    this.isFleetKnown = false;
    this.leaderSubscriptions.push(
      this.serveOn(subjects.nodeRegister, nodeRegistrationSchema, "node registration", (it) =>
        this.register(it),
      ),
      this.serveOn(subjects.instanceWant, instanceWantSchema, "demand", (it) => this.onWant(it)),
      this.serveOn(subjects.fleetView, anything, "request", () => ({
        nodes: this.fleet.listNodes().map((node) => node.registration),
        isKnown: this.isFleetKnown,
      })),
    );
    this.live?.ownership.announce();
    this.openDirectory();
    this.waitForAgents(generation, term).catch((error: unknown) =>
      this.parts.log.warn({ event: "fleet.not-read", err: error }, "known nodes not read"),
    );
    this.timers.push(
      this.parts.clock.after(NODE_LOST_AFTER_MS, () => {
        if (this.leadership.generation > 0 && this.term === term) this.fleetKnown();
      }),
    );
  }

  /** Those that were there before tell again what runs on them. */
  private async waitForAgents(generation: number, term: number): Promise<void> {
    const { messaging } = this.parts.bus;
    const stored = (await this.nodeNames?.keys()) ?? [];
    if (this.leadership.generation === 0 || this.term !== term) return;
    const here = this.fleet.listNodes().map((node) => node.registration.node);
    this.missing.clear();
    for (const node of [...stored, ...here]) this.missing.add(node);
    if (this.missing.size === 0) {
      this.fleetKnown();
      return;
    }
    publishValue(messaging, subjects.fleetReport, { generation });
  }

  private openDirectory(): void {
    const { bus, clock, random, log } = this.parts;
    const { messaging, state } = bus;
    const directory = new ActorDirectory({ messaging, state, clock, random, log });
    this.directory = directory;
    directory.start().then(
      () => {
        if (this.directory !== directory) void directory.stop(); // lost the lead meanwhile
      },
      (error: unknown) => {
        log.error({ event: "directory.failed", err: error }, "keyed actors can't be placed yet");
        this.timers.push(
          clock.after(DIRECTORY_RETRY_MS, () => {
            if (this.directory === directory) this.openDirectory();
          }),
        );
      },
    );
  }

  private closeDirectory(): void {
    const { directory } = this;
    this.directory = null;
    directory?.stop().catch((error: unknown) => {
      this.parts.log.debug({ event: "directory.stop-failed", err: error }, "directory");
    });
  }

  private follow(): void {
    this.closeDirectory();
    for (const subscription of this.leaderSubscriptions.splice(0)) subscription.unsubscribe();
    this.live?.ownership.announce();
    void this.learnFleet();
  }

  private fleetKnown(): void {
    if (this.isFleetKnown) return;
    this.isFleetKnown = true;
    for (const tell of this.fleetWaiters.splice(0)) tell();
    this.live?.jobs.startResuming();
    this.pump();
  }

  /** A follower takes the leader's view; a leader waits for the agents. */
  private async learnFleet(): Promise<void> {
    if (this.leadership.generation > 0 || this.isFetchingView) return;
    this.isFetchingView = true;
    try {
      const view = await call<{ nodes: NodeRegistration[]; isKnown: boolean }>(
        this.parts.bus.messaging,
        { subject: subjects.fleetView, value: {} },
        { timeoutMs: VIEW_TIMEOUT_MS },
      );
      for (const registration of view.nodes) this.takeRegistration(registration);
      if (view.isKnown) this.fleetKnown();
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : "INTERNAL";
      this.parts.log.debug({ event: "fleet.no-view", code }, "no leader tells of the fleet yet");
    } finally {
      this.isFetchingView = false;
    }
    // There is no leader, or it waits for the agents itself: what was taken over must not wait on.
    if (!this.isFleetKnown) {
      this.cancelLearn();
      this.cancelLearn = this.parts.clock.after(LEARN_AGAIN_MS, () => void this.learnFleet());
    }
  }

  private serve<T>(
    subject: string,
    schema: Schema<T>,
    what: string,
    handle: (value: T, subject: string) => unknown,
  ): void {
    this.subscriptions.push(this.serveOn(subject, schema, what, handle));
  }

  private serveOn<T>(
    subject: string,
    schema: Schema<T>,
    what: string,
    handle: (value: T, subject: string) => unknown,
  ): Subscription {
    return serve(
      this.parts.bus.messaging,
      {
        subject,
        schema,
        what,
        queueGroup: QUEUE_GROUP,
        onDefect: (error, at) =>
          this.parts.log.error(
            { event: "request.defect", subject: at, err: error },
            "a request failed",
          ),
      },
      (value, message) => handle(value, message.subject),
    );
  }

  private listen<T>(subject: string, schema: Schema<T>, handle: (value: T) => void): void {
    this.subscriptions.push(
      this.parts.bus.messaging.subscribe(subject, (message) => {
        try {
          handle(validate(schema, decode(message.data, message.headers).value, subject));
        } catch (error) {
          this.parts.log.warn(
            { event: "message.refused", subject: message.subject, err: error },
            "message refused",
          );
        }
      }),
    );
  }

  private serveFleet(): void {
    this.serve(subjects.schedulerPing, anything, "ping", () => ({
      ok: true,
      scheduler: this.settings.id,
      leader: this.leaderId(),
    }));
    this.listen(subjects.allNodesRegistered, nodeRegistrationSchema, (registration) => {
      if (this.leadership.generation === 0) this.takeRegistration(registration);
    });
    this.listen(subjects.allNodeHeartbeats, nodeHeartbeatSchema, ({ node, incarnation }) => {
      if (this.fleet.heartbeat(node, incarnation)) return;
      if (this.leadership.generation > 0) {
        publishValue(this.parts.bus.messaging, subjects.nodeReregister(node), {});
      } else void this.learnFleet();
    });
    this.listen(subjects.allNodesSampled, nodeSampleSchema, (sample) => {
      const found = this.fleet.sampled(sample, (id) => this.executorOf(id));
      if (found > 0) this.dispatcher.pump();
    });
    this.listen(
      subjects.allNodesLeft,
      z.object({ node: z.string(), incarnation: z.string() }),
      (left) => {
        if (this.fleet.node(left.node)?.registration.incarnation !== left.incarnation) return;
        this.loseInstances(this.fleet.removeNode(left.node), "its node left");
        this.tellNode("node.left", left.node);
      },
    );
    this.listen(subjects.allInstancesReady, instanceReadySchema, (ready) => {
      if (this.leadership.generation > 0 || this.fleet.instance(ready.instance) !== undefined)
        return;
      const executor = this.executorOf(ready.executor);
      if (executor === undefined || this.fleet.node(ready.node) === undefined) return;
      const { instance, node } = ready;
      this.fleet.addInstance({ instance, node, executor }).state = "ready";
      this.dispatcher.pump();
    });
    this.listen(subjects.allInstancesExited, instanceExitedSchema, (exited) => {
      this.fleet.exited(exited.instance);
      // Also one that is not known here: a job that was taken over may have asked it.
      this.dispatcher.onInstanceLost(exited, exited.reason);
    });
  }

  private executorOf(id: string) {
    return this.settings.library.executors.find((entry) => entry.id === id);
  }

  private leaderId(): string | null {
    if (this.leadership.generation > 0) return this.settings.id;
    const members = this.live?.ownership.listMembers() ?? [];
    return members.find((member) => member.beat.leads > 0)?.scheduler ?? null;
  }

  /** As the leader. Errors: `NODE_NAME_TAKEN`, `OFFER_EXCEEDS_HOST`, `ADDRESS_UNREACHABLE`. */
  private async register(registration: NodeRegistration): Promise<unknown> {
    const { node, artifactUrl: url, incarnation } = registration;
    const known = this.fleet.node(node)?.registration;
    const isNew = known?.incarnation !== incarnation;
    if (known !== undefined && isNew) await this.checkNameIsFree(node, known.incarnation);
    // An address that nobody reaches would fail every transfer later, one job at a time.
    if (isNew || known.artifactUrl !== url) await this.parts.addressProbe.check({ node, url });
    await this.leadership.raise(registration.generation);
    this.takeRegistration(registration);
    publishValue(this.parts.bus.messaging, subjects.nodeRegistered(node), registration);
    if (isNew) this.remember(node);
    this.missing.delete(node);
    if (this.missing.size === 0) this.fleetKnown();
    return {
      accepted: true,
      programs: this.wantedPrograms,
      generation: this.leadership.generation,
    };
  }

  /** One that was killed and started anew under the same name is welcome; a second live one is not. */
  private async checkNameIsFree(node: string, incarnation: string): Promise<void> {
    if (!(await this.isAgentThere(node, incarnation))) return;
    throw new TerminalError(
      "NODE_NAME_TAKEN",
      `node name "${node}" is in use by another live agent, expected a free name`,
      { field: "node" },
    );
  }

  /** False only when its process is known to have ended. */
  private async isAgentThere(node: string, incarnation: string): Promise<boolean> {
    try {
      const request = { subject: subjects.nodeProbe(node, incarnation), value: {} };
      await call(this.parts.bus.messaging, request, { timeoutMs: PROBE_TIMEOUT_MS });
      return true;
    } catch (error) {
      // One that does not answer may hang; it is not this registration that decides about it.
      return !(isRuntimeError(error) && error.code === "NO_RESPONDERS");
    }
  }

  private takeRegistration(registration: NodeRegistration): void {
    const isNew =
      this.fleet.node(registration.node)?.registration.incarnation !== registration.incarnation;
    const lost = this.fleet.register(registration, (id) => this.executorOf(id));
    this.loseInstances(lost, "its agent started anew");
    if (isNew) this.tellNode("node.registered", registration.node);
    this.pump();
  }

  /** For the next leader: whom it has to hear before it decides. */
  private remember(node: string): void {
    this.nodeNames?.put(node, encode(true, "json")).catch((error: unknown) => {
      this.parts.log.warn({ event: "node.not-remembered", node, err: error }, "node not stored");
    });
  }

  private onWant(want: z.infer<typeof instanceWantSchema>): Promise<unknown> {
    const executor = this.executorOf(want.executor);
    if (executor === undefined) {
      throw new TerminalError(
        "EXECUTOR_UNKNOWN",
        `executor ${want.executor} is not in the leader's library`,
      );
    }
    const { labels, nodeKind, nodes } = want;
    return new Promise((resolve, reject) => {
      this.starter.want({
        executor,
        where: {
          labels,
          ...(nodeKind === undefined ? {} : { nodeKind }),
          ...(nodes === undefined ? {} : { nodes }),
        },
        waitingCount: want.waitingCount,
        avoidInstances: new Set(want.avoidInstances),
        onRefused: (error) => reject(fromWireError(error)),
      });
      resolve({ ok: true });
    });
  }

  private sweepLost(): void {
    if (!this.isConnected) return;
    for (const node of this.fleet.silentNodes()) void this.checkNode(node);
  }

  /**
   * A node that says nothing. When its agent's process has ended its workers may go on: each is
   * asked. When nobody can tell, it is lost.
   */
  private async checkNode(name: string): Promise<void> {
    const node = this.fleet.node(name);
    if (node === undefined || this.probing.has(name)) return;
    if (this.live?.ownership.mayTrustSilence === false) return; // it may be on its way back
    this.probing.add(name);
    try {
      const { incarnation } = node.registration;
      const isThere = await this.isAgentThere(name, incarnation);
      if (this.fleet.node(name) !== node || !this.isConnected) return;
      const silentMs = this.parts.clock.monotonicMs() - node.lastHeardAtMs;
      if (isThere) {
        if (silentMs >= NODE_LOST_AFTER_MS) {
          this.loseNode(name, `it was silent for ${Math.round(silentMs)} ms`);
        }
        return;
      }
      if (!node.isAgentGone) {
        node.isAgentGone = true;
        this.parts.log.warn({ event: "node.agent-gone", nodeId: name }, "its agent has ended");
      }
      await this.checkWorkers(name);
      const hasWorkers = this.fleet.instancesOf(name).length > 0;
      if (!hasWorkers || silentMs >= AGENT_AWAY_MAX_MS) {
        if (silentMs >= NODE_LOST_AFTER_MS) this.loseNode(name, "its agent has ended");
      }
    } finally {
      this.probing.delete(name);
    }
  }

  private async checkWorkers(name: string): Promise<void> {
    const lost = await Promise.all(
      this.fleet.instancesOf(name).map(async (instance) => {
        const isGone = await this.isWorkerGone(instance.instance);
        return isGone ? [instance] : [];
      }),
    );
    for (const instance of lost.flat()) {
      this.fleet.removeInstance(instance.instance);
      this.loseInstances([instance], "its process has ended, and its agent too");
    }
  }

  private async isWorkerGone(instance: string): Promise<boolean> {
    try {
      // Credit for a stream that is not there: nobody answers it, but nobody being there shows.
      await call(
        this.parts.bus.messaging,
        {
          subject: subjects.actor("worker", instance),
          value: { kind: "credit", id: "probe", credit: 1 },
        },
        { timeoutMs: PROBE_TIMEOUT_MS },
      );
      return false;
    } catch (error) {
      return isRuntimeError(error) && error.code === "NO_RESPONDERS";
    }
  }

  /** An agent that is there after all registers again at its next heartbeat. */
  private loseNode(node: string, reason: string): void {
    const instances = this.fleet.removeNode(node);
    this.tellNode("node.lost", node);
    this.loseInstances(instances, `node ${node} was lost: ${reason}`);
    if (this.missing.delete(node) && this.missing.size === 0) this.fleetKnown();
  }

  private loseInstances(instances: readonly FleetInstance[], reason: string): void {
    for (const instance of instances) this.dispatcher.onInstanceLost(instance, reason);
  }

  private tellNode(event: "node.registered" | "node.left" | "node.lost", node: string): void {
    this.parts.log.info({ event, nodeId: node }, event);
    if (this.leadership.generation === 0) return; // the leader tells it
    if (event !== "node.registered") {
      this.nodeNames?.delete(node).catch((error: unknown) => {
        this.parts.log.debug({ event: "node.not-forgotten", node, err: error }, "still stored");
      });
    }
    this.publishOps(`mk.v1.${event}.${node}`, {
      event,
      node,
      at: new Date(this.parts.clock.wallMs()).toISOString(),
    });
  }

  private publishEvent(event: JobEvent, text: string): void {
    const subject = subjects.jobEvent(event.event, event.jobId);
    this.publishData(subject, text);
    this.publishData(subjects.opsOf(subject), text);
  }

  private publishOps(subject: string, value: Readonly<Record<string, unknown>>): void {
    this.publishData(subjects.opsOf(subject), JSON.stringify(value));
  }

  private publishData(subject: string, data: string): void {
    try {
      this.parts.bus.messaging.publish(subject, data, { headers: contentHeaders("json") });
    } catch (error) {
      // A view: its loss is told and hurts no job. The journal has what it would have shown.
      this.parts.log.debug({ event: "event.not-published", subject, err: error }, "not published");
    }
  }

  private serveViews(jobs: JobService, resolver: InputResolver): void {
    const { clock, bus } = this.parts;
    this.serve(subjects.nodeList, anything, "request", () => ({
      nodes: this.fleet.listNodes().map((node) => ({
        ...node.registration,
        lastHeardMsAgo: Math.round(clock.monotonicMs() - node.lastHeardAtMs),
        cpusReserved: node.cpusReserved,
        // Stale is unknown, not zero.
        sample: node.sample,
        sampleAgeMs:
          node.sample === null ? null : Math.round(clock.monotonicMs() - node.sampleAtMs),
      })),
    }));
    this.serve(subjects.instanceList, anything, "request", () => ({
      instances: this.fleet.instanceSamples(),
    }));
    this.serve(subjects.libraryList, anything, "request", () => {
      const { executors, workflows } = this.settings.library;
      const availability = findAvailability(this.settings.library, this.fleet.snapshot().nodes, {});
      return {
        executors: executors.map((entry) => ({
          ...entry,
          unavailable: availability.get(entry.id) ?? null,
        })),
        workflows,
      };
    });
    this.serve(subjects.artifactUpload, uploadRequestSchema, "upload request", () => {
      const node = this.fleet
        .listNodes()
        .map(({ registration, sample }) => ({
          registration,
          usedBytes: sample?.disk.artifactBytes ?? 0,
        }))
        .sort(
          (a, b) =>
            a.usedBytes - b.usedBytes || (a.registration.node < b.registration.node ? -1 : 1),
        )[0];
      if (node === undefined) throw noNodes();
      return {
        node: node.registration.node,
        url: `${node.registration.artifactUrl}/artifacts`,
        ticket: this.parts.tickets.ticket("upload", TICKET_MS),
      };
    });
    this.serve(
      subjects.artifactDownload,
      downloadRequestSchema,
      "download request",
      async ({ artifact: uri }) => {
        const { artifact, holders } = await resolver.locate(uri, uri).catch((error: unknown) => {
          if (!isRuntimeError(error) || error.code !== "NOT_FOUND") throw error;
          throw new NotFoundError(
            `artifact ${uri} is held by no node: it has expired, or was never uploaded here`,
            { field: "artifact", cause: error },
          );
        });
        const holder = holders
          .map((node) => this.fleet.node(node))
          .find((node) => node !== undefined);
        if (holder === undefined) throw noNodes();
        return {
          artifact,
          node: holder.registration.node,
          url: `${holder.registration.artifactUrl}/artifacts/${artifactHash(uri)}`,
          ticket: this.parts.tickets.ticket("download", TICKET_MS),
        };
      },
    );
    this.subscriptions.push(
      bus.messaging.register({
        name: "murakkab-scheduler",
        version: this.settings.version,
        description: "Murakkab scheduler: submits, plans and runs jobs",
        metadata: { submit: subjects.jobSubmit, activeJobs: String(jobs.activeCount) },
      }),
    );
  }

  /**
   * Leaves in order: takes no new requests, hands its partitions and the lease to the others, and
   * leaves in the journal what nobody takes.
   */
  async stop(): Promise<void> {
    const { live } = this;
    this.isStopping ??= (async () => {
      await live?.router.leave();
      await this.leadership.stop();
      this.follow();
      await live?.ownership.leave();
      await this.profiles.stop();
      this.halt();
    })();
    await this.isStopping;
  }

  /** Ends at once, as a killed process would, but for its connection. */
  halt(): void {
    this.leadership.halt();
    this.closeDirectory();
    this.cancelLearn();
    this.profiles.halt();
    this.profileService.stop();
    for (const cancel of this.timers.splice(0)) cancel();
    for (const list of [this.subscriptions, this.leaderSubscriptions]) {
      for (const subscription of list.splice(0)) subscription.unsubscribe();
    }
    this.live?.router.stop();
    this.live?.router.stopPartitions();
    this.live?.ownership.stop();
    this.live?.jobs.stop();
    this.dispatcher.stop();
  }
}
