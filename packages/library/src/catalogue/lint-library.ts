/**
 * Checks executors against one another: ids are unique, executors of one capability can stand in
 * for each other, and what one points to another can look at.
 */
import type { ExecutorEntry, Port } from "@murakkab/model";
import type { YamlSource } from "./yaml-source.ts";

export interface SourcedExecutor {
  readonly source: YamlSource;
  readonly entry: ExecutorEntry;
}

/** Problems go to the later file of a pair: the earlier one stays loaded. */
export function lintExecutors(executors: readonly SourcedExecutor[]): void {
  const byId = new Map<string, SourcedExecutor>();
  const byCapability = new Map<string, SourcedExecutor>();
  for (const executor of executors) {
    if (!executor.source.isSound) continue;
    const { source, entry } = executor;
    const twin = byId.get(entry.id);
    if (twin !== undefined) {
      const message = `id "${entry.id}" is taken by ${twin.source.file}, expected an id of its own`;
      source.error(["id"], message);
      continue;
    }
    byId.set(entry.id, executor);
    const first = byCapability.get(entry.capability);
    if (first === undefined) byCapability.set(entry.capability, executor);
    else lintSameInterface(executor, first);
  }
  for (const executor of byId.values()) lintFocus(executor, byId.values());
}

/** A focus that nobody takes is only computed in vain: a warning. */
function lintFocus({ source, entry }: SourcedExecutor, all: Iterable<SourcedExecutor>): void {
  const { focus } = entry.staging ?? {};
  if (focus === undefined) return;
  const type = entry.outputs[focus]?.type;
  for (const { entry: other } of all) {
    if (Object.values(other.inputs).some((port) => port.type === type)) return;
  }
  const message = `no executor has an input of type ${type}, expected one that takes the focus`;
  source.warn(["staging", "focus"], message);
}

function lintSameInterface(executor: SourcedExecutor, first: SourcedExecutor): void {
  for (const field of ["inputs", "outputs"] as const) {
    const own = formatPorts(executor.entry[field]);
    const expected = formatPorts(first.entry[field]);
    if (own === expected) continue;
    executor.source.error(
      [field],
      `capability "${executor.entry.capability}" has ${field} ${own} here, expected ${expected} as in ${first.source.file}`,
    );
  }
}

function formatPorts(ports: Readonly<Record<string, Port>>): string {
  const parts = Object.entries(ports)
    .map(([name, { type, isOptional }]) => `${name}${isOptional === true ? "?" : ""}: ${type}`)
    .sort();
  return `{ ${parts.join(", ")} }`;
}
