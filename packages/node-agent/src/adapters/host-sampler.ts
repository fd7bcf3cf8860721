/** All figures of this host, each behind a guard: what cannot be read is null. */
import { statfs } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import type { HostFigures, SamplerPort } from "../ports.ts";
import type { GpuSampler } from "./gpu-sampler.ts";
import { LinuxFigures } from "./linux-figures.ts";
import { PortableFigures } from "./portable-figures.ts";
import { isLinux } from "./proc.ts";

export interface HostSamplerOptions {
  /** The disk that this directory is on is told. */
  readonly dataDir: string;
  readonly monotonicMs: () => number;
}

export class HostSampler implements SamplerPort {
  readonly #gpus: GpuSampler;
  readonly #options: HostSamplerOptions;
  readonly #portable: PortableFigures;
  readonly #linux: LinuxFigures | null;

  constructor(gpus: GpuSampler, options: HostSamplerOptions) {
    const { monotonicMs } = options;
    this.#gpus = gpus;
    this.#options = options;
    this.#linux = isLinux ? new LinuxFigures({ monotonicMs }) : null;
    this.#portable = new PortableFigures({
      monotonicMs,
      cores: cpus().length,
      memoryBytes: totalmem(),
    });
  }

  async sample(): Promise<HostFigures> {
    const disk = await this.#disk();
    return { ...this.#cheap(), disk, gpus: this.#gpus.sample() };
  }

  #cheap(): ReturnType<LinuxFigures["sample"]> {
    try {
      if (this.#linux !== null) return this.#linux.sample();
    } catch {
      // A /proc that hides these files, as in some containers: then as on other platforms.
    }
    return this.#portable.sample();
  }

  async #disk(): Promise<HostFigures["disk"]> {
    try {
      const { blocks, bavail, bsize } = await statfs(this.#options.dataDir);
      return { totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
    } catch {
      return { totalBytes: null, usedBytes: null };
    }
  }
}
