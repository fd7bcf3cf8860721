/** What Linux tells of this process and its descendants. Elsewhere everything is null. */
import { readdirSync, readFileSync } from "node:fs";

/** Ticks of /proc's CPU times: the kernel's ABI says 100 a second on every platform of ours. */
const TICKS_PER_SEC = 100;
/** Descendants looked at in one sample: bounds the work when a program forks wildly. */
const DESCENDANT_COUNT_MAX = 256;

/** When a process started, ticks since boot; null where /proc does not tell. */
export function readStartTicks(pid: number): number | null {
  const stat = readProc(`${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may contain anything; fields are counted after it, from state = 3.
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[22 - 3]);
  return Number.isSafeInteger(ticks) ? ticks : null;
}

/** CPU seconds of children that have ended and were waited for, theirs included. */
export function readChildrenCpuSec(): number | null {
  const stat = readProc("self/stat");
  if (stat === null) return null;
  // The name in parentheses may contain anything; fields are counted after it, from state = 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const cutime = Number(fields[16 - 3]);
  const cstime = Number(fields[17 - 3]);
  return Number.isFinite(cutime + cstime) ? (cutime + cstime) / TICKS_PER_SEC : null;
}

/** Sum of the peak memory of all living descendants, bytes; null where /proc does not tell. */
export function readDescendantsMemoryBytes(): number | null {
  const waiting = childrenOf("self");
  if (waiting === null) return null;
  let bytes = 0;
  for (let seen = 0; seen < DESCENDANT_COUNT_MAX; seen += 1) {
    const pid = waiting.pop();
    if (pid === undefined) break;
    bytes += memoryPeakBytes(pid);
    waiting.push(...(childrenOf(pid) ?? []));
  }
  return bytes;
}

function childrenOf(pid: string): string[] | null {
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    return null;
  }
  const lists = tasks.map((task) => readProc(`${pid}/task/${task}/children`));
  if (lists.every((list) => list === null)) return null;
  return lists.flatMap((list) => (list ?? "").split(" ").filter((text) => text !== ""));
}

function memoryPeakBytes(pid: string): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(`${pid}/status`) ?? "");
  return match === null ? 0 : Number(match[1]) * 1_024;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return null;
  }
}
