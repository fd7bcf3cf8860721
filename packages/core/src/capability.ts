/**
 * The library grouped by capability: what the planner reasons about.
 *
 * Executors of one capability share its interface (the library check holds them to it).
 */
import type { ExecutorEntry, Library, Port } from "@murakkab/model";

export interface Capability {
  readonly name: string;
  readonly description: string;
  readonly keywords: readonly string[];
  readonly inputs: Readonly<Record<string, Port>>;
  readonly outputs: Readonly<Record<string, Port>>;
  /** In catalogue order; the first available one is the default. */
  readonly executors: readonly ExecutorEntry[];
}

export function groupCapabilities(library: Library): ReadonlyMap<string, Capability> {
  const groups = new Map<string, ExecutorEntry[]>();
  for (const entry of library.executors) {
    const group = groups.get(entry.capability);
    if (group === undefined) groups.set(entry.capability, [entry]);
    else group.push(entry);
  }
  const capabilities = new Map<string, Capability>();
  for (const [name, executors] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const first = executors[0];
    if (first === undefined) continue;
    capabilities.set(name, {
      name,
      description: executors.map((entry) => entry.description).join(" "),
      keywords: executors.flatMap((entry) => entry.keywords),
      inputs: first.inputs,
      outputs: first.outputs,
      executors,
    });
  }
  return capabilities;
}

/** Why no node can run an executor; null = at least one can. */
export type Availability = ReadonlyMap<string, string | null>;

/** Executors that some node can run now, in catalogue order. */
export function availableExecutors(
  capability: Capability,
  availability: Availability,
): readonly ExecutorEntry[] {
  return capability.executors.filter((entry) => availability.get(entry.id) === null);
}

/** One clause: why the capability can't be run anywhere and what that costs. */
export function missingClause(capability: Capability, availability: Availability): string {
  const reasons = capability.executors.map(
    (entry) => availability.get(entry.id) ?? `executor ${entry.id} is not available`,
  );
  const means = capability.executors.find((entry) => entry.missingMeans !== undefined);
  const cost = means?.missingMeans === undefined ? "" : `; without it ${means.missingMeans}`;
  return `${capability.name} is left out: ${[...new Set(reasons)].join(", ")}${cost}`;
}
