/**
 * What the model-worker actor needs of its host. Adapters implement these with Node and the bus;
 * tests and the simulator implement them in memory under a virtual clock.
 */
import type { AbortSignalLike } from "@murakkab/kit";
import type { ArtifactLocation, ArtifactRef } from "@murakkab/model";

export interface CoresRequest {
  /** Idempotency key of the attempt; release uses the same. */
  readonly attempt: string;
  readonly cores: number;
  readonly remainingMs: number;
}

/** The agent of this node, which owns its cores and its artifact store. */
export interface AgentPort {
  /** Waits in the agent's line. Errors: as the agent answers; retryable when it is not there. */
  acquireCores(request: CoresRequest, signal: AbortSignalLike): Promise<void>;
  /** Harmless when nothing is held; takes a waiting request out of the line. */
  releaseCores(attempt: string): Promise<void>;
  /** Path of a local copy, fetched from a holder if need be. */
  openArtifact(request: {
    readonly jobId: string;
    readonly artifact: ArtifactLocation;
    readonly remainingMs: number;
  }): Promise<string>;
  /** Moves the file into the store and pins it for the job. */
  ingest(request: {
    readonly jobId: string;
    readonly path: string;
    readonly mediaType: string;
  }): Promise<ArtifactRef>;
}

/** Private directories of attempts. A full disk is an error whose `code` is `ENOSPC`. */
export interface ScratchPort {
  /** A new empty directory. */
  make(): Promise<string>;
  /** Removes a directory with all that is in it. */
  remove(dir: string): Promise<void>;
  readText(path: string): Promise<string>;
  /** Writes a new file in `dir` and gives its path. */
  writeText(dir: string, text: string): Promise<string>;
  /** The real path when `path` is a regular file below `dir`, else null. */
  resolveBelow(dir: string, path: string): Promise<string | null>;
}

export interface Usage {
  /** CPU seconds of this process and of the children that it waited for; null = not known. */
  readonly cpuSec: number | null;
  /** Highest memory of this process with its descendants, bytes; null = not known. */
  readonly memoryBytesMax: number | null;
}

export interface UsagePort {
  /** Measures from now until the returned function is called. One at a time. */
  begin(): () => Usage;
}
