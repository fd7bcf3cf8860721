/**
 * Runs library executors in this process, one at a time, and tells what each attempt took.
 *
 * Owns:      files of inputs and outputs, and the memory of attempts: equal work is done once.
 * Does not:  know plans (see run-plan.ts), nor anything of agents and the bus.
 *
 * Invariants:
 *   L1. One attempt runs at a time: CPU seconds are then its own.
 *   L2. Attempts with the same executor, knobs and inputs give the figures of the first one.
 */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { InvalidArgumentError, NotFoundError } from "@murakkab/kit";
import {
  type ArtifactRef,
  artifactUri,
  defaultKnobs,
  type ExecutorEntry,
  isArtifactRef,
  type KnobValues,
  type Library,
} from "@murakkab/model";
import type { Engine, Values } from "@murakkab/worker";
import { GroupLedger, makeEngine, ProgramRunner, UsageMeter } from "@murakkab/worker/engines";

export interface LabAttempt {
  readonly executor: string;
  /** Those that are not given have the library's defaults. */
  readonly knobs?: KnobValues;
  readonly inputs: Values;
  /** The fan-out's input is a list, and the outputs will be lists. */
  readonly isBatch?: boolean;
}

export interface LabResult {
  readonly outputs: Values;
  readonly cpuSec: number;
  readonly runMs: number;
}

export class ExecutorLab {
  private readonly entries: ReadonlyMap<string, ExecutorEntry>;
  private readonly dir: string;
  private readonly ledger: GroupLedger;
  private readonly programs: ProgramRunner;
  private readonly usage: UsageMeter;
  private readonly engines = new Map<string, Promise<Engine>>();
  private readonly files = new Map<string, string>();
  private readonly done = new Map<string, Promise<LabResult>>();
  private last: Promise<unknown> = Promise.resolve();
  private attemptCount = 0;

  private constructor(library: Library, dir: string) {
    this.entries = new Map(library.executors.map((entry) => [entry.id, entry]));
    this.dir = dir;
    this.ledger = new GroupLedger(join(dir, "ledger"));
    this.programs = new ProgramRunner(
      { ledger: this.ledger },
      { instance: "lab", env: process.env },
    );
    this.usage = new UsageMeter(this.programs);
  }

  static async open(library: Library): Promise<ExecutorLab> {
    return new ExecutorLab(library, await mkdtemp(join(tmpdir(), "murakkab-lab-")));
  }

  async close(): Promise<void> {
    this.programs.killAll();
    this.ledger.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** A file as an input. It must stay where it is. */
  async addFile(path: string, mediaType: string): Promise<ArtifactRef> {
    const bytes = await readFile(path);
    const artifact = artifactUri(createHash("sha256").update(bytes).digest("hex"));
    this.files.set(artifact, path);
    return { artifact, bytes: bytes.length, mediaType };
  }

  /** L2. Errors: what the engine fails with; `INVALID_ARGUMENT` for an unknown executor. */
  run(attempt: LabAttempt): Promise<LabResult> {
    const entry = this.entries.get(attempt.executor);
    if (entry === undefined) {
      const known = [...this.entries.keys()].join(", ");
      throw new InvalidArgumentError(
        `executor "${attempt.executor}" is not in the library, expected one of ${known}`,
      );
    }
    const knobs = { ...defaultKnobs(entry), ...attempt.knobs };
    const key = JSON.stringify([
      entry.id,
      Object.entries(knobs).sort(([a], [b]) => (a < b ? -1 : 1)),
      attempt,
    ]);
    let result = this.done.get(key);
    if (result === undefined) {
      result = this.last.then(() => this.runNow(entry, knobs, attempt));
      this.last = result.catch(() => undefined); // L1
      this.done.set(key, result);
    }
    return result;
  }

  private async runNow(
    entry: ExecutorEntry,
    knobs: KnobValues,
    { inputs, isBatch = false }: LabAttempt,
  ): Promise<LabResult> {
    const engine = await this.engineOf(entry);
    this.attemptCount += 1;
    const scratchDir = join(this.dir, `attempt-${this.attemptCount}`);
    await mkdir(scratchDir);
    const end = this.usage.begin();
    const startedMs = performance.now();
    const outputs = await engine.run({
      inputs,
      knobs,
      threads: Math.max(1, Math.floor(entry.resources.cores)),
      isBatch,
      scratchDir,
      signal: new AbortController().signal,
      openArtifact: async (ref) => this.pathOf(ref),
    });
    const runMs = performance.now() - startedMs;
    const { cpuSec } = end();
    const kept = (await this.keepFiles(outputs, scratchDir)) as Values;
    await rm(scratchDir, { recursive: true, force: true });
    return { outputs: kept, cpuSec: cpuSec ?? 0, runMs };
  }

  private engineOf(entry: ExecutorEntry): Promise<Engine> {
    let engine = this.engines.get(entry.id);
    if (engine === undefined) {
      engine = makeEngine(entry, this.programs);
      this.engines.set(entry.id, engine);
    }
    return engine;
  }

  private pathOf(ref: ArtifactRef): string {
    const path = this.files.get(ref.artifact);
    if (path !== undefined) return path;
    throw new NotFoundError(`${ref.artifact} is not known, expected a file that was added or made`);
  }

  /** Output files become artifacts, as the worker makes them. */
  private async keepFiles(value: unknown, scratchDir: string): Promise<unknown> {
    if (value === null || typeof value !== "object" || isArtifactRef(value)) return value;
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const item of value) items.push(await this.keepFiles(item, scratchDir));
      return items;
    }
    const { outputFile, mediaType } = value as { outputFile?: unknown; mediaType?: unknown };
    if (typeof outputFile === "string" && typeof mediaType === "string") {
      const path = isAbsolute(outputFile) ? outputFile : join(scratchDir, outputFile);
      const made = await this.addFile(path, mediaType);
      const keptPath = join(this.dir, made.artifact.slice(-64));
      await rename(path, keptPath);
      this.files.set(made.artifact, keptPath);
      return made;
    }
    const kept: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(value)) {
      kept[name] = await this.keepFiles(item, scratchDir);
    }
    return kept;
  }
}
