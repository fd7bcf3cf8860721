/** Blobs in memory, with a disk that can be full. */
import { createHash } from "node:crypto";
import type { BlobMeta, BlobPort, StagedBlob, StoredBlob } from "../../src/ports.ts";

export class MemoryBlobs implements BlobPort {
  readonly blobs = new Map<string, { bytes: Uint8Array; meta: BlobMeta }>();
  readonly files = new Map<string, Uint8Array>();
  /** Bytes that the disk still has. */
  diskFreeBytes = Number.POSITIVE_INFINITY;
  stagedCount = 0;

  recover(): Promise<StoredBlob[]> {
    return Promise.resolve(
      [...this.blobs].map(([hash, { bytes, meta }]) => ({ hash, bytes: bytes.length, ...meta })),
    );
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    reserve: (bytes: number) => Promise<void>,
  ): Promise<StagedBlob> {
    const chunks: Uint8Array[] = [];
    let writtenBytes = 0;
    for await (const chunk of source) {
      await reserve(chunk.length);
      writtenBytes += chunk.length;
      if (writtenBytes > this.diskFreeBytes) {
        throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      }
      chunks.push(chunk);
    }
    return this.#staged(Buffer.concat(chunks));
  }

  async adopt(path: string, reserve: (bytes: number) => Promise<void>): Promise<StagedBlob> {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new Error(`no file ${path}`);
    await reserve(bytes.length);
    this.files.delete(path);
    return this.#staged(bytes);
  }

  pathOf(hash: string): string {
    return `/blobs/${hash}`;
  }

  has(hash: string): Promise<boolean> {
    return Promise.resolve(this.blobs.has(hash));
  }

  verify(hash: string): Promise<boolean> {
    const blob = this.blobs.get(hash);
    return Promise.resolve(blob !== undefined && hashOf(blob.bytes) === hash);
  }

  remove(hash: string): Promise<void> {
    this.blobs.delete(hash);
    return Promise.resolve();
  }

  #staged(bytes: Uint8Array): StagedBlob {
    this.stagedCount += 1;
    const hash = hashOf(bytes);
    return {
      hash,
      bytes: bytes.length,
      commit: (meta) => {
        this.stagedCount -= 1;
        this.blobs.set(hash, { bytes, meta });
        return Promise.resolve();
      },
      discard: () => {
        this.stagedCount -= 1;
        return Promise.resolve();
      },
    };
  }
}

export function hashOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function* streamOf(
  ...chunks: readonly (Uint8Array | string)[]
): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
