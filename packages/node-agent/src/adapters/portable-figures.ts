/**
 * CPU, memory and network through `systeminformation`, where there is no /proc. It starts child
 * processes on some platforms, so it is asked at most every REFRESH_MS and never waited for.
 */
import type { CheapFigures } from "./linux-figures.ts";

/** Its real samples cost tens of milliseconds (macOS runs programs for them). */
const REFRESH_MS = 5_000;

export class PortableFigures {
  readonly #monotonicMs: () => number;
  readonly #empty: CheapFigures;
  #latest: CheapFigures | null = null;
  #isRefreshing = false;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    readonly monotonicMs: () => number;
    readonly cores: number;
    readonly memoryBytes: number;
  }) {
    this.#monotonicMs = options.monotonicMs;
    this.#empty = {
      cpu: { cores: options.cores, busyRatio: null, perCore: [] },
      memory: { totalBytes: options.memoryBytes, usedBytes: 0 },
      network: { rxBytesPerSec: null, txBytesPerSec: null },
    };
  }

  /** The figures of the last refresh; a new one is begun when they are old. */
  sample(): CheapFigures {
    if (this.#monotonicMs() - this.#refreshedAtMs >= REFRESH_MS) void this.refresh();
    return this.#latest ?? this.#empty;
  }

  /** Never rejects. */
  async refresh(): Promise<void> {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    try {
      const { currentLoad, mem, networkStats } = await import("systeminformation");
      const [load, memory, interfaces] = await Promise.all([currentLoad(), mem(), networkStats()]);
      const outside = interfaces.filter((one) => !one.iface.startsWith("lo"));
      const sum = (values: readonly (number | null)[]): number | null =>
        values.some((value) => value === null || value < 0)
          ? null // systeminformation has no rate before its second call
          : values.reduce<number>((total, value) => total + (value ?? 0), 0);
      this.#latest = {
        cpu: {
          cores: load.cpus.length,
          busyRatio: load.currentLoad / 100,
          perCore: load.cpus.map((core) => core.load / 100),
        },
        memory: { totalBytes: memory.total, usedBytes: memory.total - memory.available },
        network: {
          rxBytesPerSec: sum(outside.map((one) => one.rx_sec)),
          txBytesPerSec: sum(outside.map((one) => one.tx_sec)),
        },
      };
    } catch {
      // A platform that it does not know: unknown stays unknown.
    } finally {
      this.#refreshedAtMs = this.#monotonicMs();
      this.#isRefreshing = false;
    }
  }
}
