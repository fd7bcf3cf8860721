/**
 * Profiles as YAML that people read and version control compares: one order, few lines, rounded.
 */
import { canonicalJson } from "@murakkab/kit";
import {
  type ExecutorEntry,
  type ExecutorProfile,
  type ProfileSet,
  parseInterfaceType,
} from "@murakkab/model";
import { Document, isPair, isScalar, visit } from "yaml";
import { toProfileFile } from "./profile-file.ts";

const HEADER = ` Profiles: what executors take, and how good configurations of workflows are.
 Read by "murakkab profiles import"; docs/profiles.md explains every field.
 A line says: value = fixed + perUnit * size of the attempt; spread is the standard deviation
 of ln(observed / predicted).`;

/** `executors`: entries whose ports tell the units of sizes. */
export function formatProfiles(
  profiles: ProfileSet,
  executors: readonly ExecutorEntry[] = [],
): string {
  const entries = new Map(executors.map((entry) => [entry.id, entry]));
  const unitOf = (executor: string, port: string): string =>
    sizeUnitOf(entries.get(executor), port);
  const document = new Document(toProfileFile(sortProfiles(profiles), unitOf));
  document.commentBefore = HEADER;
  visit(document, {
    Map(_key, node, path) {
      // Maps of plain values, below a field: one line each.
      const isSmall = node.items.every((item) => isScalar(item.value));
      if (isSmall && isPair(path.at(-1)) && path.length > 1) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** Unit of an output's size; `unknown` where the entry or the port is not known. */
export function sizeUnitOf(entry: ExecutorEntry | undefined, port: string): string {
  const found = entry?.outputs[port];
  if (found === undefined) return "unknown";
  return found.sizeUnit ?? (parseInterfaceType(found.type).isList ? "items" : "bytes");
}

/** The one order that files have: by executor, version, kind of node and knobs; by workflow. */
function sortProfiles({ executors, workflows }: ProfileSet): ProfileSet {
  return {
    executors: [...executors].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)),
    workflows: [...workflows]
      .sort((a, b) => (a.workflow < b.workflow ? -1 : 1))
      .map(({ workflow, configurations }) => ({
        workflow,
        configurations: [...configurations].sort((a, b) =>
          a.configuration < b.configuration ? -1 : 1,
        ),
      })),
  };
}

function sortKey({ executor, version, nodeKind, knobs }: ExecutorProfile): string {
  return [executor, version, nodeKind, canonicalJson(knobs)].join("\n");
}

/** For people: `executor 1.0.0 {knobs} on kind`. */
export function profileName({ executor, version, nodeKind, knobs }: ExecutorProfile): string {
  const settings = Object.keys(knobs)
    .sort()
    .map((name) => `${name}=${String(knobs[name])}`);
  return `${executor} ${version} {${settings.join(", ")}} on ${nodeKind}`;
}
