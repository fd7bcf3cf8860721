/** What processes cost, from /proc: the one figure that a shared machine does not blur much. */
import { readdir, readFile } from "node:fs/promises";

/** /proc counts CPU in ticks of 1/100 s on Linux, whatever the kernel's own rate is. */
const TICKS_PER_SEC = 100;

/** CPU-seconds so far, those of children that were waited for included. 0 for one that is gone. */
export async function cpuSecOf(pid: number): Promise<number> {
  const fields = await statFields(pid);
  // utime, stime, cutime, cstime.
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0) / TICKS_PER_SEC;
}

/** Resident memory, MB. NaN for one that is gone. */
export async function rssMbOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024) / 1_000_000;
}

/** Children of a process, and theirs. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const parents = new Map<number, number>();
  for (const name of names) {
    parents.set(Number(name), Number((await statFields(Number(name)))[1]));
  }
  const found: number[] = [pid];
  // Appended to while it is read: each generation finds the next one.
  for (const parent of found) {
    for (const [child, parentOf] of parents) if (parentOf === parent) found.push(child);
  }
  return found.slice(1);
}

/** The fields after the program's name, which may hold spaces and brackets itself. */
async function statFields(pid: number): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
