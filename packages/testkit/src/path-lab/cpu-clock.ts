/**
 * Wall time and CPU seconds of this process and the programs that it started.
 *
 * Programs count once they were waited for, in ticks of 10 ms. Linux only: null elsewhere.
 */
import { readChildrenCpuSec } from "@murakkab/worker/engines";

export interface Spent {
  readonly wallMs: number;
  readonly cpuSec: number | null;
}

export function startCpuClock(): () => Spent {
  const startedMs = performance.now();
  const own = process.cpuUsage();
  const childrenSec = readChildrenCpuSec();
  return () => {
    const wallMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(own);
    const nowSec = readChildrenCpuSec();
    const isTold = childrenSec !== null && nowSec !== null;
    return { wallMs, cpuSec: isTold ? (user + system) / 1e6 + nowSec - childrenSec : null };
  };
}
