/** Host figures: the /proc readers against known text, both kinds of sampler against this host. */
import { describe, expect, it } from "vitest";
import { LinuxFigures } from "../../src/adapters/linux-figures.ts";
import { PortableFigures } from "../../src/adapters/portable-figures.ts";

const MEMINFO = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n";
const NET = (rx: number, tx: number): string =>
  `Inter-|   Receive\n face |bytes\n    lo: 99 0 0 0 0 0 0 0 99 0\n  eth0: ${rx} 0 0 0 0 0 0 0 ${tx} 0\n`;

describe("figures", () => {
  it("has rates from the second sample on", () => {
    const time = { nowMs: 0 };
    let files: Record<string, string> = {
      "/proc/stat": "cpu  100 0 0 100 0 0 0 0 50 0\ncpu0 100 0 0 100 0 0 0 0 0 0\nintr 5\n",
      "/proc/meminfo": MEMINFO,
      "/proc/net/dev": NET(1_000, 10),
    };
    const figures = new LinuxFigures({
      monotonicMs: () => time.nowMs,
      read: (path) => files[path] ?? "",
    });
    expect(figures.sample()).toEqual({
      cpu: { cores: 1, busyRatio: null, perCore: [0] },
      memory: { totalBytes: 1_024_000, usedBytes: 614_400 },
      network: { rxBytesPerSec: null, txBytesPerSec: null },
    });
    time.nowMs = 2_000;
    files = {
      ...files,
      "/proc/stat": "cpu  125 0 0 160 15 0 0 0 99 0\ncpu0 125 0 0 160 15 0 0 0 0 0\n",
      "/proc/net/dev": NET(5_000, 10),
    };
    expect(figures.sample()).toMatchObject({
      cpu: { busyRatio: 0.25, perCore: [0.25] },
      network: { rxBytesPerSec: 2_000, txBytesPerSec: 0 },
    });
  });

  it("knows this host through systeminformation and never waits for it", async () => {
    const figures = new PortableFigures({ monotonicMs: () => 0, cores: 3, memoryBytes: 77 });
    expect(figures.sample()).toMatchObject({ cpu: { cores: 3, busyRatio: null } });
    await figures.refresh();
    await expect
      .poll(() => figures.sample().memory.totalBytes, { timeout: 20_000 })
      .toBeGreaterThan(1_000_000);
    expect(figures.sample().cpu.perCore.length).toBeGreaterThan(0);
  });
});
