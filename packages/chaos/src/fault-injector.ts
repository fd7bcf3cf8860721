/**
 * Carries a plan of faults out on a cluster, and mends what it broke.
 *
 * Owns:      waiting for each fault's moment, the choice of its target, the outage, the restart.
 * Does not:  decide what happens when (fault-plan.ts), or judge.
 *
 * Invariants:
 *   I1. After `run` every process that it killed or paused runs again; after an interrupt nothing
 *       is paused, and what was killed is left to the cluster's owner, who ends it all.
 *   I2. A fault counts only when it hit something; one without a target is told as skipped.
 */
import type { AbortSignalLike, Clock } from "@murakkab/kit";
import { delay, describeError } from "@murakkab/kit";
import type { Breakable, BreakableProcess } from "./breakable.ts";
import type { FaultKind, PlannedFault } from "./fault-plan.ts";
import type { MomentFeed, SeenMoment } from "./moment-feed.ts";
import type { WorkerProcess } from "./observation.ts";

export interface FaultInjectorComponents {
  readonly clock: Clock;
  readonly cluster: Breakable;
  readonly moments: MomentFeed;
  /** The scheduler that leads now; null when nobody tells. */
  readonly findLeader: () => Promise<BreakableProcess | null>;
  /** One line of the timeline. */
  readonly tell: (line: FaultLine) => void;
}

export interface FaultLine {
  readonly number: number;
  readonly kind: FaultKind;
  readonly phase: "injected" | "mended" | "skipped" | "restart-failed";
  /** Plain words: what was done to which process, and when in the protocol. */
  readonly text: string;
}

/** How long a store with files is looked for, ms, and how often. */
const STORE_WAIT_MS = 3_000;
const STORE_POLL_MS = 50;
/** Between two tries to start a process again, ms. */
const RESTART_PAUSE_MS = 500;
/** A process that cannot be started this often is given up: what it held is then lost. */
const RESTART_TRIES_MAX = 20;

export class FaultInjector {
  private readonly parts: FaultInjectorComponents;
  private readonly counts = new Map<FaultKind, number>();
  private readonly mending = new Set<Promise<void>>();
  private readonly paused = new Set<number>();

  constructor(components: FaultInjectorComponents) {
    this.parts = components;
  }

  /** Faults that hit something. */
  get byKind(): Readonly<Partial<Record<FaultKind, number>>> {
    return Object.fromEntries(this.counts);
  }

  /** Resolves when the last fault was injected and all is mended (I1). */
  async run(plan: readonly PlannedFault[], signal: AbortSignalLike): Promise<void> {
    const startedAtMs = this.parts.clock.monotonicMs();
    try {
      const faults = plan.map((fault) => this.runOne(fault, startedAtMs, signal));
      await Promise.all(faults);
    } finally {
      for (const pid of this.paused) this.parts.cluster.resume(pid);
      await Promise.all(this.mending);
    }
  }

  private async runOne(
    fault: PlannedFault,
    startedAtMs: number,
    signal: AbortSignalLike,
  ): Promise<void> {
    const { clock } = this.parts;
    await delay(clock, Math.max(0, startedAtMs + fault.atMs - clock.monotonicMs()), signal);
    const waitMs = fault.latestMs - fault.atMs;
    const seen = await this.awaitTrigger(fault, waitMs, signal);
    const hit = await this.inject(fault, seen, signal);
    if (hit === null) {
      this.tell(fault, "skipped", `nothing to hit: no ${nounOf(fault)}`);
      return;
    }
    this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
    const when = seen === null ? "" : `, right after ${seen.moment}`;
    this.tell(fault, "injected", `${hit.text}${when}`);
    await hit.mended;
  }

  private async awaitTrigger(
    { trigger }: PlannedFault,
    waitMs: number,
    signal: AbortSignalLike,
  ): Promise<SeenMoment | null> {
    if (trigger === null) return null;
    const wait = this.parts.moments.wait(trigger);
    const late = delay(this.parts.clock, waitMs, signal).then(() => null);
    try {
      return await Promise.race([wait.seen, late]);
    } finally {
      wait.forget();
      late.catch(() => undefined); // An interrupt after the moment was seen is told elsewhere.
    }
  }

  private async inject(
    fault: PlannedFault,
    seen: SeenMoment | null,
    signal: AbortSignalLike,
  ): Promise<Hit | null> {
    const { cluster } = this.parts;
    switch (fault.kind) {
      case "worker":
        return this.killWorker(fault, seen);
      case "agent":
        return this.killProcess(fault, this.pickAgent(fault, seen), signal);
      case "scheduler":
        return this.killProcess(fault, await this.pickScheduler(fault), signal);
      case "nats":
        return this.killProcess(fault, cluster.natsServer(), signal);
      case "pause":
        return this.pauseProcess(fault, seen, signal);
      case "disk":
        return this.wipe(fault, signal);
    }
  }

  private async killWorker(fault: PlannedFault, seen: SeenMoment | null): Promise<Hit | null> {
    const worker = await this.pickWorker(fault, seen);
    if (worker === null) return null;
    this.parts.cluster.killWorker(worker);
    return { text: `kill -9 of worker ${worker.instance}`, mended: Promise.resolve() };
  }

  private async killProcess(
    fault: PlannedFault,
    target: BreakableProcess | null,
    signal: AbortSignalLike,
  ): Promise<Hit | null> {
    if (target === null) return null;
    const killed = this.parts.cluster.kill(target.name);
    const mended = this.mend(async () => {
      await killed;
      await this.waitOutage(fault, signal);
      if (!signal.aborted) await this.restart(fault, target.name, signal);
    });
    await killed;
    const text = `kill -9 of ${target.name}, back in ${fault.outageMs} ms`;
    return { text, mended };
  }

  private async pauseProcess(
    fault: PlannedFault,
    seen: SeenMoment | null,
    signal: AbortSignalLike,
  ): Promise<Hit | null> {
    const target = await this.pickPaused(fault, seen);
    if (target === null) return null;
    const { cluster } = this.parts;
    const { pid, name } = target;
    cluster.pause(pid);
    this.paused.add(pid);
    const mended = this.mend(async () => {
      await this.waitOutage(fault, signal);
      cluster.resume(pid);
      this.paused.delete(pid);
      this.tell(fault, "mended", `${name} continues, unless it was killed meanwhile`);
    });
    return { text: `SIGSTOP of ${name} for ${fault.outageMs} ms`, mended };
  }

  private async wipe({ pick }: PlannedFault, signal: AbortSignalLike): Promise<Hit | null> {
    const { cluster } = this.parts;
    const agent = await this.findFullStore(pick, signal);
    if (agent === null) return null;
    const count = await cluster.wipeArtifacts(agent);
    const text = `deletion of ${agent}'s artifacts (${count} files)`;
    return { text, mended: Promise.resolve() };
  }

  /** Files of finished jobs are dropped: a store that holds none is waited for a while. */
  private async findFullStore(pick: number, signal: AbortSignalLike): Promise<string | null> {
    const { cluster, clock } = this.parts;
    const deadlineMs = clock.monotonicMs() + STORE_WAIT_MS;
    while (clock.monotonicMs() < deadlineMs) {
      const full: string[] = [];
      for (const name of cluster.agentNames) {
        if ((await cluster.artifactCount(name)) > 0) full.push(name);
      }
      if (full.length > 0) return pickFrom(full, pick);
      await delay(clock, STORE_POLL_MS, signal);
    }
    return null;
  }

  /** An interrupt shortens the outage. */
  private async waitOutage({ outageMs }: PlannedFault, signal: AbortSignalLike): Promise<void> {
    await delay(this.parts.clock, outageMs, signal).catch(() => undefined);
  }

  private mend(work: () => Promise<void>): Promise<void> {
    const mended = work().finally(() => this.mending.delete(mended));
    this.mending.add(mended);
    return mended;
  }

  private async restart(fault: PlannedFault, name: string, signal: AbortSignalLike): Promise<void> {
    const { cluster, clock } = this.parts;
    for (let tryNumber = 1; ; tryNumber += 1) {
      try {
        await cluster.start(name);
        this.tell(fault, "mended", `${name} runs again`);
        return;
      } catch (error) {
        // The bus may be down while a scheduler starts: as a supervisor does, try again.
        this.tell(fault, "restart-failed", `${name} did not start: ${describeError(error)}`);
        if (signal.aborted) return;
        if (tryNumber >= RESTART_TRIES_MAX) throw error;
        await delay(clock, RESTART_PAUSE_MS, signal).catch(() => undefined);
      }
    }
  }

  private pickAgent({ pick }: PlannedFault, seen: SeenMoment | null): BreakableProcess | null {
    const agents = this.parts.cluster.agents();
    return agents.find(({ name }) => name === seen?.node) ?? pickFrom(agents, pick);
  }

  private async pickScheduler(fault: PlannedFault): Promise<BreakableProcess | null> {
    const leader = await this.parts.findLeader();
    const running = this.parts.cluster.schedulers();
    const others = running.filter(({ name }) => name !== leader?.name);
    const leading = running.find(({ name }) => name === leader?.name) ?? null;
    if (fault.isLeaderPreferred && leading !== null) return leading;
    return pickFrom(others, fault.pick) ?? leading;
  }

  private async pickWorker(
    { pick }: PlannedFault,
    seen: SeenMoment | null,
  ): Promise<WorkerProcess | null> {
    const workers = [...(await this.parts.cluster.workers())];
    workers.sort((a, b) => (a.instance < b.instance ? -1 : 1));
    return workers.find(({ instance }) => instance === seen?.instance) ?? pickFrom(workers, pick);
  }

  private async pickPaused(
    fault: PlannedFault,
    seen: SeenMoment | null,
  ): Promise<BreakableProcess | null> {
    if (fault.paused === "scheduler") return this.pickScheduler(fault);
    if (fault.paused === "agent") return this.pickAgent(fault, seen);
    const worker = await this.pickWorker(fault, seen);
    return worker === null ? null : { name: `worker ${worker.instance}`, pid: worker.pid };
  }

  private tell({ number, kind }: PlannedFault, phase: FaultLine["phase"], text: string): void {
    this.parts.tell({ number, kind, phase, text });
  }
}

interface Hit {
  readonly text: string;
  readonly mended: Promise<void>;
}

function pickFrom<T>(items: readonly T[], pick: number): T | null {
  return items[Math.floor(pick * items.length)] ?? null;
}

function nounOf({ kind, paused }: PlannedFault): string {
  if (kind === "disk") return "agent that holds an artifact";
  return `${kind === "pause" ? paused : kind === "nats" ? "nats-server" : kind} that runs`;
}
