/** Files of the simulated hosts: one shared map, paths are keys. */

import { NotFoundError, sha256Hex } from "@murakkab/kit";
import type { BlobMeta, BlobPort, StagedBlob, StoredBlob } from "@murakkab/node-agent";
import type { ScratchPort } from "@murakkab/worker";

export class MemoryDisk {
  readonly files = new Map<string, Uint8Array>();
  /** Of artifacts, by path. */
  readonly metas = new Map<string, BlobMeta>();
  private directoryCount = 0;

  read(path: string): Uint8Array {
    const data = this.files.get(path);
    if (data === undefined) throw new NotFoundError(`no file ${path} on the simulated disk`);
    return data;
  }

  scratch(host: string): ScratchPort {
    return {
      make: () => {
        this.directoryCount += 1;
        return `/${host}/scratch/${this.directoryCount}`;
      },
      remove: async (dir) => {
        for (const path of [...this.files.keys()]) {
          if (path.startsWith(`${dir}/`)) this.files.delete(path);
        }
      },
      readText: async (path) => new TextDecoder().decode(this.read(path)),
      writeText: async (dir, text) => {
        const path = `${dir}/text-${this.files.size}`;
        this.files.set(path, new TextEncoder().encode(text));
        return path;
      },
      resolveBelow: async (dir, path) =>
        path.startsWith(`${dir}/`) && this.files.has(path) ? path : null,
    };
  }
}

export class MemoryBlobs implements BlobPort {
  private readonly disk: MemoryDisk;
  private readonly host: string;

  constructor(disk: MemoryDisk, host: string) {
    this.disk = disk;
    this.host = host;
  }

  async recover(): Promise<readonly StoredBlob[]> {
    const prefix = this.pathOf("");
    return [...this.disk.files]
      .filter(([path]) => path.startsWith(prefix))
      .map(([path, data]) => ({
        hash: path.slice(prefix.length),
        bytes: data.length,
        ...(this.disk.metas.get(path) ?? { mediaType: "application/octet-stream" }),
      }));
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    reserve: (bytes: number) => Promise<void>,
  ): Promise<StagedBlob> {
    const chunks: number[] = [];
    for await (const chunk of source) {
      await reserve(chunk.length);
      chunks.push(...chunk);
    }
    return this.stage(Uint8Array.from(chunks));
  }

  async adopt(path: string, reserve: (bytes: number) => Promise<void>): Promise<StagedBlob> {
    const data = this.disk.read(path);
    await reserve(data.length);
    this.disk.files.delete(path);
    return this.stage(data);
  }

  private stage(data: Uint8Array): StagedBlob {
    const hash = sha256Hex(data);
    return {
      hash,
      bytes: data.length,
      commit: async (meta: BlobMeta) => {
        this.disk.files.set(this.pathOf(hash), data);
        this.disk.metas.set(this.pathOf(hash), meta);
      },
      discard: async () => undefined,
    };
  }

  pathOf(hash: string): string {
    return `/${this.host}/artifacts/${hash}`;
  }

  async has(hash: string): Promise<boolean> {
    return this.disk.files.has(this.pathOf(hash));
  }

  async verify(hash: string): Promise<boolean> {
    return sha256Hex(this.disk.read(this.pathOf(hash))) === hash;
  }

  async remove(hash: string): Promise<void> {
    this.disk.files.delete(this.pathOf(hash));
  }
}
