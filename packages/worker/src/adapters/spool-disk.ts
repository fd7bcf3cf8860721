/**
 * Results that could not be sent, as files in the agent's spool: it delivers them, also when this
 * process is gone by then.
 *
 * Invariants:
 *   S1. A file under its final name is complete and on the disk.
 *   S2. The spool, which all workers of an agent share, takes nothing beyond its limit; several
 *       that write at the same moment exceed it by a result each at most.
 *   S3. "Full" is said while there is still room for what runs now.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { RetryableError } from "@murakkab/kit";
import type { AttemptResult } from "@murakkab/protocol";
import { encode, SPILL_BYTES, spoolFileName } from "@murakkab/protocol";
import type { SpoolPort } from "../ports.ts";

/** Files in one spool: what an agent can deliver in seconds, and read at its start. */
const SPOOL_COUNT_MAX = 4_096;
/** Room that is kept for what runs (S3): what stays inline of one result, twice over. */
const HEADROOM_BYTES = 2 * SPILL_BYTES;
/** While full the disk is looked at no more often than this, ms. */
const LOOK_INTERVAL_MS = 500;

export interface SpoolDiskOptions {
  readonly dir: string;
  readonly limitBytes: number;
}

export class SpoolDisk implements SpoolPort {
  private readonly options: SpoolDiskOptions;
  private usedBytes = 0;
  private usedCount = 0;
  private lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: SpoolDiskOptions) {
    this.options = options;
  }

  /** From the last look; while full it looks again in the background. */
  get isFull(): boolean {
    const { limitBytes } = this.options;
    const headroomBytes = Math.min(HEADROOM_BYTES, limitBytes / 2);
    const isFull = this.usedCount >= SPOOL_COUNT_MAX || this.usedBytes + headroomBytes > limitBytes;
    const isOld = performance.now() - this.lookedAtMs > LOOK_INTERVAL_MS;
    if (isFull && isOld) {
      this.lookedAtMs = performance.now();
      void this.look();
    }
    return isFull;
  }

  /** Errors: `SPOOL_FULL`, and what the disk says. */
  async put(result: AttemptResult): Promise<void> {
    const { dir, limitBytes } = this.options;
    const data = encode(result, "msgpack");
    await this.look();
    if (this.usedCount >= SPOOL_COUNT_MAX || this.usedBytes + data.length > limitBytes) {
      throw new RetryableError(
        "SPOOL_FULL",
        `the spool holds ${this.usedCount} results and ${this.usedBytes} bytes, expected room for ${data.length} more of ${limitBytes}`,
      );
    }
    await mkdir(dir, { recursive: true, mode: 0o700 });
    // Named after this process, so that the agent can tell a leftover of a dead one.
    const temporary = join(dir, `${process.pid}-${randomUUID()}.tmp`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(data);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.pathOf(result.key)); // S1
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    this.usedBytes += data.length;
    this.usedCount += 1;
  }

  async remove(key: string): Promise<void> {
    await rm(this.pathOf(key), { force: true });
    await this.look();
  }

  /** S2: what is there now. Never rejects. */
  async look(): Promise<void> {
    const { dir } = this.options;
    const names = await readdir(dir).catch(() => []);
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(dir, name)).then(
          ({ size }) => size,
          () => 0, // delivered meanwhile
        ),
      ),
    );
    this.usedCount = names.length;
    this.usedBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
    this.lookedAtMs = performance.now();
  }

  private pathOf(key: string): string {
    return join(this.options.dir, spoolFileName(key));
  }
}
