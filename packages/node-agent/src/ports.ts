/**
 * What the agent's protocol logic needs of its host. Adapters implement these with Node; tests
 * and the simulator implement them in memory under a virtual clock.
 */
import type {
  ArtifactHolder,
  ExecutorEntry,
  GpuSample,
  HostIdentity,
  InstanceState,
} from "@murakkab/model";
import type { AttemptResult, MediaInfo } from "@murakkab/protocol";

// ---- processes -------------------------------------------------------------------------------

export interface SpawnRequest {
  readonly instance: string;
  readonly executor: ExecutorEntry;
}

/** How a worker process ended. Exactly one of `code` and `signal` is set, or `error` alone. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not even start, or that nobody saw how it ended. */
  readonly error?: string;
  /** Redacted last part of its stderr. */
  readonly stderrTail: string;
}

export interface WorkerStatus {
  readonly queuedCount: number;
  readonly inFlightCount: number;
}

export interface ProcessEvents {
  onReady(): void;
  onStatus(status: WorkerStatus): void;
  /** Called exactly once, after the last output was read. */
  onExit(exit: ProcessExit): void;
}

export interface ProcessUsage {
  /** CPU seconds of the process tree since it started. */
  readonly cpuSec: number;
  readonly memoryBytes: number;
}

export interface InstanceProcess {
  readonly scratchDir: string;
  /** Asks the whole process group to end. */
  terminate(): void;
  kill(): void;
  /** Ends everything that the process had started, and removes its scratch directory. */
  reap(): Promise<void>;
  /** Null where the host cannot tell. */
  usage(): ProcessUsage | null;
}

/** A worker that a former agent of this node left behind, ready and running. */
export interface LeftWorker {
  readonly request: SpawnRequest;
  /** Takes it over; `onReady` and `onStatus` are never called: there is no channel. */
  adopt(events: ProcessEvents): InstanceProcess;
}

export interface ProcessPort {
  spawn(request: SpawnRequest, events: ProcessEvents): InstanceProcess;
  /**
   * What a former agent left: workers that can be told for certain, each to be adopted. All else
   * of it is ended and removed before this resolves.
   */
  recover(): Promise<readonly LeftWorker[]>;
}

// ---- what survives a restart -------------------------------------------------------------------

/** The highest leader generation that was obeyed. A damaged record is set aside and named. */
export interface GenerationPort {
  load(): Promise<{ readonly generation: number; readonly quarantinedAt: string | null }>;
  /** Resolves when it would survive a crash of the host. */
  save(generation: number): Promise<void>;
}

/**
 * Results of attempts that their askers never got, written by workers. Names are opaque; a name
 * that is gone reads as null.
 */
export interface SpoolFilesPort {
  list(): Promise<readonly string[]>;
  /** Errors: any, when the content is not a result. */
  read(name: string): Promise<AttemptResult | null>;
  remove(name: string): Promise<void>;
  /** Sets an unreadable one aside and gives its new place. */
  quarantine(name: string): Promise<string>;
}

// ---- host ------------------------------------------------------------------------------------

export interface HostPort {
  identity(): HostIdentity;
  /** Program name to version line, of the known programs and `more` that are on the PATH. */
  programs(more: readonly string[]): Promise<Readonly<Record<string, string>>>;
  hasProgram(name: string): Promise<boolean>;
}

export interface HostFigures {
  readonly cpu: {
    readonly cores: number;
    readonly busyRatio: number | null;
    readonly perCore: readonly number[];
  };
  readonly memory: { readonly totalBytes: number; readonly usedBytes: number };
  readonly disk: { readonly totalBytes: number | null; readonly usedBytes: number | null };
  readonly network: {
    readonly rxBytesPerSec: number | null;
    readonly txBytesPerSec: number | null;
  };
  readonly gpus: readonly GpuSample[];
}

export interface SamplerPort {
  /** Never rejects: what cannot be read is null. */
  sample(): Promise<HostFigures>;
}

// ---- artifacts -------------------------------------------------------------------------------

export interface BlobMeta {
  readonly mediaType: string;
  readonly name?: string;
}

export interface StoredBlob extends BlobMeta {
  readonly hash: string;
  readonly bytes: number;
}

/** A written but not yet visible blob. Ends in exactly one of `commit` and `discard`. */
export interface StagedBlob {
  readonly hash: string;
  readonly bytes: number;
  commit(meta: BlobMeta): Promise<void>;
  discard(): Promise<void>;
}

/** Where the bytes of artifacts are kept. A full disk is an error whose `code` is `ENOSPC`. */
export interface BlobPort {
  /** Removes partial files and tells what is there, least recently used first. */
  recover(): Promise<readonly StoredBlob[]>;
  /** `reserve` is awaited before each chunk is written; when it throws, nothing is left. */
  write(
    source: AsyncIterable<Uint8Array>,
    reserve: (bytes: number) => Promise<void>,
  ): Promise<StagedBlob>;
  /**
   * Takes a file over by moving it. Until it is committed the source stays where it was, so that
   * whoever asked can ask again when this agent is lost in between.
   */
  adopt(path: string, reserve: (bytes: number) => Promise<void>): Promise<StagedBlob>;
  pathOf(hash: string): string;
  /** Whether the bytes are still there: a disk may lose them while the agent runs. */
  has(hash: string): Promise<boolean>;
  /** Whether the stored bytes still have this hash. */
  verify(hash: string): Promise<boolean>;
  remove(hash: string): Promise<void>;
}

export interface OpenedSource extends BlobMeta {
  /** Bytes announced, or null where the source does not tell. */
  readonly bytes: number | null;
  readonly stream: AsyncIterable<Uint8Array>;
}

export interface SourceLimits {
  readonly remainingMs: number;
  readonly bytesMax: number;
}

/** Opens what a user named as an input: a path below an input root, or an http(s) URL. */
export interface SourcePort {
  open(source: string, limits: SourceLimits): Promise<OpenedSource>;
}

/**
 * Fetches an artifact from another node's artifact server. Errors: `NOT_FOUND` when that node says
 * that it does not have it, `FETCH_REFUSED` when it answered otherwise, `FETCH_FAILED` when it
 * could not be reached.
 */
export interface FetchPort {
  fetch(
    holder: ArtifactHolder,
    hash: string,
    remainingMs: number,
  ): Promise<AsyncIterable<Uint8Array>>;
}

export interface ProbeOutcome {
  readonly media: MediaInfo | null;
  /** Why `media` is `file` or null; `{name}` is replaced by the artifact's name. */
  readonly problem?: string;
}

export interface ProbePort {
  probe(path: string): Promise<ProbeOutcome>;
}

/** Resolves where a file really is and refuses what lies outside `root`. */
export interface PathPort {
  /** The real path when `path` is a regular file below `root`, else null. */
  resolveBelow(root: string, path: string): Promise<string | null>;
}

export type { InstanceState };
