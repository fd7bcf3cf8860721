/** A workflow whose result is one executor's, derived from the types of the inputs. */
import { type Capability, deriveType, groupCapabilities } from "@murakkab/core";
import { TerminalError } from "@murakkab/kit";
import type { ExecutorEntry, Workflow } from "@murakkab/model";

/**
 * `inputs`: type to the workflow input that has it.
 *
 * Errors: `NO_PLAN` when no chain of capabilities leads from the inputs to the executor.
 */
export function workflowTo(
  entry: ExecutorEntry,
  executors: readonly ExecutorEntry[],
  inputs: ReadonlyMap<string, string>,
): Workflow {
  const capabilities = groupCapabilities({ executors });
  const outputs = Object.entries(entry.outputs);
  const types = new Set(outputs.flatMap(([, { type }]) => [type, `list<${type}>`]));
  const context = {
    capabilities,
    inputs,
    excludedTypes: new Map<string, string>(),
    // What else gives this result is not what is to be measured.
    unusable: (capability: Capability): string | null => {
      if (capability.name === entry.capability) return null;
      const gives = Object.values(capability.outputs).some(({ type }) => types.has(type));
      return gives ? `${capability.name} is not what is profiled` : null;
    },
  };
  const blame: string[] = [];
  for (const type of types) {
    const found = deriveType(type, context);
    if (found.kind === "missing") blame.push(...found.blame);
    else if (found.source.kind === "step" && found.source.step === entry.capability) {
      const used = new Set(
        found.steps.flatMap((step) =>
          Object.values(step.inputs).flatMap((it) => (it.kind === "input" ? [it.input] : [])),
        ),
      );
      return {
        name: `profile-${entry.id}`,
        inputs: Object.fromEntries(
          [...inputs].filter(([, name]) => used.has(name)).map(([given, name]) => [name, given]),
        ),
        steps: found.steps,
        output: found.source,
      };
    }
  }
  const why = [...new Set(blame)].slice(0, 3).join("; ") || "its inputs can't be made";
  const given = [...inputs.keys()].join(", ");
  throw new TerminalError("NO_PLAN", `no way from ${given} to executor ${entry.id}: ${why}`, {
    field: "input",
  });
}
