/**
 * GPU figures through `nvidia-smi`, behind guards that the library for it does not have.
 *
 * Owns:      when it is asked, time limits, the fallback, the age of what is told.
 * Does not:  parse (nvidia-smi-report.ts).
 *
 * Invariants:
 *   G1. At most one question is open. One that hangs is ended, and nobody waits for it longer.
 *   G2. Figures older than STALE_AFTER_MS are told as unknown; the cards themselves stay known.
 *   G3. A host without nvidia-smi is asked for it once and never again.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Logger } from "@murakkab/kit";
import { describeError } from "@murakkab/kit";
import type { GpuSample } from "@murakkab/model";
import nvidiaSmi from "node-nvidia-smi";
import { CSV_FIELDS, gpusInCsv, gpusInReport } from "./nvidia-smi-report.ts";
import { isLinux, processTree } from "./proc.ts";
import { findProgram } from "./programs.ts";
import { sendSignal } from "./reaper.ts";

/** A healthy driver answers within a second; without persistence mode it takes a few. */
const ASK_MS_MAX = 8_000;
/** Telemetry is every second, but each question starts a process that locks the driver. */
const INTERVAL_MS_MIN = 2_000;
/** A slow nvidia-smi is asked less often: it may take a tenth of the time at most. */
const REST_FACTOR = 9;
const STALE_AFTER_MS = 30_000;

export interface GpuSamplerOptions {
  readonly path: string;
  readonly monotonicMs: () => number;
  readonly askMsMax?: number;
}

export class GpuSampler {
  readonly #log: Logger;
  readonly #options: GpuSamplerOptions;
  #isPresent = false;
  #isAsking = false;
  #isFailing = false;
  #latest: readonly GpuSample[] = [];
  #readAtMs = 0;
  #nextAskAtMs = 0;

  constructor(log: Logger, options: GpuSamplerOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Waits for the first answer, so that a registration can tell the cards. */
  async start(): Promise<void> {
    this.#isPresent = (await findProgram("nvidia-smi", this.#options.path)) !== null;
    if (this.#isPresent) await this.#ask(); // G3
  }

  /** What is known now. Never waits and never throws; a new question may be begun. */
  sample(): readonly GpuSample[] {
    const nowMs = this.#options.monotonicMs();
    if (this.#isPresent && !this.#isAsking && nowMs >= this.#nextAskAtMs) void this.#ask();
    return nowMs - this.#readAtMs <= STALE_AFTER_MS ? this.#latest : this.#latest.map(unknown);
  }

  /** G1: ends a question that hangs. */
  stop(): void {
    this.#isPresent = false;
    if (this.#isAsking) endHungQuestions();
  }

  async #ask(): Promise<void> {
    const { monotonicMs } = this.#options;
    this.#isAsking = true;
    const startedAtMs = monotonicMs();
    try {
      this.#latest = await this.#read();
      this.#readAtMs = monotonicMs();
      this.#isFailing = false;
    } catch (error) {
      const fields = { event: "gpu.sample-failed", reason: describeError(error) };
      if (!this.#isFailing) this.#log.warn(fields, "nvidia-smi gave no figures");
      this.#isFailing = true;
    } finally {
      const tookMs = monotonicMs() - startedAtMs;
      this.#nextAskAtMs = monotonicMs() + Math.max(INTERVAL_MS_MIN, REST_FACTOR * tookMs);
      this.#isAsking = false;
    }
  }

  async #read(): Promise<GpuSample[]> {
    const askMsMax = this.#options.askMsMax ?? ASK_MS_MAX;
    try {
      return gpusInReport(await askLibrary(askMsMax));
    } catch (error) {
      if (error instanceof HungError) throw error; // the fallback asks the same driver
      return gpusInCsv(await askCsv(askMsMax));
    }
  }
}

class HungError extends Error {}

/** node-nvidia-smi has no time limit, and fails when anything is on stderr: then with a string. */
function askLibrary(limitMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      endHungQuestions();
      reject(new HungError(`nvidia-smi did not answer within ${limitMs} ms`));
    }, limitMs);
    nvidiaSmi((error, report) => {
      clearTimeout(timer);
      if (error === null || error === undefined) resolve(report);
      else reject(error instanceof Error ? error : new Error(String(error).slice(0, 200)));
    });
  });
}

function askCsv(limitMs: number): Promise<string> {
  const args = [`--query-gpu=${CSV_FIELDS}`, "--format=csv,noheader,nounits"];
  const options = { timeout: limitMs, killSignal: "SIGKILL" } as const;
  return new Promise((resolve, reject) => {
    execFile("nvidia-smi", args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`nvidia-smi failed: ${error.message.split("\n")[0] ?? ""}`));
    });
  });
}

/** The library keeps its child to itself, so it is found among this process's children. */
function endHungQuestions(): void {
  if (!isLinux) return;
  for (const pid of processTree(process.pid)) {
    if (pid === process.pid || !commandOf(pid).includes("nvidia-smi")) continue;
    for (const member of processTree(pid)) sendSignal(member, "SIGKILL");
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // gone meanwhile
  }
}

function unknown(gpu: GpuSample): GpuSample {
  return {
    ...gpu,
    memoryUsedBytes: null,
    utilizationRatio: null,
    powerWatts: null,
    temperatureC: null,
  };
}
