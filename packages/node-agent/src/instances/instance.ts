/** What the supervisor knows of one instance. */
import type { ExecutorEntry, InstanceSample, InstanceState } from "@murakkab/model";
import { type Deferred, deferred } from "../deferred.ts";
import type { InstanceProcess, WorkerStatus } from "../ports.ts";

export interface Instance {
  readonly id: string;
  readonly executor: ExecutorEntry;
  readonly process: InstanceProcess;
  state: InstanceState;
  status: WorkerStatus;
  /** Settles when the worker is ready, or with why it never will be. */
  readonly ready: Deferred<void>;
  /** Resolves when the process and all that it started is gone. */
  readonly gone: Deferred<void>;
  /** Set by whoever ends it on purpose: the clause for `instanceExited`. */
  endReason: string | null;
  wasExpected: boolean;
}

export function newInstance(
  parts: Pick<Instance, "id" | "executor" | "process">,
  state: InstanceState,
): Instance {
  const instance: Instance = {
    ...parts,
    state,
    status: { queuedCount: 0, inFlightCount: 0 },
    ready: deferred<void>(),
    gone: deferred<void>(),
    endReason: null,
    wasExpected: false,
  };
  instance.ready.promise.catch(() => undefined); // each waiter sees it; with none it is in the event
  return instance;
}

export function sampleOf(instance: Instance): InstanceSample {
  const usage = instance.state === "exited" ? null : instance.process.usage();
  return {
    instance: instance.id,
    executor: instance.executor.id,
    state: visibleState(instance),
    cpuSec: usage?.cpuSec ?? null,
    memoryBytes: usage?.memoryBytes ?? null,
    queuedCount: instance.status.queuedCount,
    inFlightCount: instance.status.inFlightCount,
  };
}

function visibleState(instance: Instance): InstanceState {
  return instance.state === "ready" && instance.status.inFlightCount > 0 ? "busy" : instance.state;
}
