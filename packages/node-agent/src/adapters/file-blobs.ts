/**
 * Artifacts as files: `sha256/<2 hex>/<64 hex>` with the media type and name beside each.
 *
 * Owns:      the layout of the directory, hashing while writing, atomic appearance.
 * Does not:  limit sizes, pin or evict (artifacts/artifact-store.ts).
 *
 * Invariants:
 *   F1. A file under its hash's name is complete: it gets there by rename.
 *   F2. A failed write leaves no file; what a crash left in `tmp` is removed at the next start.
 *   F3. An adopted file keeps its old name until it has its new one.
 *   F4. A directory that was deleted while the agent runs is made again by the next write.
 */
import type { Hash } from "node:crypto";
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import {
  access,
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { BlobMeta, BlobPort, StagedBlob, StoredBlob } from "../ports.ts";

const HASH_PATTERN = /^[0-9a-f]{64}$/;
/** Hashing in pieces of this size keeps the loop free: about half a millisecond each. */
const READ_CHUNK_BYTES = 1_048_576;
const LINK_REFUSED_CODES = ["EXDEV", "EPERM", "ENOTSUP", "ENOSYS"];
const DEFAULT_MEDIA_TYPE = "application/octet-stream";

interface StagedContent {
  readonly hash: Hash;
  readonly bytes: number;
  /** The name that the file had before it was taken over. */
  readonly source?: string;
}

export class FileBlobs implements BlobPort {
  readonly #blobDir: string;
  readonly #temporaryDir: string;

  constructor(options: { readonly dir: string }) {
    this.#blobDir = join(options.dir, "sha256");
    this.#temporaryDir = join(options.dir, "tmp");
  }

  async recover(): Promise<StoredBlob[]> {
    await rm(this.#temporaryDir, { recursive: true, force: true }); // F2
    await mkdir(this.#temporaryDir, { recursive: true, mode: 0o700 });
    await mkdir(this.#blobDir, { recursive: true, mode: 0o700 });
    const found: (StoredBlob & { readonly usedAtMs: number })[] = [];
    for (const shard of await readdir(this.#blobDir)) {
      for (const file of await readdir(join(this.#blobDir, shard))) {
        if (!HASH_PATTERN.test(file)) continue;
        const { size, mtimeMs } = await stat(this.pathOf(file));
        found.push({
          hash: file,
          bytes: size,
          usedAtMs: mtimeMs,
          ...(await this.#readMeta(file)),
        });
      }
    }
    found.sort((a, b) => a.usedAtMs - b.usedAtMs);
    return found.map(({ usedAtMs: _, ...blob }) => blob);
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    reserve: (bytes: number) => Promise<void>,
  ): Promise<StagedBlob> {
    const path = await this.#temporaryFile();
    const hash = createHash("sha256");
    let bytes = 0;
    try {
      const file = await open(path, "wx", 0o600);
      try {
        for await (const chunk of source) {
          await reserve(chunk.length);
          hash.update(chunk);
          await writeAll(file, chunk);
          bytes += chunk.length;
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return this.#staged(path, { hash, bytes });
  }

  async adopt(source: string, reserve: (bytes: number) => Promise<void>): Promise<StagedBlob> {
    const { size, nlink } = await lstat(source);
    // Another name for the same file could change it later: then its content is copied.
    if (nlink > 1) return this.#copyIn(source, reserve);
    await reserve(size); // before the move: a full store leaves the file where it is
    const path = await this.#temporaryFile();
    try {
      await link(source, path); // F3
    } catch (error) {
      // Another file system, or one without links.
      if (!LINK_REFUSED_CODES.includes(String((error as NodeJS.ErrnoException).code))) throw error;
      return this.#copyIn(source, () => Promise.resolve());
    }
    try {
      return this.#staged(path, { ...(await hashFile(path)), source });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  pathOf(hash: string): string {
    return join(this.#blobDir, hash.slice(0, 2), hash);
  }

  async has(hash: string): Promise<boolean> {
    try {
      await access(this.pathOf(hash));
      return true;
    } catch {
      return false;
    }
  }

  async verify(hash: string): Promise<boolean> {
    try {
      return (await hashFile(this.pathOf(hash))).hash.digest("hex") === hash;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  async remove(hash: string): Promise<void> {
    await rm(this.pathOf(hash), { force: true });
    await rm(`${this.pathOf(hash)}.json`, { force: true });
  }

  async #copyIn(source: string, reserve: (bytes: number) => Promise<void>): Promise<StagedBlob> {
    const staged = await this.write(createReadStream(source), reserve);
    const removeSource = (): Promise<void> => rm(source, { force: true });
    return {
      ...staged,
      commit: async (meta) => {
        await staged.commit(meta);
        await removeSource();
      },
      discard: async () => {
        await staged.discard();
        await removeSource();
      },
    };
  }

  #staged(path: string, content: StagedContent): StagedBlob {
    const removeSource = async (): Promise<void> => {
      if (content.source !== undefined) await rm(content.source, { force: true });
    };
    const hash = content.hash.digest("hex");
    return {
      hash,
      bytes: content.bytes,
      commit: async (meta) => {
        const target = this.pathOf(hash);
        await mkdir(join(this.#blobDir, hash.slice(0, 2)), { recursive: true, mode: 0o700 });
        const metaPath = this.#temporaryPath();
        try {
          await writeFile(metaPath, JSON.stringify(meta), { mode: 0o600 });
          await chmod(path, 0o400);
          await rename(metaPath, `${target}.json`);
          await rename(path, target); // F1
          await removeSource(); // F3
        } catch (error) {
          await rm(metaPath, { force: true });
          await rm(path, { force: true });
          throw error;
        }
      },
      discard: async () => {
        await rm(path, { force: true });
        await removeSource();
      },
    };
  }

  async #readMeta(hash: string): Promise<BlobMeta> {
    try {
      const meta: unknown = JSON.parse(await readFile(`${this.pathOf(hash)}.json`, "utf8"));
      const { mediaType, name } = meta as { mediaType?: unknown; name?: unknown };
      return {
        mediaType: typeof mediaType === "string" ? mediaType : DEFAULT_MEDIA_TYPE,
        ...(typeof name === "string" ? { name } : {}),
      };
    } catch {
      return { mediaType: DEFAULT_MEDIA_TYPE }; // the content is what counts
    }
  }

  #temporaryPath(): string {
    return join(this.#temporaryDir, randomUUID());
  }

  /** F4. */
  async #temporaryFile(): Promise<string> {
    await mkdir(this.#temporaryDir, { recursive: true, mode: 0o700 });
    return this.#temporaryPath();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.length) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.length - offset);
    offset += bytesWritten;
  }
}

async function hashFile(path: string): Promise<{ hash: Hash; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_CHUNK_BYTES })) {
    const piece = chunk as Uint8Array;
    hash.update(piece);
    bytes += piece.length;
  }
  return { hash, bytes };
}
