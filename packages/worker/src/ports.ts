/**
 * What the model-worker actor needs of its host. Adapters implement these with Node and the bus;
 * tests and the simulator implement them in memory under a virtual clock.
 */
import type { AbortSignalLike } from "@murakkab/kit";
import type { ArtifactLocation, ArtifactRef } from "@murakkab/model";
import type { AttemptResult } from "@murakkab/protocol";

export interface CoresRequest {
  /** Names this run of the attempt on this instance; release uses the same. */
  readonly attempt: string;
  readonly cores: number;
  readonly remainingMs: number;
}

/** The agent of this node, which owns its cores and its artifact store. */
export interface AgentPort {
  /**
   * Waits in the agent's line, and for an agent that is away. Errors: as the agent answers;
   * `UNAVAILABLE` when it did not come back in time.
   */
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
    readonly remainingMs: number;
  }): Promise<ArtifactRef>;
}

/** Private directories of attempts. A full disk is an error whose `code` is `ENOSPC`. */
export interface ScratchPort {
  /** A new empty directory. Synchronous: it is made when a property is first read. */
  make(): string;
  /** Removes a directory with all that is in it. */
  remove(dir: string): Promise<void>;
  readText(path: string): Promise<string>;
  /** Writes a new file in `dir` and gives its path. */
  writeText(dir: string, text: string): Promise<string>;
  /** The real path when `path` is a regular file below `dir`, else null. */
  resolveBelow(dir: string, path: string): Promise<string | null>;
}

export interface Usage {
  /**
   * CPU seconds of this process and of the children that it waited for. Null where the host does
   * not tell, and where attempts overlapped: nobody can say then whose they were.
   */
  readonly cpuSec: number | null;
  /** Highest memory of this process with its descendants, bytes; null = not known. */
  readonly memoryBytesMax: number | null;
}

export interface UsagePort {
  /** Measures from now until the returned function is called. */
  begin(): () => Usage;
}

/** Where a reply waits that could not be sent because the bus was away. */
export interface SpoolPort {
  /** There is no room for another one: no attempt starts whose reply may have no place to wait. */
  readonly isFull: boolean;
  put(result: AttemptResult): Promise<void>;
  /** Harmless when there is none. */
  remove(key: string): Promise<void>;
}

/** For hosts without a disk: what the bus loses is run again. */
export const NO_SPOOL: SpoolPort = {
  isFull: false,
  put: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};
