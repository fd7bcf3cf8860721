/**
 * Processes of this host by what is in their environment, read from /proc.
 *
 * A worker carries its instance's id and what its agent was started with; the programs that it
 * runs carry the id only. Hosts without /proc show no process.
 */
import { readdir, readFile } from "node:fs/promises";
import type { WorkerProcess } from "@murakkab/chaos";
import { INSTANCE_VARIABLE } from "@murakkab/protocol";

interface HostProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly startTicks: number;
  readonly isZombie: boolean;
}

interface Known {
  readonly startTicks: number;
  readonly instance: string | null;
  readonly isMarked: boolean;
  /** Looks that found the same. */
  lookCount: number;
}

/** Just forked, a process still shows its parent's environment: it is looked at again. */
const SURE_AFTER_LOOKS = 3;

export class HostProcesses {
  private readonly known = new Map<number, Known>();
  private readonly marker: string;
  private readonly instances = new Set<string>();

  /** `marker`: a `NAME=value` in the environment of the agents, which workers inherit. */
  constructor(options: { readonly marker: string }) {
    this.marker = options.marker;
  }

  /** Worker processes that live now. */
  async workers(): Promise<readonly WorkerProcess[]> {
    const found = (await this.look()).filter(({ isMarked }) => isMarked);
    const instanceOf = new Map(found.map(({ pid, instance }) => [pid, instance]));
    // A program that was just forked off still shows its worker's environment.
    const own = found.filter((it) => instanceOf.get(it.parentPid) !== it.instance);
    return own.map(({ pid, startTicks, instance }) => ({ pid, startTicks, instance }));
  }

  /** Pids of all workers that were ever seen here and of the programs that they left. */
  async leftovers(): Promise<readonly number[]> {
    const found = await this.look();
    return found.filter((it) => this.instances.has(it.instance)).map(({ pid }) => pid);
  }

  private async look(): Promise<readonly (HostProcess & Known & { readonly instance: string })[]> {
    const names = await readdir("/proc").catch(() => []);
    const pids = names.map(Number).filter((pid) => Number.isInteger(pid));
    const found: (HostProcess & Known & { readonly instance: string })[] = [];
    for (const pid of pids) {
      const process_ = await readProcess(pid);
      if (process_ === null || process_.isZombie) continue;
      const known = await this.identify(process_);
      const { instance } = known;
      if (instance === null) continue;
      if (known.isMarked) this.instances.add(instance);
      found.push({ ...process_, ...known, instance });
    }
    const alive = new Set(pids);
    for (const pid of this.known.keys()) if (!alive.has(pid)) this.known.delete(pid);
    return found;
  }

  private async identify({ pid, startTicks }: HostProcess): Promise<Known> {
    const before = this.known.get(pid);
    const isSame = before?.startTicks === startTicks;
    if (before !== undefined && isSame && before.lookCount >= SURE_AFTER_LOOKS) return before;
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    const variables = environment.split("\0");
    const prefix = `${INSTANCE_VARIABLE}=`;
    const known: Known = {
      startTicks,
      instance: variables.find((it) => it.startsWith(prefix))?.slice(prefix.length) ?? null,
      isMarked: variables.includes(this.marker),
      lookCount: isSame ? before.lookCount + 1 : 1,
    };
    this.known.set(pid, known);
    return known;
  }
}

/** Null when there is no such process (any more). */
export async function readProcess(pid: number): Promise<HostProcess | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  // The second field is a name in brackets that may hold anything, brackets included.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    isZombie: fields[0] === "Z" || fields[0] === "X",
    parentPid: Number(fields[1]),
    startTicks: Number(fields[19]),
  };
}
