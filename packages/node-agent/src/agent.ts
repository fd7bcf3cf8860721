/**
 * One host's member of the fleet.
 *
 * Owns:      the wiring of registration, telemetry, instances, cores and artifacts to the bus,
 *            and the order in which they start and stop.
 * Does not:  touch the platform: every effect goes through a port.
 *
 * Invariants:
 *   N1. Commands are answered before the node is registered: a scheduler may use it at once.
 *   N2. After `stop` nothing that the agent started is left running, and nothing is published.
 *   N3. Cores held by an instance that is gone are free.
 *   N4. Until the fleet has taken the node, requests wait without an answer: another agent may own
 *       the name, and then the answer is its own to give.
 *       Adopted workers are answered all the same: only their own agent has them.
 *   N5. A start or stop is obeyed only from the newest leader known (generation-fence.ts).
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import { publishValue, serve } from "@murakkab/bus";
import type { Cancel, Clock, Logger, Random } from "@murakkab/kit";
import { describeError, TerminalError } from "@murakkab/kit";
import type { GpuSample, NodeOffer, NodeRegistration } from "@murakkab/model";
import type {
  CoresAcquire,
  InstanceExited,
  InstanceHello,
  InstanceStart,
  InstanceStop,
} from "@murakkab/protocol";
import {
  artifactCopySchema,
  artifactImportSchema,
  artifactIngestSchema,
  artifactOpenSchema,
  artifactPinSchema,
  artifactReleaseSchema,
  artifactStatSchema,
  coresAcquireSchema,
  coresReleaseSchema,
  instanceHelloSchema,
  instanceStartSchema,
  instanceStopSchema,
  JOB_PIN_MS,
  nodeProbeSchema,
  subjects,
} from "@murakkab/protocol";
import { ArtifactService } from "./artifacts/artifact-service.ts";
import type { ArtifactStore } from "./artifacts/artifact-store.ts";
import { CoreGate } from "./core-gate.ts";
import { deferred } from "./deferred.ts";
import { GenerationFence } from "./generation-fence.ts";
import { InstanceSupervisor } from "./instances/instance-supervisor.ts";
import { MUSTER_INTERVAL_MS, SHUTDOWN_GRACE_MS } from "./limits.ts";
import type {
  FetchPort,
  GenerationPort,
  HostPort,
  PathPort,
  ProbePort,
  ProcessPort,
  SamplerPort,
  SourcePort,
  SpoolFilesPort,
} from "./ports.ts";
import { Registration } from "./registration.ts";
import { SpoolCourier } from "./spool-courier.ts";
import { Telemetry } from "./telemetry.ts";

export interface AgentComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly messaging: Messaging;
  readonly log: Logger;
  readonly host: HostPort;
  readonly processes: ProcessPort;
  readonly sampler: SamplerPort;
  /** Opened by the caller: the artifact server uses it too. */
  readonly store: ArtifactStore;
  readonly source: SourcePort;
  readonly fetcher: FetchPort;
  readonly probe: ProbePort;
  readonly paths: PathPort;
  readonly generations: GenerationPort;
  readonly spool: SpoolFilesPort;
}

export interface AgentOptions {
  readonly node: string;
  readonly offer: NodeOffer;
  readonly labels: Readonly<Record<string, string>>;
  /** Base URL under which other nodes reach this one's artifact server. */
  readonly artifactUrl: string;
  readonly version: string;
  /** The node is no longer part of the fleet: the process should stop the agent and end. */
  readonly onRefused: (error: unknown) => void;
}

export class NodeAgent {
  readonly #components: AgentComponents;
  readonly #options: AgentOptions;
  readonly #incarnation: string;
  readonly #gate: CoreGate;
  readonly #fence: GenerationFence;
  readonly #supervisor: InstanceSupervisor;
  readonly #artifacts: ArtifactService;
  readonly #registration: Registration;
  readonly #telemetry: Telemetry;
  readonly #courier: SpoolCourier;
  readonly #subscriptions: Subscription[] = [];
  #programs: Readonly<Record<string, string>> = {};
  /** Programs that the scheduler asked for, found or not. */
  readonly #asked = new Set<string>();
  #gpus: readonly GpuSample[] = [];
  #stopping: Promise<void> | null = null;
  /** N4. */
  readonly #admission = deferred<void>();
  #wasAdmitted = false;
  #hasAdopted = false;
  #cancelMuster: Cancel = () => undefined;

  constructor(components: AgentComponents, options: AgentOptions) {
    this.#components = components;
    this.#options = options;
    const { clock, random, messaging, log, host, processes, sampler, store } = components;
    const { node, offer } = options;
    this.#incarnation = random.uuid();
    this.#gate = new CoreGate(clock, { offeredCores: offer.cpus });
    this.#fence = new GenerationFence({ store: components.generations, log });
    this.#supervisor = new InstanceSupervisor(
      { clock, log: log.child({ component: "instances" }), processes, host },
      {
        node,
        offer,
        onAdopted: (instance, { resources }) => {
          const { cores, concurrency = 1 } = resources;
          this.#gate.adopt(instance, cores * concurrency);
        },
        onReady: (ready) => this.#publish(subjects.instanceReady(node), { node, ...ready }),
        onExited: (event) => this.#onExited(event),
      },
    );
    this.#artifacts = new ArtifactService(
      {
        ...components,
        log: log.child({ component: "artifacts" }),
        scratchDirs: () => this.#supervisor.scratchDirs(),
      },
      { node },
    );
    this.#registration = new Registration(
      { clock, random: random.stream("register"), messaging, log },
      {
        node,
        incarnation: this.#incarnation,
        describe: () => this.#describe(),
        learn: (programs) => this.#learn(programs),
        onAccepted: (generation) => this.#onAccepted(generation),
        onRefused: options.onRefused,
      },
    );
    this.#courier = new SpoolCourier(
      {
        clock,
        random: random.stream("spool"),
        messaging,
        log: log.child({ component: "spool" }),
        files: components.spool,
      },
      { hold: (jobId, hash) => store.hold(jobId, hash, JOB_PIN_MS) },
    );
    this.#telemetry = new Telemetry(
      { clock, messaging, sampler, log: log.child({ component: "telemetry" }) },
      {
        node,
        hostname: host.identity().hostname,
        instances: () => this.#supervisor.samples(),
        store,
      },
    );
  }

  /** Adopted workers that have not said what they hold are asked again. */
  #muster(): void {
    if (this.#gate.strangerCount === 0) return;
    this.#publish(subjects.instanceMuster(this.#options.node), { incarnation: this.#incarnation });
    this.#cancelMuster = this.#components.clock.after(MUSTER_INTERVAL_MS, () => this.#muster());
  }

  /** Resolves once the scheduler has accepted the node. Errors: its refusal, such as OFFER_EXCEEDS_HOST. */
  async start(): Promise<void> {
    const { host, sampler, log, messaging } = this.#components;
    const { node, version } = this.#options;
    await this.#fence.open();
    await this.#supervisor.recover();
    this.#hasAdopted = this.#supervisor.samples().length > 0;
    this.#programs = await host.programs([]);
    this.#gpus = (await sampler.sample()).gpus;
    log.info(
      {
        event: "node.described",
        programs: Object.keys(this.#programs),
        gpuCount: this.#gpus.length,
      },
      this.#gpus.length === 0 ? "no GPU on this node" : "node described",
    );
    this.#subscriptions.push(
      messaging.register({
        name: "murakkab-node-agent",
        version,
        description: "Runs model instances and keeps artifacts on one host",
        metadata: { node },
      }),
    );
    this.#serveProbe();
    this.#serveInstances();
    this.#serveCores();
    this.#serveArtifacts();
    await messaging.flush(); // N1
    this.#muster();
    this.#courier.start();
    await this.#registration.start();
    if (this.#stopping === null) this.#telemetry.start();
  }

  /** N2. A second call waits for the first. */
  stop(graceMs: number = SHUTDOWN_GRACE_MS): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  get artifactUrl(): string {
    return this.#options.artifactUrl;
  }

  get heldCores(): number {
    return this.#gate.heldCores;
  }

  async #stop(graceMs: number): Promise<void> {
    const { messaging, log } = this.#components;
    const { node } = this.#options;
    this.#registration.stop();
    this.#telemetry.stop();
    this.#courier.stop();
    this.#cancelMuster();
    // One that was never taken has nothing to leave: the name may be another agent's.
    if (this.#wasAdmitted) {
      this.#publish(subjects.nodeLeft(node), { node, incarnation: this.#incarnation });
    }
    await this.#supervisor.close(graceMs);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    try {
      await messaging.flush();
    } catch (error) {
      log.debug({ event: "node.flush-failed", reason: describeError(error) }, "bus is away");
    }
    if (this.#wasAdmitted) log.info({ event: "node.left" }, "node left");
  }

  #serveProbe(): void {
    const { messaging } = this.#components;
    const subject = subjects.nodeProbe(this.#options.node, this.#incarnation);
    // Not gated (N4): this process's own subject, whoever owns the name.
    this.#subscriptions.push(
      serve(
        messaging,
        { subject, schema: nodeProbeSchema, what: "probe", onDefect: this.#onDefect },
        () => OK,
      ),
    );
  }

  #serveInstances(): void {
    const { node } = this.#options;
    const start = async (request: InstanceStart): Promise<unknown> => {
      await this.#fence.admit(request.generation); // N5
      await this.#supervisor.start(request);
      return { instance: request.instance, state: "ready" };
    };
    const stop = async (request: InstanceStop): Promise<unknown> => {
      await this.#fence.admit(request.generation); // N5
      await this.#supervisor.stop(request.instance, request.graceMs);
      return OK;
    };
    this.#serve(subjects.instanceStart(node), instanceStartSchema, "instance start", start);
    this.#serve(subjects.instanceStop(node), instanceStopSchema, "instance stop", stop);
  }

  #serveCores(): void {
    const { node } = this.#options;
    const acquire = (request: CoresAcquire): Promise<unknown> => {
      this.#checkAlive(request.instance); // a late message would hold cores for ever (N3)
      return this.#gate.acquire(request).then(() => OK);
    };
    const release = ({ attempt }: { readonly attempt: string }): unknown => {
      this.#gate.release(attempt);
      return OK;
    };
    const hello = ({ instance, holds, ...status }: InstanceHello): unknown => {
      this.#checkAlive(instance);
      this.#gate.introduce(instance, holds);
      this.#supervisor.onStatus(instance, status);
      return { incarnation: this.#incarnation };
    };
    this.#serveWorkers(subjects.coresAcquire(node), coresAcquireSchema, "cores acquire", acquire);
    this.#serveWorkers(subjects.coresRelease(node), coresReleaseSchema, "cores release", release);
    this.#serveWorkers(subjects.instanceHello(node), instanceHelloSchema, "hello", hello);
  }

  #checkAlive(instance: string): void {
    if (this.#supervisor.isAlive(instance)) return;
    throw new TerminalError(
      "INSTANCE_ENDED",
      `instance ${instance} does not run on node ${this.#options.node}, expected a live one`,
    );
  }

  #serveArtifacts(): void {
    const { node } = this.#options;
    const artifacts = this.#artifacts;
    this.#serve(subjects.artifactImport(node), artifactImportSchema, "artifact import", (request) =>
      artifacts.import(request),
    );
    this.#serve(subjects.artifactStat(node), artifactStatSchema, "artifact stat", (request) =>
      artifacts.stat(request),
    );
    this.#serve(subjects.artifactCopy(node), artifactCopySchema, "artifact copy", (request) =>
      artifacts.copy(request),
    );
    this.#serve(subjects.artifactPin(node), artifactPinSchema, "artifact pin", async (request) => ({
      ok: true,
      ...(await artifacts.pin(request)),
    }));
    this.#serve(
      subjects.artifactRelease(node),
      artifactReleaseSchema,
      "artifact release",
      (job) => {
        artifacts.release(job);
        return OK;
      },
    );
    this.#serveWorkers(
      subjects.artifactOpen(node),
      artifactOpenSchema,
      "artifact open",
      (request) => artifacts.open(request),
    );
    this.#serveWorkers(
      subjects.artifactIngest(node),
      artifactIngestSchema,
      "artifact ingest",
      (request) => artifacts.ingest(request),
    );
  }

  #serve<T>(
    subject: string,
    schema: Parameters<typeof serve<T>>[1]["schema"],
    what: string,
    handle: (request: T) => unknown,
  ): void {
    const { messaging } = this.#components;
    const onDefect = this.#onDefect;
    const answer = async (request: T): Promise<unknown> => {
      await this.#admission.promise; // N4
      return handle(request);
    };
    this.#subscriptions.push(serve<T>(messaging, { subject, schema, what, onDefect }, answer));
  }

  /** N4: what workers ask of the agent of their host. */
  #serveWorkers<T>(
    subject: string,
    schema: Parameters<typeof serve<T>>[1]["schema"],
    what: string,
    handle: (request: T) => unknown,
  ): void {
    const { messaging } = this.#components;
    const onDefect = this.#onDefect;
    const answer = async (request: T): Promise<unknown> => {
      if (!this.#hasAdopted) await this.#admission.promise;
      return handle(request);
    };
    this.#subscriptions.push(serve<T>(messaging, { subject, schema, what, onDefect }, answer));
  }

  readonly #onDefect = (err: unknown, subject: string): void => {
    this.#components.log.error({ event: "request.failed", err, subject }, "failed by a defect");
  };

  async #onAccepted(generation: number): Promise<void> {
    this.#wasAdmitted = true;
    this.#admission.resolve();
    this.#courier.kick(); // somebody leads, and may take what waits
    try {
      await this.#fence.raise(generation);
    } catch (error) {
      // This process refuses older leaders anyway; each command tries the disk again.
      const reason = describeError(error);
      this.#components.log.warn({ event: "generation.not-saved", reason }, "generation not saved");
    }
  }

  #onExited(event: InstanceExited): void {
    this.#gate.releaseInstance(event.instance); // N3
    const { node } = this.#options;
    this.#publish(subjects.instanceExited(node), event);
    this.#publish(subjects.opsOf(subjects.instanceExited(node)), event, "json");
  }

  #publish(subject: string, value: unknown, encoding: "json" | "msgpack" = "msgpack"): void {
    try {
      publishValue(this.#components.messaging, subject, value, encoding);
    } catch (error) {
      // The bus is away: the next registration lists the instances, so the event is not needed.
      const reason = describeError(error);
      this.#components.log.debug({ event: "node.publish-failed", subject, reason }, "not sent");
    }
  }

  /** The library may use programs that this agent never heard of. */
  async #learn(wanted: readonly string[]): Promise<boolean> {
    const unknown = wanted.filter((name) => !this.#asked.has(name));
    if (unknown.length === 0) return false;
    for (const name of unknown) this.#asked.add(name);
    const found = await this.#components.host.programs(unknown);
    const isNew = Object.keys(found).some((name) => !(name in this.#programs));
    this.#programs = { ...this.#programs, ...found };
    return isNew;
  }

  #describe(): NodeRegistration {
    const { node, offer, labels, artifactUrl } = this.#options;
    return {
      node,
      host: this.#components.host.identity(),
      offer,
      labels,
      programs: this.#programs,
      gpus: this.#gpus,
      artifactUrl,
      incarnation: this.#incarnation,
      generation: this.#fence.highest,
      instances: this.#supervisor.samples(),
    };
  }
}

const OK = { ok: true } as const;
