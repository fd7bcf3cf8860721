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
import type { ActorSystemPort } from "@murakkab/actor";
import { type Bus, publishValue, type Schema, type Subscription, serve } from "@murakkab/bus";
import type { Rates } from "@murakkab/core";
import { findAvailability } from "@murakkab/core";
import { type Cancel, type Clock, every, type Logger, type Random } from "@murakkab/kit";
import { type ArtifactRef, artifactHash, type NodeRegistration } from "@murakkab/model";
import {
  contentHeaders,
  decode,
  downloadRequestSchema,
  encode,
  instanceExitedSchema,
  JOB_RETENTION_MS,
  type JobEvent,
  jobCancelSchema,
  jobEventsSchema,
  jobListSchema,
  jobWaitSchema,
  lastToken,
  NODE_LOST_AFTER_MS,
  nodeHeartbeatSchema,
  nodeRegistrationSchema,
  nodeSampleSchema,
  subjects,
  submitSchema,
  TICKET_MS,
  uploadRequestSchema,
  validate,
} from "@murakkab/protocol";
import { z } from "zod";
import { Dispatcher } from "./dispatcher.ts";
import { Fleet, type FleetInstance } from "./fleet.ts";
import { Intake, type IntakeLibrary } from "./intake.ts";
import { InputResolver, noNodes } from "./job-inputs.ts";
import { JobJournal } from "./job-journal.ts";
import { JobService } from "./job-service.ts";
import type { AddressProbe, ArtifactUplink, TicketIssuer } from "./ports.ts";

export interface SchedulerComponents {
  readonly bus: Bus;
  readonly actors: ActorSystemPort;
  readonly uplink: ArtifactUplink;
  readonly tickets: TicketIssuer;
  readonly addressProbe: AddressProbe;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface SchedulerSettings {
  readonly library: IntakeLibrary;
  readonly rates: Rates;
  /** One sentence on how energy is modelled, for receipts. */
  readonly energyMethod: string;
  readonly version: string;
  readonly idleStopMs: number;
  readonly startLimitMs: number;
}

const QUEUE_GROUP = "scheduler";
const SWEEP_INTERVAL_MS = 250;
const IDLE_SWEEP_INTERVAL_MS = 5_000;
const anything = z.unknown();

export class Scheduler {
  private readonly parts: SchedulerComponents;
  private readonly settings: SchedulerSettings;
  private readonly fleet: Fleet;
  private readonly dispatcher: Dispatcher;
  private readonly wantedPrograms: readonly string[];
  private jobs: JobService | null = null;
  private isConnected = true;
  private readonly subscriptions: Subscription[] = [];
  private readonly timers: Cancel[] = [];

  constructor(components: SchedulerComponents, settings: SchedulerSettings) {
    this.parts = components;
    this.settings = settings;
    this.fleet = new Fleet(components.clock);
    const { executors } = settings.library;
    this.wantedPrograms = [...new Set(executors.flatMap((entry) => entry.programs))].sort();
    this.dispatcher = new Dispatcher(
      { ...components, fleet: this.fleet, messaging: components.bus.messaging },
      { ...settings, onNodeGone: (node) => this.loseNode(node, "nobody answers for it") },
    );
  }

  /** Opens the store, takes up unfinished jobs, then answers. */
  async start(): Promise<void> {
    const { bus, clock, random, log } = this.parts;
    const { state, messaging } = bus;
    const journal = new JobJournal(
      {
        log: await state.openLog("MK_JOB_EVENTS", {
          subjects: [subjects.allJobEvents],
          maxAgeMs: JOB_RETENTION_MS,
        }),
        records: await state.openKeyValue("MK_JOBS", { ttlMs: JOB_RETENTION_MS }),
        idempotencyKeys: await state.openKeyValue("MK_JOB_KEYS", { ttlMs: JOB_RETENTION_MS }),
        clock,
        random,
        logger: log,
      },
      {
        publishOps: (event) => this.publishOps(subjects.jobEvent(event.event, event.jobId), event),
      },
    );
    const resolver = new InputResolver({ fleet: this.fleet, messaging });
    const { library } = this.settings;
    const intake = new Intake({ fleet: this.fleet, resolver, journal, clock, random }, { library });
    const executors = new Map(library.executors.map((entry) => [entry.id, entry]));
    this.jobs = new JobService(
      {
        ...this.parts,
        fleet: this.fleet,
        dispatcher: this.dispatcher,
        journal,
        intake,
        executor: (id) => executors.get(id),
      },
      this.settings,
    );
    const recoveredCount = await this.jobs.recover();
    this.serveFleet();
    this.serveJobs(this.jobs, journal);
    this.serveViews(this.jobs, resolver);
    this.startTimers(this.jobs, resolver, recoveredCount);
    messaging
      .flush()
      .catch((error: unknown) =>
        log.warn({ event: "bus.flush-failed", err: error }, "flush failed"),
      );
    if (recoveredCount > 0) {
      log.info({ event: "jobs.recovered", count: recoveredCount }, "unfinished jobs run again");
    }
  }

  private startTimers(jobs: JobService, resolver: InputResolver, recoveredCount: number): void {
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
      every(clock, IDLE_SWEEP_INTERVAL_MS, () => this.dispatcher.sweepIdle()),
    );
    if (recoveredCount === 0) return;
    // Agents beat every second: after this time whoever is there has registered again.
    this.timers.push(
      clock.after(NODE_LOST_AFTER_MS, () => {
        void jobs.startRecovered(async (record) => {
          const uris = Object.values(record.inputValues).flatMap((value) =>
            value.kind === "inline" && isRef(value.value) ? [value.value.artifact] : [],
          );
          const resolved = await resolver.resolve(uris, record.submission.jobId);
          return new Map(resolved.map((it) => [it.artifact.artifact, new Set(it.holders)]));
        });
      }),
    );
  }

  private serve<T>(
    subject: string,
    schema: Schema<T>,
    what: string,
    handle: (value: T, subject: string) => unknown,
  ): void {
    this.subscriptions.push(
      serve(
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
      ),
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
    this.serve(subjects.schedulerPing, anything, "ping", () => ({ ok: true }));
    this.serve(subjects.nodeRegister, nodeRegistrationSchema, "node registration", (it) =>
      this.register(it),
    );
    this.listen(subjects.allNodeHeartbeats, nodeHeartbeatSchema, ({ node, incarnation }) => {
      if (this.fleet.heartbeat(node, incarnation)) return;
      publishValue(this.parts.bus.messaging, subjects.nodeReregister(node), {});
    });
    this.listen(subjects.allNodesSampled, nodeSampleSchema, (sample) => this.fleet.sampled(sample));
    this.listen(
      subjects.allNodesLeft,
      z.object({ node: z.string(), incarnation: z.string() }),
      (left) => {
        if (this.fleet.node(left.node)?.registration.incarnation !== left.incarnation) return;
        this.loseInstances(this.fleet.removeNode(left.node), "its node left");
        this.tellNode("node.left", left.node);
      },
    );
    this.listen(subjects.allInstancesExited, instanceExitedSchema, (exited) => {
      const instance = this.fleet.removeInstance(exited.instance);
      if (instance !== undefined) this.loseInstances([instance], exited.reason);
    });
  }

  private async register(registration: NodeRegistration): Promise<unknown> {
    const { node, artifactUrl: url, incarnation } = registration;
    const known = this.fleet.node(node)?.registration;
    // An address that nobody reaches would fail every transfer later, one job at a time.
    if (known?.incarnation !== incarnation || known.artifactUrl !== url) {
      await this.parts.addressProbe.check({ node, url });
    }
    const lost = this.fleet.register(registration, (id) =>
      this.settings.library.executors.find((entry) => entry.id === id),
    );
    this.loseInstances(lost, "its agent started anew");
    this.tellNode("node.registered", registration.node);
    this.dispatcher.pump();
    return { accepted: true, programs: this.wantedPrograms };
  }

  private sweepLost(): void {
    if (!this.isConnected) return;
    for (const node of this.fleet.silentNodes()) {
      this.loseNode(node, `it was silent for ${NODE_LOST_AFTER_MS} ms`);
    }
  }

  /** An agent that is there after all registers again at its next heartbeat. */
  private loseNode(node: string, reason: string): void {
    const instances = this.fleet.removeNode(node);
    this.tellNode("node.lost", node);
    this.loseInstances(instances, `node ${node} was lost: ${reason}`);
  }

  private loseInstances(instances: readonly FleetInstance[], reason: string): void {
    for (const instance of instances) this.dispatcher.onInstanceLost(instance, reason);
  }

  private tellNode(event: "node.registered" | "node.left" | "node.lost", node: string): void {
    this.parts.log.info({ event, nodeId: node }, event);
    this.publishOps(`mk.v1.${event}.${node}`, {
      event,
      node,
      at: new Date(this.parts.clock.wallMs()).toISOString(),
    });
  }

  private publishOps(subject: string, value: JobEvent | Readonly<Record<string, unknown>>): void {
    try {
      this.parts.bus.messaging.publish(subjects.opsOf(subject), encode(value, "json"), {
        headers: contentHeaders("json"),
      });
    } catch (error) {
      // The ops stream is a view: its loss is told and hurts no job.
      this.parts.log.warn(
        { event: "ops.publish-failed", subject, err: error },
        "ops copy not sent",
      );
    }
  }

  private serveJobs(jobs: JobService, journal: JobJournal): void {
    this.serve(subjects.jobSubmit, submitSchema, "submission", (request) => jobs.submit(request));
    this.serve(subjects.jobPlan, submitSchema, "submission", (request) => jobs.plan(request));
    this.serve(subjects.jobList, jobListSchema, "job list request", (request) => ({
      jobs: jobs.list(request?.limit ?? 100).map(({ plan: _plan, receipt, ...status }) => ({
        ...status,
        latencyMs: receipt?.latencyMs ?? null,
        costUsd: receipt?.costUsd ?? null,
        answer: receipt?.answer ?? null,
      })),
    }));
    this.serve(subjects.jobGet("*"), anything, "request", async (_value, subject) => {
      const status = await jobs.get(lastToken(subject));
      return status.receipt ?? status;
    });
    this.serve(subjects.jobWait("*"), jobWaitSchema, "wait request", async (request, subject) => {
      const status = await jobs.wait(lastToken(subject), request?.timeoutMs ?? 30_000);
      return status.receipt ?? status;
    });
    this.serve(
      subjects.jobEvents("*"),
      jobEventsSchema,
      "events request",
      async (request, subject) => {
        const { jobId } = await jobs.get(lastToken(subject));
        return { jobId, ...(await journal.events(jobId, request?.after ?? 0)) };
      },
    );
    this.serve(
      subjects.jobCancel("*"),
      jobCancelSchema,
      "cancel request",
      async (request, subject) => {
        const status = await jobs.cancel(
          lastToken(subject),
          request?.reason ?? "cancelled by the user",
        );
        return status.receipt ?? status;
      },
    );
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
        const { artifact, holders } = await resolver.locate(uri, uri);
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

  /** Leaves unfinished jobs in the store for the next process. */
  stop(): void {
    for (const cancel of this.timers.splice(0)) cancel();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    this.jobs?.stop();
  }
}

function isRef(value: unknown): value is ArtifactRef {
  return value !== null && typeof value === "object" && "artifact" in value;
}
