/** Nodes as their agents register them. */
import type { InstanceSample, NodeRegistration } from "@murakkab/model";

export function registrationOf(
  node: string,
  changes: Partial<NodeRegistration> & { readonly machineId?: string } = {},
): NodeRegistration {
  const { machineId = `machine-${node}`, ...rest } = changes;
  return {
    node,
    host: { machineId, bootId: "b", hostname: node, cores: 4, memoryBytes: 4_096 * 1_048_576 },
    offer: { cpus: 2, memoryMib: 1_024 },
    labels: {},
    programs: {},
    gpus: [],
    artifactUrl: `http://${node}:1`,
    incarnation: "first",
    generation: 0,
    instances: [],
    ...rest,
  };
}

export function instanceOf(
  instance: string,
  executor: string,
  state: InstanceSample["state"] = "ready",
): InstanceSample {
  const sample = { cpuSec: 0, memoryBytes: 0, queuedCount: 0, inFlightCount: 0 };
  return { instance, executor, state, ...sample };
}
