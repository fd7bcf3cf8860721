/**
 * Hosts, what they offer, and the model instances on them.
 */
import type { ArtifactHolder } from "./artifact.ts";

/** Two agents on one machine report the same identity, so that their offers can be summed. */
export interface HostIdentity {
  readonly machineId: string;
  readonly bootId: string;
  readonly hostname: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** What profiles are kept for: the processor's name. Absent: an agent of a former version. */
  readonly kind?: string;
}

/** What an agent offers to the fleet. */
export interface NodeOffer {
  readonly cpus: number;
  readonly memoryMib: number;
}

export interface NodeRegistration {
  readonly node: string;
  readonly host: HostIdentity;
  readonly offer: NodeOffer;
  readonly labels: Readonly<Record<string, string>>;
  /** Program name to version line; only programs that are there. */
  readonly programs: Readonly<Record<string, string>>;
  readonly gpus: readonly GpuSample[];
  readonly artifactUrl: string;
  /** Changes with every start of the agent's process. */
  readonly incarnation: string;
  /** Highest leader generation that the agent obeyed. */
  readonly generation: number;
  readonly instances: readonly InstanceSample[];
}

export interface GpuSample {
  readonly uuid: string;
  readonly index: number;
  readonly name: string;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  readonly utilizationRatio: number | null;
  readonly powerWatts: number | null;
  readonly temperatureC: number | null;
}

export type InstanceState = "starting" | "ready" | "busy" | "stopping" | "exited";

export interface InstanceSample {
  readonly instance: string;
  readonly executor: string;
  readonly state: InstanceState;
  /** CPU seconds of the instance's process tree since it started; null where not known. */
  readonly cpuSec: number | null;
  readonly memoryBytes: number | null;
  readonly queuedCount: number;
  readonly inFlightCount: number;
}

export interface NodeSample {
  readonly node: string;
  readonly host: string;
  readonly seq: number;
  /** ISO 8601, the agent's wall clock: for display only. */
  readonly sampledAt: string;
  /** Age of the figures when the message was sent, ms. */
  readonly ageMs: number;
  readonly cpu: {
    readonly cores: number;
    readonly busyRatio: number | null;
    readonly perCore: readonly number[];
  };
  readonly memory: { readonly totalBytes: number; readonly usedBytes: number };
  readonly disk: {
    readonly totalBytes: number | null;
    readonly usedBytes: number | null;
    readonly artifactBytes: number;
    readonly artifactLimitBytes: number;
  };
  readonly network: {
    readonly rxBytesPerSec: number | null;
    readonly txBytesPerSec: number | null;
  };
  readonly gpus: readonly GpuSample[];
  readonly instances: readonly InstanceSample[];
}

export type NodeHolder = ArtifactHolder;
