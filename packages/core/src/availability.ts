/** Which executors some node can run, and why not. */
import type { ExecutorEntry, Library } from "@murakkab/model";
import type { Availability } from "./capability.ts";
import type { PlacementNode } from "./placement.ts";

/**
 * Executor id to null (some node can) or one clause why none can. `labels` narrows the nodes.
 */
export function findAvailability(
  library: Library,
  nodes: readonly PlacementNode[],
  labels: Readonly<Record<string, string>>,
): Availability {
  const matching = nodes.filter((node) =>
    Object.entries(labels).every(([name, value]) => node.labels[name] === value),
  );
  return new Map(library.executors.map((entry) => [entry.id, whyUnavailable(entry, matching)]));
}

function whyUnavailable(entry: ExecutorEntry, nodes: readonly PlacementNode[]): string | null {
  if (nodes.length === 0) return `no node is there for executor ${entry.id}`;
  const withPrograms = nodes.filter((node) => entry.programs.every((it) => node.programs.has(it)));
  if (withPrograms.length === 0) {
    const missing = entry.programs.filter((it) => !nodes.some((node) => node.programs.has(it)));
    const names = missing.length > 0 ? missing : entry.programs;
    return `no node has the program ${names.join(" and ")} (executor ${entry.id})`;
  }
  const { cores, memoryMib } = entry.resources;
  const fits = withPrograms.some(
    (node) => node.cpusOffered >= cores && node.memoryOfferedMib >= memoryMib,
  );
  if (fits) return null;
  return `no node offers ${cores} cores and ${memoryMib} MiB (executor ${entry.id})`;
}
