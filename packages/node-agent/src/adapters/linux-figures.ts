/**
 * CPU, memory and network of a Linux host from /proc, without a child process: a fraction of a
 * millisecond per sample, which a library that serves all platforms does not reach.
 *
 * Rates are between two samples; the first one has none.
 */
import { readFileSync } from "node:fs";
import type { HostFigures } from "../ports.ts";

export type CheapFigures = Pick<HostFigures, "cpu" | "memory" | "network">;

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

interface Counters {
  readonly atMs: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

export class LinuxFigures {
  readonly #monotonicMs: () => number;
  readonly #read: (path: string) => string;
  #cpus: readonly CpuTimes[] = [];
  #counters: Counters | null = null;

  constructor(options: {
    readonly monotonicMs: () => number;
    /** Default: the real /proc. */
    readonly read?: (path: string) => string;
  }) {
    this.#monotonicMs = options.monotonicMs;
    this.#read = options.read ?? ((path) => readFileSync(path, "utf8"));
  }

  sample(): CheapFigures {
    return { cpu: this.#cpu(), memory: this.#memory(), network: this.#network() };
  }

  #cpu(): HostFigures["cpu"] {
    const now = parseCpuTimes(this.#read("/proc/stat"));
    const before = this.#cpus;
    this.#cpus = now;
    const perCore = now.slice(1).map((times, core) => busyRatio(before[core + 1], times) ?? 0);
    return { cores: now.length - 1, busyRatio: busyRatio(before[0], now[0]), perCore };
  }

  #memory(): HostFigures["memory"] {
    const text = this.#read("/proc/meminfo");
    const bytesOf = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1_024;
    const totalBytes = bytesOf("MemTotal");
    return { totalBytes, usedBytes: totalBytes - bytesOf("MemAvailable") };
  }

  #network(): HostFigures["network"] {
    const now = { atMs: this.#monotonicMs(), ...parseNetworkBytes(this.#read("/proc/net/dev")) };
    const before = this.#counters;
    this.#counters = now;
    if (before === null || now.atMs <= before.atMs) {
      return { rxBytesPerSec: null, txBytesPerSec: null };
    }
    const seconds = (now.atMs - before.atMs) / 1_000;
    // An interface that went away makes the sum smaller: no traffic then, not a negative one.
    return {
      rxBytesPerSec: Math.max(0, now.rxBytes - before.rxBytes) / seconds,
      txBytesPerSec: Math.max(0, now.txBytes - before.txBytes) / seconds,
    };
  }
}

/** The sum of all cores first, then each core. */
function parseCpuTimes(stat: string): CpuTimes[] {
  return stat
    .split("\n")
    .filter((line) => line.startsWith("cpu"))
    .map((line) => {
      // user nice system idle iowait irq softirq steal; guest times are part of user already.
      const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
      const total = times.reduce((sum, time) => sum + time, 0);
      return { total, busy: total - (times[3] ?? 0) - (times[4] ?? 0) };
    });
}

function busyRatio(before: CpuTimes | undefined, now: CpuTimes | undefined): number | null {
  if (before === undefined || now === undefined || now.total <= before.total) return null;
  const ratio = (now.busy - before.busy) / (now.total - before.total);
  return Math.min(1, Math.max(0, ratio));
}

function parseNetworkBytes(text: string): { rxBytes: number; txBytes: number } {
  let rxBytes = 0;
  let txBytes = 0;
  for (const line of text.split("\n")) {
    const [name, counters] = line.split(":");
    if (name === undefined || counters === undefined || name.trim() === "lo") continue;
    const fields = counters.trim().split(/\s+/).map(Number);
    rxBytes += fields[0] ?? 0;
    txBytes += fields[8] ?? 0;
  }
  return { rxBytes, txBytes };
}
