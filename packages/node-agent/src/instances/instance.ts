/** What the supervisor knows of one instance. */
import type { ExecutorEntry, InstanceSample, InstanceState } from "@murakkab/model";
import type { Deferred } from "../deferred.ts";
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
