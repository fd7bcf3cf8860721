/**
 * Where one attempt runs: on a warm instance, on one that is started for it, or later.
 *
 * Owns:      filter -> score -> pick, with the reason for every node that was rejected.
 * Does not:  talk to nodes or keep the ledger: the snapshot has what is free.
 *
 * Invariants:
 *   P1. The cores and memory of a node are never promised beyond its offer.
 *   P2. Same snapshot and demand, same placement: ties are broken by id.
 *   P3. An instance gets no more attempts at a time than its executor's concurrency.
 */
import { canonicalJson } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";

/** On which nodes some work may run. */
export interface NodeConstraints {
  /** Labels that the node must have. */
  readonly labels: Readonly<Record<string, string>>;
  /** Absent: of any kind. */
  readonly nodeKind?: string;
  /** Names of the only nodes, sorted: those of the host that holds a job's inputs. Absent: any. */
  readonly nodes?: readonly string[];
}

export interface PlacementNode {
  readonly node: string;
  /** See HostIdentity. Absent: not known, and then no work that asks for one runs there. */
  readonly kind?: string;
  readonly cpusOffered: number;
  readonly cpusFree: number;
  readonly memoryOfferedMib: number;
  readonly memoryFreeMib: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly programs: ReadonlySet<string>;
}

export interface PlacementInstance {
  readonly instance: string;
  readonly node: string;
  readonly executor: string;
  readonly state: "starting" | "ready" | "stopping";
  readonly inFlightCount: number;
  readonly memoryMib: number;
  /** Monotonic ms of the last use, for eviction of the longest idle. */
  readonly usedAtMs: number;
}

export interface PlacementSnapshot {
  readonly nodes: readonly PlacementNode[];
  readonly instances: readonly PlacementInstance[];
}

export interface PlacementDemand extends NodeConstraints {
  readonly executor: ExecutorEntry;
  /** Instances on which an earlier attempt failed: used only when nothing else is there. */
  readonly avoidInstances: ReadonlySet<string>;
  /** Bytes of the inputs that a node holds already. */
  readonly localBytes: ReadonlyMap<string, number>;
  /** Attempts of the same executor that wait, this one included. */
  readonly waitingCount: number;
}

export interface Rejection {
  readonly node: string;
  readonly reason: string;
}

export type Placement =
  | { readonly kind: "run"; readonly instance: string; readonly node: string }
  /** Start an instance, after stopping idle ones of other executors to make room. */
  | { readonly kind: "start"; readonly node: string; readonly evict: readonly string[] }
  | { readonly kind: "wait"; readonly rejected: readonly Rejection[] }
  /** No registered node could run it even if it were idle. */
  | { readonly kind: "infeasible"; readonly rejected: readonly Rejection[] };

/** Weights of the scores; each score is 0 to 1. Locality first: frames are large, cores are alike. */
const LOCALITY_WEIGHT = 0.6;
const FREE_CORES_WEIGHT = 0.4;

export function placeAttempt(snapshot: PlacementSnapshot, demand: PlacementDemand): Placement {
  const rejected: Rejection[] = [];
  const eligible = snapshot.nodes.filter((node) => {
    const reason = vetoNode(node, demand);
    if (reason !== null) rejected.push({ node: node.node, reason });
    return reason === null;
  });
  if (eligible.length === 0) return { kind: "infeasible", rejected };
  const free = eligible.filter((node) => {
    const { cores } = demand.executor.resources;
    // Work that reserves no core fits a full node, too; sums of fractions may end a hair below 0.
    const isFree = cores === 0 || node.cpusFree >= cores;
    if (!isFree) rejected.push({ node: node.node, reason: "its cores are busy" });
    return isFree;
  });
  // An instance that failed this work before is the last resort: a fresh one elsewhere is tried first.
  const { fresh, failed } = splitByFailure(snapshot.instances, demand);
  return (
    runOnWarm(free, fresh, demand) ??
    startNew({ free, eligible, instances: snapshot.instances }, demand, rejected) ??
    runOnWarm(free, failed, demand) ?? { kind: "wait", rejected }
  );
}

type WarmDemand = NodeConstraints & Pick<PlacementDemand, "executor" | "localBytes">;

/** The best of these instances that can take one more attempt now, or null. */
export function pickWarm(
  nodes: readonly PlacementNode[],
  instances: readonly PlacementInstance[],
  demand: WarmDemand,
): Extract<Placement, { kind: "run" }> | null {
  const { cores } = demand.executor.resources;
  const free = nodes.filter((node) => node.cpusFree >= cores && vetoNode(node, demand) === null);
  return runOnWarm(free, instances, demand);
}

function splitByFailure(
  instances: readonly PlacementInstance[],
  { avoidInstances }: PlacementDemand,
): { readonly fresh: PlacementInstance[]; readonly failed: PlacementInstance[] } {
  const fresh = instances.filter((it) => !avoidInstances.has(it.instance));
  return { fresh, failed: instances.filter((it) => avoidInstances.has(it.instance)) };
}

/** One text for equal constraints; empty where there are none. */
export function constraintsKey({ labels, nodeKind, nodes }: NodeConstraints): string {
  const isFree = nodeKind === undefined && nodes === undefined && Object.keys(labels).length === 0;
  return isFree ? "" : canonicalJson({ labels, nodeKind, nodes });
}

/** Why these constraints keep work from a node, one clause; null when they don't. */
export function vetoByConstraints(
  node: PlacementNode,
  { labels, nodeKind, nodes }: NodeConstraints,
): string | null {
  if (nodes !== undefined && !nodes.includes(node.node)) {
    return "it is not on the host that holds all inputs of the job";
  }
  if (nodeKind !== undefined && node.kind !== nodeKind) {
    return `it is of kind ${node.kind ?? "unknown"}, not ${nodeKind}`;
  }
  const label = Object.entries(labels).find(([name, value]) => node.labels[name] !== value);
  return label === undefined ? null : `its label ${label[0]} is not ${label[1]}`;
}

/** Why a node can never run the demand; null when it can. Cheap vetoes only. */
function vetoNode(
  node: PlacementNode,
  demand: NodeConstraints & Pick<PlacementDemand, "executor">,
): string | null {
  const { executor } = demand;
  const program = executor.programs.find((name) => !node.programs.has(name));
  if (program !== undefined) return `it lacks the program ${program}`;
  if (executor.resources.cores > node.cpusOffered) {
    return `it offers ${node.cpusOffered} cores and ${executor.resources.cores} are needed`;
  }
  if (executor.resources.memoryMib > node.memoryOfferedMib) {
    return `it offers ${node.memoryOfferedMib} MiB and ${executor.resources.memoryMib} are needed`;
  }
  return vetoByConstraints(node, demand);
}

function runOnWarm(
  free: readonly PlacementNode[],
  instances: readonly PlacementInstance[],
  demand: WarmDemand,
): Extract<Placement, { kind: "run" }> | null {
  const byNode = new Map(free.map((node) => [node.node, node]));
  const bytesMax = Math.max(1, ...demand.localBytes.values());
  const scored = instances
    .filter((it) => it.executor === demand.executor.id && it.state === "ready")
    .filter((it) => it.inFlightCount < concurrencyOf(demand.executor) && byNode.has(it.node)) // P3
    .map((it) => {
      const node = byNode.get(it.node);
      const locality = (demand.localBytes.get(it.node) ?? 0) / bytesMax;
      const freeCores = node === undefined ? 0 : node.cpusFree / node.cpusOffered;
      const score = LOCALITY_WEIGHT * locality + FREE_CORES_WEIGHT * freeCores;
      return { it, score };
    })
    .sort(
      (a, b) =>
        b.score - a.score ||
        a.it.inFlightCount - b.it.inFlightCount ||
        (a.it.instance < b.it.instance ? -1 : 1),
    );
  const best = scored[0];
  if (best === undefined) return null;
  return { kind: "run", instance: best.it.instance, node: best.it.node };
}

function startNew(
  {
    free,
    eligible,
    instances,
  }: {
    readonly free: readonly PlacementNode[];
    readonly eligible: readonly PlacementNode[];
    readonly instances: readonly PlacementInstance[];
  },
  demand: PlacementDemand,
  rejected: Rejection[],
): Placement | null {
  const names = new Set(eligible.map((node) => node.node));
  // Those that start where this work may not run are of no use to it.
  const own = instances.filter((it) => it.executor === demand.executor.id && names.has(it.node));
  const coming = own.filter((it) => it.state === "starting").length;
  if (coming * concurrencyOf(demand.executor) >= demand.waitingCount) return null;
  const candidates = free
    .map((node) => ({ node, room: makeRoom(node, instances, demand) }))
    .filter(({ node, room }) => {
      // More instances than cores on one node could never run at the same time.
      const here = own.filter((it) => it.node === node.node && it.state !== "stopping").length;
      if (here >= instancesMax(node, demand.executor)) return false;
      const starting = countOn(
        instances.filter((it) => it.state === "starting"),
        node,
      );
      if (starting >= Math.max(1, Math.floor(node.cpusOffered))) {
        rejected.push({ node: node.node, reason: "it is starting other instances" });
        return false;
      }
      if (room === null) rejected.push({ node: node.node, reason: "its memory is in use" });
      return room !== null;
    })
    .sort(
      (a, b) =>
        (a.room?.length ?? 0) - (b.room?.length ?? 0) ||
        countOn(instances, a.node) - countOn(instances, b.node) ||
        (a.node.node < b.node.node ? -1 : 1),
    );
  const best = candidates[0];
  if (best === undefined) return null;
  return { kind: "start", node: best.node.node, evict: best.room ?? [] };
}

function concurrencyOf({ resources }: ExecutorEntry): number {
  return resources.concurrency ?? 1;
}

/** What reserves no core is still one event loop, which can keep one core busy and no more. */
function instancesMax(node: PlacementNode, { resources }: ExecutorEntry): number {
  const coresEach = resources.cores === 0 ? 1 : resources.cores;
  return Math.max(1, Math.floor(node.cpusOffered / coresEach));
}

function countOn(instances: readonly PlacementInstance[], node: PlacementNode): number {
  return instances.filter((it) => it.node === node.node).length;
}

/** Idle instances to stop so that the demand fits, longest idle first; null = it can't fit now. */
function makeRoom(
  node: PlacementNode,
  instances: readonly PlacementInstance[],
  demand: PlacementDemand,
): readonly string[] | null {
  let freeMib = node.memoryFreeMib;
  const evict: string[] = [];
  const idle = instances
    .filter((it) => it.node === node.node && it.state === "ready" && it.inFlightCount === 0)
    .filter((it) => it.executor !== demand.executor.id)
    .sort((a, b) => a.usedAtMs - b.usedAtMs || (a.instance < b.instance ? -1 : 1));
  for (const it of idle) {
    if (freeMib >= demand.executor.resources.memoryMib) break;
    freeMib += it.memoryMib;
    evict.push(it.instance);
  }
  return freeMib >= demand.executor.resources.memoryMib ? evict : null;
}
