/**
 * Linux's view of processes, read from /proc. Synchronous: each file is made by the kernel in
 * microseconds, and a consistent picture is worth more than the few saved.
 *
 * Source: proc(5).
 */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ, the unit of times in /proc/PID/stat: 100 on every architecture that Node runs on. */
const TICKS_PER_SEC = 100;

export interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  readonly isZombie: boolean;
  /** User and system, of the process and of the children that it waited for. */
  readonly cpuSec: number;
  /** Ticks since boot: with the pid it names a process for good. */
  readonly startTicks: number;
}

export const isLinux = process.platform === "linux";

export function readStat(pid: number): ProcessStat | null {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The second field is a name in brackets that may hold anything, brackets included.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid,
    parentPid: field(4),
    groupId: field(5),
    isZombie: fields[0] === "Z" || fields[0] === "X",
    cpuSec: (field(14) + field(15) + field(16) + field(17)) / TICKS_PER_SEC,
    startTicks: field(22),
  };
}

export function residentBytes(pid: number): number {
  const text = readText(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text ?? "")?.[1] ?? 0) * 1_024;
}

export function environmentOf(pid: number): string | null {
  return readText(`/proc/${pid}/environ`);
}

/** Changes with every boot of the host. */
export function bootId(): string | null {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The process and its descendants. Only the tree is read, not the whole of /proc. */
export function processTree(rootPid: number): number[] {
  const found = [rootPid];
  for (let at = 0; at < found.length; at += 1) {
    const pid = found[at] ?? 0;
    for (const thread of listThreads(pid)) {
      const children = readText(`/proc/${pid}/task/${thread}/children`) ?? "";
      for (const child of children.split(" ")) if (child.trim() !== "") found.push(Number(child));
    }
  }
  return found;
}

function listThreads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // gone meanwhile
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // gone meanwhile, or another user's
  }
}
