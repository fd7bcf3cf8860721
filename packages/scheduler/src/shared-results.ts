/**
 * Results of equal attempts: made once, used by every job of the tenant that asks within minutes.
 *
 * Owns:      what counts as equal, who of those that ask at the same time runs, what is kept.
 * Does not:  run attempts or pin artifacts (job-run/attempt-sender.ts). Knows one scheduler's jobs.
 *
 * Invariants:
 *   H1. Only results of executors that are pure and deterministic are shared, only within a tenant
 *       (unless told otherwise), and only where their inputs are equal, not just their hashes.
 *   H2. Of the claims on one key, at most one leads, and it is the only one that runs. When it ends
 *       without a result the next one leads: nobody inherits a failure.
 *   H3. Every claim is told exactly one of: a result, or that it leads; nothing after `drop`.
 *   H4. What is kept is bounded in number, bytes and age.
 */
import { type Clock, canonicalJson, hashText64, type Logger } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import type { Fleet } from "./fleet.ts";
import type { AttemptPlace } from "./job-machine.ts";
import { artifactsIn } from "./passed-value.ts";

export interface SharedResult {
  /** The job that made it. */
  readonly jobId: string;
  readonly outputs: Readonly<Record<string, PassedValue>>;
  /** Where it was made. */
  readonly place: AttemptPlace;
  /** Artifact to the nodes that hold it. */
  readonly holders: ReadonlyMap<string, readonly string[]>;
}

/** Work that an equal attempt may do for it. */
export interface ShareableWork {
  readonly jobId: string;
  readonly tenant: string;
  readonly executor: ExecutorEntry;
  /** Of executor, knobs and inputs; equal ones may still differ. */
  readonly inputsHash: string;
  readonly inputs: Readonly<Record<string, PassedValue>>;
  readonly isBatch: boolean;
  /** Where the job allows it to run: a result from elsewhere is none for it. */
  readonly where: string;
}

export interface ClaimOutcome {
  readonly onResult: (result: SharedResult) => void;
  /** Nobody else runs it: this one does, and tells by `finish` or `drop`. */
  readonly onLead: () => void;
}

export interface SharedResultsOptions {
  /** Default false: a tenant's results are its own. */
  readonly acrossTenants?: boolean;
  /** Default 10,000. The oldest goes first. */
  readonly countMax?: number;
  /** Of inputs and outputs that are kept in memory, estimated. Default 64 MiB. */
  readonly bytesMax?: number;
  /** Default 10 minutes. */
  readonly ageMsMax?: number;
}

interface Kept {
  readonly work: ShareableWork;
  readonly result: SharedResult;
  /** Versions of the programs that made it, as the node's agent told. */
  readonly programs: string;
  readonly bytes: number;
  readonly atMs: number;
}

interface Flight {
  leader: Claim;
  readonly waiters: Set<Claim>;
}

/** One attempt's wish for a result. */
export interface Claim {
  readonly work: ShareableWork;
  readonly key: string;
  readonly outcome: ClaimOutcome;
  isDropped: boolean;
}

const COUNT_MAX = 10_000;
/** About 6 kB for each of the results that may be kept. */
const BYTES_MAX = 64 * 1_048_576;
/** Questions about one video come within minutes; artifacts of ended jobs may be gone later. */
const AGE_MS_MAX = 10 * 60_000;

export class SharedResults {
  private readonly clock: Clock;
  private readonly fleet: Pick<Fleet, "listNodes" | "node" | "version">;
  private readonly log: Logger;
  private readonly options: Required<SharedResultsOptions>;
  /** Oldest first. */
  private readonly kept = new Map<string, Kept>();
  private readonly flights = new Map<string, Flight>();
  private readonly byArtifact = new Map<string, Set<string>>();
  private readonly entryHashes = new WeakMap<ExecutorEntry, string>();
  private readonly valueBytes = new WeakMap<object, number>();
  private readonly programSets = new Map<string, ReadonlySet<string>>();
  private programSetsOf = -1;
  private bytes = 0;

  constructor(
    components: {
      readonly clock: Clock;
      readonly fleet: Pick<Fleet, "listNodes" | "node" | "version">;
      readonly log: Logger;
    },
    options: SharedResultsOptions = {},
  ) {
    this.clock = components.clock;
    this.fleet = components.fleet;
    this.log = components.log.child({ component: "shared-results" });
    this.options = {
      acrossTenants: options.acrossTenants ?? false,
      countMax: options.countMax ?? COUNT_MAX,
      bytesMax: options.bytesMax ?? BYTES_MAX,
      ageMsMax: options.ageMsMax ?? AGE_MS_MAX,
    };
  }

  get count(): number {
    return this.kept.size;
  }

  static isShareable({ isPure, isDeterministic }: ExecutorEntry): boolean {
    return isPure && isDeterministic; // H1
  }

  /** H2, H3. The outcome is told before this returns, or later. */
  claim(work: ShareableWork, outcome: ClaimOutcome): Claim {
    const key = this.keyOf(work);
    const claim: Claim = { work, key, outcome, isDropped: false };
    const kept = this.find(key, work);
    const flight = this.flights.get(key);
    if (kept !== null) outcome.onResult(kept.result);
    else if (flight === undefined) {
      this.flights.set(key, { leader: claim, waiters: new Set() });
      outcome.onLead();
    } else if (hasSameInputs(flight.leader.work, work)) flight.waiters.add(claim);
    else outcome.onLead(); // another one with the same hash: on its own
    return claim;
  }

  /** The attempt was really run. `claim`: null where nobody could have waited for it. */
  finish(claim: Claim | null, work: ShareableWork, result: SharedResult): void {
    this.keep(claim?.key ?? this.keyOf(work), work, result);
    const flight = claim === null ? undefined : this.flights.get(claim.key);
    if (claim === null || flight?.leader !== claim) return;
    claim.isDropped = true;
    this.flights.delete(claim.key);
    for (const waiter of flight.waiters) this.tell(waiter, (it) => it.onResult(result));
  }

  /** It ended without a result, or nobody wants one any more (H2). */
  drop(claim: Claim): void {
    if (claim.isDropped) return;
    claim.isDropped = true;
    const flight = this.flights.get(claim.key);
    if (flight === undefined) return;
    if (flight.leader !== claim) {
      flight.waiters.delete(claim);
      return;
    }
    const [next] = flight.waiters;
    if (next === undefined) {
      this.flights.delete(claim.key);
      return;
    }
    flight.waiters.delete(next);
    flight.leader = next;
    this.tell(next, (it) => it.onLead());
  }

  /** Nobody holds the artifact any more: what needs it is made again. */
  invalidate(artifact: string): void {
    for (const key of [...(this.byArtifact.get(artifact) ?? [])]) this.remove(key);
  }

  /** Later, so that a defect of the job that is told does not end up with the one that tells. */
  private tell(claim: Claim, tellIt: (outcome: ClaimOutcome) => void): void {
    Promise.resolve()
      .then(() => {
        if (!claim.isDropped) tellIt(claim.outcome);
      })
      .catch((error: unknown) =>
        this.log.error({ event: "shared.defect", err: error }, "a shared result was not taken"),
      );
  }

  private keyOf({ tenant, executor, inputsHash, isBatch, where }: ShareableWork): string {
    let entry = this.entryHashes.get(executor);
    if (entry === undefined) {
      entry = hashText64(canonicalJson(executor));
      this.entryHashes.set(executor, entry);
    }
    const scope = this.options.acrossTenants ? "" : tenant;
    return `${entry}:${inputsHash}:${isBatch ? "batch" : "one"}:${scope}:${where}`;
  }

  private find(key: string, work: ShareableWork): Kept | null {
    const kept = this.kept.get(key);
    if (kept === undefined) return null;
    const isOld = this.clock.monotonicMs() - kept.atMs > this.options.ageMsMax;
    if (isOld || !this.isHeld(kept) || !this.programsOf(work.executor).has(kept.programs)) {
      this.remove(key);
      return null;
    }
    return hasSameInputs(kept.work, work) ? kept : null;
  }

  /** Some node is there that held each of its artifacts. */
  private isHeld({ result }: Kept): boolean {
    return [...result.holders.values()].every((nodes) =>
      nodes.some((node) => this.fleet.node(node) !== undefined),
    );
  }

  private keep(key: string, work: ShareableWork, result: SharedResult): void {
    this.remove(key);
    const { countMax, bytesMax, ageMsMax } = this.options;
    let bytes = 0;
    for (const value of Object.values(work.inputs)) bytes += this.bytesOf(value);
    for (const value of Object.values(result.outputs)) bytes += this.bytesOf(value);
    if (bytes > bytesMax) return;
    const node = this.fleet.node(result.place.node);
    if (node === undefined) return; // its programs are not known any more
    const programs = programsText(work.executor, node.registration.programs);
    const atMs = this.clock.monotonicMs();
    this.kept.set(key, { work, result, programs, bytes, atMs });
    this.bytes += bytes;
    for (const artifact of result.holders.keys()) {
      const keys = this.byArtifact.get(artifact);
      if (keys === undefined) this.byArtifact.set(artifact, new Set([key]));
      else keys.add(key);
    }
    // H4.
    for (const [oldest, { atMs: keptAtMs }] of this.kept) {
      const isOld = atMs - keptAtMs > ageMsMax;
      if (!isOld && this.kept.size <= countMax && this.bytes <= bytesMax) break;
      this.remove(oldest);
    }
  }

  private remove(key: string): void {
    const kept = this.kept.get(key);
    if (kept === undefined) return;
    this.kept.delete(key);
    this.bytes -= kept.bytes;
    for (const artifact of kept.result.holders.keys()) {
      const keys = this.byArtifact.get(artifact);
      keys?.delete(key);
      if (keys?.size === 0) this.byArtifact.delete(artifact);
    }
  }

  /** Versions of an executor's programs on the nodes that are there now. */
  private programsOf(executor: ExecutorEntry): ReadonlySet<string> {
    if (this.programSetsOf !== this.fleet.version) {
      this.programSets.clear();
      this.programSetsOf = this.fleet.version;
    }
    const names = executor.programs.join(" ");
    let known = this.programSets.get(names);
    if (known === undefined) {
      const nodes = this.fleet.listNodes();
      known = new Set(nodes.map((it) => programsText(executor, it.registration.programs)));
      this.programSets.set(names, known);
    }
    return known;
  }

  /** Remembered per value: all items of a fan-out share their other inputs. */
  private bytesOf(value: PassedValue): number {
    const known = this.valueBytes.get(value);
    if (known !== undefined) return known;
    const bytes = estimateBytes(value);
    this.valueBytes.set(value, bytes);
    return bytes;
  }
}

/** Where the artifacts of these outputs are. */
export function holdersOf(
  outputs: Readonly<Record<string, PassedValue>>,
  nodesOf: (artifact: string) => readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const holders = new Map<string, readonly string[]>();
  for (const value of Object.values(outputs)) {
    for (const { artifact } of artifactsIn(value)) holders.set(artifact, nodesOf(artifact));
  }
  return holders;
}

function programsText(
  { programs }: ExecutorEntry,
  versions: Readonly<Record<string, string>>,
): string {
  if (programs.length === 0) return "";
  return programs.map((name) => `${name}=${versions[name] ?? ""}`).join("\n");
}

/** H1: 64 bits of hash are not proof. */
function hasSameInputs(a: ShareableWork, b: ShareableWork): boolean {
  return a.inputs === b.inputs || canonicalJson(a.inputs) === canonicalJson(b.inputs);
}

/** About what a value takes in memory. */
function estimateBytes(value: unknown): number {
  if (typeof value === "string") return 16 + value.length;
  if (value === null || typeof value !== "object") return 8;
  let bytes = 16;
  for (const [name, item] of Object.entries(value)) bytes += name.length + estimateBytes(item);
  return bytes;
}
