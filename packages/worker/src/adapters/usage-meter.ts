/**
 * CPU seconds and peak memory of one attempt: this process and everything that it starts.
 *
 * Invariants:
 *   U1. CPU seconds are told only of an attempt that had the process for itself: the difference of
 *       the process's counters is then the attempt's own. Of attempts that overlapped they are
 *       null: a wrong figure would end up on a bill.
 *   U2. An attempt that starts no program and ends soon costs a few system calls: /proc is not
 *       read for it.
 *
 * Memory is the instance's: attempts that overlap share it, and each is told the peak of the whole.
 * Children count with the kernel's 10 ms ticks, and only once they were waited for, which every
 * program is before its attempt ends.
 */
import type { Usage, UsagePort } from "../ports.ts";
import { readChildrenCpuSec, readDescendantsMemoryBytes } from "./process-tree.ts";

/** Delays between samples, ms: short programs get one soon, long ones cost next to nothing. */
const SAMPLE_DELAYS_MS = [10, 20, 40, 80] as const;
const SAMPLE_INTERVAL_MS = 100;
/** How old this process's own size may be for an attempt that ended between samples, ms. */
const RSS_AGE_MS_MAX = 100;

/** How many programs there ever were, so that /proc is read only when there is something to see. */
export interface ProgramCount {
  readonly startedCount: number;
  /** Of those that were waited for. */
  readonly endedCount: number;
}

interface Running {
  isAlone: boolean;
}

export class UsageMeter implements UsagePort {
  private readonly programs: ProgramCount;
  private readonly running = new Set<Running>();
  private readonly rss = new RssGauge();
  private childrenSec: number | null = readChildrenCpuSec();
  private countedPrograms: number;

  constructor(programs: ProgramCount) {
    this.programs = programs;
    this.countedPrograms = programs.endedCount;
  }

  begin(): () => Usage {
    const own: Running = { isAlone: this.running.size === 0 };
    for (const other of this.running) other.isAlone = false; // U1
    this.running.add(own);
    const start = own.isAlone ? process.cpuUsage() : null;
    const sampler = new MemorySampler(this.programs, this.rss);
    return () => {
      this.running.delete(own);
      const childrenSec = this.takeChildrenSec();
      const memoryBytesMax = sampler.end();
      if (!own.isAlone || start === null || childrenSec === null) {
        return { cpuSec: null, memoryBytesMax };
      }
      const { user, system } = process.cpuUsage(start);
      return { cpuSec: (user + system) / 1e6 + childrenSec, memoryBytesMax };
    };
  }

  /** What children have used since it was last asked; they are waited for before an attempt ends. */
  private takeChildrenSec(): number | null {
    const { endedCount } = this.programs;
    if (endedCount === this.countedPrograms) return this.childrenSec === null ? null : 0; // U2
    this.countedPrograms = endedCount;
    const before = this.childrenSec;
    this.childrenSec = readChildrenCpuSec();
    return before === null || this.childrenSec === null ? null : this.childrenSec - before;
  }
}

/** This process's own size, read anew only when the last reading is old (U2). */
class RssGauge {
  private bytes = 0;
  private readAtMs = Number.NEGATIVE_INFINITY;

  read(ageMsMax: number): number {
    const nowMs = performance.now();
    if (nowMs - this.readAtMs > ageMsMax) {
      this.bytes = process.memoryUsage.rss();
      this.readAtMs = nowMs;
    }
    return this.bytes;
  }
}

class MemorySampler {
  private readonly programs: ProgramCount;
  private readonly rss: RssGauge;
  private readonly startedCount: number;
  private bytesMax: number | null = null;
  private sampleCount = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(programs: ProgramCount, rss: RssGauge) {
    this.programs = programs;
    this.rss = rss;
    this.startedCount = programs.startedCount;
    this.arm();
  }

  end(): number | null {
    if (this.timer !== null) clearTimeout(this.timer);
    this.sample(RSS_AGE_MS_MAX);
    return this.bytesMax;
  }

  private arm(): void {
    const delayMs = SAMPLE_DELAYS_MS[this.sampleCount] ?? SAMPLE_INTERVAL_MS;
    this.timer = setTimeout(() => {
      this.sample(0);
      this.sampleCount += 1;
      this.arm();
    }, delayMs);
    this.timer.unref();
  }

  private sample(rssAgeMsMax: number): void {
    const hasPrograms = this.programs.startedCount > this.startedCount;
    const descendantsBytes = hasPrograms ? readDescendantsMemoryBytes() : 0;
    if (descendantsBytes === null) return;
    const bytes = this.rss.read(rssAgeMsMax) + descendantsBytes;
    this.bytesMax = Math.max(this.bytesMax ?? 0, bytes);
  }
}
