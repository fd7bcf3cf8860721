/**
 * The engine port: what turns the inputs of one attempt into its outputs.
 *
 * A compliance suite can run against any engine, because this is all that the actor knows of one.
 */
import type { AbortSignalLike } from "@murakkab/kit";
import type { ArtifactRef, KnobValues } from "@murakkab/model";

export type Values = Readonly<Record<string, unknown>>;

export interface EngineCall {
  /** Input port to value. Files are `ArtifactRef` objects. */
  readonly inputs: Values;
  /** Every knob of the executor has a value here, and an allowed one. */
  readonly knobs: KnobValues;
  readonly threads: number;
  /** The attempt takes a list of items and gives lists. Absent: one item, alone. */
  readonly isBatch?: boolean;
  /** Private to the attempt; made when this is first read, removed after the attempt. */
  readonly scratchDir: string;
  /** Aborts on cancel, at the time limit and at the deadline; the reason is the failure. */
  readonly signal: AbortSignalLike;
  /** A readable local path. Opening an artifact twice costs nothing. */
  openArtifact(ref: ArtifactRef): Promise<string>;
}

export interface EngineCapabilities {
  /** Attempts that may run at the same time in one engine. */
  readonly concurrencyMax: number;
}

export interface Engine {
  readonly capabilities: EngineCapabilities;
  /** Loads what the engine needs to answer; rejects when it cannot. */
  start(): Promise<void>;
  /**
   * Outputs by port; `{ outputFile, mediaType }` anywhere in them is a file below `scratchDir`.
   * Settles only when every program that it started for this call has ended. Errors:
   * RuntimeError for what the caller shall know, anything else counts as ENGINE_FAILED.
   */
  run(call: EngineCall): Promise<Values>;
  stop(): Promise<void>;
}
