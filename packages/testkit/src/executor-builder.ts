/** Executor entries for tests: everything has a plain default. */
import type { ExecutorEntry, Port } from "@murakkab/model";

export type PortMap = Readonly<Record<string, string>>;

/** `"video?"` is an optional input. */
export function buildExecutor(
  id: string,
  capability: string,
  ports: { readonly inputs: PortMap; readonly outputs: PortMap },
  changes: Partial<ExecutorEntry> = {},
): ExecutorEntry {
  return {
    id,
    version: "1",
    kind: "tool",
    capability,
    description: `does ${capability}`,
    keywords: [],
    inputs: toPorts(ports.inputs),
    outputs: toPorts(ports.outputs),
    knobs: {},
    engine: { kind: "function", function: id },
    programs: [],
    resources: { cores: 1, memoryMib: 64 },
    timeLimitMs: 60_000,
    isPure: true,
    isDeterministic: true,
    provenance: { kind: "prior", note: "test" },
    ...changes,
  };
}

function toPorts(ports: PortMap): Readonly<Record<string, Port>> {
  return Object.fromEntries(
    Object.entries(ports).map(([name, text]) => {
      const isOptional = text.endsWith("?");
      const type = isOptional ? text.slice(0, -1) : text;
      return [name, isOptional ? { type, isOptional } : { type }];
    }),
  );
}
