/**
 * CPU seconds and peak memory of one attempt: this process and everything that it starts.
 *
 * Invariants:
 *   U1. One attempt is measured at a time: an instance runs one at a time, so that the difference
 *       of its counters is the attempt's own.
 *
 * Children count with the kernel's 10 ms ticks, and only once they were waited for.
 */
import { assert } from "@murakkab/kit";
import type { Usage, UsagePort } from "../ports.ts";
import { readChildrenCpuSec, readDescendantsMemoryBytes } from "./process-tree.ts";

/** Delays between samples, ms: short programs get one soon, long ones cost next to nothing. */
const SAMPLE_DELAYS_MS = [10, 20, 40, 80] as const;
const SAMPLE_INTERVAL_MS = 100;

export class UsageMeter implements UsagePort {
  private isMeasuring = false;

  begin(): () => Usage {
    assert(!this.isMeasuring, "U1: one attempt is measured at a time");
    this.isMeasuring = true;
    const ownStart = process.cpuUsage();
    const childrenStartSec = readChildrenCpuSec();
    const sampler = new MemorySampler();
    return () => {
      this.isMeasuring = false;
      const own = process.cpuUsage(ownStart);
      const childrenEndSec = readChildrenCpuSec();
      const isKnown = childrenStartSec !== null && childrenEndSec !== null;
      const cpuSec = isKnown
        ? (own.user + own.system) / 1e6 + (childrenEndSec - childrenStartSec)
        : null;
      return { cpuSec, memoryBytesMax: sampler.end() };
    };
  }
}

class MemorySampler {
  private bytesMax: number | null = null;
  private sampleCount = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor() {
    this.arm();
  }

  end(): number | null {
    if (this.timer !== null) clearTimeout(this.timer);
    this.sample();
    return this.bytesMax;
  }

  private arm(): void {
    const delayMs = SAMPLE_DELAYS_MS[this.sampleCount] ?? SAMPLE_INTERVAL_MS;
    this.timer = setTimeout(() => {
      this.sample();
      this.sampleCount += 1;
      this.arm();
    }, delayMs);
    this.timer.unref();
  }

  private sample(): void {
    const descendantsBytes = readDescendantsMemoryBytes();
    if (descendantsBytes === null) return;
    const bytes = process.memoryUsage.rss() + descendantsBytes;
    this.bytesMax = Math.max(this.bytesMax ?? 0, bytes);
  }
}
