/**
 * The node's content-addressed store of large values.
 *
 * Owns:      the index, the size cap, eviction, what is pinned.
 * Does not:  touch files (BlobPort does), fetch, or know types of media.
 *
 * Invariants:
 *   A1. Stored plus reserved bytes never exceed the limit: room is made before a chunk is written.
 *   A2. A pinned artifact is never evicted. A store full of pinned ones answers STORE_FULL.
 *   A3. An artifact is pinned before it becomes visible.
 *   A4. An artifact that was found at a start is checked against its hash before its first use.
 *   A5. A failed write leaves neither bytes nor a reservation.
 *   A6. What the disk has lost while we ran is not here: nobody gets a path to nothing.
 */
import type { Clock } from "@murakkab/kit";
import { isRuntimeError, RetryableError, TerminalError } from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
import { artifactUri } from "@murakkab/model";
import { FULL_RETRY_AFTER_MS, RECOVERED_PIN_MS } from "../limits.ts";
import type { BlobMeta, BlobPort, ProbeOutcome, StagedBlob } from "../ports.ts";
import { Pins, RECOVERED_JOB } from "./pins.ts";

interface Entry extends BlobMeta {
  readonly bytes: number;
  isVerified: boolean;
  /** What a probe found, once there was one. */
  probed: ProbeOutcome | null;
}

export interface PutOptions extends BlobMeta {
  readonly jobId: string;
  readonly holdMs: number;
  /** What the content's hash must be; another one is HASH_MISMATCH. */
  readonly expectedHash?: string;
  /** What the content is called in messages. */
  readonly what: string;
  /** A program's result may be empty, a user's file may not. Default false. */
  readonly isEmptyAllowed?: boolean;
}

export class ArtifactStore {
  readonly #clock: Clock;
  readonly #blobs: BlobPort;
  readonly #limitBytes: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #pins = new Pins();
  #storedBytes = 0;
  #reservedBytes = 0;

  constructor(
    components: { readonly clock: Clock; readonly blobs: BlobPort },
    options: { readonly limitBytes: number },
  ) {
    this.#clock = components.clock;
    this.#blobs = components.blobs;
    this.#limitBytes = options.limitBytes;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Rebuilds the index from what is on the disk. */
  async open(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + RECOVERED_PIN_MS;
    for (const { hash, bytes, ...meta } of await this.#blobs.recover()) {
      this.#entries.set(hash, { ...meta, bytes, isVerified: false, probed: null });
      this.#storedBytes += bytes;
      this.#pins.extend(RECOVERED_JOB, hash, untilMs);
    }
  }

  /** Errors: STORE_FULL, HASH_MISMATCH, INVALID_ARGUMENT for an empty content. */
  put(source: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ArtifactRef> {
    return this.#take((reserve) => this.#blobs.write(source, reserve), options);
  }

  /** Moves a file into the store. Errors as `put`. */
  adopt(path: string, options: PutOptions): Promise<ArtifactRef> {
    return this.#take((reserve) => this.#blobs.adopt(path, reserve), options);
  }

  /** What is known of an artifact; null when it is not here. */
  find(hash: string): { readonly ref: ArtifactRef; readonly probed: ProbeOutcome | null } | null {
    const entry = this.#entries.get(hash);
    return entry === undefined ? null : { ref: refOf(hash, entry), probed: entry.probed };
  }

  /** Whether it is here; forgets what the disk has lost (A6). */
  async isHere(hash: string): Promise<boolean> {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return false;
    if (await this.#blobs.has(hash)) return true;
    if (this.#entries.get(hash) !== entry) return this.isHere(hash); // replaced meanwhile
    await this.#drop(hash);
    return false;
  }

  rememberProbe(hash: string, probed: ProbeOutcome): void {
    const entry = this.#entries.get(hash);
    if (entry !== undefined) entry.probed = probed;
  }

  /**
   * A readable path, or null when the artifact is not here or no longer has its hash (A4). Use
   * counts for eviction.
   */
  async read(hash: string): Promise<{ readonly path: string; readonly ref: ArtifactRef } | null> {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return null;
    if (!entry.isVerified) {
      const isIntact = await this.#blobs.verify(hash);
      if (this.#entries.get(hash) !== entry) return this.read(hash); // replaced or evicted meanwhile
      if (!isIntact) {
        await this.#drop(hash);
        return null;
      }
      entry.isVerified = true;
    } else if (!(await this.isHere(hash))) {
      return null;
    }
    this.#entries.delete(hash);
    this.#entries.set(hash, entry);
    return { path: this.#blobs.pathOf(hash), ref: refOf(hash, entry) };
  }

  /** Pins for a job; answers the hashes that are not here. A later pin replaces the time. */
  pin(jobId: string, hashes: readonly string[], holdMs: number): string[] {
    const held = hashes.filter((hash) => this.#entries.has(hash));
    this.#pins.sweep(this.#clock.monotonicMs());
    this.#pins.replace(jobId, held, this.#clock.monotonicMs() + holdMs);
    return hashes.filter((hash) => !this.#entries.has(hash));
  }

  /** Pins one artifact at least so long. */
  hold(jobId: string, hash: string, holdMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#pins.sweep(nowMs);
    this.#pins.extend(jobId, hash, nowMs + holdMs);
  }

  release(jobId: string): void {
    this.#pins.release(jobId);
  }

  isPinned(hash: string): boolean {
    return this.#pins.isPinned(hash, this.#clock.monotonicMs());
  }

  async #take(
    write: (reserve: (bytes: number) => Promise<void>) => Promise<StagedBlob>,
    options: PutOptions,
  ): Promise<ArtifactRef> {
    let reservedBytes = 0;
    const reserve = async (bytes: number): Promise<void> => {
      if (reservedBytes + bytes > this.#limitBytes) throw tooLarge(options.what, this.#limitBytes);
      await this.#makeRoom(bytes, options.what);
      reservedBytes += bytes;
    };
    try {
      const staged = await write(reserve);
      return await this.#accept(staged, options);
    } catch (error) {
      throw await this.#explain(error, reservedBytes, options.what);
    } finally {
      this.#reservedBytes -= reservedBytes; // A5
    }
  }

  async #accept(staged: StagedBlob, options: PutOptions): Promise<ArtifactRef> {
    const { hash, bytes } = staged;
    const { jobId, holdMs, expectedHash, mediaType, name, what } = options;
    if (bytes === 0 && options.isEmptyAllowed !== true) {
      await staged.discard();
      throw new TerminalError("INVALID_ARGUMENT", `file ${what} is empty`);
    }
    if (expectedHash !== undefined && hash !== expectedHash) {
      await staged.discard();
      throw new RetryableError(
        "HASH_MISMATCH",
        `artifact ${what} has the hash ${hash}, expected ${expectedHash}`,
      );
    }
    this.hold(jobId, hash, holdMs); // A3
    const known = this.#entries.get(hash);
    if (known?.isVerified === true && (await this.isHere(hash))) {
      await staged.discard();
      return refOf(hash, known);
    }
    const meta: BlobMeta = { mediaType, ...(name === undefined ? {} : { name }) };
    await staged.commit(meta);
    // Looked up again: another write of the same content may have ended while this one committed.
    if (!this.#entries.has(hash)) this.#storedBytes += bytes;
    const entry: Entry = { ...meta, bytes, isVerified: true, probed: null };
    this.#entries.set(hash, entry);
    return refOf(hash, entry);
  }

  /** A1, A2. Takes the room at once, before the files of the evicted are gone. */
  async #makeRoom(bytes: number, what: string): Promise<void> {
    const neededBytes = this.#storedBytes + this.#reservedBytes + bytes - this.#limitBytes;
    const { victims, freedBytes } = this.#victims(neededBytes);
    if (freedBytes < neededBytes) throw this.#full(bytes, what);
    this.#reservedBytes += bytes;
    try {
      for (const hash of victims) await this.#drop(hash);
    } catch (error) {
      this.#reservedBytes -= bytes;
      throw error;
    }
  }

  /** Least recently used and not pinned, just enough of them or all that there are. */
  #victims(neededBytes: number): { readonly victims: string[]; readonly freedBytes: number } {
    const pinned = this.#pins.pinnedHashes(this.#clock.monotonicMs());
    const victims: string[] = [];
    let freedBytes = 0;
    for (const [hash, entry] of this.#entries) {
      if (freedBytes >= neededBytes) break;
      if (pinned.has(hash)) continue;
      victims.push(hash);
      freedBytes += entry.bytes;
    }
    return { victims, freedBytes };
  }

  async #drop(hash: string): Promise<void> {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return;
    this.#entries.delete(hash);
    this.#storedBytes -= entry.bytes;
    await this.#blobs.remove(hash);
  }

  /** A disk that is full before the limit is reached is STORE_FULL too; room is made for a repeat. */
  async #explain(error: unknown, writtenBytes: number, what: string): Promise<unknown> {
    if (isRuntimeError(error)) return error;
    const code = (error as { code?: unknown } | null)?.code;
    if (code === "ENOENT") {
      return new RetryableError(
        "STORE_DAMAGED",
        `a file or directory went away while ${what} was being stored`,
        { retryAfterMs: FULL_RETRY_AFTER_MS, cause: error },
      );
    }
    if (code !== "ENOSPC" && code !== "EDQUOT") return error;
    for (const hash of this.#victims(Math.max(1, writtenBytes)).victims) await this.#drop(hash);
    return new RetryableError(
      "STORE_FULL",
      `no space is left on the disk for ${what}: ${mib(this.#storedBytes)} MiB of artifacts are stored`,
      { retryAfterMs: FULL_RETRY_AFTER_MS, cause: error },
    );
  }

  #full(bytes: number, what: string): RetryableError {
    const pinned = this.#pins.pinnedHashes(this.#clock.monotonicMs());
    let pinnedBytes = 0;
    for (const [hash, entry] of this.#entries) if (pinned.has(hash)) pinnedBytes += entry.bytes;
    return new RetryableError(
      "STORE_FULL",
      `artifact store has no room for ${what}: ${mib(pinnedBytes)} MiB pinned and ` +
        `${mib(this.#reservedBytes)} MiB being written of ${mib(this.#limitBytes)} MiB`,
      {
        retryAfterMs: FULL_RETRY_AFTER_MS,
        context: {
          pinnedBytes,
          reservedBytes: this.#reservedBytes,
          limitBytes: this.#limitBytes,
          neededBytes: bytes,
        },
      },
    );
  }
}

/** Terminal: no repeat can make it fit. */
export function tooLarge(what: string, limitBytes: number): TerminalError {
  return new TerminalError(
    "ARTIFACT_TOO_LARGE",
    `${what} is too large, expected at most ${mib(limitBytes)} MiB`,
    { context: { limitBytes } },
  );
}

function refOf(hash: string, entry: Entry): ArtifactRef {
  const { bytes, mediaType, name } = entry;
  return { artifact: artifactUri(hash), bytes, mediaType, ...(name === undefined ? {} : { name }) };
}

function mib(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
