/**
 * Starts and stops model instances on this node and tells when one ends.
 *
 * Owns:      the table of instances, what fits into the offer, start deadlines, stop graces.
 * Does not:  spawn (ProcessPort does), restart anything (the scheduler decides), or know what an
 *            executor does.
 *
 * Invariants:
 *   I1. The memory of all instances that are not gone never exceeds the offer.
 *   I2. One id is one process: a repeated start joins the first, and an id that has ended is never
 *       started again.
 *   I3. An instance is gone only when everything that it had started is gone; only then does its
 *       memory count as free and is its end published, once.
 *   I4. A worker that a former agent left is adopted as it is, if it still fits; else it is ended.
 */
import type { Clock, Logger } from "@murakkab/kit";
import { describeError, NotFoundError, RetryableError, TerminalError } from "@murakkab/kit";
import type { ExecutorEntry, InstanceSample, NodeOffer } from "@murakkab/model";
import type { InstanceExited, InstanceStart } from "@murakkab/protocol";
import { EXITED_REMEMBERED_COUNT_MAX, FULL_RETRY_AFTER_MS, KILL_WAIT_MS } from "../limits.ts";
import type {
  HostPort,
  InstanceProcess,
  LeftWorker,
  ProcessEvents,
  ProcessExit,
  ProcessPort,
  SpawnRequest,
  WorkerStatus,
} from "../ports.ts";
import { within } from "../within.ts";
import type { Instance } from "./instance.ts";
import { newInstance, sampleOf } from "./instance.ts";

/** Grace for a worker that never became ready: it has nothing to hand over. */
const UNREADY_GRACE_MS = 500;

const NO_EVENTS: ProcessEvents = {
  onReady: () => undefined,
  onStatus: () => undefined,
  onExit: () => undefined,
};

export interface SupervisorComponents {
  readonly clock: Clock;
  readonly log: Logger;
  readonly processes: ProcessPort;
  readonly host: HostPort;
}

export interface SupervisorOptions {
  readonly node: string;
  readonly offer: NodeOffer;
  readonly onAdopted: (instance: string, executor: ExecutorEntry) => void;
  readonly onReady: (instance: { readonly instance: string; readonly executor: string }) => void;
  readonly onExited: (event: InstanceExited) => void;
}

export class InstanceSupervisor {
  readonly #components: SupervisorComponents;
  readonly #options: SupervisorOptions;
  readonly #instances = new Map<string, Instance>();
  /** Ids that have ended, oldest first (I2). */
  readonly #ended = new Map<string, string>();
  #isClosed = false;

  constructor(components: SupervisorComponents, options: SupervisorOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** I4. Before the first start. */
  async recover(): Promise<void> {
    const { processes, log } = this.#components;
    for (const left of await processes.recover()) {
      const { instance: id, executor } = left.request;
      const refusal = this.#misfit(left.request);
      if (refusal === null) {
        this.#adopt(left);
        continue;
      }
      log.warn(
        {
          event: "instance.not-adopted",
          instanceId: id,
          executorId: executor.id,
          reason: refusal.message,
        },
        "a running instance no longer fits and is ended",
      );
      const process = left.adopt(NO_EVENTS);
      process.kill();
      await this.#reap(id, process);
    }
  }

  /** Resolves once the instance is ready. Errors: see `#admit`, and START_FAILED, START_TIMEOUT. */
  async start(request: InstanceStart): Promise<void> {
    const known = this.#instances.get(request.instance);
    if (known !== undefined) return this.#awaitReady(known, request.remainingMs);
    await this.#checkPrograms(request);
    // Looked up again: a repeat of the same start may have passed the check meanwhile.
    const instance = this.#instances.get(request.instance) ?? this.#launch(request);
    return this.#awaitReady(instance, request.remainingMs);
  }

  /** Resolves when the instance and all that it started is gone; at once when it is unknown. */
  async stop(id: string, graceMs: number): Promise<void> {
    const instance = this.#instances.get(id);
    if (instance === undefined) {
      this.#rememberEnded(id, "was stopped before it started"); // a late start must not revive it
      return;
    }
    this.#end(instance, { graceMs, reason: "stopped", wasExpected: true });
    await instance.gone.promise;
  }

  /** Stops all and starts none from now on. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#instances.keys()].map((id) => this.stop(id, graceMs)));
  }

  isAlive(id: string): boolean {
    return this.#instances.has(id);
  }

  samples(): InstanceSample[] {
    return [...this.#instances.values()].map((instance) => sampleOf(instance));
  }

  scratchDirs(): string[] {
    return [...this.#instances.values()].map((instance) => instance.process.scratchDir);
  }

  /** What an adopted worker says of itself: it has no channel. */
  onStatus(id: string, status: WorkerStatus): void {
    const instance = this.#instances.get(id);
    if (instance !== undefined) instance.status = status;
  }

  #adopt(left: LeftWorker): void {
    const { instance: id, executor } = left.request;
    const process = left.adopt({ ...NO_EVENTS, onExit: (exit) => void this.#onExit(id, exit) });
    const instance = newInstance({ id, executor, process }, "ready");
    instance.ready.resolve();
    this.#instances.set(id, instance);
    this.#options.onAdopted(id, executor);
    this.#components.log.info(
      { event: "instance.adopted", instanceId: id, executorId: executor.id },
      "instance adopted",
    );
  }

  #launch(request: InstanceStart): Instance {
    this.#admit(request);
    const { instance: id, executor } = request;
    const { processes, log } = this.#components;
    const process = processes.spawn(
      { instance: id, executor },
      {
        onReady: () => this.#onReady(id),
        onStatus: (status) => this.onStatus(id, status),
        onExit: (exit) => void this.#onExit(id, exit),
      },
    );
    const instance = newInstance({ id, executor, process }, "starting");
    this.#instances.set(id, instance);
    log.info(
      { event: "instance.started", instanceId: id, executorId: executor.id },
      "instance started",
    );
    return instance;
  }

  /** I1, I2. Errors: NODE_LEAVING, INSTANCE_ENDED, NODE_FULL. */
  #admit({ instance, executor }: InstanceStart): void {
    const { node } = this.#options;
    if (this.#isClosed) {
      throw new RetryableError("NODE_LEAVING", `node ${node} is leaving and starts no instance`);
    }
    const end = this.#ended.get(instance);
    if (end !== undefined) {
      throw new TerminalError("INSTANCE_ENDED", `instance ${instance} has ended already: ${end}`);
    }
    const misfit = this.#misfit({ instance, executor });
    if (misfit !== null) throw misfit;
  }

  /** I1. Null when it fits. */
  #misfit({ instance, executor }: SpawnRequest): RetryableError | null {
    const { node, offer } = this.#options;
    const { cores, memoryMib } = executor.resources;
    const usedMib = [...this.#instances.values()].reduce(
      (sum, other) => sum + other.executor.resources.memoryMib,
      0,
    );
    if (cores <= offer.cpus && usedMib + memoryMib <= offer.memoryMib) return null;
    return new RetryableError(
      "NODE_FULL",
      `instance ${instance} of ${executor.id} does not fit on node ${node}: ` +
        `it needs ${cores} cores of ${offer.cpus} offered and ${memoryMib} MiB beside ` +
        `${usedMib} MiB in use of ${offer.memoryMib} MiB offered`,
      {
        retryAfterMs: FULL_RETRY_AFTER_MS,
        context: {
          neededCores: cores,
          offeredCores: offer.cpus,
          neededMib: memoryMib,
          usedMib,
          offeredMib: offer.memoryMib,
        },
      },
    );
  }

  async #checkPrograms({ executor }: InstanceStart): Promise<void> {
    const { engine, programs } = executor;
    const needed = new Set(programs);
    if (engine.kind === "command") needed.add(engine.program);
    for (const program of needed) {
      if (await this.#components.host.hasProgram(program)) continue;
      throw new TerminalError(
        "PROGRAM_MISSING",
        `program ${program} is not on the PATH of node ${this.#options.node}, ` +
          `expected it there because ${executor.id} runs it`,
        { context: { program, executor: executor.id } },
      );
    }
  }

  async #awaitReady(instance: Instance, remainingMs: number): Promise<void> {
    const limit = `${(remainingMs / 1_000).toFixed(1)} s`;
    try {
      await within(this.#components.clock, remainingMs, instance.ready.promise, () => {
        return new RetryableError(
          "START_TIMEOUT",
          `instance ${instance.id} did not become ready within ${limit}`,
        );
      });
    } catch (error) {
      // Also when only this waiter's time is up: who asked believes that it failed.
      const reason = `did not become ready within ${limit}`;
      this.#end(instance, { graceMs: UNREADY_GRACE_MS, reason, wasExpected: false });
      await instance.gone.promise;
      throw error;
    }
  }

  #onReady(id: string): void {
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.state !== "starting") return;
    instance.state = "ready";
    instance.ready.resolve();
    this.#options.onReady({ instance: id, executor: instance.executor.id });
  }

  /** SIGTERM, the grace, SIGKILL. A second call changes nothing. */
  #end(
    instance: Instance,
    options: { readonly graceMs: number; readonly reason: string; readonly wasExpected: boolean },
  ): void {
    if (instance.state === "stopping" || instance.state === "exited") return;
    instance.state = "stopping";
    instance.endReason = options.reason;
    instance.wasExpected = options.wasExpected;
    const { clock } = this.#components;
    instance.process.terminate();
    const cancel = clock.after(options.graceMs, () => instance.process.kill());
    void instance.gone.promise.then(cancel);
  }

  /** I3. */
  async #onExit(id: string, exit: ProcessExit): Promise<void> {
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.state === "exited") return;
    instance.state = "exited";
    const reason = instance.endReason ?? describeExit(exit);
    const { log } = this.#components;
    await this.#reap(id, instance.process);
    this.#instances.delete(id);
    this.#rememberEnded(id, reason);
    const { wasExpected } = instance;
    instance.ready.reject(startFailed(instance, reason, exit));
    this.#options.onExited({
      node: this.#options.node,
      instance: id,
      executor: instance.executor.id,
      reason,
      wasExpected,
      stderrTail: exit.stderrTail,
    });
    const fields = { event: "instance.exited", instanceId: id, reason, wasExpected };
    if (wasExpected) log.info(fields, "instance exited");
    else log.warn(fields, "instance exited unexpectedly");
    instance.gone.resolve();
  }

  /** Never rejects: what does not end within the limit is named and given up. */
  async #reap(id: string, process: InstanceProcess): Promise<void> {
    const { clock, log } = this.#components;
    try {
      await within(clock, KILL_WAIT_MS, process.reap(), () => {
        return new TerminalError("REAP_FAILED", "a process did not end after SIGKILL");
      });
    } catch (error) {
      const reason = describeError(error);
      log.error({ event: "instance.reap-failed", instanceId: id, reason }, "not reaped");
    }
  }

  #rememberEnded(id: string, reason: string): void {
    this.#ended.set(id, reason);
    const oldest = this.#ended.keys().next();
    if (this.#ended.size > EXITED_REMEMBERED_COUNT_MAX && oldest.done !== true) {
      this.#ended.delete(oldest.value);
    }
  }
}

export function describeExit(exit: ProcessExit): string {
  if (exit.error !== undefined) return exit.error;
  return exit.signal === null ? `exit code ${exit.code ?? "unknown"}` : `signal ${exit.signal}`;
}

function startFailed(instance: Instance, reason: string, exit: ProcessExit): Error {
  const options = { ...(exit.stderrTail === "" ? {} : { detail: exit.stderrTail }) };
  if (instance.wasExpected) {
    return new NotFoundError(`instance ${instance.id} was stopped before it was ready`, options);
  }
  return new RetryableError(
    "START_FAILED",
    `instance ${instance.id} of ${instance.executor.id} ended before it was ready: ${reason}`,
    options,
  );
}
