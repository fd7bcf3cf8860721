/**
 * What a `function` executor is: TypeScript that runs in the worker's process.
 *
 * It may start programs through `call.run`, which applies the same limits, process-group kill and
 * accounting as the command engine.
 */
import type { ArtifactRef, KnobValues } from "@murakkab/model";

export interface RunOptions {
  /** Ended with its whole process group after this time, ms. Default: the executor's limit. */
  readonly timeLimitMs?: number;
  /** More output than this ends the program with an error. Default 16 MiB. */
  readonly stdoutLimitBytes?: number;
  readonly stdin?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are no failure. Default [0]. */
  readonly okExitCodes?: readonly number[];
}

export interface RunResult {
  readonly stdout: Uint8Array;
  /** Last bytes of stderr, bounded, as text. */
  readonly stderr: string;
  readonly exitCode: number;
}

export interface FunctionCall {
  /** Input port to value. Artifact inputs are `ArtifactRef` objects: open them. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly knobs: KnobValues;
  /**
   * Only executors with `batchMax`: the fan-out's port holds a list of items, and every output must
   * be a list of the same length and order. Absent or false: one item, alone.
   */
  readonly isBatch?: boolean;
  /** Threads that the attempt may use. */
  readonly threads: number;
  /** A private directory, removed after the attempt. */
  readonly scratchDir: string;
  readonly signal: AbortSignal;
  /** A readable local path of the artifact. Never write to it. */
  openArtifact(ref: ArtifactRef): Promise<string>;
  /**
   * Runs a program with an argument array. Errors: EngineFailedError (`ENGINE_FAILED`, with the
   * last lines of stderr as `detail`) on a bad exit, time-out or too much output.
   */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
}

/** A new file below `scratchDir` that the worker turns into an artifact, anywhere in the outputs. */
export interface OutputFile {
  readonly outputFile: string;
  readonly mediaType: string;
}

export type ExecutorFunction = (call: FunctionCall) => Promise<Readonly<Record<string, unknown>>>;

/** Turns a command's output into values of its output ports. Errors: throws EngineFailedError. */
export type OutputParser = (output: {
  readonly stdout: string;
  readonly stderr: string;
  readonly knobs: KnobValues;
}) => Readonly<Record<string, unknown>>;
