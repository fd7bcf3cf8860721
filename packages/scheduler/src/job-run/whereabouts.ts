/** On which nodes the attempts of a step may run. Pure, but for the fleet that it is told. */
import type { NodeConstraints } from "@murakkab/core";
import { ANY_NODE_KIND, type PlannedStep } from "@murakkab/model";
import type { JobRecord } from "@murakkab/protocol";
import type { Fleet } from "../fleet.ts";

const NO_LABELS: NodeConstraints["labels"] = {};
const ANYWHERE: NodeConstraints = { labels: NO_LABELS };

export function whereabouts(
  record: JobRecord,
  { nodeKind }: PlannedStep,
  fleet: Pick<Fleet, "node" | "listNodes">,
): NodeConstraints {
  const { labels = NO_LABELS, staysOnHost = false } = record.submission.constraints;
  if (labels === NO_LABELS && !staysOnHost && nodeKind === undefined) return ANYWHERE;
  const nodes = staysOnHost ? nodesWithInputs(record, fleet) : null;
  return {
    labels,
    ...(nodeKind === undefined || nodeKind === ANY_NODE_KIND ? {} : { nodeKind }),
    ...(nodes === null ? {} : { nodes }),
  };
}

/**
 * The nodes of one host that holds all inputs: always the same one while it is there, so that
 * results stay there, too. None when no host holds all. Null: the job has no files.
 */
function nodesWithInputs(
  { holders }: JobRecord,
  fleet: Pick<Fleet, "node" | "listNodes">,
): readonly string[] | null {
  const perInput = Object.values(holders).map((nodes) => new Set(nodes.flatMap(hostOf)));
  const [first, ...others] = perInput;
  if (first === undefined) return null;
  const [host] = [...first].filter((it) => others.every((set) => set.has(it))).sort();
  if (host === undefined) return [];
  const names = fleet.listNodes().map((node) => node.registration.node);
  return names.filter((name) => hostOf(name).includes(host));

  function hostOf(name: string): string[] {
    const host = fleet.node(name)?.registration.host;
    return host === undefined ? [] : [`${host.machineId} ${host.bootId}`];
  }
}
